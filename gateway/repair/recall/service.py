"""What a serving node does about recalls by itself: computing, escalating, proposing.

One round at a time, in a thread, woken when the gate is clear of a repair and every half second
besides, so that what another process published, or a crash left, is taken up as well. A round takes
together what is cleared within a quarter of a second: it costs nearly the same for one repair and
for hundreds, and repairs that come meanwhile would wait for each of its commits.
"""

import asyncio
import threading
from contextlib import suppress
from dataclasses import dataclass

import structlog

from audit.journal import Transaction
from gateway.repair.publish import Cleared
from gateway.repair.recall.compute import Recaller
from gateway.repair.recall.suspension import escalate, propose
from gateway.store.state import State

_log = structlog.get_logger(__name__)
_EVERY_S = 0.5
_GATHER_S = 0.25


@dataclass(frozen=True, slots=True)
class Done:
    """What one round did."""

    computed: int
    escalated: int
    proposed: int


class RecallService:
    """Runs rounds from `start` to `stop`. Owner of its state: the event loop."""

    def __init__(
        self, state: State, recaller: Recaller, *, node: str, proposal_wait_s: int
    ) -> None:
        """Take what a round needs.

        Args:
            state: The state.
            recaller: Computes recalls.
            node: Name of this node.
            proposal_wait_s: From a missed deadline to the proposal.
        """
        self._state = state
        self._recaller = recaller
        self._node = node
        self._wait_s = proposal_wait_s
        self._cleared: list[Cleared] = []
        self._lock = threading.Lock()
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; what a crash left pending is computed in the first round."""
        self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Finish the round that is under way and do no other. Idempotent."""
        self._stopping.set()
        self._wake.set()
        if self._running is not None:
            await self._running

    def cleared(self, change: Cleared) -> None:
        """Take note that the gate let nothing older out; called on the event loop."""
        with self._lock:
            self._cleared.append(change)
        self._wake.set()

    async def _run(self) -> None:
        """Do rounds until `stop`; a failure is told and tried again."""
        while not self._stopping.is_set():
            try:
                await asyncio.to_thread(self.round)
            except Exception as error:  # noqa: BLE001 - it must go on; the type says enough
                _log.error("recall_failed", type=type(error).__name__)
            if await _within(_EVERY_S, self._wake):
                await _within(_GATHER_S, self._stopping)
            self._wake.clear()

    def round(self) -> Done:
        """Do what is due now."""
        with self._lock:
            cleared, self._cleared = self._cleared, []
        if cleared:
            newest = max(change.effective_ms for change in cleared)
            self._recaller.gate_is_clear([change.repair for change in cleared], newest)
        computed = self._recaller.compute()
        now = self._recaller.now()
        escalated = proposed = 0
        if self._overdue(now):

            def job(tx: Transaction) -> tuple[int, int]:
                return (
                    escalate(tx, node=self._node, now=now),
                    propose(tx, node=self._node, now=now, wait_s=self._wait_s),
                )

            escalated, proposed = self._state.run(job)
        return Done(computed, escalated, proposed)

    def _overdue(self, now: int) -> bool:
        """Look before writing: a transaction every half second would be one fsync each."""
        connection = self._state.connect()
        try:
            row = connection.execute(
                "SELECT 1 FROM recall_notices AS n WHERE (status = 'OPEN' AND due_at <= ?)"
                " OR (status IN ('ESCALATED', 'OBJECTED') AND due_at <= ? AND NOT EXISTS"
                "  (SELECT 1 FROM suspension_proposals AS p WHERE p.party_id = n.party_id"
                "   AND p.status = 'OPEN')) LIMIT 1",
                (now, now - self._wait_s),
            ).fetchone()
        finally:
            connection.close()
        return row is not None


async def _within(seconds: float, event: asyncio.Event) -> bool:
    """Wait for an event and tell whether it came in time."""
    # Not wait_for: it may swallow a cancellation that comes together with the event.
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()
