"""Decisions of one stream that are under way, in their order, a bounded number of them.

One task fills the line with what the caller hands in; another takes off its head what has its
outcome. When the line is full the caller is read no further, and the transport makes it wait.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import structlog

from gateway.domain.errors import XinguanError, defect
from gateway.repair.publish import Published

_log = structlog.get_logger(__name__)
MAX_IN_FLIGHT = 256  # decisions of one stream
_BREATH = 16
_TOLD_AT_ONCE = 128  # outcomes of one message


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one decision.

    Args:
        repair_id: Its id; empty when it couldn't be read.
        result: The acknowledgement, or why it was refused.
    """

    repair_id: str
    result: Published | XinguanError


class DecisionLine:
    """The decisions of one stream. Owner: the event loop."""

    def __init__(self) -> None:
        """Begin empty."""
        self._line: deque[tuple[str, asyncio.Future[Published]]] = deque()
        self._free = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._changed = asyncio.Event()
        self._ended = False
        self._failure: Exception | None = None

    async def put(self, repair_id: str, answer: asyncio.Future[Published]) -> None:
        """Put a decision at the end; wait while the line is full."""
        self._line.append((repair_id, answer))
        self._changed.set()
        await self._free.acquire()
        if len(self._line) % _BREATH == 0:
            await asyncio.sleep(0)  # verifying a whole message would hold up everything else

    async def fill(self, reading: Coroutine[Any, Any, None]) -> None:
        """Run what fills the line, to its end or its failure, which comes behind what is in it."""
        try:
            await reading
        except Exception as error:
            self._failure = error
        finally:
            self._ended = True
            self._changed.set()

    async def next(self) -> list[Outcome]:
        """Return the outcomes that are there, at least one; none when the stream is over.

        Raises:
            Exception: The caller may hand in no more; everything before was returned.
        """
        while not self._line:
            if self._ended:
                if self._failure is not None:
                    raise self._failure
                return []
            self._changed.clear()
            await self._changed.wait()
        await asyncio.wait([self._line[0][1]])
        outcomes: list[Outcome] = []
        while self._line and self._line[0][1].done() and len(outcomes) < _TOLD_AT_ONCE:
            repair_id, answer = self._line[0]
            error = answer.exception()
            outcomes.append(Outcome(repair_id, _told(error) if error else answer.result()))
            self._line.popleft()
            self._free.release()
        return outcomes

    def abandon(self) -> None:
        """Wait for nothing any more; what was handed in takes its course."""
        for _, answer in self._line:
            answer.cancel()
            if answer.done() and not answer.cancelled():
                answer.exception()  # asked for, so that asyncio doesn't report it as missed
        self._line.clear()


def _told(error: BaseException) -> XinguanError:
    """Return an error as it is told; a defect's cause may quote values, so only its type is."""
    if isinstance(error, XinguanError):
        return error
    _log.error("defect", code="INTERNAL", type=type(error).__name__)
    return defect()
