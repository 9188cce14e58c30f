"""Keeps the sealed index beside the integrator of a serving gateway."""

import asyncio
import threading
from collections.abc import Callable
from typing import Final

import structlog

from audit.errors import LeaseHeldError
from audit.indexer import BASE, Indexer
from audit.journal import Journal

_log = structlog.get_logger(__name__)
_LOOK_S: Final = 1.0


class IndexKeeper:
    """Seals a root when enough entries wait or enough time has passed.

    Owner of the indexer: the thread of the pass under way; passes and `close` take turns.
    """

    def __init__(
        self, journal: Journal, node: str, clock: Callable[[], int], interval_s: int
    ) -> None:
        """Take the writer of the state.

        Args:
            journal: The writer.
            node: Name of the node in the entries.
            clock: Gives unix seconds.
            interval_s: Greatest age of an access that no root covers, while the gateway serves.
        """
        self._indexer = Indexer(journal, node, clock)
        self._clock = clock
        self._interval_s = interval_s
        self._sealed_at = clock()
        self._turn = threading.Lock()
        self._closed = False

    async def run(self) -> None:
        """Seal for ever; a failure is told and tried again.

        A late root loses nothing: accesses stay listed, only without proof until it comes.
        """
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                await asyncio.to_thread(self._look)
            except LeaseHeldError:
                continue  # another replica is at it
            except Exception as error:  # noqa: BLE001 - it must go on; the type says enough
                _log.error("index_not_sealed", type=type(error).__name__)

    def close(self) -> None:
        """Close what the indexer has open, once a pass under way has ended."""
        with self._turn:
            self._closed = True
            self._indexer.close()

    def _look(self) -> None:
        with self._turn:
            if not self._closed:
                self._seal_what_is_due()

    def _seal_what_is_due(self) -> None:
        waiting = self._indexer.pending()
        due = self._clock() - self._sealed_at >= self._interval_s
        if not (waiting and due) and waiting < BASE:
            return
        self._indexer.seal(only_full=not due)
        if due:
            self._sealed_at = self._clock()
