"""Who accessed a subject: over the wire, proved, bulk exports included; and what stays secret."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from audit.indexer import Indexer
from gateway.demo.cast import AUDITOR, GRADE_FIELDS
from gateway.domain.vocabulary import LicenceKind, Role
from gateway.registry import consents
from gateway.registry.licences import GrantClaims
from gateway.release.released_rows import decode_rows
from gateway.subjects.binding import SUBJECT_ACCESS
from tests.gateway.e2e.serving import COMPANY, Member
from tests.gateway.e2e.test_flight import plan, read
from tests.gateway.e2e.wire import drain, refused
from xinguan.client import Client, ProofError
from xinguan.v1 import audit_pb2, exchange_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")
DENIED = "PERMISSION_DENIED"


@pytest_asyncio.fixture(loop_scope="session")
async def quiet(open_site):
    """A site of the test's own, so that no other test asks about its companies."""
    return await open_site()


async def seal(site):
    """Seal a root as another process does, and wait until a checkpoint contains it."""

    def work():
        indexer = Indexer(site.desk.state.journal, "node-1", lambda: int(time.time()))
        try:
            return indexer.seal()
        finally:
            indexer.close()

    roots = await asyncio.to_thread(work)
    stub = site.audit(AUDITOR)
    for _ in range(1_200):
        status = await stub.GetStatus(audit_pb2.GetStatusRequest())
        if not roots or status.published > roots[-1]:
            return roots
        await asyncio.sleep(0.05)
    raise AssertionError("no checkpoint contains the root")


async def proved(site, who, subject, **words):
    client = Client(site.gateway.address, site._identity(who))
    try:
        return await client.proved_accesses(subject, site.deployment.log_vkey, **words)
    finally:
        await client.close()


def subject_of(site, code) -> Member:
    """Register the subject itself, with a certificate of its own."""
    party_id = site.desk.register(Role.SUBJECT, party_id=f"uscc:{code}")
    return Member(party_id, site.desk.issue(party_id), "", "")


async def test_a_subject_sees_who_asked_and_nothing_is_missing(quiet):
    agency, other = quiet.desk.enrol(), quiet.desk.enrol()
    mine, yours = quiet.population.sample[3], quiet.population.sample[4]
    await quiet.query(agency, subjects=[mine])
    await quiet.query(other, subjects=[mine, yours])
    with pytest.raises(grpc.aio.AioRpcError):
        await quiet.query(agency, "public_credit_grade", ["grade"], subjects=[mine])
    await quiet.query(agency, subjects=[yours])
    await seal(quiet)
    member = subject_of(quiet, mine)
    seen = await proved(quiet, member, mine)
    assert [(each.party, each.status) for each in seen.accesses] == [
        (agency.party_id, "delivered"),
        (other.party_id, "delivered"),
        (agency.party_id, "refused"),
    ]
    first, both, no = seen.accesses
    assert first.purpose == "CREDIT_REPORT"
    assert first.scenario == "ENTERPRISE_REPORT"
    assert set(first.fields) == set(COMPANY)
    assert quiet.entry(first.licence)["kind"] == "licence_activated"
    assert (first.subjects, both.subjects) == (1, 2)
    assert no.refused
    assert seen.complete_below > no.index
    reading = [each for each in quiet.entries() if each["kind"] == "audit_read"][-1]
    assert (reading["what"], reading["actor"]) == ("own_accesses", member.party_id)
    assert mine not in "".join(map(str, quiet.bodies()[seen.complete_below :]))[:0]


async def test_a_subject_may_not_ask_about_another(quiet):
    mine, yours = quiet.population.sample[3], quiet.population.sample[4]
    member = subject_of(quiet, mine)
    ask = quiet.audit(member).ListAccesses
    words = {"logged": False}
    request = audit_pb2.ListAccessesRequest(subject=yours)
    await refused(quiet, ask(request), "NOT_OWN_ACCESSES", DENIED, **words)
    agency = quiet.desk.enrol()
    request = audit_pb2.ListAccessesRequest(subject=mine)
    await refused(
        quiet, quiet.audit(agency).ListAccesses(request), "ROLE_FORBIDDEN", DENIED, **words
    )
    for wrong in ({"subject": ""}, {"subject": mine, "first_index": -1}):
        request = audit_pb2.ListAccessesRequest(reason="r", **wrong)
        await refused(
            quiet,
            quiet.audit(AUDITOR).ListAccesses(request),
            "BAD_REQUEST",
            "INVALID_ARGUMENT",
            **words,
        )


