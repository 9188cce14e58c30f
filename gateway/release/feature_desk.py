"""Features of portfolios that come with observation dates: computed when they are asked for.

One computation at a time; the same portfolio over the same records is computed once. What was
computed lies beside the served snapshot until the portfolio would expire, so that tickets, other
workers and resumed readings find it. A caller that goes away ends its computation.
"""

import asyncio
import hmac
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import structlog

from audit.errors import AuditUnavailableError
from audit.journal import Transaction
from gateway.domain.errors import DeniedError
from gateway.domain.product import Product
from gateway.portfolio.aside import CoverageReport, Tally
from gateway.portfolio.build import Workshop
from gateway.portfolio.definitions import Definitions
from gateway.portfolio.subjects import Portfolio as Observations
from gateway.registry.act import Act
from gateway.release.memory import give_back
from gateway.release.portfolio import OBSERVED_ON, SUBJECT, SWEEP_S, Portfolio
from gateway.snapshot.calendar_columns import days_of
from gateway.snapshot.snapshot import Snapshot

_log = structlog.get_logger(__name__)
_REMEMBERED: Final = 16
_TICK_S: Final = 0.05
_PATIENCE: Final = 40  # ticks; a repair from a clock that is ahead of ours is not waited for
# Shares are told in steps of this many subjects or of one hundredth, whichever is more.
GROUP: Final = 20
BIAS: Final = (
    "Known on the observation date, less what was repaired, withdrawn, masked or expired since"
    " (R44): past dates look better than they did then."
)
_TAG: Final = b"xinguan/portfolio-coverage/v1\0"


@dataclass(frozen=True, slots=True)
class ComputedFeatures:
    """Features of one portfolio.

    Args:
        snapshot: Where they are.
        tally: What was found.
        digest: SHA-256 of the portfolio.
        definitions: What was computed.
        key: 32 secret bytes; shares are rounded with it.
    """

    snapshot: Snapshot
    tally: Tally
    digest: bytes
    definitions: Definitions
    key: bytes = field(repr=False)

    def report(self, released: Collection[str]) -> CoverageReport:
        """Return how much was known, as far as the fields that are released may tell it."""
        tally = self.tally
        behind = {each.product for each in self.definitions.features if each.name in released}
        counts = {name: tally.coverage.get(name, 0) for name in sorted(behind)}
        return CoverageReport(
            observations=tally.observations,
            hit_rate=self._told("", tally.rows),
            sources={
                name: self._told(name, count)
                for name, count in counts.items()
                if name not in tally.unavailable
            },
            unavailable={n: why for n, why in tally.unavailable.items() if n in behind},
            step=step_of(tally),
            bias=BIAS,
        )

    def _told(self, name: str, count: int) -> float:
        """Return a share of the observations as it may be told.

        Rounded to steps, and whether up or down is drawn by a key from the portfolio: whoever
        adds one subject and asks again draws anew, so that the difference tells nothing sure.
        """
        total, step = self.tally.observations, step_of(self.tally)
        drawn = hmac.digest(self.key, _TAG + self.digest + name.encode(), "sha256")
        up = int.from_bytes(drawn[:8], "big") / 2**64
        return round(min(int(count / step + up) * step, total) / total, 4) if total else 0.0


class Desk:
    """Computes features of portfolios; used by one event loop.

    Args:
        workshop: Returns what features are built with, as the registry stands now.
        node: Name of the node, for the log.
        key: 32 secret bytes; shares are rounded with it.
        life_s: Seconds that what was computed is kept.
        clock_s: Unix seconds.
    """

    def __init__(
        self,
        workshop: Callable[[], Workshop],
        *,
        node: str,
        key: bytes,
        life_s: int,
        clock_s: Callable[[], int],
    ) -> None:
        self._workshop = workshop
        self._node = node
        self._key = key
        self._life_s = life_s
        self._clock_s = clock_s
        self._one = asyncio.Semaphore(1)
        self._thread = ThreadPoolExecutor(1, "features")
        self._kept: OrderedDict[object, tuple[int, ComputedFeatures]] = OrderedDict()

    async def features_of(self, product: Product, portfolio: Portfolio) -> ComputedFeatures:
        """Return the features of a portfolio as its records stand now.

        Args:
            product: The feature product.
            portfolio: Subjects and dates.

        Raises:
            UnavailableError: `PRODUCT_UNAVAILABLE` when no source can be used.
        """
        async with self._one:
            workshop = self._workshop()
            act = await self._after_changes(workshop)
            sources, unavailable = workshop.sources(act.now)
            key = (
                product.digest,
                portfolio.digest,
                tuple(sorted((name, found.snapshot_id) for name, found in sources.items())),
                tuple(sorted(unavailable.items())),
                workshop.newest_change(),
            )
            kept = self._kept.get(key)
            if kept is not None and act.now < kept[0]:
                return kept[1]
            until = act.now + self._life_s
            made = await self._compute(workshop, portfolio, act, until)
            self._kept[key] = until, made
            if len(self._kept) > _REMEMBERED:
                self._kept.popitem(last=False)
            return made

    async def _compute(
        self, workshop: Workshop, portfolio: Portfolio, act: Act, until: int
    ) -> ComputedFeatures:
        gone = threading.Event()

        def going_on() -> None:
            if gone.is_set():
                raise DeniedError("STOPPED_STREAM", "the caller is gone")

        def work() -> ComputedFeatures:
            rows = portfolio.rows
            wanted = Observations.of(rows.column(SUBJECT), days_of(rows.column(OBSERVED_ON)))
            snapshot, tally = workshop.build_aside(wanted, act, going_on, until)
            give_back()  # records are in the snapshot now
            return ComputedFeatures(
                snapshot, tally, portfolio.digest, workshop.definitions, self._key
            )

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except asyncio.CancelledError:
            gone.set()
            raise

    async def _after_changes(self, workshop: Workshop) -> Act:
        """Wait out the second of the newest repair: a row of that second would be withheld."""
        newest = workshop.newest_change()
        for _ in range(_PATIENCE):
            if self._clock_s() > newest:
                break
            await asyncio.sleep(_TICK_S)
        return Act(self._clock_s(), self._node)

    def close(self) -> None:
        """End the thread; nothing is under way any more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def sweep_always(self) -> None:
        """Delete what has expired, every minute, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                await asyncio.to_thread(self.sweep)
            except (AuditUnavailableError, OSError) as error:
                _log.error("sweep_failed", type=type(error).__name__)

    def sweep(self) -> None:
        """Delete what has expired; blocks."""
        workshop, now = self._workshop(), self._clock_s()
        connection = workshop.state.connect()
        try:
            due = connection.execute(
                "SELECT snapshot_id, product FROM portfolio_features WHERE expires_at <= ?", (now,)
            ).fetchall()
        finally:
            connection.close()
        for key in [key for key, (until, _) in self._kept.items() if until <= now]:
            del self._kept[key]
        for snapshot_id, product in due:
            workshop.library.discard(product, snapshot_id)

        def forget(tx: Transaction) -> None:
            tx.execute("DELETE FROM portfolio_features WHERE expires_at <= ?", (now,))

        if due:
            workshop.state.run(forget)


def step_of(tally: Tally) -> int:
    """Return the number of observations in whose steps shares are told."""
    return max(1, -(-tally.observations // 100), GROUP * tally.most)
