"""A process that changes the state and serves nothing: the command line.

It has no lease, because nothing can leave it; what it changes must have passed every process that
does serve before it tells of success.
"""

import asyncio
import time
from pathlib import Path

from gateway.domain.errors import UnavailableError
from gateway.replicas import lease
from gateway.replicas.lease_watch import LeaseWatch
from gateway.replicas.node_name import place_of
from gateway.store.state import State

_LOOK_EVERY_S = 0.005


def is_served(state: State) -> bool:
    """Say whether any process serves a state now, or did until a moment ago."""
    connection = state.connect()
    try:
        return bool(lease.read_leases(connection))
    finally:
        connection.close()


class Bystander:
    """The rounds of a process that serves nothing; see `gateway.repair.publish.Rounds`."""

    def __init__(self, state: State, directory: Path, *, longest_s: float = 60.0) -> None:
        """Keep where to look.

        Args:
            state: The state.
            directory: Where it lies: processes that serve from there are known to be dead at once.
            longest_s: Seconds after which a process that didn't confirm is no longer waited for.
        """
        self._state = state
        self._directory = directory
        self._longest_s = longest_s

    async def clear(self, number: int) -> None:
        """Return once no process can release anything older than a change.

        Raises:
            UnavailableError: `REPLICA_UNCONFIRMED`.
        """
        self._state.signal.raise_it()
        connection = self._state.connect()
        try:
            watch = LeaseWatch(self._state, connection, self._directory, place_of(self._directory))
            end = time.monotonic() + self._longest_s
            while any(row.applied < number for row in watch.look()):
                if time.monotonic() > end:
                    raise unconfirmed()
                await watch.take_away_expired()
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            connection.close()


def unconfirmed() -> UnavailableError:
    """Return what a publisher is told when some process didn't confirm in time."""
    return UnavailableError(
        "REPLICA_UNCONFIRMED",
        "the change stands, but not every process has confirmed it; publish it again",
    )
