"""Rounds: changes take effect in this process, and a publisher learns when they have everywhere.

    read      changes that were committed since the last look, by any process
    flip      their bits and labels, in one step of the loop; the gate's epoch is closed
    drain     batches of before are handed over, or their streams are reset
    confirm   the lease says so in the state, when other processes have leases
    clear     every lease that stands has confirmed; one that surely ran out was taken away

One look takes whatever is there, so publishes that come together share a round. A round that waits
for a slow reader doesn't hold up the flips of the next one; rounds are confirmed in their order.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

import structlog

from audit.errors import AuditError
from gateway.domain.errors import UnavailableError, XinguanError
from gateway.release.gate import UNWIND_S, Gate, Hold
from gateway.replicas.bystander import unconfirmed
from gateway.replicas.changes import Change, newest, read_changes
from gateway.replicas.lease_watch import LeaseWatch
from gateway.replicas.membership import Membership
from gateway.replicas.wake import Wake
from gateway.store.state import State

_log = structlog.get_logger(__name__)
_IDLE_S = 0.1  # the bound for a change whose process died before it raised the signal
_BUSY_S = 0.02


class Effect(Protocol):
    """Makes changes visible in this process; see `gateway.repair.effect`."""

    def products(self, changes: Sequence[Change]) -> Collection[str]:
        """Return the products whose records or derived values they touch."""
        ...

    def flip(self, changes: Sequence[Change]) -> None:
        """Bring every open snapshot in line with durable state, for these records."""
        ...

    def start_over(self) -> None:
        """Bring every open snapshot in line with durable state, whatever happened."""
        ...


@dataclass(slots=True)
class _Round:
    """Changes whose bits are flipped and whose older batches are on their way out."""

    number: int
    began: float = field(default_factory=time.monotonic)
    done: bool = False


class Rounds:
    """The rounds of one process. Owner: its event loop."""

    def __init__(
        self,
        state: State,
        gate: Gate,
        effect: Effect,
        membership: Membership,
        *,
        directory: Path,
        gate_wait_ms: int,
        shared_gate_wait_ms: int,
        term_ms: int,
    ) -> None:
        """Take what a change goes through.

        Args:
            state: The state.
            gate: The gate of this process.
            effect: Makes changes visible.
            membership: The lease of this process.
            directory: Where names of processes of this machine are locked.
            gate_wait_ms: How long batches under way are waited for.
            shared_gate_wait_ms: The same while other processes serve too.
            term_ms: Term of a lease: a change that takes longer gives it up.
        """
        self._state = state
        self._gate = gate
        self._effect = effect
        self._membership = membership
        self._gate_wait_s = gate_wait_ms / 1000
        self._shared_wait_s = shared_gate_wait_ms / 1000
        self._term_s = term_ms / 1000
        self._connection = state.connect()
        self._watch = LeaseWatch(state, self._connection, directory, membership.place)
        self._wake = Wake(state)
        self._rounds: deque[_Round] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flipped = self._applied = self._cleared = 0
        self._confirmed = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._reaching: list[tuple[int, asyncio.Future[None]]] = []
        self._failing_since: float | None = None

    @property
    def applied(self) -> int:
        """The newest change that has taken effect here, with every one before it."""
        return self._applied

    @property
    def overdue(self) -> bool:
        """True when a change hasn't taken effect within the term of a lease."""
        since = self._rounds[0].began if self._rounds else self._failing_since
        return since is not None and time.monotonic() - since > self._term_s

    @property
    def flipped(self) -> int:
        """Number of the newest change that whatever is filtered here from now on has in it."""
        return self._flipped

    @property
    def others(self) -> Collection[str]:
        """The places that other processes serve from, as last seen."""
        return self._watch.places

    def begin(self, number: int) -> None:
        """Start from a number; every snapshot is still to be opened."""
        self._flipped = self._applied = self._cleared = self._confirmed = number

    async def run(self) -> None:
        """Bring changes of all processes into effect until cancelled."""
        while True:
            await self._wake.wait(_BUSY_S if self._waiting else _IDLE_S)
            self._look()
            await self._watch.take_away_expired()

    async def reach(self, number: int) -> None:
        """Return once every change up to a number has taken effect here."""
        await self._until(self._reaching, number, lambda: self._applied)

    async def clear(self, number: int) -> None:
        """Return once no process can release anything older than a change.

        Args:
            number: The change; it is committed.

        Raises:
            UnavailableError: `REPLICA_UNCONFIRMED`: some process neither confirmed it nor
                surely lost its lease in time. It will take effect; publish again to be sure.
        """
        self._state.signal.raise_it()
        wait_s = 2 * self._term_s + self._gate_wait_s + UNWIND_S
        try:
            async with asyncio.timeout(wait_s):
                await self._until(self._waiting, number, lambda: self._cleared)
        except TimeoutError:
            raise unconfirmed() from None

    def close(self) -> None:
        """Stop; nothing waits any more."""
        for task in self._tasks:
            task.cancel()
        self._wake.close()
        self._connection.close()

    async def _until(
        self,
        waiting: list[tuple[int, asyncio.Future[None]]],
        number: int,
        reached: Callable[[], int],
    ) -> None:
        if reached() < number:
            self._look()
        if reached() < number:
            waiter = asyncio.get_running_loop().create_future()
            entry = (number, waiter)
            waiting.append(entry)
            self._wake.set()
            try:
                await waiter
            finally:
                if entry in waiting:
                    waiting.remove(entry)

    def _look(self) -> None:
        """Do all that can be done at once; never raises."""
        try:
            self._flip_new()
            self._failing_since = None
        except (AuditError, XinguanError, OSError) as error:
            # What can't be read can't be confirmed either; the lease runs out over it.
            self._failing_since = self._failing_since or time.monotonic()
            _log.error("changes_not_applied", type=type(error).__name__)
        self._settle()

    def _flip_new(self) -> None:
        number = newest(self._connection)
        while self._flipped < number:
            changes = read_changes(self._connection, self._flipped)
            if changes:
                found, upto = changes, changes[-1].number
                held = self._gate.close(
                    self._effect.products(found), partial(self._effect.flip, found)
                )
            else:
                held, upto = self._gate.close(None, self._effect.start_over), number
            self._flipped = upto
            self._drain(_Round(upto), held)

    def _drain(self, one: _Round, held: set[Hold]) -> None:
        self._rounds.append(one)
        if not held:
            one.done = True
            return
        task = asyncio.create_task(self._drained(one, held))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drained(self, one: _Round, held: set[Hold]) -> None:
        wait_s = min(self._gate_wait_s, self._shared_wait_s if self._watch.any else 1e9)
        while not one.done:
            try:
                await self._gate.drain(held, wait_s)
                one.done = True
            except UnavailableError:
                _log.error("stream_not_ended")
        self._settle()
        self._wake.set()

    def _settle(self) -> None:
        """Confirm what took effect, and tell publishers what has everywhere."""
        while self._rounds and self._rounds[0].done:
            self._applied = self._rounds.popleft().number
        _wake(self._reaching, self._applied)
        try:
            rows = self._watch.look(self._membership.name)
        except AuditError as error:
            _log.error("leases_not_read", type=type(error).__name__)
            return
        if rows and self._confirmed < self._applied:
            self._confirmed = self._applied
            self._membership.confirm_soon()
        self._cleared = max(self._cleared, min([self._applied, *(row.applied for row in rows)]))
        _wake(self._waiting, self._cleared)


def _wake(waiting: list[tuple[int, asyncio.Future[None]]], reached: int) -> None:
    for entry in [one for one in waiting if one[0] <= reached]:
        waiting.remove(entry)
        if not entry[1].done():
            entry[1].set_result(None)
