import asyncio
import gc
from collections.abc import AsyncIterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.errors import DeniedError, UnavailableError
from gateway.release.gate import Gate

LONG = 10.0  # seconds; a test that waits so long hangs and fails by its limit
SOON = 0.01


async def tick(times: int = 1) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


async def hold_until(gate: Gate, go: asyncio.Event, held: asyncio.Event, product="p") -> None:
    async with gate.hold(product):
        held.set()
        await go.wait()


async def started(gate: Gate, go: asyncio.Event, product="p") -> asyncio.Task:
    held = asyncio.Event()
    task = asyncio.create_task(hold_until(gate, go, held, product))
    await held.wait()
    return task


async def test_publishing_with_nothing_under_way_returns_at_once():
    gate = Gate()
    assert await gate.publish("p", lambda: 42, 0) == 42
    assert gate.epoch == 1


async def test_publishing_waits_for_batches_held_before_it():
    gate, go = Gate(), asyncio.Event()
    stream = await started(gate, go)
    publish = asyncio.create_task(gate.publish("p", lambda: "done", LONG))
    await tick(5)
    assert not publish.done()
    go.set()
    assert await publish == "done"
    assert gate.held("p") == 0
    await stream


async def test_an_entrusted_batch_is_held_until_its_task_has_ended():
    gate, go = Gate(), asyncio.Event()

    async def answer() -> None:
        hold = await gate.hold("p").__aenter__()
        hold.entrust()
        await go.wait()  # the transport takes what the task returned

    task = asyncio.create_task(answer())
    await tick()
    publish = asyncio.create_task(gate.publish("p", lambda: "done", LONG))
    await tick(5)
    assert gate.held("p") == 1
    assert not publish.done()
    go.set()
    assert await publish == "done"
    assert task.done()
    assert gate.held("p") == 0


async def test_an_entrusted_batch_that_does_not_go_has_its_task_cancelled():
    gate = Gate()

    async def answer() -> None:
        hold = await gate.hold("p").__aenter__()
        hold.entrust()
        await asyncio.Event().wait()

    task = asyncio.create_task(answer())
    await tick()
    await gate.publish("p", int, SOON)
    assert task.cancelled()
    assert gate.held("p") == 0


async def test_it_does_not_wait_for_batches_held_after_the_flip():
    gate, first, second = Gate(), asyncio.Event(), asyncio.Event()
    old = await started(gate, first)
    publish = asyncio.create_task(gate.publish("p", int, LONG))
    await tick()
    new = await started(gate, second)
    first.set()
    await publish
    assert not new.done()
    second.set()
    await asyncio.gather(old, new)


async def test_other_products_go_on_unless_all_are_meant():
    gate, go = Gate(), asyncio.Event()
    stream = await started(gate, go, "other")
    await gate.publish("p", int, LONG)
    everything = asyncio.create_task(gate.publish(None, int, LONG))
    await tick(5)
    assert not everything.done()
    go.set()
    await everything
    await stream


async def test_the_flip_is_seen_by_whoever_holds_next():
    gate, go = Gate(), asyncio.Event()
    bits = {"r"}
    stream = await started(gate, go)
    publish = asyncio.create_task(gate.publish("p", lambda: bits.discard("r"), LONG))
    await tick()
    async with gate.hold("p"):
        assert not bits
        assert not publish.done()
    go.set()
    await publish
    await stream


async def test_a_slow_reader_is_reset():
    gate, never = Gate(), asyncio.Event()
    stream = await started(gate, never)
    await gate.publish("p", int, SOON)
    with pytest.raises(asyncio.CancelledError):
        await stream
    assert gate.held("p") == 0


async def test_a_stream_may_bring_its_own_reset():
    gate, go = Gate(), asyncio.Event()
    held = asyncio.Event()

    async def stream() -> str:
        async with gate.hold("p", reset=go.set) as hold:
            held.set()
            await go.wait()
            with pytest.raises(DeniedError) as refusal:
                hold.confirm()
            return refusal.value.code

    task = asyncio.create_task(stream())
    await held.wait()
    await gate.publish("p", int, SOON)
    assert await task == "STOPPED_STREAM"


async def test_a_stream_that_does_not_end_is_not_acknowledged():
    gate, go = Gate(unwind_s=SOON), asyncio.Event()
    held = asyncio.Event()

    async def stubborn() -> None:
        async with gate.hold("p", reset=lambda: None):
            held.set()
            await go.wait()

    task = asyncio.create_task(stubborn())
    await held.wait()
    with pytest.raises(UnavailableError) as refusal:
        await gate.publish("p", int, SOON)
    assert refusal.value.code == "STOPPED_STREAM"
    go.set()
    await task
    await gate.publish("p", int, SOON)


async def test_an_abandoned_generator_does_not_block_publishing():
    """grpc cancels a handler in its own `await write`, not inside the generator."""
    gate = Gate()
    kept = []

    async def batches() -> AsyncIterator[int]:
        async with gate.hold("p"):
            yield 1

    async def handler() -> None:
        generator = batches()
        kept.append(generator)  # someone still refers to it, so it isn't collected
        async for _ in generator:
            await asyncio.Event().wait()

    task = asyncio.create_task(handler())
    await tick(3)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert gate.held("p") == 1
    await gate.publish("p", int, LONG)
    assert gate.held("p") == 0
    await kept.pop().aclose()
    gc.collect()