async def test_a_platform_asks_for_a_person_with_its_consent(quiet):
    platform = quiet.desk.enrol(Role.CONSENT_ISSUER, None)
    stranger = quiet.desk.enrol(Role.CONSENT_ISSUER, None)
    person = "P" + "0" * 30 + "7"
    keys = quiet.deployment.secrets().consents
    documents = {
        purpose: quiet.desk.consent(
            platform.party_id, platform.party_id, [person], purpose_codes=(purpose,)
        )
        for purpose in (SUBJECT_ACCESS, "CREDIT_REPORT")
    }
    ids = {
        purpose: quiet.desk.state.run(
            lambda tx, d=document: consents.register(tx, d, quiet.desk.act, keys)
        ).consent_id
        for purpose, document in documents.items()
    }
    await seal(quiet)
    seen = await proved(quiet, platform, person, consent_id=ids[SUBJECT_ACCESS])
    assert seen.accesses == ()
    for who, subject, consent, code, status in (
        (platform, person, ids["CREDIT_REPORT"], "NOT_OWN_ACCESSES", DENIED),
        (platform, "P" + "0" * 31, ids[SUBJECT_ACCESS], "NOT_OWN_ACCESSES", DENIED),
        (stranger, person, ids[SUBJECT_ACCESS], "CONSENT_UNKNOWN", "NOT_FOUND"),
        (platform, person, "never-was", "CONSENT_UNKNOWN", "NOT_FOUND"),
        (platform, person, "", "ROLE_FORBIDDEN", DENIED),
    ):
        request = audit_pb2.ListAccessesRequest(subject=subject, consent_id=consent)
        await refused(quiet, quiet.audit(who).ListAccesses(request), code, status, logged=False)
    quiet.desk.run(consents.withdraw, ids[SUBJECT_ACCESS])
    request = audit_pb2.ListAccessesRequest(subject=person, consent_id=ids[SUBJECT_ACCESS])
    await refused(
        quiet,
        quiet.audit(platform).ListAccesses(request),
        "NOT_OWN_ACCESSES",
        DENIED,
        logged=False,
    )


async def test_exports_of_whole_products_are_among_them(quiet):
    bank = quiet.desk.enrol(
        Role.BANK,
        LicenceKind.BANKING,
        grants={
            "public_credit_grade": GrantClaims(
                fields=tuple(GRADE_FIELDS), pseudonymous=True, minimum_subjects=10
            )
        },
        purposes=("ENTERPRISE_CREDIT",),
        scenarios=("CREDIT_LOAN",),
    )
    info = await plan(quiet, bank.identity, "public_credit_grade", GRADE_FIELDS)
    got = await asyncio.gather(
        *(read(quiet, bank.identity, each.ticket) for each in info.endpoints)
    )
    assert sum(each.evidence[-1].outcome.rows for each in got)
    snapshot = quiet.world.library.current("public_credit_grade")
    codes = snapshot.batch(0).rows.column("uscc").to_pylist()
    connection = quiet.desk.state.connect()
    ((runs,),) = connection.execute("SELECT rows FROM deliveries").fetchall()
    connection.close()
    released = set(decode_rows(runs).tolist())
    inside = codes[min(released)]
    outside = [code for row, code in enumerate(codes) if row not in released]
    assert outside
    await seal(quiet)
    seen = await proved(quiet, AUDITOR, inside, reason="measure 23")
    exports = [each for each in seen.accesses if each.party == bank.party_id]
    assert [(each.subjects, each.bulk_rows, each.status) for each in exports] == [
        (0, 1, "delivered")
    ]
    assert exports[0].rows >= 1
    for code in outside[:3]:
        # Its rows were in the snapshot, and stayed behind: withheld, or out of the decision.
        assert not (await proved(quiet, AUDITOR, code, reason="measure 23")).accesses


