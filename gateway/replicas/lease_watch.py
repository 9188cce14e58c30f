"""Looking at the leases of other processes, and taking away those that surely ran out."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from audit.errors import AuditUnavailableError
from gateway.replicas import lease
from gateway.replicas.node_name import is_dead
from gateway.store.migration import Statements
from gateway.store.state import State

_log = structlog.get_logger(__name__)
_SLACK = 1.05  # of a term: a waiter's clock may run faster than the holder's


@dataclass(frozen=True, slots=True)
class _Sighting:
    """A lease as it was when its renewal number last rose, and when that was seen."""

    row: lease.Lease
    at: float


class LeaseWatch:
    """What one process knows of the leases of others. Owner: its event loop."""

    def __init__(self, state: State, connection: Statements, directory: Path, place: str) -> None:
        """Begin to watch.

        Args:
            state: Leases are taken away in it.
            connection: Reads it.
            directory: Where names of processes of this machine are locked.
            place: Processes that serve from the same directory have the same place.
        """
        self._state = state
        self._connection = connection
        self._directory = directory
        self._place = place
        self._sightings: dict[str, _Sighting] = {}

    @property
    def places(self) -> Collection[str]:
        """The places that others serve from, as last seen."""
        return {seen.row.place for seen in self._sightings.values()}

    @property
    def any(self) -> bool:
        """True when there were others at the last look."""
        return bool(self._sightings)

    def look(self, own: str = "") -> Sequence[lease.Lease]:
        """Return the leases of others, and note when each was last seen to be renewed.

        Args:
            own: Name of this process; empty when it has no lease.
        """
        # Read before the clock: a lease counts as renewed later than it was, never earlier.
        rows = [row for row in lease.read_leases(self._connection) if row.node != own]
        now, before = time.monotonic(), self._sightings
        self._sightings = {}
        for row in rows:
            seen = before.get(row.node)
            same = seen is not None and (seen.row.token, seen.row.beat) == (row.token, row.beat)
            self._sightings[row.node] = seen if seen and same else _Sighting(row, now)
        return rows

    async def take_away_expired(self) -> None:
        """Take away the leases of processes that are dead or were silent for a whole term."""
        now = time.monotonic()
        for seen in list(self._sightings.values()):
            row = seen.row
            expired = now - seen.at > row.term_ms / 1000 * _SLACK
            dead = row.place == self._place and is_dead(self._directory, row.node, row.holder)
            if not expired and not dead:
                continue
            try:
                gone = await self._state.submit(lambda tx, row=row: lease.take_away(tx, row))  # type: ignore[misc]  # the default binds the loop's row
            except AuditUnavailableError:
                continue
            if gone:
                _log.warning("lease_taken_away", node=row.node, dead=dead)
