"""Keeps the store apart beside a serving gateway: at once after a change, and at an interval."""

import asyncio
import threading
from collections.abc import Callable
from typing import Final

import structlog

from gateway.border.store_apart_job import GATEWAY, Copier
from gateway.domain.errors import XinguanError
from gateway.registry.act import Act

_log = structlog.get_logger(__name__)
_LOOK_S: Final = 0.5
# Another process has its turn, or a person closed the store: nothing to tell of each time.
_QUIET: Final = frozenset({"BORDER_COPY_BUSY", "BORDER_STORE_DESTROYED"})


class BorderKeeper:
    """Runs rounds of copying in a thread; an admission or a new whitelist is followed at once.

    Args:
        copier: Does the rounds; of several processes one at a time.
        node: Name of the node in entries.
        clock: Gives unix seconds.
        interval_s: Seconds between rounds while nothing changes.
    """

    def __init__(
        self, copier: Copier, node: str, clock: Callable[[], int], interval_s: int
    ) -> None:
        self._copier = copier
        self._node = node
        self._clock = clock
        self._interval_s = interval_s
        self._signature: tuple[object, ...] = ()
        self._done_at = 0
        self._turn = threading.Lock()
        self._closed = False
        self.rounds = 0

    async def run(self) -> None:
        """Keep the copies for ever; a failure is told and tried again.

        While rounds fail nothing grows stale abroad: a copy that isn't confirmed serves no more.
        """
        while True:
            try:
                await asyncio.to_thread(self.look)
            except XinguanError as error:
                if error.code not in _QUIET:
                    _log.error("border_not_copied", reason=error.code)
            except Exception as error:  # noqa: BLE001 - it must go on; the type says enough
                _log.error("border_not_copied", type=type(error).__name__)
            await asyncio.sleep(_LOOK_S)

    def close(self) -> None:
        """Begin no round any more, once the one under way has ended."""
        with self._turn:
            self._closed = True

    def look(self) -> None:
        """Do a round when something changed or the last one is long ago. Blocking.

        Raises:
            XinguanError: As `Copier.round`.
        """
        with self._turn:
            now = self._clock()
            if self._closed:
                return
            signature = self._copier.signature(now)
            if signature == self._signature and 0 <= now - self._done_at < self._interval_s:
                return
            self._copier.round(Act(now, self._node, GATEWAY))
            self._signature, self._done_at = signature, now
            self.rounds += 1