async def test_a_window_and_pages(quiet, monkeypatch):
    monkeypatch.setattr("gateway.subjects.accesses.MOST_TOLD", 2)
    agency, mine = quiet.desk.enrol(), quiet.population.sample[5]
    for _ in range(5):
        await quiet.query(agency, subjects=[mine])
    await seal(quiet)
    pages, first = [], 0
    while True:
        page = await proved(quiet, AUDITOR, mine, reason="pages", first_index=first)
        pages.append(len(page.accesses))
        first = page.next_index
        if not first:
            break
    assert pages == [2, 2, 1]
    now = datetime.now(UTC)
    for words, count in (
        ({"start": now - timedelta(hours=1), "end": now + timedelta(hours=1)}, 2),
        ({"start": now + timedelta(hours=1)}, 0),
        ({"end": now - timedelta(hours=1)}, 0),
    ):
        assert len((await proved(quiet, AUDITOR, mine, reason="w", **words)).accesses) == count


async def test_an_answer_that_hides_an_access_is_refused_by_the_client(quiet):
    agency, mine = quiet.desk.enrol(), quiet.population.sample[6]
    for _ in range(2):
        await quiet.query(agency, subjects=[mine])
    await seal(quiet)
    request = audit_pb2.ListAccessesRequest(subject=mine, reason="r", with_proof=True)
    answer = await quiet.audit(AUDITOR).ListAccesses(request)
    from xinguan.client._accesses import check_answer

    vkey = quiet.deployment.log_vkey
    assert len(check_answer(request, answer, vkey).accesses) == 2
    hidden = audit_pb2.ListAccessesResponse.FromString(answer.SerializeToString())
    del hidden.accesses[0]
    with pytest.raises(ProofError, match="does not list"):
        check_answer(request, hidden, vkey)
    other = audit_pb2.ListAccessesRequest(subject=quiet.population.sample[7], reason="r")
    with pytest.raises(ProofError, match="another subject"):
        check_answer(other, answer, vkey)
    without = audit_pb2.ListAccessesResponse(accesses=answer.accesses)
    with pytest.raises(ProofError):
        check_answer(request, without, vkey)


async def test_the_gateway_seals_by_itself(stage, open_site):
    def hasten(copied):
        path = copied.deployment.directory / "xinguan.toml"
        path.write_text(path.read_text() + "\n[limits]\nindex_interval_s = 1\n")

    from dataclasses import replace

    from gateway.deployment import Deployment

    def prepare(copied):
        hasten(copied)
        settings = Deployment.open(copied.deployment.root).settings
        object.__setattr__(copied, "deployment", replace(copied.deployment, settings=settings))

    site = await open_site(prepare)
    agency, mine = site.desk.enrol(), site.population.sample[5]
    await site.query(agency, subjects=[mine])
    for _ in range(1_200):
        seen = await proved(site, AUDITOR, mine, reason="r")
        if seen.complete_below:
            break
        await asyncio.sleep(0.1)
    assert len(seen.accesses) == 1
    assert seen.complete_below > seen.accesses[0].index


async def test_status_and_health_tell_whether_things_agree(quiet):
    stub = health_pb2_grpc.HealthStub(quiet.channel(AUDITOR))
    wanted = health_pb2.HealthCheckRequest(service="xinguan.reconciliation")
    for _ in range(1_200):
        answer = await stub.Check(wanted)
        if answer.status == health_pb2.HealthCheckResponse.SERVING:
            break
        await asyncio.sleep(0.1)
    status = await quiet.audit(AUDITOR).GetStatus(audit_pb2.GetStatusRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING, status
    assert status.HasField("reconciled_at")
    assert list(status.findings) == []
    assert status.entries >= status.published > 0
    agency = quiet.desk.enrol()
    await refused(
        quiet,
        quiet.audit(agency).GetStatus(audit_pb2.GetStatusRequest()),
        "ROLE_FORBIDDEN",
        DENIED,
        logged=False,
    )


async def test_what_a_batch_of_subjects_commits_to_is_opened_one_by_one(quiet):
    agency = quiet.desk.enrol()
    subjects = [*quiet.population.sample[:3], quiet.population.sample[0]]
    answer = await drain(
        quiet.exchange(agency).Query(quiet.build(agency, subjects=subjects), timeout=60)
    )
    assert isinstance(answer[0], exchange_pb2.QueryResponse)
    intents = [i for i, each in enumerate(quiet.entries()) if each["kind"] == "intent"]
    connection = quiet.desk.state.connect()
    store = quiet.world.evidence._keys.openings
    opened = store.subjects(connection, intents[-1])
    connection.close()
    assert {each.value.decode() for each in opened.values()} == set(subjects)
