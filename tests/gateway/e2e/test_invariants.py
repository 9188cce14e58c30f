"""The invariants of DESIGN, attacked from outside and from inside."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import grpc
import pyarrow as pa
import pytest
import pytest_asyncio
import structlog

from audit.errors import AuditUnavailableError
from audit.verify import verify_log
from gateway.demo.cast import AUDITOR, SECURITY
from gateway.domain.errors import UnavailableError
from gateway.domain.vocabulary import FieldAction, Role
from gateway.release import world as world_module
from gateway.release.enforce import compile_enforcer
from tests.gateway.e2e.conftest import serve_site
from tests.gateway.e2e.feeding import with_settings
from tests.gateway.e2e.serving import (
    CASE,
    OPERATOR,
    PENALTY,
    Site,
    copy_stage,
    written,
)
from tests.gateway.e2e.wire import read_details, refused
from xinguan.client import Answer
from xinguan.v1 import admin_pb2, audit_pb2, exchange_pb2, repair_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")


# --- 6: no person, operator or case where it isn't needed -----------------------------------


async def test_nothing_that_names_a_subject_is_written_anywhere(open_site, capfd):
    """Every door is used, well and badly; then every file of the gateway is searched."""
    site = await open_site()
    with structlog.testing.capture_logs() as logs:
        said, keys = await exercise(site)
    secrets = [OPERATOR, CASE, *keys, *every_subject(site)]
    await wait_for_checkpoint(site)
    printed = capfd.readouterr()
    places = {
        "structured logs": json.dumps(logs, default=str),
        "what refusals said": "\n".join(said),
        "standard output": printed.out,
        "standard error": printed.err,
    }
    for place, text in places.items():
        for secret in secrets:
            assert secret not in text, f"a secret stands in {place}"
    assert len(said) > 10
    files = written(site)
    assert {"state.sqlite3", "checkpoint"} <= {file.name for file, _ in files}
    for file, content in files:
        for secret in secrets:
            assert secret.encode() not in content, f"a secret stands in {file.name}"


async def exercise(site: Site) -> tuple[list[str], list[str]]:
    """Use every door, well and badly; return what refusals said, and the keys that were used."""
    subject = site.population.sample[2]
    member, issuer = site.desk.enrol(), site.desk.enrol(Role.CONSENT_ISSUER, kind=None)
    keys = [f"idempotency-key-{number}" for number in range(40)]
    fresh = iter(keys)
    asks = [
        {},
        {"subjects": site.population.sample, "encoding": "ROWS"},
        {"sign_it": True},
        {"purpose": "CREDIT_CHECK"},
        {"subjects": [subject[:-1] + "I"]},
        {"subjects": [f"{subject}{subject}"]},
        {"subjects": [subject], "subject_kind": "NATURAL_PERSON"},
        {"subjects": [site.population.person], "subject_kind": "NATURAL_PERSON"},
        {"consent_id": subject},
        {"operator": ""},
        {"where": [("contact_phone", "eq", subject)]},
        {"where": [("established_on", "eq", subject)]},
        {"where": [("no_such_field", "eq", subject)]},
        {"fields": [subject]},
        {"product": subject},
        {"scenario": subject},
        {"destination": subject[:2]},
        {"measure": subject, "purpose": "RESTRICTION"},
    ]
    said = []

    async def attempt(call) -> None:
        try:
            await call
        except grpc.aio.AioRpcError as error:
            said.append((error.details() or "") + repr(error.trailing_metadata()))

    for words in asks:
        await attempt(site.query(member, **({"idempotency_key": next(fresh)} | words)))
    replayed = site.build(member, idempotency_key=next(fresh))
    await attempt(site.send(member, replayed))
    await attempt(site.send(member, replayed))
    explain = exchange_pb2.ExplainRequest(query=site.build(member, subjects=[subject]))
    await attempt(site.exchange(member).Explain(explain))
    describe = exchange_pb2.DescribeProductRequest(product=subject)
    await attempt(site.exchange(member).DescribeProduct(describe))
    document = site.desk.consent(issuer.party_id, member.party_id, [subject])
    for text in (document, document[:-6] + "AAAAAA", subject):
        request = admin_pb2.RegisterConsentRequest(idempotency_key=next(fresh), document=text)
        await attempt(site.admin(issuer).RegisterConsent(request))
    for scope in (f"org:{subject}", subject):
        stop = admin_pb2.StopEgressRequest(idempotency_key=next(fresh), scope=scope)
        await attempt(site.admin(SECURITY).StopEgress(stop))
    for decision in (site.desk.repair("admin_penalty", subject), subject):
        publish = repair_pb2.PublishRequest(decision=decision)
        await attempt(site.repairs(site.authority).Publish(publish))
    receipt = audit_pb2.GetReceiptRequest(request_id=subject)
    await attempt(site.audit(member).GetReceipt(receipt))
    accesses = audit_pb2.ListAccessesRequest(subject=subject, reason="supervision")
    await attempt(site.audit(AUDITOR).ListAccesses(accesses))
    return said, keys


def every_subject(site: Site) -> list[str]:
    """Return every identifier that the records hold, organisations and persons."""
    found: set[str] = set()
    for product in site.world.products.values():
        snapshot = site.world.library.current(product.name)
        if snapshot is None:  # nothing was computed, received or issued on this site
            empty = {"credit_loan_features", "foreign_credit_report", "credit_report_check"}
            assert product.name in empty
            continue
        for number in range(snapshot.batch_count):
            keys = snapshot.take(snapshot.batch_rows(number), [product.subject_key])
            found.update(keys[product.subject_key].to_pylist())
    assert len(found) > 300
    return sorted(found)


async def wait_for_checkpoint(site: Site) -> None:
    """Wait until the log as it is now is published."""
    size = len(site.entries())
    for _ in range(1_200):
        report = verify_log(site.deployment.log_directory, site.deployment.log_vkey)
        if report.checkpoint is not None and report.checkpoint.size >= size:
            report.check()
            return
        await asyncio.sleep(0.05)
    raise AssertionError("no checkpoint came")


async def test_the_same_question_leaves_no_common_mark_in_the_log(site, agency):
    """Commitments are salted afresh: who knows a subject can't find others' accesses to it."""
    first, second = [
        site.entry(Answer(await site.query(agency)).decision.intent.index) for _ in range(2)
    ]
    for member in ("subjects", "operator", "case", "idempotency"):
        assert first[member] != second[member]
    assert first["pinned"] == second["pinned"]


# --- 2: log before release ------------------------------------------------------------------


class FailingJournal:
    """The journal, until it has taken `good` entries; then its disk is full."""

    def __init__(self, journal, good: int) -> None:
        self._journal = journal
        self.good = good

    def __getattr__(self, name: str):
        work = getattr(self._journal, name)

        async def spend(*words):
            if self.good <= 0:
                raise AuditUnavailableError("no space")
            self.good -= 1
            return await work(*words)

        return spend


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def failing(stage, tmp_path_factory) -> AsyncIterator[Site]:
    """A site of small batches whose log fails after as many jobs as a test says."""

    def tamper(world) -> None:
        world.batch_rows = 8
        world.evidence._journal = FailingJournal(world.evidence._journal, 1_000_000)

    copied = copy_stage(stage, tmp_path_factory.mktemp("failing") / "home")
    async with serve_site(copied, tamper=tamper) as site:
        yield site


@pytest.mark.parametrize("good", [0, 1])
async def test_a_small_answer_leaves_only_after_its_outcome(failing, good):
    """Without the intent, or with it and without the outcome: not one byte."""
    member = failing.desk.enrol()
    before = len(failing.entries())
    failing.world.evidence._journal.good = good
    messages = []
    try:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await collect(failing, member, failing.build(member), messages)
    finally:
        failing.world.evidence._journal.good = 1_000_000
    assert not messages
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "AUDIT_UNAVAILABLE" in caught.value.details()
    kinds = [entry["kind"] for entry in failing.entries()[before:]]
    assert kinds == ["intent"] * good
    # An intent without an outcome is there for everybody to see, never taken back.


async def test_a_stream_stops_before_the_batch_whose_evidence_fails(failing):
    member = failing.desk.enrol()
    query = failing.build(member, subjects=every_company(failing))
    before = len(failing.entries())
    failing.world.evidence._journal.good = 4  # the intent and three batches
    messages = []
    try:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await collect(failing, member, query, messages)
    finally:
        failing.world.evidence._journal.good = 1_000_000
    assert "AUDIT_UNAVAILABLE" in caught.value.details()
    assert len(messages) == 3
    _, refusal = read_details(caught.value)
    assert refusal.request_id == messages[0].decision.request_id
    kinds = [entry["kind"] for entry in failing.entries()[before:]]
    assert kinds == ["intent", "batch", "batch", "batch"]


async def collect(site: Site, who, query, into: list) -> None:
    """Send a query and keep every message that comes, whatever comes after it."""
    async for message in site.exchange(who).Query(query):
        assert isinstance(message, exchange_pb2.QueryResponse)
        into.append(message)


def every_company(site: Site) -> list[str]:
    """Return the codes of all organisations of the base."""
    snapshot = site.world.library.current("legal_entity_base")
    codes = [
        code
        for number in range(snapshot.batch_count)
        for code in snapshot.take(snapshot.batch_rows(number), ["uscc"])["uscc"].to_pylist()
    ]
    assert len(codes) > 100
    return codes


@pytest.mark.rule("R81", "absence")
async def test_what_arrives_stands_in_the_log_already(failing):
    member = failing.desk.enrol()
    query = failing.build(member, subjects=every_company(failing))
    last = -1
    async for message in failing.exchange(member).Query(query):
        # Read past the gateway, from the file, at the moment of arrival.
        if message.HasField("decision"):
            last = message.decision.intent.index
            assert failing.entry(last)["kind"] == "intent"
        if message.HasField("batch"):
            assert message.batch.evidence.index > last
            last = message.batch.evidence.index
            assert failing.entry(last)["kind"] == "batch"
        if message.HasField("outcome"):
            assert message.outcome.entry.index > last
            assert failing.entry(message.outcome.entry.index)["status"] == "delivered"
            last = message.outcome.entry.index
    assert last > 10


# --- 1: fail closed -------------------------------------------------------------------------


class Moody:
    """The real policy engine, until a test puts another answer in its place."""

    def __init__(self, real) -> None:
        self._real = real
        self.answer = None

    async def evaluate(self, document: bytes) -> object:
        if self.answer is None:
            return await self._real.evaluate(document)
        return await self.answer(await self._real.evaluate(document))

    async def close(self) -> None:
        await self._real.close()


async def raises(_: object) -> object:
    raise RuntimeError("a text that must not leave")


async def unavailable(_: object) -> object:
    raise UnavailableError("POLICY_UNAVAILABLE", "the policy engine is stopped")


async def hangs(_: object) -> object:
    await asyncio.Event().wait()


async def nothing(_: object) -> object:
    return None


async def bare_yes(_: object) -> object:
    return {"allow": True}


async def text(_: object) -> object:
    return "allow"


async def another_action(real: object) -> object:
    answer = json.loads(json.dumps(real).replace('"allow"', '"show"'))
    assert answer != real
    return answer


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def moody(stage, tmp_path_factory) -> AsyncIterator[tuple[Site, Moody]]:
    engines = []

    def wrap(real):
        engines.append(Moody(real))
        return engines[-1]

    copied = copy_stage(stage, tmp_path_factory.mktemp("moody") / "home")
    copied = with_settings(copied, {}, policy_deadline_ms=300)  # one of them hangs
    async with serve_site(copied, engine=wrap) as site:
        yield site, engines[0]


@pytest.mark.parametrize(
    ("answer", "code", "status"),
    [
        (raises, "INTERNAL", "INTERNAL"),
        (unavailable, "POLICY_UNAVAILABLE", "UNAVAILABLE"),
        (hangs, "POLICY_TIMEOUT", "UNAVAILABLE"),
        (nothing, "POLICY_UNKNOWN_ANSWER", "UNAVAILABLE"),
        (bare_yes, "POLICY_UNKNOWN_ANSWER", "UNAVAILABLE"),
        (text, "POLICY_UNKNOWN_ANSWER", "UNAVAILABLE"),
        (another_action, "POLICY_UNKNOWN_ANSWER", "UNAVAILABLE"),
    ],
)
async def test_without_a_decision_nothing_leaves(moody, answer, code, status):
    site, engine = moody
    member = site.desk.enrol()
    before = len(site.entries())
    engine.answer = answer
    try:
        refusal = await refused(site, site.query(member), code, status)
    finally:
        engine.answer = None
    assert "must not leave" not in str(refusal)
    kinds = [entry["kind"] for entry in site.entries()[before:]]
    assert kinds == ["denial"]
    # A failure is not remembered: the next question is decided.
    assert (await site.query(member))[-1].outcome.rows == 1


# --- 4: nothing unnamed leaves --------------------------------------------------------------


def with_one_more(fields, keys):
    """Compile an enforcer that lets a field leave that nobody decided on."""
    name = next(f for f in site_fields() if f.name == "lei")
    return compile_enforcer((*fields, (name, FieldAction.ALLOW)), keys)


def with_one_less(fields, keys):
    """Compile an enforcer that loses a field."""
    return compile_enforcer(fields[1:], keys)


def unmasked(fields, keys):
    """Compile an enforcer that allows what should be masked."""
    return compile_enforcer([(field, FieldAction.ALLOW) for field, _ in fields], keys)


def site_fields():
    from gateway.registry.catalogue import Catalogue

    return Catalogue.load().product("legal_entity_base").fields.values()


@pytest.mark.parametrize("tampered", [with_one_more, with_one_less, unmasked])
async def test_the_edge_refuses_what_was_not_decided(site, agency, monkeypatch, tampered):
    monkeypatch.setattr(world_module, "compile_enforcer", tampered)
    before = len(site.entries())
    await refused(site, site.query(agency), "EDGE_CHECK", "INTERNAL")
    assert [entry["kind"] for entry in site.entries()[before:]] == ["denial"]
    monkeypatch.undo()
    assert (await site.query(agency))[-1].outcome.rows == 1


async def test_padding_holds_no_neighbour(site, agency):
    """Arrow pads buffers; not a byte of a row that isn't released may be in the padding."""
    snapshot = site.world.library.current("legal_entity_base")
    subject = site.population.sample[3]
    row = int(snapshot.locate([subject])[0])
    (message,) = await site.query(agency, subjects=[subject])
    for near in range(max(0, row - 3), min(snapshot.rows, row + 4)):
        if near == row:
            continue
        neighbour = snapshot.take(near_rows(near), ["uscc", "name"]).to_pylist()[0]
        for value in neighbour.values():
            assert str(value).encode() not in message.batch.arrow_ipc


