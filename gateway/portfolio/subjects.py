"""A portfolio: whose features are wanted, as they were known on which day."""

import csv
import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from gateway.domain.errors import InvalidRequestError
from gateway.snapshot.bitmap import Rows
from gateway.snapshot.calendar_columns import Days, days_of, ordinal
from gateway.snapshot.uscc_column import valid_usccs

pc: Any = pyarrow.compute  # the published stubs lag behind pyarrow and are wrong in places
_arrow: Any = pa
SUBJECT, OBSERVED = "uscc", "observed_on"
_MOST_NAMED = 10  # rows that a refusal names


@dataclass(frozen=True, slots=True)
class Portfolio:
    """Observations: pairs of subject and date, sorted, each once.

    Args:
        subjects: Subject of each observation.
        observed: Date of each observation, days since 1970.
        distinct: The subjects, each once, sorted.
        starts: First observation of each of them.
        counts: Number of observations of each of them.
    """

    subjects: Any
    observed: Days
    distinct: Any
    starts: Rows
    counts: Rows

    @property
    def once(self) -> bool:
        """True when no subject is observed on more than one date."""
        return len(self.distinct) == len(self.subjects)

    def pieces(self, size: int) -> Iterator[Self]:
        """Yield it in order in pieces of about so many observations, no subject parted."""
        first = 0
        while first < len(self.distinct):
            begin = int(self.starts[first])
            last = int(np.searchsorted(self.starts, begin + size))
            last = max(last, first + 1)
            end = int(self.starts[last]) if last < len(self.starts) else len(self.subjects)
            yield replace(
                self,
                subjects=self.subjects.slice(begin, end - begin),
                observed=self.observed[begin:end],
                distinct=self.distinct.slice(first, last - first),
                starts=self.starts[first:last] - begin,
                counts=self.counts[first:last],
            )
            first = last

    @classmethod
    def of(cls, subjects: Any, observed: Days) -> Self:
        """Return the observations in order, each once.

        Args:
            subjects: Arrow column of subject codes without nulls.
            observed: For each of them a date, days since 1970.
        """
        table: Any = _arrow.table({SUBJECT: subjects.cast(pa.string()), OBSERVED: observed})
        table = table.group_by([SUBJECT, OBSERVED]).aggregate([])
        table = table.sort_by([(SUBJECT, "ascending"), (OBSERVED, "ascending")]).combine_chunks()
        column: Any = table.column(SUBJECT)
        codes = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], pa.string())
        days = table.column(OBSERVED).to_numpy().astype(np.int64)
        runs: Any = pc.run_end_encode(codes, run_end_type=pa.int64())
        ends = np.asarray(runs.run_ends.to_numpy(), np.int64)
        starts = np.concatenate((np.zeros(min(len(ends), 1), np.int64), ends[:-1]))
        return cls(codes, days, runs.values, starts, ends - starts)


def read_portfolio(path: Path, today: int) -> Portfolio:
    """Return the portfolio in a file: a column `uscc`, perhaps a column `observed_on`.

    Args:
        path: CSV with a header, or Parquet.
        today: Today as days since 1970: the default date, and the last one possible.

    Raises:
        InvalidRequestError: `BAD_REQUEST` when it can't be read or when codes
            or dates in it are malformed; the rows are named, never their content.
    """
    try:
        codes, dates = _parquet(path) if path.suffix == ".parquet" else _csv(path)
    except (OSError, ValueError, KeyError, csv.Error):
        raise InvalidRequestError(
            "BAD_REQUEST", "the portfolio can't be read: a column uscc, and perhaps observed_on"
        ) from None
    return checked(codes, dates, today)


def checked(codes: Sequence[str | None], dates: Sequence[Any] | None, today: int) -> Portfolio:
    """Return a portfolio of codes and dates that come from outside.

    Args:
        codes: Unified social credit codes.
        dates: A date, its ISO text, or None for today, for each code; None for today for all.
        today: Today as days since 1970.

    Raises:
        InvalidRequestError: `BAD_REQUEST` naming the rows that are malformed.
    """
    column = pa.array(codes, pa.string())
    days = np.full(len(column), today) if dates is None else _days(dates, today)
    bad = ~valid_usccs(column) | (days > today) | (days < 0)
    if not len(column) or bad.any():
        rows = (np.flatnonzero(bad)[:_MOST_NAMED] + 1).tolist()
        raise InvalidRequestError(
            "BAD_REQUEST",
            f"{int(bad.sum())} row(s) of the portfolio have no valid code or date",
            hints=[f"row {row}" for row in rows] or ["the portfolio is empty"],
        )
    return Portfolio.of(column, days.astype(np.int64))


def _days(dates: Sequence[Any], today: int) -> Days:
    """Return dates as days, -1 where one is none."""
    found = np.full(len(dates), -1, np.int64)
    for place, value in enumerate(dates):
        if value in (None, ""):
            found[place] = today
            continue
        try:
            day = value if isinstance(value, dt.date) else dt.date.fromisoformat(str(value))
        except ValueError:
            continue
        found[place] = ordinal(day)
    return found


def _parquet(path: Path) -> tuple[list[Any], list[Any] | None]:
    table: Any = pq.read_table(path)
    dates = table.column(OBSERVED) if OBSERVED in table.column_names else None
    codes = table.column(SUBJECT).cast(pa.string()).to_pylist()
    return codes, None if dates is None else dates.to_pylist()


def _csv(path: Path) -> tuple[list[Any], list[Any] | None]:
    with path.open(encoding="utf-8-sig", newline="") as source:
        rows = list(csv.DictReader(source))
    codes = [row[SUBJECT] for row in rows]
    return codes, [row[OBSERVED] for row in rows] if rows and OBSERVED in rows[0] else None


def pairs_in(batches: Sequence[Any]) -> Portfolio:
    """Return the observations that a snapshot of features holds, served or withheld.

    Args:
        batches: Record batches with the columns of subject and date.
    """
    table: Any = _arrow.Table.from_batches(batches)
    codes = table.column(SUBJECT).combine_chunks()
    return Portfolio.of(codes, days_of(table.column(OBSERVED)))
