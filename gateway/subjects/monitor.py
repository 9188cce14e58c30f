"""Runs the doctor beside a serving gateway and holds what it said last, for health and status."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from audit.doctor import Limits
from audit.doctor_state import Finding
from audit.openings import OpeningStore
from audit.reader import LogReader
from gateway.store.state import State
from gateway.subjects.reconciliation import reconcile

_log = structlog.get_logger(__name__)
_FIRST_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Checked:
    """What a run said.

    Args:
        at: When, unix seconds.
        findings: What does not agree.
    """

    at: int
    findings: Sequence[Finding] = field(default=())


class ReconciliationMonitor:
    """Reconciles at intervals; `latest` is None until the first run has ended."""

    def __init__(
        self,
        state: State,
        reader: LogReader,
        openings: OpeningStore,
        limits: Limits,
        memory: Path,
        clock: Callable[[], int],
        interval_s: int,
    ) -> None:
        """Take what the doctor reads.

        Args:
            state: The open state.
            reader: The published log.
            openings: Unseals openings.
            limits: How late something may be.
            memory: File of the doctor's memory.
            clock: Gives unix seconds.
            interval_s: Seconds between runs.
        """
        self._state = state
        self._reader = reader
        self._openings = openings
        self._limits = limits
        self._memory = memory
        self._clock = clock
        self._interval_s = interval_s
        self.latest: Checked | None = None
        self.told: Callable[[bool], Awaitable[None]] | None = None

    async def run(self) -> None:
        """Reconcile for ever; `told` is called with whether everything agrees."""
        await asyncio.sleep(_FIRST_S)
        while True:
            try:
                self.latest = await asyncio.to_thread(self.check)
                if self.told is not None:
                    await self.told(not self.latest.findings)
            except Exception as error:  # noqa: BLE001 - it must go on; the type says enough
                _log.error("not_reconciled", type=type(error).__name__)
            await asyncio.sleep(self._interval_s)

    def check(self) -> Checked:
        """Run the doctor once; blocks."""
        now = self._clock()
        connection = self._state.connect()
        try:
            found = reconcile(
                self._reader, connection, self._openings, self._limits, self._memory, now
            )
        finally:
            connection.close()
        if found:
            _log.warning("reconciliation", findings=len(found))
        return Checked(now, tuple(found))
