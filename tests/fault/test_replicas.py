"""Two processes on one state: what one withdraws, the other has withdrawn."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio

from gateway.repair.decision import Origin
from tests.fault.nodes import GRADE, PENALTY, Node, Record, Site, ask, make_site, stream
from xinguan.v1 import repair_pb2

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow, pytest.mark.timeout(900),
]  # fmt: skip
LEASE_S = 8.0  # far longer than a publish takes that waits for no lease, on a busy machine too
_PUBLISH = "/xinguan.v1.RepairService/Publish"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    made = make_site(
        tmp_path_factory.mktemp("replicas") / "home",
        companies=300,
        batch_rows=16,
        lease_ms=int(LEASE_S * 1000),
    )
    yield made
    made.desk.close()


def is_fenced(answer: object) -> bool:
    return isinstance(answer, grpc.aio.AioRpcError) and "NODE_FENCED" in (answer.details() or "")


class Pair:
    """Two replicas and connections to them."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.alpha, self.beta = Node(site.home, "alpha"), Node(site.home, "beta")
        self._records = iter(site.records)
        self._channels: list[grpc.aio.Channel] = []

    def record(self) -> Record:
        """Return a record that no test has repaired yet, the only one of its subject."""
        subjects = [one.subject for one in self.site.records]
        return next(one for one in self._records if subjects.count(one.subject) == 1)

    def channel(self, node: Node, identity=None) -> grpc.aio.Channel:
        made = node.channel(identity or self.site.agency.identity)
        self._channels.append(made)
        return made

    async def shown(self, node: Node, record: Record, product: str = PENALTY) -> bool:
        """Ask until there is an answer: on a busy machine a renewal may come late."""
        channel = self.channel(node)
        for _ in range(1_200):
            (found,) = await asyncio.gather(
                ask(channel, node.name, self.site, product, [record.subject]),
                return_exceptions=True,
            )
            if not is_fenced(found):
                break
            await asyncio.sleep(0.05)
        if isinstance(found, BaseException):
            raise found
        return any(one.keys for one in found)

    async def publish(self, node: Node, record: Record) -> float:
        """Repair a record; returns how long the acknowledgement took."""
        decision = self.site.desk.repair(PENALTY, record.record_id, origin=Origin.AUTHORITY)
        message = repair_pb2.PublishRequest(decision=decision).SerializeToString()
        began = time.monotonic()
        call = self.channel(node, self.site.authority).unary_unary(_PUBLISH)
        await call(message, timeout=60)
        return time.monotonic() - began

    async def recovered(self, node: Node) -> float:
        """Return how long it took until a node answers again."""
        began = time.monotonic()
        while time.monotonic() - began < 90:
            (answer,) = await asyncio.gather(
                self.shown(node, self.site.records[-1]), return_exceptions=True
            )
            if not isinstance(answer, BaseException):
                return time.monotonic() - began
            assert is_fenced(answer), answer
            await asyncio.sleep(0.02)
        raise AssertionError("it never recovered")

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()
        for node in (self.alpha, self.beta):
            await node.kill()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(site) -> AsyncIterator[Pair]:
    made = Pair(site)
    await asyncio.gather(made.alpha.start(), made.beta.start())
    yield made
    await made.close()


