"""Many decisions in one stream: each outcome its own, in order, and nothing lost when it breaks."""

import time

import grpc
import pytest

from audit.errors import AuditUnavailableError
from audit.promise import verify_promise
from gateway.demo.cast import AUDITOR
from tests.gateway.e2e.test_decisions import answer, enrol, shared_records
from tests.gateway.e2e.wire import read_details
from xinguan.client import Client, RefusedError
from xinguan.v1 import repair_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")
UNIT = "11460099000000043A"


def documents(site, records, **claims) -> list[str]:
    return [site.desk.repair("admin_penalty", record, **claims) for record in records]


async def stream(site, who, tokens, size: int = 3) -> list[repair_pb2.PublishStreamResponse]:
    """Hand decisions in, some a message; return the messages that came."""

    async def requests():
        for first in range(0, len(tokens), size):
            yield repair_pb2.PublishStreamRequest(decisions=tokens[first : first + size])

    return [one async for one in site.repairs(who).PublishStream(requests(), timeout=60)]


def outcomes(messages) -> list[repair_pb2.PublishOutcome]:
    return [one for message in messages for one in message.outcomes]


def told(one: repair_pb2.PublishOutcome) -> str:
    if one.HasField("refused"):
        return one.refused.code
    return "REPEATED" if one.published.repeated_decision else one.published.state


class FailingOnce:
    """The publisher's journal: its second transaction can't be written."""

    def __init__(self, real) -> None:
        self.real = real
        self.calls = 0

    async def submit(self, job):
        self.calls += 1
        if self.calls == 2:
            raise AuditUnavailableError("full")
        return await self.real.submit(job)


async def test_each_decision_has_its_outcome_in_order(open_site):
    site = await open_site()
    agency = enrol(site)
    (subject, record), *others = shared_records(site)[:5]
    good = documents(site, [record])[0]
    header, payload, signature = documents(site, [others[0][1]])[0].split(".")
    forged = f"{header}.{payload}.{signature[::-1]}"
    later, last = documents(site, [others[1][1], others[2][1]])
    stale = documents(site, [others[3][1]], sequence=1)[0]
    contradictory = documents(site, [record], verdict="ACCEPTED")[0]
    unknown = documents(site, ["no-such-record"])[0]
    foreign = documents(site, [others[3][1]], origin="NOBODY")[0]
    tokens = [good, forged, later, stale, good, contradictory, unknown, foreign, last]
    found = outcomes(await stream(site, site.authority, tokens))
    assert [told(one) for one in found] == [
        "REPAIRED", "BAD_SIGNATURE", "REPAIRED", "STALE_SEQUENCE", "REPEATED", "CONTRADICTION",
        "NOT_FOUND", "ILLEGAL_DELETION", "REPAIRED",
    ]  # fmt: skip
    assert [one.repair_id == "" for one in found] == [n == 1 for n in range(9)]
    for one in found:
        if one.HasField("refused"):
            assert not one.refused.try_again
            assert one.refused.refusal.reasons[0].clause_en
            assert one.refused.refusal.reasons[0].remedy_zh
            assert site.entry(one.refused.refusal.denial_index)["kind"] == "denial"
            assert one.refused.message.startswith(one.refused.code)
        else:
            assert one.published.withheld
            assert site.entry(one.published.entry.index)["kind"] == "repair"
    assert found[0].published.entry.index == found[4].published.entry.index
    assert record not in await answer(site, agency, subject)
    untouched, kept = others[3]
    assert kept in await answer(site, agency, untouched)


async def test_one_promise_of_a_message_covers_all_of_its_entries(open_site):
    site = await open_site()
    records = [record for _, record in shared_records(site)[:12]]
    messages = await stream(site, site.authority, documents(site, records), size=12)
    origin = site.stage.deployment.settings.log.origin
    key = site.stage.deployment.secrets().log_key.public_key()
    seen = []
    for message in messages:
        first, *rest = [one.published.entry for one in message.outcomes]
        also = [(entry.index, entry.leaf_hash) for entry in rest]
        assert [(one.index, one.leaf_hash) for one in first.also] == also
        assert all(not entry.signature for entry in rest)
        verify_promise(key, origin, first.index, first.leaf_hash, first.signature, *also)
        seen += [first.index, *(index for index, _ in also)]
    assert seen == sorted(seen)
    assert len(seen) == 12


async def test_what_has_no_outcome_is_handed_in_again_and_nothing_is_lost(open_site):
    site = await open_site()
    records = [record for _, record in shared_records(site)[:40]]
    tokens = documents(site, records)
    journal = FailingOnce(site.gateway.publisher._journal)
    site.gateway.publisher._journal = journal
    found = outcomes(await stream(site, site.authority, tokens, size=1))
    assert len(found) == 40
    done = [one.HasField("published") for one in found].index(False)
    assert 0 < done < 40
    for one in found[done:]:
        assert told(one) == "AUDIT_UNAVAILABLE"
        assert one.refused.try_again
    rest = tokens[done:]
    again = outcomes(await stream(site, site.authority, rest, size=16))
    assert {told(one) for one in again} == {"REPAIRED"}
    assert len(again) == len(rest)
    assert not {record for _, record in shared_records(site)}.intersection(records)


async def test_only_the_authority_streams_decisions(site):
    tokens = documents(site, ["whatever"])
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stream(site, AUDITOR, tokens)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    _, refusal = read_details(caught.value)
    assert refusal.reasons[0].code == "NOT_AUTHORITY"
    assert site.entry(refusal.denial_index)["kind"] == "denial"


async def test_a_message_holds_a_bounded_number_of_decisions(site):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stream(site, site.authority, ["x"] * 300, size=300)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_the_client_streams_decisions(open_site):
    site = await open_site()
    records = [record for _, record in shared_records(site)[:50]]
    began = time.monotonic()
    async with Client(site.gateway.address, site._identity(site.authority)) as client:
        found = [one async for one in client.publish_repairs(documents(site, records))]
        assert {told(one) for one in found} == {"REPAIRED"}
        assert len({one.repair_id for one in found}) == 50
    assert time.monotonic() - began < 60
    async with Client(site.gateway.address, site._identity(AUDITOR)) as client:
        with pytest.raises(RefusedError):
            _ = [one async for one in client.publish_repairs(documents(site, ["x"]))]
