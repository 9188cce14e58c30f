"""Running streams meet the gate: what was withdrawn never leaves afterwards.

A turnstile inside the gateway lets one batch after another pass, so that a test decides what
happens between two batches, without waiting for the right moment.
"""

import asyncio

import grpc
import pytest

from arrow_flight import flight_pb2, flight_pb2_grpc
from gateway.domain.errors import UnavailableError
from gateway.doors.encoding import part_message
from tests.gateway.e2e.serving import PENALTY
from tests.gateway.e2e.streams.streaming import (
    BATCH_ROWS,
    outcome_of,
    penalised,
    publish,
    rest,
    rows_of,
    stuck_batch,
    suspend_licence,
    take,
)
from tests.gateway.e2e.wire import check_refusal, drain
from xinguan.client import Answer
from xinguan.v1 import exchange_pb2, exchange_pb2_grpc, repair_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")
DENIED = "PERMISSION_DENIED"


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
