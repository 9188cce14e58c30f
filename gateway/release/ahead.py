"""The batches of a delivery under way, each made behind a hold of its own at the gate.

Those of a stream are made in a worker thread, so that others are answered meanwhile. Not before
the last one is handed over: two in flight would double what a repair has to wait for, and what
may still leave before it is acknowledged. Those of a short answer are made where it is, since
going to a thread and back would cost more than making them.
"""

import asyncio
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor

from gateway.release.delivery import Delivery, ReleasedBatch
from gateway.release.gate import Gate, Hold

Made = tuple[Hold, ReleasedBatch]


class Ahead:
    """The batches of one delivery that are held now.

    Owner: the task that runs the delivery. It enters and leaves every hold, so that the gate
    resets it and no other.
    """

    def __init__(self, gate: Gate, delivery: Delivery, threads: Executor) -> None:
        """Begin with nothing held."""
        self._gate = gate
        self._delivery = delivery
        self._threads = threads
        self._numbers: Iterator[int] = iter(())
        self._task = asyncio.current_task()
        self._held: list[Hold] = []
        self._work: asyncio.Future[ReleasedBatch | None] | None = None
        self._reset_once = False

    @property
    def revoked(self) -> bool:
        """True when the gate has reset the stream."""
        return self._reset_once or any(hold.revoked for hold in self._held)

    async def begin(self, numbers: Iterable[int]) -> None:
        """Begin with the first of these portions.

        Raises:
            UnavailableError: `NODE_FENCED`, see `Hold`.
        """
        self._numbers = iter(numbers)
        await self._next()

    async def take(self) -> Made | None:
        """Return the batch that was begun, with its hold; None after the last."""
        if self._work is None:
            return None
        batch = await self._work
        return None if batch is None else (self._held[-1], batch)

    async def handed_over(self, hold: Hold) -> None:
        """Let go of a batch that the transport has, and begin with the next."""
        self._held.remove(hold)
        self._gate.leave(hold)
        await self._next()

    def close(self) -> None:
        """Let go of everything: what was begun won't leave any more."""
        work = self._work
        if work is not None and not work.cancel() and not work.cancelled():
            work.exception()  # looked at, so that asyncio doesn't call it forgotten
        while self._held:
            self._gate.leave(self._held.pop())

    async def _next(self) -> None:
        self._work = None
        number = next(self._numbers, None)
        if number is None:
            return
        delivery, product = self._delivery, self._delivery.facts.product.name
        loop = asyncio.get_running_loop()
        if delivery.streams:
            self._held.append(await self._gate.hold(product, reset=self._reset).__aenter__())
            self._work = loop.run_in_executor(self._threads, delivery.enforce, number)
        else:
            self._held.append(await self._gate.hold(product).__aenter__())
            self._work = loop.create_future()
            self._work.set_result(delivery.enforce(number))

    def _reset(self) -> None:
        """End the stream, once, however many of its batches are held."""
        if not self._reset_once and self._task is not None:
            self._reset_once = True
            self._task.cancel("reset by a withdrawal of records")
