"""Reads the configured feeds for as long as the gateway serves.

Each feed is a loop of its own: take the lease, read a page in a worker thread, take it in, and
wait when there was nothing more. A feed that can't be read is told once, as an alarm, and tried
again ever more slowly; meanwhile its products grow stale and become unavailable by name (R13).
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

import structlog

from audit.errors import AuditUnavailableError
from audit.journal import Transaction
from gateway.domain.errors import UnavailableError
from gateway.repair import feed_lease
from gateway.repair.alarms import raise_alarm
from gateway.repair.feed import Feed, FeedError
from gateway.repair.feed_lease import LeaseHeldError
from gateway.repair.intake import Intake, Taken
from gateway.store.state import State

_log = structlog.get_logger(__name__)
_LONGEST_PAUSE_S = 30.0
_SEEN_AT_END_S = 5.0  # how often an idle feed's end is written down


class Reading(Protocol):
    """One feed as the runner sees it."""

    async def step(self, token: int) -> tuple[Taken, bool]:
        """Take the next page in; return what became of it and whether more is there.

        Raises:
            FeedError: It can't be read.
            UnavailableError: It can't be taken in now.
        """
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...


class DocumentReading:
    """A feed of signed documents, page by page from where it was left."""

    def __init__(
        self, name: str, feed: Feed, intake: Intake, state: State, page_items: int
    ) -> None:
        """Take the feed and the way that its items go."""
        self._name = name
        self._feed = feed
        self._intake = intake
        self._state = state
        self._page_items = page_items
        self._write_again_at = 0.0

    async def step(self, token: int) -> tuple[Taken, bool]:
        """Take the next page in."""
        position = await asyncio.to_thread(position_of, self._state, self._name)
        page = await asyncio.to_thread(self._feed.read, position, self._page_items)
        if not page.items and page.position == position and monotonic() < self._write_again_at:
            return Taken(0, 0), False
        self._write_again_at = monotonic() + _SEEN_AT_END_S
        return await self._intake.take(self._name, page, token), not page.at_end

    def close(self) -> None:
        """Close the feed."""
        self._feed.close()


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A feed and how often it is looked at, in milliseconds."""

    reading: Reading
    poll_ms: int


class FeedRunner:
    """Runs feeds; every process of a state may have one."""

    def __init__(
        self,
        state: State,
        feeds: Mapping[str, Scheduled],
        *,
        node: str,
        lease_s: int,
        clock_ms: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Take the feeds by name.

        Args:
            state: Keeps leases and alarms.
            feeds: Name to feed.
            node: Name of this node.
            lease_s: Seconds that a lease lasts.
            clock_ms: Unix milliseconds.
            sleep: Waits for seconds.
        """
        self._state = state
        self._feeds = feeds
        self._node = node
        self._lease_s = lease_s
        self._clock_ms = clock_ms
        self._sleep = sleep
        self._holder = f"{node}/{secrets.token_hex(8)}"
        self._faults: dict[str, str] = {}
        self._leases: dict[str, tuple[int, float]] = {}  # token, and when to prolong it

    async def run(self) -> None:
        """Run until cancelled, then give the leases back."""
        loops = [asyncio.create_task(self._always(name)) for name in self._feeds]
        try:
            await asyncio.gather(*loops)
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            for scheduled in self._feeds.values():
                scheduled.reading.close()
            await self._give_back()

    async def run_once(self, name: str) -> Taken:
        """Read one feed to its present end and return what became of its items.

        Raises:
            UnavailableError: `FEED_TAKEN_OVER` when another process reads it, or it can't be
                taken in now.
            FeedError: It can't be read.
        """
        applied = refused = 0
        more = True
        try:
            while more:
                try:
                    token = await self._lease(name)
                except LeaseHeldError:
                    raise UnavailableError(
                        "FEED_TAKEN_OVER", "another process reads this feed now"
                    ) from None
                taken, more = await self._feeds[name].reading.step(token)
                applied, refused = applied + taken.applied, refused + taken.refused
        finally:
            self._feeds[name].reading.close()
            await self._give_back()
        return Taken(applied, refused)

    async def _always(self, name: str) -> None:
        pause_s = poll_s = self._feeds[name].poll_ms / 1000
        while True:
            more = False
            try:
                _, more = await self._feeds[name].reading.step(await self._lease(name))
                pause_s = poll_s
                await self._mended(name)
            except LeaseHeldError:
                pause_s = poll_s
            except FeedError as fault:
                pause_s = min(pause_s * 2, max(_LONGEST_PAUSE_S, poll_s))
                await self._broken(name, fault.code)
            except (UnavailableError, AuditUnavailableError) as fault:
                self._leases.pop(name, None)
                pause_s = min(pause_s * 2, max(_LONGEST_PAUSE_S, poll_s))
                _log.warning("feed_waits", feed=name, type=type(fault).__name__)
            except Exception as fault:  # noqa: BLE001 - the other repairs must go on; the type says enough
                pause_s = min(pause_s * 2, max(_LONGEST_PAUSE_S, poll_s))
                _log.error("feed_failed", feed=name, type=type(fault).__name__)
            if not more:
                await self._sleep(pause_s)

    async def _lease(self, name: str) -> int:
        """Return the token of a feed's lease, prolonged when a third of it is over.

        A holder that sleeps past its end finds another token when it writes (`feed_lease.check`).
        """
        known = self._leases.get(name)
        if known is not None and monotonic() < known[1]:
            return known[0]
        self._leases.pop(name, None)
        now = self._clock_ms() // 1000
        prolong_at = monotonic() + self._lease_s / 3
        token = await self._state.journal.submit(
            lambda tx: feed_lease.take(tx, name, self._holder, now, self._lease_s)
        )
        self._leases[name] = (token, prolong_at)
        return token

    async def _give_back(self) -> None:
        try:
            await self._state.journal.submit(lambda tx: feed_lease.drop(tx, self._holder))
        except AuditUnavailableError:
            _log.error("feed_leases_not_returned")  # they run out by themselves

    async def _broken(self, name: str, code: str) -> None:
        """Raise an alarm when a feed breaks, not each time that it is found broken."""
        _log.error("feed_broken", feed=name, code=code)
        if self._faults.get(name) == code:
            return
        now = self._clock_ms() // 1000

        def job(tx: Transaction) -> None:
            raise_alarm(tx, rule="R13", code=code, now=now, node=self._node, actor=f"feed:{name}")

        try:
            await self._state.journal.submit(job)
        except AuditUnavailableError:
            return  # told with the next try
        self._faults[name] = code

    async def _mended(self, name: str) -> None:
        if self._faults.pop(name, None) is not None:
            _log.info("feed_mended", feed=name)


def position_of(state: State, name: str) -> str:
    """Return how far a feed was read; empty before its first page."""
    connection = state.connect()
    try:
        row = connection.execute(
            "SELECT position FROM repair_feeds WHERE feed = ?", (name,)
        ).fetchone()
    finally:
        connection.close()
    return "" if row is None else str(row[0])
