"""The batches of a delivery under way, each behind a hold of its own at the gate.

One batch is held at a time: two would double what a repair has to wait for, and what may still
leave before it is acknowledged. While the transport takes one, the next of a stream is made on
trial in a worker thread, without a hold. When its turn comes it is held, and it counts only if no
change took effect at the gate since its making began; otherwise it is made anew behind the hold.
So whatever leaves was filtered with the bits that held when its hold began, or later ones.
The first batch of a stream is waited for, so nothing else is made until the transport has it.

Batches of a short answer are made where it is, since going to a thread and back would cost more
than making them.
"""

import asyncio
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

from gateway.release.batches import ReleasedBatch
from gateway.release.delivery import Delivery
from gateway.release.gate import Gate, Hold, Turn

Made = tuple[Hold, ReleasedBatch]


class Spare:
    """How many batches may be made on trial now, over all streams.

    Streams beyond them keep the threads busy by themselves, and each trial takes memory.
    """

    def __init__(self, count: int) -> None:
        """Take the number of worker threads."""
        self._left = count

    def take(self) -> bool:
        """Take one, when one is left."""
        taken = self._left > 0
        self._left -= taken
        return taken

    def give_back(self) -> None:
        """Give one back."""
        self._left += 1


@dataclass(frozen=True, slots=True)
class _Trial:
    """A batch that is made without a hold, and the gate's turn when that began."""

    work: asyncio.Future[ReleasedBatch | None]
    turn: Turn


class Ahead:
    """The batch of one delivery that is held now, and the trial of the next.

    Owner: the task that runs the delivery. It enters and leaves every hold, so that the gate
    resets it and no other.
    """

    def __init__(self, gate: Gate, delivery: Delivery, threads: Executor, spare: Spare) -> None:
        """Begin with nothing held."""
        self._gate = gate
        self._delivery = delivery
        self._product = delivery.facts.product.name
        self._threads = threads
        self._spare = spare
        self._numbers: Iterator[int] = iter(())
        self._task = asyncio.current_task()
        self._hold: Hold | None = None
        self._trial: _Trial | None = None
        self._next: int | None = None
        self._reset_once = False
        self._begun = False  # true once the transport has taken a batch

    @property
    def revoked(self) -> bool:
        """True when the gate has reset the stream."""
        return self._reset_once or (self._hold is not None and self._hold.revoked)

    def begin(self, numbers: Iterable[int]) -> None:
        """Begin with the first of these portions."""
        self._numbers = iter(numbers)
        self._next = next(self._numbers, None)

    async def take(self) -> Made | None:
        """Return the next batch with its hold; None after the last.

        Raises:
            UnavailableError: `NODE_FENCED`, see `Hold`.
            XinguanError: See `Delivery.enforce` and `Delivery.meter`.
        """
        number, trial = self._next, self._trial
        if number is None:
            return None
        self._trial = None
        batch = None if trial is None else await trial.work
        self._hold = hold = await self._entered()
        if trial is None or trial.turn != self._gate.turn(self._product):
            batch = await self._made(number)
        self._next = next(self._numbers, None)
        if batch is None:
            self.handed_over(hold)
            return None
        self._delivery.meter(batch)
        if self._begun:
            self._try_next()
        return hold, batch

    def handed_over(self, hold: Hold) -> None:
        """Let go of a batch that the transport has, or will have when the task ends."""
        if not hold.entrusted:
            self._gate.leave(hold)
        self._hold = None
        if not self._begun:
            self._begun = True
            self._try_next()

    def close(self) -> None:
        """Let go of everything: what was begun won't leave any more."""
        trial, hold = self._trial, self._hold
        self._trial = self._hold = None
        if trial is not None and not trial.work.cancel() and not trial.work.cancelled():
            trial.work.exception()  # looked at, so that asyncio doesn't call it forgotten
        if hold is not None and not hold.entrusted:
            self._gate.leave(hold)

    async def _entered(self) -> Hold:
        if self._delivery.streams:
            return await self._gate.hold(self._product, reset=self._reset).__aenter__()
        return await self._gate.hold(self._product).__aenter__()

    async def _made(self, number: int) -> ReleasedBatch | None:
        if not self._delivery.streams:
            return self._delivery.enforce(number)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._delivery.enforce, number)

    def _try_next(self) -> None:
        """Begin a trial, unless it could not count: a limit counts rows in their order."""
        delivery = self._delivery
        if self._next is None or not delivery.streams or delivery.prepared.plan.limit:
            return
        if not self._spare.take():
            return
        loop, turn = asyncio.get_running_loop(), self._gate.turn(self._product)
        work = loop.run_in_executor(self._threads, delivery.enforce, self._next)
        work.add_done_callback(lambda _: self._spare.give_back())
        self._trial = _Trial(work, turn)

    def _reset(self) -> None:
        """End the stream, once."""
        if not self._reset_once and self._task is not None:
            self._reset_once = True
            self._task.cancel("reset by a withdrawal of records")