async def test_cancellation_releases_the_hold():
    gate, never = Gate(), asyncio.Event()
    stream = await started(gate, never)
    stream.cancel()
    await asyncio.gather(stream, return_exceptions=True)
    assert gate.held("p") == 0


async def test_an_error_releases_the_hold():
    gate = Gate()
    with pytest.raises(KeyError):
        async with gate.hold("p"):
            raise KeyError
    assert gate.held("p") == 0


async def test_what_the_flip_raises_is_raised_and_nothing_has_changed():
    gate, go = Gate(), asyncio.Event()
    stream = await started(gate, go)

    def fail() -> None:
        raise KeyError("unknown record")

    with pytest.raises(KeyError):
        await gate.publish("p", fail, LONG)
    assert (gate.epoch, gate.held("p"), stream.done()) == (0, 1, False)
    go.set()
    await stream


async def test_a_stream_that_waits_for_itself_is_told_so():
    gate = Gate()
    async with gate.hold("p"):
        with pytest.raises(RuntimeError, match="holds a batch"):
            await gate.publish("p", int, LONG)
    assert gate.epoch == 0


async def test_every_batch_is_checked_again():
    gate, suspended = Gate(), []

    def recheck() -> None:
        if suspended:
            raise DeniedError("LICENCE_CHANGED", "the licence was suspended")

    async with gate.hold("p", recheck=recheck) as hold:
        hold.confirm()
        suspended.append(1)
        with pytest.raises(DeniedError):
            hold.confirm()
    with pytest.raises(DeniedError):
        async with gate.hold("p", recheck=recheck):
            pytest.fail("a batch was held after the suspension")
    assert gate.held("p") == 0


async def test_publishing_at_once_from_many_waits_for_all():
    gate, go = Gate(), asyncio.Event()
    stream = await started(gate, go)
    order = []

    async def publish(number: int) -> None:
        await gate.publish("p", lambda: order.append(number), LONG)

    publishing = [asyncio.create_task(publish(number)) for number in range(20)]
    await tick(5)
    assert order == list(range(20))
    assert not any(task.done() for task in publishing)
    go.set()
    await asyncio.gather(stream, *publishing)
    assert gate.epoch == 20


async def test_a_publisher_that_gives_up_disturbs_nobody():
    gate, go = Gate(), asyncio.Event()
    stream = await started(gate, go)
    publish = asyncio.create_task(gate.publish("p", int, LONG))
    await tick()
    publish.cancel()
    await asyncio.gather(publish, return_exceptions=True)
    go.set()
    await stream
    await gate.publish("p", int, LONG)


class World:
    """Streams over shared bits, publishers, and a checker that sees what was handed over."""

    def __init__(self, records: int) -> None:
        self.gate = Gate()
        self.bits = np.ones(records, dtype=np.bool_)
        self.acknowledged = np.zeros(records, dtype=np.bool_)
        self.delivered = 0
        self.leaks: list[int] = []
        self.resets = 0

    async def stream(self, pauses: list[int], stall: int) -> None:
        """Filter, wait for evidence, hand over; a stalled reader stops reading for ever."""
        try:
            for number, pause in enumerate(pauses):
                async with self.gate.hold("p") as hold:
                    batch = np.flatnonzero(self.bits)
                    await tick(pause)
                    hold.confirm()
                    leaked = batch[self.acknowledged[batch]]
                    self.leaks.extend(leaked.tolist())
                    self.delivered += len(batch)
                    if number == stall:
                        await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.resets += 1

    async def repair(self, record: int, pause: int) -> None:
        def flip() -> None:
            self.bits[record] = False

        await tick(pause)
        await self.gate.publish("p", flip, 0.002)
        self.acknowledged[record] = True


PAUSES = st.lists(st.integers(0, 4), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(
    streams=st.lists(st.tuples(PAUSES, st.integers(-1, 3)), min_size=1, max_size=8),
    repairs=st.lists(st.integers(0, 12), min_size=1, max_size=12),
)
def test_no_record_is_handed_over_after_its_repair_was_acknowledged(streams, repairs):
    world = World(len(repairs))

    async def play() -> None:
        running = [asyncio.create_task(world.stream(*stream)) for stream in streams]
        await asyncio.gather(*(world.repair(n, pause) for n, pause in enumerate(repairs)))
        for task in running:
            task.cancel()
        await asyncio.gather(*running)

    asyncio.run(play())
    assert world.leaks == []
    assert world.acknowledged.all()


async def test_under_load_there_is_still_no_leak():
    world, done = World(2_000), asyncio.Event()

    async def caller(n: int) -> None:
        while not done.is_set():  # one whose stream is reset asks again
            pauses = [(n + k) % 5 for k in range(300)]
            await world.stream(pauses, stall=40 if n % 8 == 0 else -1)

    callers = [asyncio.create_task(caller(n)) for n in range(32)]
    await asyncio.gather(*(world.repair(record, record % 97) for record in range(600)))
    await tick(100)
    done.set()
    for task in callers:
        task.cancel()
    await asyncio.gather(*callers)
    assert world.leaks == []
    assert world.delivered > 100_000
    assert world.resets >= 1


async def test_the_checker_would_see_a_leak():
    """Without the wait of `publish`, the same world leaks: the checker can fail."""
    world = World(20)

    async def hasty(record: int) -> None:
        world.bits[record] = False
        world.acknowledged[record] = True

    streams = [asyncio.create_task(world.stream([3] * 10, -1)) for _ in range(4)]
    await tick(2)
    for record in range(20):
        await hasty(record)
        await tick()
    await asyncio.gather(*streams)
    assert world.leaks
