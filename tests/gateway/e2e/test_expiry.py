"""Expiry needs no event: what ended at 24:00 in Hainan is gone at 00:00, also from a stream."""

import asyncio
import time
from dataclasses import replace

import grpc
import pyarrow as pa
import pytest
import pytest_asyncio

from arrow_flight import flight_pb2, flight_pb2_grpc
from gateway.registry import feeds
from gateway.release.world import World
from tests.gateway.e2e.conftest import serve_site
from tests.gateway.e2e.serving import PENALTY, Site, copy_stage
from tests.gateway.e2e.streams.streaming import BATCH_ROWS, Hold, Turnstile
from tests.gateway.e2e.wire import read_details

pytestmark = pytest.mark.asyncio(loop_scope="session")
DAY_S, SHANGHAI_S = 86_400, 8 * 3_600


class Hands:
    """A clock that stands where a test puts it."""

    def __init__(self, now_s: int) -> None:
        self.now_s = now_s

    def __call__(self) -> int:
        return self.now_s * 1000


class Midnight:
    """A site whose clock stands one second before the end of a record's publicity."""

    def __init__(self, site: Site, hands: Hands, before: Turnstile, inside: Turnstile) -> None:
        self.site = site
        self.hands = hands
        self.before = before
        self.inside = inside
        snapshot = site.world.library.current("admin_penalty")
        rows = [r for n in range(snapshot.batch_count) for r in snapshot.batch_rows(n).tolist()]
        self.subjects = list(
            dict.fromkeys(
                code
                for n in range(snapshot.batch_count)
                for code in snapshot.batch(n).rows.column("uscc").to_pylist()
            )
        )
        taken = snapshot.take(
            pa.array(rows).to_numpy(), ["decision_no", "subject_type"]
        ).to_pylist()
        found = []
        for row, facts in zip(rows, taken, strict=True):
            ends = snapshot.ends_at(pa.array([row]).to_numpy())
            shown = ends and snapshot.shareable(pa.array([row]).to_numpy(), ends - 1)[0]
            legal = facts["subject_type"] == "LEGAL_ENTITY"
            if shown and legal and ends > hands.now_s + 10 and row >= BATCH_ROWS:
                found.append((ends, row, facts["decision_no"]))
        self.ends, self.row, self.record = min(found)  # the record by its decision's number
        hands.now_s = self.ends - 1
        self.refresh()

    def refresh(self) -> None:
        """The feed is fresh; only the record's own end is at stake."""
        self.site.desk.run(feeds.reconciled, "admin_penalty", self.hands.now_s)

    async def ticket(self, who):
        query = self.site.build(who, "admin_penalty", PENALTY, subjects=self.subjects)
        query.context.time.FromSeconds(self.hands.now_s)
        stub = flight_pb2_grpc.FlightServiceStub(self.site.channel(who))
        info = await stub.GetFlightInfo(
            flight_pb2.FlightDescriptor(
                type=flight_pb2.FlightDescriptor.CMD, cmd=query.SerializeToString()
            )
        )
        return info.endpoint[0].ticket

    def stream(self, who, ticket):
        return flight_pb2_grpc.FlightServiceStub(self.site.channel(who)).DoGet(ticket)


@pytest_asyncio.fixture(loop_scope="session")
async def midnight(stage, tmp_path):
    copied = copy_stage(stage, tmp_path / "home")
    limits = copied.deployment.settings.limits.model_copy(update={"clock_skew_s": 300})
    settings = copied.deployment.settings.model_copy(update={"limits": limits})
    copied = replace(copied, deployment=replace(copied.deployment, settings=settings))
    before, inside = Turnstile(), Turnstile()
    hands = Hands(int(time.time()))

    def tamper(world: World) -> None:
        world.batch_rows = BATCH_ROWS
        hold, batch = world.gate.hold, world.evidence.batch

        async def slow_batch(*parts):
            await inside.passed()
            return await batch(*parts)

        world.gate.hold = lambda product: Hold(hold(product), before)
        world.evidence.batch = slow_batch

    async with serve_site(copied, tamper=tamper, clock_ms=hands) as site:
        agency = site.desk.enrol()
        yield Midnight(site, hands, before, inside), agency


async def rest(call) -> bytes:
    """Return the bytes of all batches that are left."""
    got = b""
    while (message := await asyncio.wait_for(call.read(), 60)) is not grpc.aio.EOF:
        got += message.data_body
    return got


async def test_the_end_is_midnight_in_hainan(midnight):
    scene, _ = midnight
    assert (scene.ends + SHANGHAI_S) % DAY_S == 0


async def test_a_record_is_there_at_23_59_59_and_gone_at_00_00_00(midnight):
    scene, agency = midnight
    ticket = await scene.ticket(agency)
    assert scene.record.encode() in await rest(scene.stream(agency, ticket))
    scene.hands.now_s = scene.ends
    scene.refresh()
    after = await rest(scene.stream(agency, await scene.ticket(agency)))
    assert scene.record.encode() not in after
    assert after  # the others go on
    # The ticket of the day before doesn't bring it back either: a decision is of its own day.
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await rest(scene.stream(agency, ticket))
    assert read_details(caught.value)[0].reason == "TICKET_EXPIRED"


async def test_it_is_gone_from_a_stream_that_began_before_midnight(midnight):
    scene, agency = midnight
    ticket = await scene.ticket(agency)
    async with scene.before.closed():
        call = scene.stream(agency, ticket)
        scene.before.let(1)
        await asyncio.wait_for(call.read(), 60)  # the schema
        first = await asyncio.wait_for(call.read(), 60)
        assert scene.record.encode() not in first.data_body
        await scene.before.someone_waits()
        scene.hands.now_s = scene.ends
        scene.refresh()
        scene.before.open = True
        scene.before.let(1_000)
        left = await rest(call)
    assert left
    assert scene.record.encode() not in left


async def test_a_batch_that_was_filtered_before_midnight_does_not_leave_after_it(midnight):
    """Filtered at 23:59:59, its evidence durable at 00:00:00: the hand-over is what counts."""
    scene, agency = midnight
    ticket = await scene.ticket(agency)
    async with scene.inside.closed():
        call = scene.stream(agency, ticket)
        snapshot = scene.site.world.library.current("admin_penalty")
        rows = snapshot.locate(scene.subjects)
        kinds = snapshot.take(rows, ["subject_type"]).column(0).to_numpy(zero_copy_only=False)
        shown = snapshot.shareable(rows, scene.hands.now_s) & (kinds == "LEGAL_ENTITY")
        number = rows[shown].tolist().index(scene.row) // BATCH_ROWS
        scene.inside.let(number)  # its own batch stands inside the gate now
        got = b""
        for _ in range(number + 1):
            got += (await asyncio.wait_for(call.read(), 60)).data_body
        await scene.inside.someone_waits()
        scene.hands.now_s = scene.ends
        scene.refresh()
        scene.inside.let(1)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            got += await rest(call)
    info, _ = read_details(caught.value)
    assert info.reason == "STOPPED_STREAM"
    assert scene.record.encode() not in got
