"""The gate: nothing that was filtered before a repair leaves after its acknowledgement.

A batch is held from before it is filtered until it has been handed to the transport. To
publish a change is to flip bits and then to wait until every batch that was held at that
moment is gone; those that don't go in time have their streams reset. A batch held later
was filtered after the flip, so it can't hold what was withdrawn: the moment of the flip is
the point at which the change takes effect, for every stream of the process (linearizable).

Several processes have a gate each; a change passes all of them before it is acknowledged
(`gateway.replicas`). A process that isn't sure to hear of every change lets nothing through:
`sure` is asked when a batch is held and again right before it is handed over.

One event loop owns a gate: all its methods are called on that loop, so that between two
`await`s nothing else runs. The filtering itself may happen in a worker thread, since its
batch is held all along.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Self, TypeVar

from gateway.domain.errors import DeniedError, UnavailableError

T = TypeVar("T")
UNWIND_S = 5.0  # seconds that a reset stream has to end before the publishing gives up
Recheck = Callable[[], None]
Turn = tuple[int, int]  # changes of every product, and of one


def _no_recheck() -> None:
    return


class Hold:
    """One batch on its way out; an asynchronous context manager, used once.

    `async with gate.hold(...)` begins before the filtering and ends after the hand-over; an
    async generator keeps it across its `yield`.
    """

    __slots__ = (
        "_gate",
        "_recheck",
        "_reset",
        "_task",
        "_watched",
        "entrusted",
        "epoch",
        "product",
        "revoked",
        "waiters",
    )

    def __init__(
        self, gate: "Gate", product: str, recheck: Recheck, reset: Callable[[], None] | None
    ) -> None:
        self._gate = gate
        self._recheck = recheck
        self._reset = reset
        self._task: asyncio.Task[object] | None = None
        self._watched = False
        self.product = product
        self.entrusted = False
        self.epoch = -1
        self.revoked = False
        self.waiters: list[_Drain] = []

    def confirm(self) -> None:
        """Check once more, right before the hand-over, that this batch may still leave.

        Raises:
            DeniedError: `STOPPED_STREAM` when the stream was reset.
            UnavailableError: `NODE_FENCED` when this process may not know of every repair.
            XinguanError: Whatever the re-check raises.
        """
        if self.revoked:
            raise DeniedError("STOPPED_STREAM", "the stream was reset by a withdrawal of records")
        self._gate.sure()
        self._recheck()

    def entrust(self) -> None:
        """Leave the hand-over to the end of the task, which returns the batch to the transport.

        The hold lasts until the task is done; whoever else lets go of it leaves it to that.
        """
        self.entrusted = True
        self.watch()

    async def __aenter__(self) -> Self:
        self._gate.sure()
        self._recheck()
        self._task = asyncio.current_task()
        self._gate.enter(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._gate.leave(self)

    def reset(self) -> None:
        """Refuse the hand-over from now on and end the stream."""
        self.revoked = True
        if self._reset is not None:
            self._reset()
        elif self._task is not None:
            self._task.cancel("reset by a withdrawal of records")

    def watch(self) -> None:
        """Count the batch as gone when the task that would hand it over has ended.

        A generator that is abandoned at its `yield` is closed only when it is collected; its
        batch can't leave any more as soon as its task is done.
        """
        task = self._task
        if task is not None and not self._watched:
            self._watched = True
            task.add_done_callback(lambda _: self._gate.leave(self))

    @property
    def mine(self) -> bool:
        """True when the current task is the one that holds it."""
        return self._task is asyncio.current_task()


class _Drain:
    """Waits until the batches of older epochs are gone."""

    __slots__ = ("done", "pending")

    def __init__(self, pending: set[Hold]) -> None:
        self.pending = pending
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def gone(self, hold: Hold) -> None:
        self.pending.discard(hold)
        if not self.pending and not self.done.done():
            self.done.set_result(None)


class Gate:
    """The gate of one process.

    Args:
        unwind_s: Seconds that a reset stream has to end before `publish` raises.
        sure: Raises when this process can't be sure that it knows of every change.
    """

    def __init__(
        self, *, unwind_s: float = UNWIND_S, sure: Callable[[], None] = _no_recheck
    ) -> None:
        self._unwind_s = unwind_s
        self.sure = sure
        self._held: defaultdict[str, set[Hold]] = defaultdict(set)
        self._epoch = 0
        self._everywhere = 0
        self._turns: Counter[str] = Counter()

    @property
    def epoch(self) -> int:
        """Number of changes published so far, over all products."""
        return self._epoch

    def turn(self, product: str) -> Turn:
        """Return what differs from before as soon as a change of this product took effect."""
        return self._everywhere, self._turns[product]

    def held(self, product: str) -> int:
        """Return how many batches of a product are on their way out now."""
        return len(self._held[product]) if product in self._held else 0

    def hold(
        self,
        product: str,
        *,
        recheck: Recheck = _no_recheck,
        reset: Callable[[], None] | None = None,
    ) -> Hold:
        """Return the hold for one batch, to be entered with `async with`.

        Args:
            product: Whose records the batch has.
            recheck: Raises when the licence was suspended, the consent withdrawn or a stop
                ordered (R87); called on entering and by `Hold.confirm`.
            reset: Ends the stream; by default the task that entered is cancelled.
        """
        return Hold(self, product, recheck, reset)

    async def publish(self, product: str | None, flip: Callable[[], T], timeout_s: float) -> T:
        """Make a change take effect and return when no older batch can leave any more.

        Args:
            product: Whose streams it concerns, or None for every product.
            flip: Makes the change visible (clears bits, suspends, stops). It runs at once and
                without waiting; what it raises is raised, and nothing has changed.
            timeout_s: Seconds that batches under way have to be handed over; then their
                streams are reset.

        Returns:
            What `flip` returned.

        Raises:
            UnavailableError: `STOPPED_STREAM` when a reset stream didn't end. The change holds
                for everything held since, and must not be acknowledged: publish again.
            RuntimeError: The caller holds a batch itself and would wait for itself.
        """
        products = None if product is None else (product,)
        if any(hold.mine for hold in self._concerned(products)):
            raise RuntimeError("a stream can't publish while it holds a batch")
        result: list[T] = []
        await self.drain(self.close(products, lambda: result.append(flip())), timeout_s)
        return result[0]

    def close(self, products: Collection[str] | None, flip: Callable[[], object]) -> set[Hold]:
        """Make a change take effect and return the batches that may still be of before.

        The flip and the look at who is held happen in one step of the loop, so that every batch
        is either among those or filtered with the new bits.

        Args:
            products: Whose streams it concerns, or None for every product.
            flip: As for `publish`; what it raises is raised, and no epoch was closed.
        """
        flip()
        self._epoch += 1
        if products is None:
            self._everywhere += 1
        else:
            self._turns.update(products)
        return self._concerned(products)

    async def drain(self, pending: set[Hold], timeout_s: float) -> None:
        """Return when none of these batches can leave any more.

        Args:
            pending: As `close` returned them; those that are gone are taken out.
            timeout_s: Seconds that they have to be handed over; then their streams are reset.

        Raises:
            UnavailableError: `STOPPED_STREAM` when a reset stream didn't end; drain again.
        """
        if pending:
            await self._drain(pending, timeout_s)

    def _concerned(self, products: Collection[str] | None) -> set[Hold]:
        names = tuple(self._held) if products is None else products
        return {hold for name in names if name in self._held for hold in self._held[name]}

    def enter(self, hold: Hold) -> None:
        """Take note of a hold; called by it alone."""
        hold.epoch = self._epoch
        self._held[hold.product].add(hold)

    def leave(self, hold: Hold) -> None:
        """Let go of a hold; called by it alone. Doing it twice changes nothing."""
        holds = self._held[hold.product]
        holds.discard(hold)
        for waiter in hold.waiters:
            waiter.gone(hold)
        hold.waiters.clear()

    async def _drain(self, pending: set[Hold], timeout_s: float) -> None:
        drain = _Drain(pending)
        for hold in tuple(pending):
            hold.waiters.append(drain)
            hold.watch()
        await asyncio.wait([drain.done], timeout=timeout_s)
        if drain.done.done():
            return
        for hold in tuple(pending):
            hold.reset()
        await asyncio.wait([drain.done], timeout=self._unwind_s)
        if not drain.done.done():
            raise UnavailableError(
                "STOPPED_STREAM", "a stream that was reset has not ended; publish again"
            )
