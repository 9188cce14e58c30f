"""Running streams meet the gate: what was withdrawn never leaves afterwards.

A turnstile inside the gateway lets one batch after another pass, so that a test decides what
happens between two batches, without waiting for the right moment.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pytest_asyncio

from arrow_flight import flight_pb2, flight_pb2_grpc
from gateway.deployment import Deployment
from gateway.domain.errors import UnavailableError
from gateway.domain.vocabulary import LicenceKind, Role
from gateway.doors.encoding import part_message
from gateway.ingest.loading import load_product
from gateway.registry import certificates, consents, licences, parties, stops
from gateway.registry.arrow_schema import arrow_schema
from gateway.registry.documents import LICENCE_TYPE, sign
from gateway.registry.licences import GrantClaims
from gateway.release.world import World
from gateway.snapshot.library import SnapshotLibrary
from tests.conftest import ROOT
from tests.gateway.e2e.conftest import Clock, serve_site
from tests.gateway.e2e.serving import COMPANY, PENALTY, Member, Site, copy_stage
from tests.gateway.e2e.wire import check_refusal, drain
from xinguan.client import Answer
from xinguan.v1 import exchange_pb2, exchange_pb2_grpc, repair_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")

BATCH_ROWS = 8
_LOOKS = 10  # in a row at a stream that stands still
_END = b"\xff\xff\xff\xff\0\0\0\0"  # the end of an Arrow IPC stream
DENIED, UNKNOWN = "PERMISSION_DENIED", "UNAUTHENTICATED"


class Turnstile:
    """Stands at two places on the way of a batch; open unless a test closes it."""

    def __init__(self) -> None:
        self.open = True
        self._permits = asyncio.Semaphore(0)
        self._waiting = asyncio.Event()

    async def passed(self) -> None:
        if self.open:
            return
        self._waiting.set()
        await self._permits.acquire()
        self._waiting.clear()

    async def someone_waits(self) -> None:
        await asyncio.wait_for(self._waiting.wait(), 60)

    def let(self, batches: int) -> None:
        self._waiting.clear()
        for _ in range(batches):
            self._permits.release()

    @asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        self.open = False
        try:
            yield
        finally:
            self.open = True
            self.let(1_000)
            await asyncio.sleep(0)
            self._permits = asyncio.Semaphore(0)
            self._waiting.clear()


class _Hold:
    """The gate's own hold, entered only when the turnstile lets it."""

    def __init__(self, hold, turnstile: Turnstile) -> None:
        self._hold = hold
        self._turnstile = turnstile

    async def __aenter__(self):
        await self._turnstile.passed()
        return await self._hold.__aenter__()

    async def __aexit__(self, *failure):
        return await self._hold.__aexit__(*failure)