def near_rows(row: int):
    """Return one row number as the snapshot wants it."""
    return pa.array([row], pa.int64()).to_numpy()


# --- 7: silent records ----------------------------------------------------------------------


async def test_a_withheld_record_looks_like_one_that_does_not_exist(open_site):
    """Repaired, unpublished and absent: answers differ in nothing but ids and entries."""
    site = await open_site()
    member = site.desk.enrol()
    snapshot = site.world.library.current("admin_penalty")
    repaired = site.population.penalised
    record = str(snapshot.take(snapshot.locate([repaired]), ["record_id"])["record_id"][0])
    ask = (member, "admin_penalty", PENALTY)
    assert Answer(await site.query(*ask, subjects=[repaired])).outcome.rows == 1
    await site.repairs(site.authority).Publish(
        repair_pb2.PublishRequest(decision=site.desk.repair("admin_penalty", record))
    )
    now, everyone = int(time.time()), every_company(site)
    rows = {subject: snapshot.locate([subject]) for subject in everyone}
    unpublished = [
        subject
        for subject in everyone
        if subject != repaired
        and len(rows[subject])
        and not snapshot.shareable(rows[subject], now).any()
    ]
    absent = [subject for subject in everyone if not len(rows[subject])]
    answers = []
    for subject in (repaired, unpublished[0], absent[0]):
        (message,) = await site.query(*ask, subjects=[subject])
        message.decision.ClearField("request_id")
        message.decision.ClearField("intent")
        message.decision.coverage.ClearField("feed_age_s")  # the clock moves on meanwhile
        message.outcome.ClearField("entry")
        message.batch.ClearField("evidence")
        answers.append(message.SerializeToString(deterministic=True))
    assert answers[0] == answers[1] == answers[2]
