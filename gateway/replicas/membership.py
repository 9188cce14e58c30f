"""The lease of this process: whether it surely knows of every change that anyone acknowledged.

    take        its row stands in the state; from then on every change waits for it
    catch up    what was committed before is brought into effect
    renew       a third of the term later, and again; each renewal confirms what took effect
    lose        a renewal that finds no row: somebody waited for the whole term and went on
                without this process. It releases nothing until it has taken a new lease.

Between two renewals the process trusts its own clock alone, and that clock counts the time that
the machine slept. A process that was stopped finds its lease run out at the first look.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import structlog

from audit.errors import AuditUnavailableError
from gateway.domain.errors import UnavailableError
from gateway.replicas import lease
from gateway.replicas.node_name import NodeName, taken
from gateway.store.state import State

_log = structlog.get_logger(__name__)
_TRUSTED = 0.9  # of its term; the rest covers clocks that run apart
_PAUSE_S = 0.02
_RETRY_S = 0.1


def since_boot() -> float:
    """Return seconds on the clock that also counts while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Effects(Protocol):
    """What has taken effect in this process; see `gateway.replicas.rounds`."""

    @property
    def applied(self) -> int:
        """The newest change that has taken effect."""
        ...

    @property
    def overdue(self) -> bool:
        """True when a change hasn't taken effect for so long that the lease must be given up."""
        ...

    def begin(self, number: int) -> None:
        """Start from a number: nothing older than it is in memory."""
        ...

    async def reach(self, number: int) -> None:
        """Return once every change up to a number has taken effect here."""
        ...


class Membership:
    """This process among those that serve one state. Owner: the event loop."""

    def __init__(
        self,
        state: State,
        name: NodeName,
        *,
        term_ms: int,
        clock: Callable[[], float] = since_boot,
    ) -> None:
        """Keep what the lease is taken with; it is taken by `join`.

        Args:
            state: The state.
            name: The name that this process has.
            term_ms: For how long one renewal is good.
            clock: Seconds; must count while the process is stopped.
        """
        self._state = state
        self._name = name
        self._term_ms = term_ms
        self._clock = clock
        self._token = 0
        self._valid_until = 0.0
        self._caught_up = False
        self._soon = asyncio.Event()
        self._effects: Effects

    @property
    def name(self) -> str:
        """Name of this process."""
        return self._name.name

    @property
    def place(self) -> str:
        """What processes share that serve from one directory."""
        return self._name.place

    @property
    def token(self) -> int:
        """The fencing token of the present lease; 0 without one."""
        return self._token

    @property
    def valid(self) -> bool:
        """True while the lease surely holds and everything before it has taken effect."""
        return self._caught_up and self._clock() < self._valid_until

    def check(self) -> None:
        """Check that this process may hand anything over.

        Raises:
            UnavailableError: `NODE_FENCED`.
        """
        if not (self._caught_up and self._clock() < self._valid_until):
            raise UnavailableError(
                "NODE_FENCED",
                "this process can't be sure that it knows of every repair; nothing leaves it now",
                hints=("ask again in a moment: another process answers, or this one catches up",),
            )

    async def outlive_namesake(self) -> None:
        """Wait until a former holder of the name has surely lost its lease.

        One that served from this directory is dead, since its name could be taken. One that
        served from elsewhere is watched for a whole term.

        Raises:
            UnavailableError: `NODE_NAME_TAKEN`: it is alive.
        """
        connection = self._state.connect()
        try:
            seen = lease.read_lease(connection, self.name)
            if seen is None or (seen.holder == self._name.before and seen.place == self.place):
                return
            end = time.monotonic() + seen.term_ms / 1000
            while time.monotonic() < end:
                await asyncio.sleep(_PAUSE_S)
                present = lease.read_lease(connection, self.name)
                if present is None:
                    return
                if (present.token, present.beat) != (seen.token, seen.beat):
                    raise taken(self.name)
        finally:
            connection.close()

    async def join(self, effects: Effects) -> None:
        """Take the lease for the first time, after `outlive_namesake`.

        Args:
            effects: What has taken effect; nothing may have been read from snapshots yet.

        Raises:
            AuditUnavailableError: The state can't be written.
        """
        self._effects = effects
        sent = self._clock()
        number = await self._take(0)
        effects.begin(number)
        self._caught_up = True
        self._extend(sent)

    async def keep(self) -> None:
        """Renew until cancelled; take the lease anew when it was lost."""
        pause_s = self._term_ms / 3000
        while True:
            # Not wait_for: it may swallow a cancellation that comes together with the event.
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._soon.wait()
            self._soon.clear()
            try:
                await self._renew_or_recover()
            except Exception as error:  # noqa: BLE001 - tried again; fenced meanwhile
                _log.error("lease_not_renewed", type=type(error).__name__)
                await asyncio.sleep(_RETRY_S)
                self._soon.set()

    def confirm_soon(self) -> None:
        """Let the state know what took effect, without waiting for the next renewal."""
        self._soon.set()

    async def leave(self) -> None:
        """Give the lease up in order; nothing may leave afterwards."""
        self._caught_up = False
        name, token = self.name, self._token
        with suppress(AuditUnavailableError):
            await self._state.submit(lambda tx: lease.give_up(tx, name, token))

    async def _renew_or_recover(self) -> None:
        if self._effects.overdue:
            # Others wait for a change that can't take effect here: the lease runs out, this
            # process releases nothing, and they go on.
            _log.error("lease_not_renewed", type="overdue")
            return
        sent, token, applied = self._clock(), self._token, self._effects.applied
        if await self._state.submit(lambda tx: lease.renew(tx, self.name, token, applied)):
            self._extend(sent)
            return
        self._caught_up = False
        _log.warning("lease_lost", node=self.name)
        sent = self._clock()
        number = await self._take(applied)
        # From here on every change waits for this process; what came before is made up for.
        await self._effects.reach(number)
        self._caught_up = True
        self._extend(sent)
        _log.info("lease_taken_anew", node=self.name, token=self._token)

    async def _take(self, applied: int) -> int:
        name = self._name
        self._token, number = await self._state.submit(
            lambda tx: lease.take(
                tx,
                node=name.name,
                holder=name.holder,
                place=name.place,
                term_ms=self._term_ms,
                applied=applied,
            )
        )
        return number

    def _extend(self, sent: float) -> None:
        self._valid_until = max(self._valid_until, sent + self._term_ms / 1000 * _TRUSTED)
