"""Recall end to end: random traffic against a naive model, crashes, suspension, courts."""

import asyncio
import contextlib
import random
import time
from collections import defaultdict

import pyarrow as pa
import pytest
from pyarrow import flight

from audit.openings import OpeningStore
from gateway.domain.vocabulary import LicenceKind, Role
from gateway.identity.keyfiles import new_document_key, read_document_key
from gateway.registry import certificates, document_keys, licences
from gateway.registry.documents import sign
from gateway.registry.licences import GrantClaims
from gateway.release.released_rows import encode_rows
from gateway.repair.decision import REPAIR_TYPE, RepairClaims
from gateway.repair.recall.compute import GRACE_S, NoticeKeys, Recaller
from gateway.repair.recall.rows import RecordPlaces
from gateway.repair.recall.suspension import SUSPENSION_TYPE, Ruling, RulingClaims, rule
from tests.gateway.e2e.conftest import serve_site
from tests.gateway.e2e.serving import DAY_S, Desk, Member, Site, copy_stage
from tests.gateway.e2e.test_decisions import COURT, plain_record, publish, shared_records
from tests.gateway.e2e.test_recall import (
    AS_BANK,
    PENALTY,
    agency,
    ask,
    bank,
    computed,
    none_comes,
    notices,
)
from tests.gateway.e2e.wire import refused
from xinguan.client import RefusedError
from xinguan.recall import sign_acknowledgement
from xinguan.v1 import exchange_pb2, repair_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")

DENIED, INVALID = "PERMISSION_DENIED", "INVALID_ARGUMENT"


def pull(site: Site, who: Member, query: exchange_pb2.QueryRequest):
    """Read a query over Flight: batches with the request and number that their evidence names."""
    client = flight.FlightClient(
        f"grpc+tls://{site.gateway.address}",
        tls_root_certs=who.identity.authority.decode(),
        cert_chain=who.identity.certificate.decode(),
        private_key=who.identity.key.decode(),
    )
    found = []
    with contextlib.closing(client):
        command = flight.FlightDescriptor.for_command(query.SerializeToString())
        for endpoint in client.get_flight_info(command).endpoints:
            request = ""
            for chunk in client.do_get(endpoint.ticket):
                said = exchange_pb2.QueryResponse.FromString(chunk.app_metadata.to_pybytes())
                request = said.decision.request_id or request
                if chunk.data is not None:
                    found.append((request, said.batch.sequence, chunk.data))
    return found


async def pulled(site: Site, who: Member, fields, subjects=(), **words):
    query = site.build(who, "admin_penalty", list(fields), subjects=list(subjects), **words)
    return await asyncio.to_thread(pull, site, who, query)


async def test_random_traffic_is_recalled_exactly_as_a_naive_model_says(open_site):
    site = await open_site()
    rng = random.Random(20)  # noqa: S311 - a model, not a secret
    agencies, lender = [agency(site), agency(site)], bank(site)
    snapshot = site.world.library.current("admin_penalty")
    table = snapshot.take(snapshot.batch_rows(0), ["decision_no", "record_id"]).to_pylist()
    record_of = {row["decision_no"]: row["record_id"] for row in table}
    codes = sorted({code for code, _ in shared_records(site)})
    everything = sorted(key for _, key in shared_records(site))
    model: dict[str, set] = defaultdict(set)
    repaired: dict[int, str] = {}
    gone: set[str] = set()
    for step in range(36):
        if step % 3 == 2:
            record = rng.choice([key for key in everything if key not in gone])
            gone.add(record)
            repaired[(await publish(site, record)).entry.index] = record
            continue
        subjects = rng.sample(codes, rng.randint(1, 12))
        if rng.random() < 0.3:
            for request, batch, rows in await pulled(site, lender, PENALTY, subjects, **AS_BANK):
                for position, number in enumerate(rows.column("decision_no").to_pylist()):
                    place = (lender.party_id, request, batch, position)
                    model[record_of[number]].add(place)
            continue
        who = rng.choice(agencies)
        answer = await ask(site, who, subjects)
        for position, row in enumerate(answer.rows()):
            place = (who.party_id, answer.decision.request_id, 0, position)
            model[record_of[row["decision_no"]]].add(place)
    for repair in repaired:
        await computed(site, repair)
    reader = site.desk.state.connect()
    index = dict(reader.execute("SELECT notice_id, repair FROM recall_notices").fetchall())
    reader.close()
    told: dict[str, set] = defaultdict(set)
    for who in (*agencies, lender):
        async with site.client(who) as client:
            for row in (await client.purge_list()).to_pylist():
                place = (who.party_id, row["request_id"], row["batch"], row["position"])
                told[repaired[index[row["notice_id"]]]].add(place)
    assert told == {key: model[key] for key in repaired.values() if model[key]}
    assert told


