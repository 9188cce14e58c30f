"""How long it takes from an authority's decision to its effect (issue: not from our receipt).

A delay is written after the gate is clear, beside the road: nothing waits for it, and losing
one (a crash in between) loses a figure and nothing else. `unmeasured` says how many were lost.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import ceil

import structlog

from audit.errors import AuditUnavailableError
from audit.journal import Transaction
from gateway.repair.publish import Cleared
from gateway.store.bulk import insert_rows
from gateway.store.migration import Statements
from gateway.store.state import State

_log = structlog.get_logger(__name__)
_GATHER_S = 0.1  # a figure may come late; a commit of its own would hold up the next decision
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
    """Writes what the publisher tells it, soon and many at once. Owned by the event loop."""

    def __init__(self, state: State) -> None:
        """Take the state that the delays are kept in."""
        self._state = state
        self._noted: list[Cleared] = []
        self._writing: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def note(self, cleared: Cleared) -> None:
        """Write one delay soon; returns at once."""
        self._noted.append(cleared)
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def close(self) -> None:
        """Wait until what was noted is written."""
        self._closing.set()
        if self._writing is not None:
            await self._writing

    async def _write(self) -> None:
        try:
            while self._noted:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_GATHER_S):
                        await self._closing.wait()
                some, self._noted = self._noted, []
                await self._state.journal.submit(lambda tx, some=some: write(tx, some))  # type: ignore[misc]  # the default binds what was noted
        except AuditUnavailableError:
            _log.error("delays_not_written")
        finally:
            self._writing = None


def write(tx: Transaction, cleared: Sequence[Cleared]) -> None:
    """Write delays; the first effect of a change is the one that counts."""
    insert_rows(
        tx,
        "INSERT INTO repair_delays (log_index, origin, decided_at, effective_ms) VALUES",
        [(one.repair, one.origin, one.decided_at, one.effective_ms) for one in cleared],
        "ON CONFLICT (log_index) DO NOTHING",
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
