"""What was known of a portfolio's subjects on their observation dates, from one product.

A record counts when it may be shared now (its bit is set and its sharing hasn't ended; withheld
rows are never read), when it happened on or before the observation date, and when the version that
is kept was received before the end of that day, Asia/Shanghai. A date that is missing counts as
not known. A later version replaces an earlier one, so a record that was changed after the
observation date isn't counted: what it said then is no longer kept.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from gateway.domain.period import DAY_S, SHANGHAI_OFFSET_S
from gateway.portfolio.subjects import Portfolio
from gateway.snapshot.bitmap import Rows
from gateway.snapshot.calendar_columns import NO_DAY, Days, days_of
from gateway.snapshot.index import expand_runs
from gateway.snapshot.snapshot import Snapshot

pc: Any = pyarrow.compute  # the published stubs lag behind pyarrow and are wrong in places
Flags = npt.NDArray[np.bool_]
INGESTED, SUBJECT_TYPE, DISPUTED = "ingested_at", "subject_type", "dispute_flag"
ALWAYS = (INGESTED, SUBJECT_TYPE, DISPUTED)
_AT_ONCE = 1 << 19  # records read together: the bound on memory


@dataclass(slots=True)
class Known:
    """Known records, one line for each record and observation that it counts for.

    Args:
        batch: The records as read.
        place: For each line, its record in `batch`.
        pair: For each line, its observation in the portfolio; ascending.
        observed: For each line, the observation date as days.
        event: For each line, the day on which the record happened.
        expiry: For each line, when the record stops being shareable, unix seconds.
    """

    batch: Any
    place: Rows
    pair: Rows
    observed: Days
    event: Days
    expiry: Rows

    def days(self, name: str) -> Days:
        """Return a date column as days, `NO_DAY` where it is null."""
        return days_of(self.batch.column(name))[self.place]

    def among(self, name: str, words: Sequence[str]) -> Flags:
        """Return where a text is one of the words; a null never is."""
        options = pc.SetLookupOptions(pa.array(words, pa.string()))
        return _flags(pc.call_function("is_in", [self.batch.column(name)], options))[self.place]

    def missing(self, name: str) -> Flags:
        """Return where a column is null."""
        return _flags(self.batch.column(name).is_null())[self.place]

    def column(self, name: str) -> Any:
        """Return a column of the records as read; see `place`."""
        return self.batch.column(name)

    @property
    def disputed(self) -> Flags:
        """Return where the record is under dispute now (R14); doubt counts as one."""
        return _flags(self.batch.column(DISPUTED).fill_null(True))[self.place]


def known_records(
    snapshot: Snapshot, portfolio: Portfolio, columns: Sequence[str], event: str, now: int
) -> Iterator[Known]:
    """Yield what was known, in the portfolio's order, some hundred thousand records at a time.

    Args:
        snapshot: The records, sealed and labelled as durable state says.
        portfolio: Subjects and observation dates.
        columns: Columns that the definitions read.
        event: The column with the day on which a record happened.
        now: Unix seconds; what may not be shared at this time is not read.
    """
    begins, counts = snapshot.runs(portfolio.distinct)
    wanted = tuple(dict.fromkeys((*columns, event, *ALWAYS)))
    ends = np.cumsum(counts)
    first = 0
    while first < len(counts):
        done = int(ends[first - 1]) if first else 0
        last = max(int(np.searchsorted(ends, done + _AT_ONCE, side="right")), first + 1)
        rows, owner = expand_runs(begins[first:last], counts[first:last])
        shared = snapshot.shareable(rows, now) if len(rows) else np.zeros(0, np.bool_)
        rows, owner = rows[shared], owner[shared] + first
        if len(rows):
            batch = snapshot.take(rows, wanted)
            yield _known(snapshot, portfolio, batch, rows, owner, event)
        first = last


def _known(
    snapshot: Snapshot, portfolio: Portfolio, batch: Any, rows: Rows, owner: Rows, event: str
) -> Known:
    """Join records with the observations of their subjects, and keep what was known then."""
    happened = days_of(batch.column(event))
    seconds = batch.column(INGESTED).cast(pa.timestamp("s", "UTC")).cast(pa.int64())
    # The day in Hainan on which the record came in: known from then on.
    received = (seconds.fill_null(0).to_numpy(zero_copy_only=False) + SHANGHAI_OFFSET_S) // DAY_S
    since = np.maximum(happened, received)
    unknown = (happened == NO_DAY) | _flags(batch.column(INGESTED).is_null())
    if portfolio.once:
        place, pair = np.arange(len(rows), dtype=np.int64), owner
    else:
        begins, counts = portfolio.starts[owner], portfolio.counts[owner]
        pair, place = expand_runs(begins, counts)
        # Records of one subject stand together, so sorting by observation keeps their order.
        order = np.argsort(pair, kind="stable")
        pair, place = pair[order], place[order]
    observed = portfolio.observed[pair]
    counted = (since[place] <= observed) & ~unknown[place]
    place, pair, observed = place[counted], pair[counted], observed[counted]
    expiry = snapshot.expiry_of(rows)
    return Known(batch, place, pair, observed, happened[place], expiry[place])


def _flags(column: Any) -> Flags:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.bool_)