async def test_a_notice_that_another_process_wrote_is_pushed_to_an_open_watch(open_site):
    site = await open_site()
    who = agency(site)
    subject, record = plain_record(site)
    await ask(site, who, [subject])
    await site.gateway._recall.stop()
    await publish(site, record)
    async with site.client(who) as client:
        keys = await client.notice_keys()
        stream = client.watch()
        coming = asyncio.create_task(anext(stream))
        await asyncio.sleep(0.5)  # so that it most likely waits at the board already
        assert not coming.done()
        await asyncio.to_thread(compute_elsewhere, site)
        notice = await asyncio.wait_for(coming, 60)
        await stream.aclose()
    assert notice.kind == "STOP_USE"
    assert len(keys) == 1


def compute_elsewhere(site: Site) -> None:
    """Compute what is pending in the desk's process, as another worker would."""
    deployment = site.deployment
    recaller = Recaller(
        site.desk.state,
        RecordPlaces(deployment.snapshots_directory),
        NoticeKeys(
            issuer=deployment.settings.log.origin,
            signing=read_document_key(deployment.directory / deployment.settings.files.notice_key),
            openings=OpeningStore(deployment.secrets().opening_key),
            consumer=site.world.consumer_keys,
        ),
        node="elsewhere",
        due_s=60,
        clock_s=lambda: int(time.time()) + GRACE_S,
    )
    assert recaller.compute() == 1


async def test_a_gateway_that_died_before_computing_computes_at_its_next_start(
    stage, tmp_path, clock
):
    copied = copy_stage(stage, tmp_path / "home")
    async with serve_site(copied, clock_ms=clock) as first:
        who = agency(first)
        subject, record = plain_record(first)
        await ask(first, who, [subject])
        await first.gateway._recall.stop()  # as if it died between the acknowledgement and this
        await publish(first, record)
    clock.ahead_s = GRACE_S + 1
    async with serve_site(copied, clock_ms=clock) as second:
        (notice,) = await notices(second, who, 1)
        assert notice.kind == "STOP_USE"
        await none_comes_after(second, who, notice.cursor)


async def none_comes_after(site: Site, who: Member, cursor: int) -> None:
    stream = site.repairs(who).Watch(repair_pb2.WatchRequest(cursor=cursor), timeout=1)
    with pytest.raises(Exception, match="DEADLINE_EXCEEDED"):
        await anext(aiter(stream))


