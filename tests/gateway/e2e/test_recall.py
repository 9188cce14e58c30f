"""Recall over real mutual TLS: who received a record is told, and nobody else."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.demo.cast import GRADE_FIELDS
from gateway.domain.vocabulary import LicenceKind, Role
from gateway.registry.licences import GrantClaims
from gateway.repair.recall.compute import GRACE_S
from tests.gateway.e2e.serving import Member, Site
from tests.gateway.e2e.test_decisions import COURT, plain_record, publish, shared_records
from tests.gateway.e2e.wire import refused
from xinguan.client import Answer, Client, Notice
from xinguan.v1 import repair_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")

PENALTY = ("uscc", "decision_no", "decided_on")
NOTICE_S = 60.0


@pytest_asyncio.fixture(loop_scope="session")
async def place(open_site) -> Site:
    """A site whose recalls are this test's alone."""
    return await open_site()


def agency(site: Site) -> Member:
    return site.desk.enrol(grants={"admin_penalty": GrantClaims(fields=PENALTY)})


def bank(site: Site, *, pseudonymous: bool = False) -> Member:
    grants = {
        "admin_penalty": GrantClaims(fields=PENALTY, pseudonymous=pseudonymous),
        "public_credit_grade": GrantClaims(fields=tuple(GRADE_FIELDS)),
    }
    return site.desk.enrol(
        Role.BANK,
        LicenceKind.BANKING,
        grants=grants,
        purposes=("ENTERPRISE_CREDIT",),
        scenarios=("CREDIT_LOAN",),
    )


AS_BANK = {"purpose": "ENTERPRISE_CREDIT", "scenario": "CREDIT_LOAN"}


async def ask(site: Site, who: Member, subjects, **words) -> Answer:
    return Answer(
        await site.query(who, "admin_penalty", list(PENALTY), subjects=list(subjects), **words)
    )


async def notices(site: Site, who: Member, count: int, *, cursor: int = 0) -> list[Notice]:
    """Return the next notices to a party, as its own client verifies them."""
    found: list[Notice] = []
    async with asyncio.timeout(NOTICE_S), site.client(who) as client:
        async for notice in client.watch(cursor):
            found.append(notice)
            if len(found) == count:
                return found
    raise AssertionError


async def none_comes(site: Site, who: Member, *, wait_s: float = 1.0) -> None:
    """Watch for a while, in which nothing may come."""
    came: list[Notice] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(wait_s), site.client(who) as client:
            async for notice in client.watch():
                came.append(notice)
                break
    assert came == []


async def computed(site: Site, repair: int) -> None:
    """Wait until a recall is computed."""
    reader = site.desk.state.connect()
    try:
        async with asyncio.timeout(NOTICE_S):
            sql = "SELECT computed_at FROM recalls WHERE repair = ?"
            while reader.execute(sql, (repair,)).fetchone() in (None, (None,)):  # noqa: ASYNC110 - another process's state
                await asyncio.sleep(0.05)
    finally:
        reader.close()


def decision_no(site: Site, record: str) -> str:
    snapshot = site.world.library.current("admin_penalty")
    return snapshot.take(snapshot.rows_of([record]), ["decision_no"])[0][0].as_py()


async def test_exactly_those_who_received_the_record_are_told_which_row_it_was(place):
    first, second, lender = agency(place), agency(place), bank(place)
    subject, record = plain_record(place)
    others = [code for code, _ in shared_records(place) if code != subject]
    answer = await ask(place, first, [subject, others[0]])
    lent = await ask(place, lender, [subject], **AS_BANK)
    await ask(place, second, others[:3])
    done = await publish(place, record)
    (told,) = await notices(place, first, 1)
    assert (told.kind, told.reason, told.product) == ("STOP_USE", "REPAIRED", "admin_penalty")
    assert (told.form, told.rows, told.record_key, told.subject) == ("CLEAR", 1, "", "")
    (row,) = told.named
    assert row.request == answer.decision.request_id
    assert row.snapshot == answer.decision.coverage.snapshot_id
    assert answer.rows()[row.position]["decision_no"] == decision_no(place, record)
    (told,) = await notices(place, lender, 1)
    assert told.named[0].request == lent.decision.request_id
    await none_comes(place, second)
    entries = [entry for entry in place.entries() if entry["kind"] == "recall"]
    assert {entry["party"] for entry in entries} == {first.party_id, lender.party_id}
    assert {entry["repair"] for entry in entries} == {done.entry.index}


async def test_a_notice_comes_at_once_and_not_after_the_grace_of_what_nobody_told(place):
    """How soon is measured in bench/recall.py."""
    who = agency(place)
    subject, record = plain_record(place)
    await ask(place, who, [subject])
    async with site_watch(place, who) as coming:
        await publish(place, record)
        acknowledged = time.monotonic()
        await asyncio.wait_for(anext(coming), NOTICE_S)
    assert time.monotonic() - acknowledged < GRACE_S * 0.9


