"""Whole columns of dates: month arithmetic and ends of days, on NumPy arrays.

The rule is that of `gateway.domain.period`; a property test holds the two together.
A day is a count of days since 1970-01-01; `NO_DAY` stands for a missing one.
"""

import datetime as dt
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gateway.domain.period import DAY_S, SHANGHAI_OFFSET_S

Days = npt.NDArray[np.int64]
# Arrow's classes take parameters in the stubs only, hence the text.
Column: TypeAlias = "pa.Array[Any] | pa.ChunkedArray[Any]"
NO_DAY = np.iinfo(np.int64).min
# Later than any date a record can carry, and still far from overflowing an int64 sum.
NEVER = 1 << 62


def ordinal(day: dt.date) -> int:
    """Return a day as days since 1970-01-01."""
    return day.toordinal() - dt.date(1970, 1, 1).toordinal()


def days_of(column: Column) -> Days:
    """Return a date32 column as days, `NO_DAY` where it is null."""
    flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    days = flat.cast(pa.int32()).cast(pa.int64()).fill_null(NO_DAY)
    return np.asarray(days.to_numpy(zero_copy_only=False), dtype=np.int64)


def dates_from(days: Days) -> "pa.Array[Any]":
    """Return days as a date32 column, null where a day is missing."""
    missing = days == NO_DAY
    return pa.array(np.where(missing, 0, days).astype(np.int32), pa.int32(), mask=missing).cast(
        pa.date32()
    )


def add_months(days: Days, months: npt.NDArray[np.int64] | int) -> Days:
    """Return the same-numbered days `months` later, or the month's end (Civil Code 202)."""
    present = np.where(days == NO_DAY, 0, days)
    dates = present.astype("datetime64[D]")
    month = dates.astype("datetime64[M]")
    offset = (dates - month.astype("datetime64[D]")).astype(np.int64)
    target = month + np.asarray(months, dtype=np.int64).astype("timedelta64[M]")
    first = target.astype("datetime64[D]").astype(np.int64)
    following = (target + np.timedelta64(1, "M")).astype("datetime64[D]").astype(np.int64)
    moved = np.minimum(first + offset, following - 1)
    return np.where(days == NO_DAY, NO_DAY, moved)


def ends_of_days(days: Days) -> npt.NDArray[np.int64]:
    """Return 24:00 Asia/Shanghai of each day as unix seconds, `NEVER` where it is missing."""
    missing = days == NO_DAY
    seconds = (np.where(missing, 0, days) + 1) * DAY_S - SHANGHAI_OFFSET_S
    return np.where(missing, NEVER, seconds)
