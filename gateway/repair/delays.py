"""How long it takes from an authority's decision to its effect (issue: not from our receipt).

A delay is written after the gate is clear, beside the road: nothing waits for it, and losing
one (a crash in between) loses a figure and nothing else. `unmeasured` says how many were lost.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import structlog

from audit.errors import AuditUnavailableError
from audit.journal import Transaction
from gateway.repair.publish import Cleared
from gateway.store.migration import Statements
from gateway.store.state import State

_log = structlog.get_logger(__name__)
_NEWEST = 100_000  # delays of an origin that its figures are taken from


@dataclass(frozen=True, slots=True)
class DelayFigures:
    """Delays of one origin, in milliseconds.

    Args:
        origin: Who decided.
        measured: Number of delays that the figures are taken from.
        p50_ms: Half of them are at most this long.
        p99_ms: All but one in a hundred are at most this long.
        worst_ms: The longest.
    """

    origin: str
    measured: int
    p50_ms: int
    p99_ms: int
    worst_ms: int


class Delays:
    """Writes what the publisher tells it, one row a change. Owned by the event loop."""

    def __init__(self, state: State) -> None:
        """Take the state that the delays are kept in."""
        self._state = state
        self._writing: set[asyncio.Task[None]] = set()

    def note(self, cleared: Cleared) -> None:
        """Write one delay soon; returns at once."""
        task = asyncio.get_running_loop().create_task(self._write(cleared))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def close(self) -> None:
        """Wait until what was noted is written."""
        await asyncio.gather(*self._writing)

    async def _write(self, cleared: Cleared) -> None:
        try:
            await self._state.journal.submit(lambda tx: write(tx, cleared))
        except AuditUnavailableError:
            _log.error("delay_not_written")


def write(tx: Transaction, cleared: Cleared) -> None:
    """Write one delay; the first effect of a change is the one that counts."""
    tx.execute(
        "INSERT INTO repair_delays (log_index, origin, decided_at, effective_ms)"
        " VALUES (?, ?, ?, ?) ON CONFLICT (log_index) DO NOTHING",
        (cleared.repair, cleared.origin, cleared.decided_at, cleared.effective_ms),
    )


def figures(state: Statements) -> list[DelayFigures]:
    """Return the figures of every origin, in the order of their names."""
    origins = state.execute("SELECT DISTINCT origin FROM repair_delays ORDER BY origin").fetchall()
    return [_figures(state, row[0]) for row in origins]


def unmeasured(state: Statements) -> int:
    """Return how many applied decisions have no delay, because their node stopped too soon."""
    row = state.execute(
        "SELECT count(*) FROM repairs WHERE NOT EXISTS"
        " (SELECT 1 FROM repair_delays WHERE repair_delays.log_index = repairs.log_index)"
    ).fetchone()
    return int(row[0])


def quantile(ascending: Sequence[int], share: float) -> int:
    """Return the value that a share of the values doesn't exceed (nearest rank).

    Args:
        ascending: At least one value, ascending.
        share: Above 0, at most 1.
    """
    return ascending[ceil(share * len(ascending)) - 1]


def _figures(state: Statements, origin: str) -> DelayFigures:
    rows = state.execute(
        "SELECT effective_ms - decided_at * 1000 FROM repair_delays WHERE origin = ?"
        " ORDER BY log_index DESC LIMIT ?",
        (origin, _NEWEST),
    ).fetchall()
    delays = sorted(max(0, row[0]) for row in rows)
    return DelayFigures(
        origin, len(delays), quantile(delays, 0.5), quantile(delays, 0.99), delays[-1]
    )
