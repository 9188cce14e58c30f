"""Columns that synthetic records of several schemas need: amounts, lists, numbers, years."""

import numpy as np
import pyarrow as pa

from gateway.ingest.arrow_text import TextColumn
from gateway.ingest.synth_chunk import Chunk
from gateway.ingest.synth_draws import Rows
from gateway.snapshot.calendar_columns import Days


def amounts(units: Rows, kind: pa.Decimal128Type | None = None) -> TextColumn:
    """Return a decimal column from whole units of its last decimal place.

    Args:
        units: For the usual decimal(18,6), millionths.
        kind: Type of the column; decimal(18,6) by default.
    """
    words = np.empty((len(units), 2), "<i8")  # low and high half of a 128-bit integer
    words[:, 0] = units
    words[:, 1] = units >> 63
    type_ = kind or pa.decimal128(18, 6)
    return pa.Array.from_buffers(type_, len(units), [None, pa.py_buffer(words.tobytes())])


def lists(*items: TextColumn) -> TextColumn:
    """Return a column of lists: the items of each row, one from each column."""
    count, width = len(items[0]), len(items)
    order = np.arange(count * width).reshape(width, count).T.ravel()
    values = pa.concat_arrays(list(items)).take(pa.array(order, pa.int64()))
    offsets = pa.array(np.arange(count + 1, dtype=np.int32) * np.int32(width))
    return pa.ListArray.from_arrays(offsets, values)


def numbers_below(chunk: Chunk, column: str, bound: int) -> TextColumn:
    """Return drawn numbers from 1 to `bound`, as texts."""
    return pa.array(1 + chunk.draws.below(column, chunk.rows, bound)).cast(pa.string())


def years(days: Days) -> TextColumn:
    """Return the year of each day, as text."""
    number = days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    return pa.array(number).cast(pa.string())
