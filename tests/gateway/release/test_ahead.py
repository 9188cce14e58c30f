"""Trials: what was made without a hold counts only while nothing changed."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.errors import DeniedError, ExhaustedError
from gateway.release.ahead import Ahead, Spare
from gateway.release.gate import Gate

LONG = 10.0  # seconds; a test that waits so long hangs and fails by its limit


@dataclass
class World:
    """A delivery of batches that show the state of the records when they were filtered."""

    gate: Gate = field(default_factory=Gate)
    state: int = 0
    streams: bool = True
    limit: int = 0
    made: list[int] = field(default_factory=list)
    metered: list[int] = field(default_factory=list)
    failing: set[int] = field(default_factory=set)
    go: threading.Event = field(default_factory=threading.Event)
    began: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    spare: Spare = field(default_factory=lambda: Spare(1))

    def __post_init__(self) -> None:
        self.go.set()
        self.facts = SimpleNamespace(product=SimpleNamespace(name="p"))
        self.prepared = SimpleNamespace(plan=SimpleNamespace(limit=self.limit))

    def enforce(self, number: int) -> object:
        seen = self.state
        self.made.append(number)
        self.began.release()
        assert self.go.wait(LONG)
        if number in self.failing:
            raise ExhaustedError("ROW_QUOTA", "no more")
        return SimpleNamespace(number=number, seen=seen)

    def meter(self, batch: SimpleNamespace) -> None:
        self.metered.append(batch.number)

    async def change(self, product: str | None = "p") -> None:
        def flip() -> None:
            self.state += 1

        await self.gate.publish(product, flip, LONG)

    def ahead(self, threads: ThreadPoolExecutor, count: int) -> Ahead:
        made = Ahead(self.gate, self, threads, self.spare)
        made.begin(range(count))
        return made


@pytest.fixture
def threads():
    with ThreadPoolExecutor(2) as pool:
        yield pool


async def test_the_next_batch_is_made_while_one_leaves_and_is_not_held(threads):
    world = World()
    ahead = world.ahead(threads, 4)
    hold, first = await ahead.take()
    await asyncio.to_thread(world.began.acquire)
    await asyncio.sleep(0.01)
    # The first is waited for: nothing is made beside it.
    assert (first.number, world.made, world.gate.held("p")) == (0, [0], 1)
    ahead.handed_over(hold)
    await asyncio.to_thread(world.began.acquire)
    assert (world.made, world.gate.held("p")) == ([0, 1], 0)
    hold, second = await ahead.take()
    await asyncio.to_thread(world.began.acquire)
    assert (second.number, world.made, world.gate.held("p")) == (1, [0, 1, 2], 1)
    assert world.metered == [0, 1]  # a batch counts when it is about to leave, not on trial
    ahead.close()


@pytest.mark.parametrize(("changed", "again"), [("p", True), (None, True), ("other", False)])
async def test_a_trial_of_before_a_change_is_made_anew_behind_the_hold(threads, changed, again):
    world = World()
    ahead = world.ahead(threads, 2)
    hold, _ = await ahead.take()
    ahead.handed_over(hold)
    for _ in range(2):
        await asyncio.to_thread(world.began.acquire)
    await world.change(changed)
    _, second = await ahead.take()
    assert (second.seen == 1, world.made) == (again, [0, 1, 1] if again else [0, 1])
    ahead.close()


async def test_a_change_waits_for_what_is_held_and_not_for_a_trial(threads):
    world = World()
    ahead = world.ahead(threads, 2)
    hold, _ = await ahead.take()
    world.go.clear()  # the trial doesn't end
    ahead.handed_over(hold)
    await asyncio.wait_for(world.change(), LONG)
    world.go.set()
    _, second = await ahead.take()
    assert second.seen == 1
    ahead.close()


@settings(deadline=None, max_examples=25)
@given(st.lists(st.sampled_from(["take", "change", "other"]), max_size=30))
def test_what_is_taken_was_filtered_after_every_change_before_its_hold(steps):
    async def run() -> None:
        world = World()
        with ThreadPoolExecutor(2) as pool:
            ahead = world.ahead(pool, 100)
            for step in steps:
                if step == "take":
                    hold, batch = await ahead.take()
                    assert batch.seen == world.state
                    ahead.handed_over(hold)
                elif step == "change":
                    await world.change()
                else:
                    await world.gate.publish("other", int, LONG)
            ahead.close()
        assert world.metered == sorted(set(world.metered))

    asyncio.run(run())


@pytest.mark.parametrize("case", ["limit", "short", "no thread to spare"])
async def test_what_can_not_be_tried_is_made_behind_its_hold(threads, case):
    world = World(limit=5 if case == "limit" else 0, streams=case != "short")
    taken = case == "no thread to spare" and world.spare.take()
    ahead = world.ahead(threads, 2)
    hold, _ = await ahead.take()
    ahead.handed_over(hold)
    await asyncio.sleep(0.01)
    assert world.made == [0]
    _, second = await ahead.take()
    assert (second.number, world.gate.held("p")) == (1, 1)
    ahead.close()
    assert not taken or not world.spare.take()


async def test_what_fails_on_trial_is_raised_in_its_turn_and_nothing_is_forgotten(threads):
    world = World(failing={1})
    ahead = world.ahead(threads, 3)
    hold, _ = await ahead.take()
    ahead.handed_over(hold)
    with pytest.raises(ExhaustedError):
        await ahead.take()
    ahead.close()
    assert world.spare.take()  # given back


async def test_a_stream_that_ends_lets_go_of_its_hold_and_its_trial(threads):
    world = World(failing={2})
    ahead = world.ahead(threads, 3)
    hold, _ = await ahead.take()
    ahead.handed_over(hold)
    await ahead.take()
    for _ in range(3):
        await asyncio.to_thread(world.began.acquire)
    ahead.close()
    ahead.close()
    assert world.gate.held("p") == 0
    await asyncio.wait_for(world.change(), LONG)


async def test_the_gate_resets_the_stream_through_the_one_hold(threads):
    world, held, refused = World(), asyncio.Event(), asyncio.Event()

    async def stream() -> None:
        ahead = world.ahead(threads, 2)
        try:
            hold, _ = await ahead.take()
            held.set()
            await asyncio.sleep(LONG)
        except asyncio.CancelledError:
            assert ahead.revoked
            with pytest.raises(DeniedError):
                hold.confirm()
            refused.set()
        finally:
            ahead.close()

    task = asyncio.create_task(stream())
    await held.wait()
    await world.gate.publish("p", int, 0.01)
    assert refused.is_set()
    await task