class Streams:
    """A site whose streams have many small batches, with a turnstile before and inside the gate."""

    def __init__(self, site: Site, before: Turnstile, inside: Turnstile, clock: Clock) -> None:
        self.site = site
        self.before = before
        self.inside = inside
        self.clock = clock
        self.recording = 0  # batches whose evidence is being made durable now
        self._calls: list[grpc.aio.Call] = []

    def subjects(self, product: str) -> list[str]:
        """Return the organisations of a product in the snapshot's order, each once."""
        snapshot = self.site.world.library.current(product)
        codes = [
            code
            for number in range(snapshot.batch_count)
            for code in snapshot.take(snapshot.batch_rows(number), ["uscc"])["uscc"].to_pylist()
        ]
        return list(dict.fromkeys(codes))

    def record_of(self, subject: str) -> str:
        """Return the id of a penalty that the subject has."""
        snapshot = self.site.world.library.current("admin_penalty")
        rows = snapshot.locate([subject])
        assert len(rows)
        return str(snapshot.take(rows[:1], ["record_id"])["record_id"][0])

    def portion_of(self, subject: str) -> int:
        """Return the number of the batch in which a subject's penalty comes."""
        snapshot = self.site.world.library.current("admin_penalty")
        rows = snapshot.locate(self.subjects("admin_penalty"))
        kinds = snapshot.take(rows, ["subject_type"]).column(0).to_numpy(zero_copy_only=False)
        shown = snapshot.shareable(rows, self.clock() // 1000) & (kinds == "LEGAL_ENTITY")
        number = rows[shown].tolist().index(int(snapshot.locate([subject])[0])) // BATCH_ROWS
        assert number > 0
        return number

    async def settle(self) -> None:
        """End the streams that a test began and wait for their outcomes, which must come."""
        for call in self._calls:
            call.cancel()
        self._calls.clear()
        for _ in range(3_000):
            entries = self.site.entries()
            intents = {i for i, entry in enumerate(entries) if entry["kind"] == "intent"}
            closed = {entry["intent"] for entry in entries if entry["kind"] == "outcome"}
            if intents == closed:
                return
            await asyncio.sleep(0.02)
        raise AssertionError("an intent was left without its outcome")

    def start(self, who: Member, product: str = "legal_entity_base", fields=COMPANY, **words):
        """Start a query of every organisation of a product; returns the call."""
        words = {"subjects": self.subjects(product)} | words
        call = self.site.exchange(who).Query(self.site.build(who, product, fields, **words))
        self._calls.append(call)
        return call


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def streams(stage, tmp_path_factory) -> AsyncIterator[Streams]:
    copied = copy_stage(stage, tmp_path_factory.mktemp("streams") / "home")
    settings = copied.deployment.settings
    # Unless a test waits for it, no stream is reset because the machine does other work.
    limits = settings.limits.model_copy(update={"gate_wait_ms": 60_000})
    deployment = replace(copied.deployment, settings=settings.model_copy(update={"limits": limits}))
    before, inside, clock = Turnstile(), Turnstile(), Clock()
    served: list[Streams] = []

    def tamper(world: World) -> None:
        world.batch_rows = BATCH_ROWS
        hold, batch = world.gate.hold, world.evidence.batch

        async def slow_batch(*parts):
            await inside.passed()
            served[0].recording += 1
            try:
                return await batch(*parts)
            finally:
                served[0].recording -= 1

        world.gate.hold = lambda product: _Hold(hold(product), before)
        world.evidence.batch = slow_batch

    async with serve_site(
        replace(copied, deployment=deployment), tamper=tamper, clock_ms=clock
    ) as site:
        served.append(Streams(site, before, inside, clock))
        yield served[0]


@pytest.fixture
def soon_reset(streams, monkeypatch) -> None:
    """A repair waits a quarter of a second for batches under way, then resets their streams."""
    monkeypatch.setattr(streams.site.gateway.publisher._rounds, "_gate_wait_s", 0.25)


@pytest.fixture
def member(streams) -> Member:
    """An agency of this test alone."""
    return streams.site.desk.enrol()


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def settled(streams) -> AsyncIterator[None]:
    """No test leaves a stream behind, nor an intent without an outcome."""
    yield
    await streams.settle()


def rows_of(messages: list[exchange_pb2.QueryResponse]) -> list[dict]:
    """Return the rows of an answer that may have been cut short."""
    assert messages[0].batch.arrow_schema
    stream = b"".join(part.batch.arrow_schema + part.batch.arrow_ipc for part in messages)
    return pa.ipc.open_stream(stream).read_all().to_pylist()


def got_fields(messages: list[exchange_pb2.QueryResponse]) -> list[str]:
    """Return the names of the fields that leave, from the first message."""
    names = pa.ipc.open_stream(messages[0].batch.arrow_schema + _END).schema.names
    assert names
    return names


async def take(call, count: int) -> list[exchange_pb2.QueryResponse]:
    """Return the next messages of a running call."""
    got = [await asyncio.wait_for(call.read(), 60) for _ in range(count)]
    assert all(isinstance(message, exchange_pb2.QueryResponse) for message in got)
    return got


async def rest(call, got: list | None = None) -> list[exchange_pb2.QueryResponse]:
    """Return what is left of a running call; it comes into `got` as far as it comes."""
    got = [] if got is None else got
    while (message := await asyncio.wait_for(call.read(), 60)) is not grpc.aio.EOF:
        got.append(message)
    return got


async def publish(
    streams: Streams, record: str, product: str = "admin_penalty"
) -> repair_pb2.PublishResponse:
    """Publish a repair of a record and return its acknowledgement."""
    decision = streams.site.desk.repair(product, record)
    stub = streams.site.repairs(streams.site.authority)
    done = await stub.Publish(repair_pb2.PublishRequest(decision=decision), timeout=60)
    assert streams.site.entry(done.entry.index)["kind"] == "repair"
    return done


def penalised(streams: Streams) -> str:
    """Return an organisation with one penalty that is shown now, as late in a stream as any."""
    snapshot = streams.site.world.library.current("admin_penalty")
    now = int(time.time())
    shown = []
    for subject in streams.subjects("admin_penalty"):
        rows = snapshot.locate([subject])
        if len(rows) == 1 and snapshot.shareable(rows, now).all():
            record = snapshot.take(rows, ["publicity_state", "subject_type"]).to_pylist()[0]
            if record == {"publicity_state": "PUBLIC", "subject_type": "LEGAL_ENTITY"}:
                shown.append(subject)
    return [code for code in shown if code != streams.site.population.penalised][-1]


# --- repair ---------------------------------------------------------------------------------


async def test_a_repaired_penalty_is_gone_from_the_very_next_answer(streams, member):
    site = streams.site
    subject = site.population.penalised
    query = {"subjects": [subject]}
    before = Answer(await site.query(member, "admin_penalty", PENALTY, **query))
    assert before.outcome.rows == 1
    done = await publish(streams, streams.record_of(subject))
    assert not done.repeated_decision
    after = Answer(await site.query(member, "admin_penalty", PENALTY, **query))
    assert after.rows() == []
    # It looks exactly as if there had never been one (invariant 7).
    never = Answer(
        await site.query(member, "admin_penalty", PENALTY, subjects=[site.population.clean])
    )
    assert never.rows() == []
    assert after.table().schema == never.table().schema
    for answer in (after, never):
        answer.decision.coverage.ClearField("feed_age_s")  # a second may have gone by
    assert after.decision.coverage == never.decision.coverage
    assert after.outcome.bytes == never.outcome.bytes


async def test_the_same_repair_again_changes_nothing(streams, member):
    subject = penalised(streams)
    decision = streams.site.desk.repair("admin_penalty", streams.record_of(subject))
    stub = streams.site.repairs(streams.site.authority)
    first = await stub.Publish(repair_pb2.PublishRequest(decision=decision))
    again = await stub.Publish(repair_pb2.PublishRequest(decision=decision))
    assert again.repeated_decision
    assert again.entry == first.entry


async def test_a_repaired_penalty_is_gone_from_a_stream_already_running(streams, member):
    subject = penalised(streams)
    async with streams.before.closed():
        call = streams.start(member, "admin_penalty", PENALTY)
        streams.before.let(1)
        got = await take(call, 1)
        await streams.before.someone_waits()
        await publish(streams, streams.record_of(subject))
        streams.before.open = True
        streams.before.let(100)
        got += await rest(call)
    assert got[-1].outcome.rows == len(rows_of(got[:-1]))
    codes = [row["uscc"] for row in rows_of(got[:-1])]
    assert subject not in codes
    assert len(got) > 3
    # Of the two that a second stream shows, only this one is missing.
    now = await drain(streams.start(member, "admin_penalty", PENALTY))
    assert [row["uscc"] for row in rows_of(now[:-1])] == codes


async def test_a_batch_under_way_leaves_before_the_repair_is_acknowledged(streams, member):
    subject = penalised(streams)
    number = streams.portion_of(subject)
    async with streams.inside.closed():
        call = streams.start(member, "admin_penalty", PENALTY)
        streams.inside.let(number)
        got = await take(call, number)
        await streams.inside.someone_waits()  # filtered, held, not yet handed over
        epoch = streams.site.world.gate.epoch
        publishing = asyncio.create_task(publish(streams, streams.record_of(subject)))
        while streams.site.world.gate.epoch == epoch:  # noqa: ASYNC110 - until it takes effect
            await asyncio.sleep(0.01)
        done, _ = await asyncio.wait([publishing], timeout=0.3)
        assert not done, "acknowledged while a batch with the record was still under way"
        streams.inside.let(1)
        got += await take(call, 1)
        await publishing
        assert subject in [row["uscc"] for row in rows_of(got)]
        streams.inside.open = True
        streams.inside.let(100)
        await rest(call)
    after = await drain(streams.start(member, "admin_penalty", PENALTY))
    assert subject not in [row["uscc"] for row in rows_of(after[:-1])]


async def test_a_batch_that_does_not_go_has_its_stream_reset(streams, member, soon_reset):
    subject = penalised(streams)
    number = streams.portion_of(subject)
    async with streams.inside.closed():
        call = streams.start(member, "admin_penalty", PENALTY)
        streams.inside.let(number)
        got = await take(call, number)
        intent = got[0].decision.intent.index
        await streams.inside.someone_waits()
        await publish(streams, streams.record_of(subject))  # it waits 250 ms, then resets
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rest(call)
    refusal = check_refusal(streams.site, caught.value, "STOPPED_STREAM", DENIED, logged=False)
    assert refusal.request_id == got[0].decision.request_id
    assert subject not in [row["uscc"] for row in rows_of(got)]
    outcome = streams.site.of_intent(intent)[-1]
    assert (outcome["kind"], outcome["status"]) == ("outcome", "STOPPED_STREAM")


# --- suspension, withdrawal, stop -----------------------------------------------------------


def suspend_licence(desk, member):
    desk.run(licences.suspend, member.licence_id)


def revoke_licence(desk, member):
    desk.run(licences.revoke, member.licence_id)


def suspend_party(desk, member):
    desk.run(parties.suspend, member.party_id)


def revoke_certificate(desk, member):
    desk.run(certificates.revoke, member.fingerprint)


def stop_org(desk, member):
    desk.run(stops.order, f"org:{member.party_id}")


def narrow_licence(desk, member):
    claims = desk.licence_claims(
        member.party_id,
        LicenceKind.ENTERPRISE_CREDIT_FILING,
        licence_id=member.licence_id,
        serial=2,
        grants={"legal_entity_base": GrantClaims(fields=COMPANY[:3])},
    )
    desk.activate(sign(claims, desk.signing_key, LICENCE_TYPE))


@pytest.mark.parametrize(
    ("change", "code", "status", "rule"),
    [
        (suspend_licence, "NO_LICENCE", DENIED, "R30"),
        (revoke_licence, "NO_LICENCE", DENIED, "R30"),
        (suspend_party, "PARTY_SUSPENDED", UNKNOWN, "GATE"),
        (revoke_certificate, "CERTIFICATE_REVOKED", UNKNOWN, "GATE"),
        (stop_org, "EMERGENCY_STOP", DENIED, "R87"),
        (narrow_licence, "LICENCE_CHANGED", DENIED, "GATE"),
    ],
)
async def test_what_ends_an_authority_ends_its_running_stream(
    streams, member, change, code, status, rule
):
    site = streams.site
    async with streams.before.closed():
        call = streams.start(member)
        streams.before.let(2)
        got = await take(call, 2)
        await streams.before.someone_waits()
        change(site.desk, member)  # through another handle on the state
        streams.before.let(1)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rest(call)
    refusal = check_refusal(site, caught.value, code, status, rule=rule, logged=False)
    assert refusal.request_id == got[0].decision.request_id
    check_cut(site, got, code)


def check_cut(site: Site, got: list[exchange_pb2.QueryResponse], code: str) -> None:
    """Check that the log has exactly the batches that came, and an outcome that says why."""
    *batches, outcome = site.of_intent(got[0].decision.intent.index)
    assert [entry["kind"] for entry in batches] == ["batch"] * len(got)
    assert (outcome["kind"], outcome["status"]) == ("outcome", code)
    assert outcome["rows"] == sum(message.batch.rows for message in got)
    assert outcome["bytes"] == sum(len(message.batch.arrow_ipc) for message in got)


@pytest.mark.parametrize("scope", ["all", "product:legal_entity_base"])
async def test_a_wide_stop_ends_running_streams(streams, member, scope):
    site = streams.site
    async with streams.before.closed():
        call = streams.start(member)
        streams.before.let(1)
        got = await take(call, 1)
        site.desk.run(stops.order, scope)
        try:
            streams.before.let(1)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await rest(call)
        finally:
            site.desk.run(stops.lift, scope)
    check_refusal(site, caught.value, "EMERGENCY_STOP", DENIED, rule="R87", logged=False)
    check_cut(site, got, "EMERGENCY_STOP")


async def test_another_process_suspends_a_licence(streams, member):
    site = streams.site
    async with streams.before.closed():
        call = streams.start(member)
        streams.before.let(1)
        got = await take(call, 1)
        await asyncio.to_thread(run_suspend, site.deployment, member.licence_id)
        streams.before.let(1)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rest(call)
    check_refusal(site, caught.value, "NO_LICENCE", DENIED, rule="R30", logged=False)
    check_cut(site, got, "NO_LICENCE")


def run_suspend(deployment: Deployment, licence_id: str) -> None:
    """Suspend a licence by the command line, in a process of its own."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from gateway.cli.main import main; sys.exit(main())",
            *("licence", "suspend", licence_id, "--home", str(deployment.root)),
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "proto")))},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


async def test_a_withdrawn_consent_ends_its_running_stream(streams):
    site = streams.site
    fields = ("uscc", "contract_type", "amount")
    member = site.desk.enrol(grants={"contract_performance": GrantClaims(fields=fields)})
    issuer = site.desk.enrol(Role.CONSENT_ISSUER, kind=None)
    subjects = streams.subjects("contract_performance")
    document = site.desk.consent(issuer.party_id, member.party_id, subjects)
    keys = site.deployment.secrets().consents
    consent = site.desk.state.run(lambda tx: consents.register(tx, document, site.desk.act, keys))
    async with streams.before.closed():
        call = streams.start(member, "contract_performance", fields, consent_id=consent.consent_id)
        streams.before.let(1)
        got = await take(call, 1)
        assert set(got_fields(got)) >= set(fields)
        site.desk.run(consents.withdraw, consent.consent_id)
        streams.before.let(1)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rest(call)
    check_refusal(site, caught.value, "LICENCE_CHANGED", DENIED, logged=False)
    check_cut(site, got, "LICENCE_CHANGED")


async def test_the_end_of_a_term_ends_a_running_stream(streams):
    site = streams.site
    member = site.desk.enrol(not_after=streams.clock() // 1000 + 3_600)
    async with streams.before.closed():
        call = streams.start(member)
        streams.before.let(1)
        got = await take(call, 1)
        streams.clock.ahead_s = 3_700
        try:
            streams.before.let(1)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await rest(call)
        finally:
            streams.clock.ahead_s = 0
    check_refusal(site, caught.value, "NO_LICENCE", DENIED, rule="R30", logged=False)
    check_cut(site, got, "NO_LICENCE")


async def test_a_stream_of_records_that_were_replaced_ends_when_they_are_too_old(streams, tmp_path):
    """What lost its publicity is missing from the new records, and leaves no more from the old."""
    site, name, fields = streams.site, "serious_dishonesty_list", ("uscc", "list_type")
    member = site.desk.enrol(grants={name: GrantClaims(fields=fields)})
    subjects = [code for code in streams.subjects(name) if code is not None]
    empty, same = tmp_path / "empty.parquet", tmp_path / "same.parquet"
    product = site.world.products[name]
    library = SnapshotLibrary(site.deployment.snapshots_directory)
    pq.write_table(arrow_schema(product).empty_table(), empty)
    # The records are as old as the session: the same ones come in again, as of now.
    old = site.world.library.current(name)
    rows = [old.take(old.batch_rows(n), list(product.fields)) for n in range(old.batch_count)]
    pq.write_table(pa.Table.from_batches(rows).cast(arrow_schema(product)), same)
    load_product(site.desk.state, library, product, same, site.desk.act)
    async with streams.before.closed():
        call = streams.start(member, name, fields, subjects=subjects)
        streams.before.let(1)
        got = await take(call, 1)
        try:
            streams.clock.ahead_s = 500
            load_product(site.desk.state, library, product, empty, site.desk.act)
            streams.before.let(1)
            got += await take(call, 1)  # while the feed may lag
            streams.clock.ahead_s = 700
            streams.before.let(1)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await rest(call)
        finally:
            streams.clock.ahead_s = 0
    check_refusal(site, caught.value, "PRODUCT_UNAVAILABLE", "UNAVAILABLE", logged=False)
    check_cut(site, got, "PRODUCT_UNAVAILABLE")


async def test_an_unrelated_act_leaves_a_running_stream_alone(streams, member):
    async with streams.before.closed():
        call = streams.start(member)
        streams.before.let(1)
        got = await take(call, 1)
        streams.site.desk.enrol()
        streams.before.open = True
        streams.before.let(100)
        got += await rest(call)
    whole = await drain(streams.start(member))
    assert rows_of(got[:-1]) == rows_of(whole[:-1])
    assert len(rows_of(whole[:-1])) > 5 * BATCH_ROWS


# --- cancellation ---------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["before", "inside"])
async def test_a_client_that_cancels_leaves_an_outcome(streams, member, place):
    site, turnstile = streams.site, getattr(streams, place)
    async with turnstile.closed():
        call = streams.start(member)
        turnstile.let(2)
        got = await take(call, 2)
        await turnstile.someone_waits()
        call.cancel()
        outcome = await outcome_of(site, got[0].decision.intent.index)
    assert outcome["status"] == "cancelled"
    # Batches whose evidence is durable count; at least those that came.
    assert outcome["rows"] >= sum(message.batch.rows for message in got)


async def outcome_of(site: Site, intent: int) -> dict:
    """Wait until an intent has its outcome and return it."""
    for _ in range(3_000):
        entries = site.of_intent(intent)
        if entries and entries[-1]["kind"] == "outcome":
            return entries[-1]
        await asyncio.sleep(0.02)
    raise AssertionError("an intent was left without its outcome")


async def test_a_client_that_does_not_read_can_not_hold_a_repair_up(streams, member, soon_reset):
    """Its batch waits in the transport, so its stream is reset and the client is told why."""
    site = streams.site
    subjects = streams.subjects("legal_entity_base")
    narrow = (("grpc.http2.lookahead_bytes", 1_024), ("grpc.http2.bdp_probe", 0))
    async with grpc.aio.secure_channel(
        site.gateway.address, member.identity.credentials(), options=narrow
    ) as channel:
        query = site.build(member, subjects=subjects)
        call = exchange_pb2_grpc.ExchangeServiceStub(channel).Query(query)
        got = await take(call, 1)
        intent = got[0].decision.intent.index
        stuck = await stuck_batch(streams, intent)
        snapshot = site.world.library.current("legal_entity_base")
        rows = snapshot.locate(subjects)[stuck * BATCH_ROWS :]
        record = str(snapshot.take(rows[:1], ["record_id"])["record_id"][0])
        await publish(streams, record, "legal_entity_base")  # it never reads, and this ends
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rest(call, got)
    check_refusal(site, caught.value, "STOPPED_STREAM", DENIED, logged=False)
    # What was handed over before is all that came; nothing was filtered or sent afterwards.
    assert [message.batch.sequence for message in got] == list(range(len(got)))
    assert len(got) <= stuck + 1
    assert site.of_intent(intent)[-1]["status"] == "STOPPED_STREAM"
    after = await drain(streams.start(member))
    assert len(rows_of(after[:-1])) > stuck * BATCH_ROWS


async def test_a_short_answer_that_is_not_read_can_not_hold_a_repair_up(
    streams, member, soon_reset
):
    """It was returned to the transport and is held until it is gone, or its task is ended."""
    site = streams.site
    subject = streams.subjects("legal_entity_base")[0]
    snapshot = site.world.library.current("legal_entity_base")
    record = str(snapshot.take(snapshot.locate([subject]), ["record_id"])["record_id"][0])
    narrow = (("grpc.http2.lookahead_bytes", 512), ("grpc.http2.bdp_probe", 0))
    async with grpc.aio.secure_channel(
        site.gateway.address, member.identity.credentials(), options=narrow
    ) as channel:
        before = len(site.entries())
        query = site.build(member, subjects=[subject])
        call = exchange_pb2_grpc.ExchangeServiceStub(channel).Query(query)
        for _ in range(3_000):
            if any(entry["kind"] == "outcome" for entry in site.entries()[before:]):
                break
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)  # time enough to leave, if it could
        assert site.world.gate.held("legal_entity_base") == 1
        await publish(streams, record, "legal_entity_base")  # it never reads, and this ends
        assert site.world.gate.held("legal_entity_base") == 0
        call.cancel()


async def test_a_short_answer_is_confirmed_after_everything_else(streams, member, monkeypatch):
    """A process may be stopped while it frames what it returns, and wake up fenced."""
    site = streams.site

    def fenced() -> None:
        raise UnavailableError("NODE_FENCED", "the lease ran out meanwhile")

    def framed(*parts: object, **words: object) -> exchange_pb2.QueryResponse:
        message = part_message(*parts, **words)
        monkeypatch.setattr(site.world.gate, "sure", fenced)
        return message

    monkeypatch.setattr("gateway.doors.exchange.part_message", framed)
    subjects = streams.subjects("legal_entity_base")[:1]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await drain(streams.start(member, subjects=subjects))
    monkeypatch.undo()
    check_refusal(site, caught.value, "NODE_FENCED", "UNAVAILABLE", logged=False)
    assert site.world.gate.held("legal_entity_base") == 0


async def stuck_batch(streams: Streams, intent: int) -> int:
    """Wait until a stream has stopped because its client does not read; return the last batch.

    It has when the batch whose evidence is durable stays held, and no other is being recorded.
    """
    site, last, looks = streams.site, -1, 0
    for _ in range(600):
        await asyncio.sleep(0.1)
        *_, newest = site.of_intent(intent)
        assert newest["kind"] == "batch", "the whole answer fitted into the transport"
        held = site.world.gate.held("legal_entity_base") == 1 and not streams.recording
        looks = looks + 1 if held and newest["number"] == last else 0
        if looks == _LOOKS:
            return last
        last = newest["number"]
    raise AssertionError("the stream never stopped")


# --- Flight ---------------------------------------------------------------------------------


async def test_the_gate_holds_for_flight_as_well(streams, member):
    site = streams.site
    subject = penalised(streams)
    query = site.build(member, "admin_penalty", PENALTY, subjects=streams.subjects("admin_penalty"))
    stub = flight_pb2_grpc.FlightServiceStub(site.channel(member))
    info = await stub.GetFlightInfo(
        flight_pb2.FlightDescriptor(
            type=flight_pb2.FlightDescriptor.CMD, cmd=query.SerializeToString()
        )
    )
    async with streams.before.closed():
        call = stub.DoGet(info.endpoint[0].ticket)
        streams.before.let(1)
        schema = await asyncio.wait_for(call.read(), 60)
        assert schema.data_header
        await asyncio.wait_for(call.read(), 60)
        await streams.before.someone_waits()
        await publish(streams, streams.record_of(subject))
        streams.before.let(1)
        middle = await asyncio.wait_for(call.read(), 60)
        assert subject.encode() not in middle.data_body
        suspend_licence(site.desk, member)
        streams.before.let(1)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rest(call)
    refusal = check_refusal(site, caught.value, "NO_LICENCE", DENIED, rule="R30", logged=False)
    assert refusal.request_id