async def test_who_does_not_answer_is_suspended_by_a_person_only_and_can_answer_still(
    open_site, clock
):
    site = await open_site(clock_ms=clock)
    limits = site.deployment.settings.limits
    who = agency(site)
    subject, record = plain_record(site)
    await ask(site, who, [subject])
    await publish(site, record)
    (notice,) = await notices(site, who, 1)
    clock.ahead_s = limits.recall_due_s + limits.recall_proposal_wait_s + 1
    proposal = await proposed(site)
    desk = Desk(site.deployment, lambda: clock() // 1000)
    view = site.world.registry.view()
    assert view.licence(who.licence_id).status.value == "ACTIVE"
    key, operator = new_document_key(), site.deployment.settings.operator
    desk.run(document_keys.register, operator, key.public_key())
    document = sign(
        RulingClaims(
            proposal=proposal,
            party=who.party_id,
            ruling=Ruling.SIGN,
            person="示例值班员",
            decided_at=clock() // 1000,
        ),
        key,
        SUSPENSION_TYPE,
    )
    ruled = desk.state.run(
        lambda tx: rule(tx, document, desk.act, proposal=proposal, rulings={Ruling.SIGN})
    )
    assert ruled.suspended == (who.licence_id,)
    view = site.world.registry.view()
    assert view.licence(who.licence_id).status.value == "SUSPENDED"
    async with site.client(who) as client:
        assert (await client.acknowledge(notice, "PURGED", rows=1)).status == "ACKNOWLEDGED"
    desk.run(licences.resume, who.licence_id)
    view = site.world.registry.view()
    assert view.licence(who.licence_id).status.value == "ACTIVE"
    desk.close()


async def proposed(site: Site) -> int:
    """Wait until a suspension is proposed; return its number."""
    reader = site.desk.state.connect()
    row = None
    try:
        async with asyncio.timeout(60):
            while row is None:
                await asyncio.sleep(0.05)
                row = reader.execute("SELECT proposal FROM suspension_proposals").fetchone()
        return int(row[0])
    finally:
        reader.close()


async def test_a_receiver_declares_where_it_can_be_asked(open_site):
    site = await open_site()
    who = agency(site)
    async with site.client(who) as client:
        done = await client.declare_endpoint("https://example.com/recall")
        with pytest.raises(RefusedError, match="BAD_REQUEST"):
            await client.declare_endpoint("http://example.com/recall")
    entry = site.entry(done.entry.index)
    assert (entry["kind"], entry["party"], entry["actor"]) == (
        "endpoint_declared",
        who.party_id,
        who.party_id,
    )


async def test_a_forged_acknowledgement_is_refused(open_site):
    site = await open_site()
    who, other = agency(site), agency(site)
    subject, record = plain_record(site)
    await ask(site, who, [subject])
    await publish(site, record)
    (notice,) = await notices(site, who, 1)
    forged = sign_acknowledgement(notice.notice_id, who.party_id, other.identity.key, "PURGED")
    call = site.repairs(who).Acknowledge(
        repair_pb2.AcknowledgeRequest(acknowledgement=forged), timeout=10
    )
    await refused(site, call, "BAD_SIGNATURE", INVALID)
    call = site.repairs(other).Acknowledge(
        repair_pb2.AcknowledgeRequest(acknowledgement=forged), timeout=10
    )
    await refused(site, call, "NOT_YOUR_NOTICE", DENIED, rule="R28")
    assert [each.status for each in await notices(site, who, 1)] == ["OPEN"]


async def test_a_plan_that_fails_after_the_lawful_end_brings_nothing_back(open_site, clock):
    site = await open_site(clock_ms=clock)
    snapshot = site.world.library.current("admin_penalty")
    ends = {
        record: snapshot.ends_at(snapshot.rows_of([record])) for _, record in shared_records(site)
    }
    now = int(time.time())
    record = min((key for key in ends if ends[key]), key=lambda key: ends[key])
    assert ends[record] - now < 80 * DAY_S, "no synthetic record ends soon enough"
    subject = next(code for code, key in shared_records(site) if key == record)
    who = agency(site)
    await ask(site, who, [subject])
    await publish(site, record, verdict="TEMP_MASK", origin="COURT", **COURT)
    (suspend,) = await notices(site, who, 1)
    assert suspend.kind == "SUSPEND_USE"
    clock.ahead_s = ends[record] - now + 5
    done = await publish(site, record, verdict="UNMASK", plan="FAILED")
    assert (done.state, done.withheld) == ("EXPIRED", True)


async def test_a_dispute_is_carried_by_flight_too(open_site):
    site = await open_site()
    lender = site.desk.enrol(
        Role.BANK,
        LicenceKind.BANKING,
        grants={"admin_penalty": GrantClaims(fields=(*PENALTY, "dispute_flag"))},
        purposes=("ENTERPRISE_CREDIT",),
        scenarios=("CREDIT_LOAN",),
    )
    subject, record = plain_record(site)
    number = site.world.library.current("admin_penalty")
    number = number.take(number.rows_of([record]), ["decision_no"])[0][0].as_py()

    async def flag() -> bool:
        # The label comes asked for or not (R14).
        parts = await pulled(site, lender, PENALTY, [subject], **AS_BANK)
        rows = pa.Table.from_batches([rows for _, _, rows in parts]).to_pylist()
        return next(row["dispute_flag"] for row in rows if row["decision_no"] == number)

    assert await flag() is False
    await publish(site, record, verdict="DISPUTE_OPENED", origin="OBJECTION", dispute_id="SYN-D-7")
    assert await flag() is True
    await publish(site, record, verdict="DISPUTE_CLOSED", origin="OBJECTION")
    assert await flag() is False
    await none_comes(site, lender)  # a dispute is no reason to stop using what is labelled


async def test_a_declaration_that_its_subject_takes_back_is_recalled(open_site):
    site = await open_site()
    subject, record = shared_records(site, "self_declared_info")[0]
    reader = site.world.library.current("self_declared_info")
    party = site.desk.register(Role.SUBJECT, party_id=f"uscc:{subject}")
    identity = site.desk.issue(party)
    key = new_document_key()
    site.desk.run(document_keys.register, party, key.public_key())
    receiver = agency(site)
    await asyncio.to_thread(delivered_by_hand, site, receiver.party_id, reader, record)
    claims = RepairClaims(
        repair_id=f"own-{record[-12:]}",
        origin="SUBJECT",
        sequence=time.time_ns() // 1000,
        product="self_declared_info",
        record_id=record,
        verdict="WITHDRAWN",
        deciding_unit=subject,
        decided_at=int(time.time()),
    )
    document = sign(claims, key, REPAIR_TYPE)
    done = await site.repairs(identity).Publish(
        repair_pb2.PublishRequest(decision=document), timeout=20
    )
    assert done.state == "WITHDRAWN"
    (notice,) = await notices(site, receiver, 1)
    assert (notice.kind, notice.reason) == ("STOP_USE", "WITHDRAWN")
    assert record not in {key for _, key in shared_records(site, "self_declared_info")}


def delivered_by_hand(site: Site, party_id: str, snapshot, record: str) -> None:
    """Write the evidence of one answer; the product itself needs a consent to be asked for."""
    rows = encode_rows(snapshot.rows_of([record]))

    def job(tx):
        tx.execute(
            "INSERT INTO requests (request_id, party_id, intent) VALUES (?, ?, 1)", ("R1", party_id)
        )
        tx.execute(
            "INSERT INTO deliveries (intent, sequence, snapshot_id, rows) VALUES (1, 0, ?, ?)",
            (snapshot.snapshot_id, rows),
        )

    site.desk.state.run(job)


async def test_watching_goes_on_after_a_renewed_certificate(open_site):
    site = await open_site()
    who = agency(site)
    subject, record = plain_record(site)
    await ask(site, who, [subject])
    await publish(site, record)
    (notice,) = await notices(site, who, 1)
    fresh = site.desk.issue(who.party_id)
    site.desk.run(certificates.revoke, who.fingerprint)
    async with site.client(fresh) as client:
        assert (await client.acknowledge(notice, "NOT_HELD")).status == "ACKNOWLEDGED"