async def test_a_repair_at_one_is_gone_from_the_next_answer_of_the_other(pair):
    waits, graded = [], 0
    for node, other in [(pair.alpha, pair.beta), (pair.beta, pair.alpha)] * 3:
        record = pair.record()
        assert await pair.shown(other, record)
        graded += await pair.shown(other, record, GRADE)
        waits.append(await pair.publish(node, record))
        assert not await pair.shown(other, record)
        assert not await pair.shown(node, record)
        # A grade that was computed with it is withheld as well.
        assert not await pair.shown(other, record, GRADE)
    assert graded, "some of them had a grade"
    assert sorted(waits)[len(waits) // 2] < LEASE_S / 2, "nobody waits for a lease to run out"


async def test_a_stopped_process_is_waited_for_and_finds_itself_fenced(pair):
    record = pair.record()
    assert await pair.shown(pair.alpha, record)
    held = pair.channel(pair.alpha)
    await held.channel_ready()
    stopping = time.monotonic()
    await pair.alpha.stop_between_commits()
    try:
        # A question that lies in its socket when it wakes: nothing is quicker.
        asked = asyncio.create_task(
            ask(held, "alpha", pair.site, PENALTY, [record.subject, pair.site.records[-1].subject])
        )
        await pair.publish(pair.beta, record)
        took = time.monotonic() - stopping
    finally:
        pair.alpha.wake_it()
    # It was renewed a third of its term before at the earliest, unless the machine was busy.
    assert took > LEASE_S * 0.5, took
    (found,) = await asyncio.gather(asked, return_exceptions=True)
    # Fenced, or caught up already: both are right.
    assert is_fenced(found) or record.number not in [key for one in found for key in one.keys]
    await pair.recovered(pair.alpha)
    assert not await pair.shown(pair.alpha, record)
    assert "lease_lost" in pair.alpha.log
    # It counts again: the next publish waits for it, not for a lease.
    assert await pair.publish(pair.beta, pair.record()) < LEASE_S


async def test_a_stream_of_a_stopped_process_does_not_go_on_with_what_was_repaired(pair):
    record = pair.record()
    channel = pair.channel(pair.alpha)
    got = []
    reading = asyncio.create_task(stream(channel, "alpha", pair.site, PENALTY, got))
    while not got:
        assert not reading.done()
        await asyncio.sleep(0.001)
    await pair.alpha.stop_between_commits()
    try:
        before, looks = 0, 0
        while looks < 20:  # until what lies in the transport has come
            await asyncio.sleep(0.1)
            before, looks = len(got), looks + 1 if len(got) == before else 0
        await pair.publish(pair.beta, record)
    finally:
        pair.alpha.wake_it()
    (ended,) = await asyncio.gather(reading, return_exceptions=True)
    assert ended is None or is_fenced(ended), ended
    # What was in the transport may still come: the one batch that was being handed over.
    late = [one for one in got[before + 1 :] if record.number in one.keys]
    assert late == []
    await pair.recovered(pair.alpha)


async def test_a_killed_process_is_not_waited_for(pair):
    reading = asyncio.create_task(stream(pair.channel(pair.alpha), "alpha", pair.site, PENALTY, []))
    await asyncio.sleep(0.05)
    await pair.alpha.kill()
    # Broken off, unless it had ended before.
    (ended,) = await asyncio.gather(reading, return_exceptions=True)
    assert ended is None or isinstance(ended, grpc.aio.AioRpcError)
    took = await pair.publish(pair.beta, pair.record())
    assert took < LEASE_S, "its name's lock tells at once that it is dead"
    await pair.alpha.start()
    assert await pair.shown(pair.alpha, pair.site.records[-1])


async def test_a_second_process_of_the_same_name_is_refused(pair):
    with pytest.raises(ValueError, match="Expecting value"):
        await Node(pair.site.home, "beta").start()
    assert "NODE_NAME_TAKEN" in pair.beta.log


async def test_workers_share_a_port_and_a_killed_one_comes_back(pair):
    node = Node(pair.site.home, "gamma", words=["--workers", "2"])
    await node.start()
    try:
        record = pair.record()
        await pair.publish(node, record)
        for _ in range(6):
            assert not await pair.shown(node, record)
        children = await _children(node.pid)
        assert len(children) == 2
        os.kill(children[0], signal.SIGKILL)
        assert await pair.publish(pair.beta, pair.record()) < LEASE_S
        for _ in range(1_200):
            now = await _children(node.pid)
            if len(now) == 2 and children[0] not in now and "worker_started" in node.log:
                break
            await asyncio.sleep(0.1)
        else:
            raise AssertionError("the dead worker was not started again")
        for _ in range(6):
            assert await pair.shown(node, pair.site.records[-1])
        taken = Node(pair.site.home, "delta", words=["--workers", "2"])
        taken.address = node.address
        with pytest.raises(ValueError, match="Expecting value"):
            await taken.start()
        assert "PORT_IN_USE" in taken.log
    finally:
        assert await node.close() == 0


async def _children(parent: int) -> list[int]:
    found = await asyncio.create_subprocess_exec(
        "ps", "-o", "pid=", "--ppid", str(parent), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await found.communicate()
    return [int(word) for word in out.split()]