class site_watch:  # noqa: N801 - reads as a function
    """An open watch of a party."""

    def __init__(self, site: Site, who: Member, cursor: int = 0) -> None:
        self._client: Client = site.client(who)
        self._cursor = cursor

    async def __aenter__(self) -> AsyncIterator[Notice]:
        self._stream = self._client.watch(self._cursor)
        await self._client.notice_keys()  # so that the channel is open
        return self._stream

    async def __aexit__(self, *_: object) -> None:
        await self._stream.aclose()
        await self._client.close()


async def test_a_pseudonymous_receiver_finds_its_row_and_learns_no_code(place):
    lender = bank(place, pseudonymous=True)
    codes = sorted({code for code, _ in shared_records(place)})[:30]
    subject, record = next(pair for pair in shared_records(place) if pair[0] == codes[7])
    answer = await ask(place, lender, codes, **AS_BANK)
    rows = answer.rows()
    assert len(rows) > 20
    await publish(place, record)
    (told,) = await notices(place, lender, 1)
    row = rows[told.named[0].position]
    snapshot = place.world.library.current("admin_penalty")
    held = snapshot.take(snapshot.rows_of([record]), ["decided_on"]).to_pylist()
    assert row["decided_on"] == held[0]["decided_on"]
    assert (told.form, told.record_key) == ("PSEUDONYM", "")
    assert row["uscc"] == told.subject
    assert told.subject != subject
    assert subject not in str(told)
    assert record not in str(told)


async def test_acknowledging_stands_in_the_log_and_only_ones_own_notice_can_be(place):
    who, other = agency(place), agency(place)
    subject, record = plain_record(place)
    await ask(place, who, [subject])
    await publish(place, record)
    (told,) = await notices(place, who, 1)
    async with place.client(other) as client:
        with pytest.raises(Exception, match="NOT_YOUR_NOTICE"):
            await client.acknowledge(told, "PURGED", rows=1)
    async with place.client(who) as client:
        listed = await client.purge_list()
        assert listed.column("notice_id").to_pylist() == [told.notice_id]
        assert listed.column("position").to_pylist() == [told.named[0].position]
        done = await client.acknowledge(told, "PURGED", rows=1)
        assert (done.status, done.repeated) == ("ACKNOWLEDGED", False)
        assert (await client.purge_list()).num_rows == 0
        assert (await client.purge_list(everything=True)).num_rows == 1
    entry = place.entry(done.entry.index)
    assert (entry["kind"], entry["answer"]) == ("recall_acknowledged", "PURGED")
    assert entry["party"] == who.party_id
    assert place.entry(entry["recall"])["kind"] == "recall"
    (again,) = await notices(place, who, 1)  # from the same cursor it comes again
    assert again.status == "ACKNOWLEDGED"


async def test_a_mask_suspends_use_and_a_failed_plan_resumes_it(place):
    who = agency(place)
    subject, record = plain_record(place)
    await ask(place, who, [subject])
    await publish(place, record, verdict="TEMP_MASK", origin="COURT", **COURT)
    (suspend,) = await notices(place, who, 1)
    assert (suspend.kind, suspend.reason) == ("SUSPEND_USE", "MASKED")
    assert not (await ask(place, who, [subject])).rows()
    done = await publish(place, record, verdict="UNMASK", plan="FAILED")
    await computed(place, done.entry.index)
    late = agency(place)
    await ask(place, late, [subject])
    both = await notices(place, who, 2)
    assert [(each.kind, each.status) for each in both] == [
        ("SUSPEND_USE", "SUPERSEDED"),
        ("RESUME_USE", "INFORMED"),
    ]
    await publish(place, record, verdict="TEMP_MASK", origin="COURT", **COURT)
    completed = await publish(place, record, verdict="UNMASK", plan="COMPLETED")
    await computed(place, completed.entry.index)
    last = (await notices(place, who, 4))[-1]
    assert (last.kind, last.reason) == ("STOP_USE", "REPAIRED")
    assert [each.kind for each in await notices(place, late, 2)] == ["SUSPEND_USE", "STOP_USE"]


async def test_a_revoked_certificate_ends_a_watch(place):
    from gateway.registry import certificates

    who = agency(place)
    stream = place.repairs(who).Watch(repair_pb2.WatchRequest(), timeout=60)
    await asyncio.sleep(0.3)
    place.desk.run(certificates.revoke, who.fingerprint)
    await refused(place, anext(aiter(stream)), "CERTIFICATE_REVOKED", "UNAUTHENTICATED")
