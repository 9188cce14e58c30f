"""Features of a portfolio from the snapshots of the record products, point in time.

An observation has a row when any record of its subject was known then; a subject of whom nothing
was known has none, because nothing known is not the same as nothing against it. A source product
that can't be used makes the features about it null and is named with its reason, never quietly 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from gateway.domain.vocabulary import SubjectKind
from gateway.portfolio.aggregate import Aggregate
from gateway.portfolio.definitions import Definitions
from gateway.portfolio.known import SUBJECT_TYPE, Flags, Known, known_records
from gateway.portfolio.subjects import Portfolio
from gateway.snapshot.admission import NEVER
from gateway.snapshot.bitmap import Rows
from gateway.snapshot.snapshot import Snapshot

pc: Any = pyarrow.compute  # the published stubs lag behind pyarrow and are wrong in places
KINDS = tuple(kind.value for kind in SubjectKind)
_UNKNOWN, _CONTRADICTED = -1, -2


@dataclass(frozen=True, slots=True)
class Computed:
    """Features of a portfolio.

    Args:
        portfolio: The observations.
        hit: Which of them have a row.
        kinds: Kind of each subject, as a place in `KINDS`.
        features: Name to Arrow column, a value for each observation.
        expiry: For each observation, when the first record counted stops being shareable.
        disputed: Which of them rest on a record under dispute (R14).
        coverage: Source product to the observations that it knew anything about.
        unavailable: Source product that couldn't be used to the reason.
    """

    portfolio: Portfolio
    hit: Flags
    kinds: Rows
    features: Mapping[str, Any]
    expiry: Rows
    disputed: Flags
    coverage: Mapping[str, int]
    unavailable: Mapping[str, str]


def compute(
    definitions: Definitions,
    snapshots: Mapping[str, Snapshot],
    portfolio: Portfolio,
    unavailable: Mapping[str, str],
    now: int,
) -> Computed:
    """Compute every feature of every observation.

    Args:
        definitions: What to compute.
        snapshots: Source product to its snapshot, sealed and labelled; what is unavailable
            needs none.
        portfolio: Whose features, as of when.
        unavailable: Source product that can't be used to the reason.
        now: Unix seconds; a record that may not be shared at this time counts nowhere.
    """
    size = len(portfolio.observed)
    seen = _Seen(
        np.zeros(size, np.bool_),
        np.full(size, _UNKNOWN),
        np.full(size, NEVER),
        np.zeros(size, np.bool_),
    )
    columns: dict[str, Any] = {}
    coverage: dict[str, int] = {}
    for product, event in definitions.events.items():
        features = definitions.of(product)
        if product in unavailable:
            continue
        fields = definitions.product.fields
        parts = [Aggregate(f, fields[f.name], portfolio.observed) for f in features]
        wanted = sorted({name for f in features for name in f.expression.columns})
        covered = np.zeros(size, np.bool_)
        for known in known_records(snapshots[product], portfolio, wanted, event, now):
            if not len(known.pair):
                continue
            for part in parts:
                part.add(known)
            covered[known.pair] = True
            seen.take(known)
        columns |= {f.name: part.column() for f, part in zip(features, parts, strict=True)}
        coverage[product] = int(covered.sum())
    return Computed(
        portfolio,
        # A row whose subject is of no known kind could be about a person: it isn't made.
        seen.hit & (seen.kinds >= 0),
        seen.kinds,
        columns,
        seen.expiry,
        seen.disputed,
        coverage,
        dict(unavailable),
    )


@dataclass(slots=True)
class _Seen:
    """What all sources together say of each observation."""

    hit: Flags
    kinds: Rows
    expiry: Rows
    disputed: Flags

    def take(self, known: Known) -> None:
        starts = np.flatnonzero(np.concatenate(([True], known.pair[1:] != known.pair[:-1])))
        pairs = known.pair[starts]
        self.hit[pairs] = True
        ends = np.minimum.reduceat(known.expiry, starts)
        self.expiry[pairs] = np.minimum(self.expiry[pairs], ends)
        self.disputed[pairs] |= np.logical_or.reduceat(known.disputed, starts)
        options = pc.SetLookupOptions(pa.array(KINDS))
        told = pc.call_function("index_in", [known.column(SUBJECT_TYPE)], options)
        told = told.fill_null(_UNKNOWN).to_numpy(zero_copy_only=False)[known.place[starts]]
        before = self.kinds[pairs]
        agreed = (before == _UNKNOWN) | (before == told) | (told == _UNKNOWN)
        self.kinds[pairs] = np.where(
            agreed, np.where(told == _UNKNOWN, before, told), _CONTRADICTED
        )
