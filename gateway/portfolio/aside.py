"""Features of one bank's portfolio: computed piece by piece, kept beside what is served to all.

They are a snapshot of the feature product like any other, so bits, repairs and the one road hold
for them as for records; but the product never points at it: it is read by a ticket that pins it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.portfolio.compute import compute
from gateway.portfolio.definitions import Definitions
from gateway.portfolio.rows import FeatureRows, rows_of, version_of
from gateway.portfolio.subjects import Portfolio
from gateway.registry.arrow_schema import arrow_schema
from gateway.snapshot.snapshot import Snapshot

PIECE = 1 << 15  # observations computed together: the bound on memory


@dataclass(slots=True)
class Tally:
    """What was found while a portfolio was computed.

    Args:
        observations: Observations looked at.
        rows: Those with a row.
        most: Most observations of one subject.
        coverage: Source product to the observations that it knew anything about.
        unavailable: Source product that couldn't be used to the reason.
    """

    observations: int = 0
    rows: int = 0
    most: int = 0
    coverage: dict[str, int] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CoverageReport:
    """How much was known of a portfolio, as it may be told.

    Args:
        observations: Observations looked at.
        hit_rate: Share of them with a row.
        sources: Source product to the share that it knew anything about.
        unavailable: Source product that couldn't be used to the reason.
        step: Shares are told in steps of so many observations.
        bias: What past observations lack.
    """

    observations: int
    hit_rate: float
    sources: Mapping[str, float]
    unavailable: Mapping[str, str]
    step: int
    bias: str


class ComputedRows:
    """Rows of a feature product, computed as they are scanned; meets `RecordSource`.

    Args:
        definitions: What to compute.
        snapshots: Source product to its snapshot.
        portfolio: Whose features, as of when.
        unavailable: Source product that can't be used to the reason.
        unit: Name of the unit that manages the product.
        now: When the computation began, unix seconds.
        going_on: Called before each piece; what it raises ends the computation.
    """

    def __init__(
        self,
        definitions: Definitions,
        snapshots: Mapping[str, Snapshot],
        portfolio: Portfolio,
        unavailable: Mapping[str, str],
        unit: str,
        now: int,
        going_on: Callable[[], None],
    ) -> None:
        self._definitions = definitions
        self._snapshots = snapshots
        self._portfolio = portfolio
        self._unit = unit
        self._now = now
        self._going_on = going_on
        self.tally = Tally(unavailable=dict(unavailable))

    def schema(self) -> Any:
        """Return the contract's Arrow schema."""
        return arrow_schema(self._definitions.product)

    def scan(
        self,
        columns: Sequence[str] | None,
        predicate: Any,
        batch_bytes: int,
    ) -> Iterator[Any]:
        """Yield the rows, in the portfolio's order, in batches of about `batch_bytes` bytes."""
        tally = self.tally
        for piece in self._portfolio.pieces(PIECE):
            self._going_on()
            found = compute(self._definitions, self._snapshots, piece, tally.unavailable, self._now)
            tally.observations += len(piece.observed)
            tally.rows += int(found.hit.sum())
            tally.most = max(tally.most, int(piece.counts.max()))
            for name, count in found.coverage.items():
                tally.coverage[name] = tally.coverage.get(name, 0) + count
            rows = rows_of(self._definitions, found, self._unit, self._now)
            yield from FeatureRows(rows, "").scan(columns, predicate, batch_bytes)

    def version(self) -> str:
        """Return the digest of what the rows are computed from."""
        return version_of(self._definitions, self._snapshots, self._now)
