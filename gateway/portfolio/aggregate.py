"""Aggregates over the known records of each observation, as whole-column kernels.

Sums are of integers (a decimal's unscaled value), so that a result depends on which records were
counted and on nothing else. Means and shares round half up. Without a record to be of, a count is
0, a hit is no, and everything else is null.
"""

import re
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from gateway.domain.product import Field
from gateway.portfolio.definitions import Feature
from gateway.portfolio.known import Flags, Known
from gateway.registry.arrow_schema import arrow_type
from gateway.snapshot.bitmap import Rows
from gateway.snapshot.calendar_columns import NO_DAY, Days, days_of

pc: Any = pyarrow.compute  # the published stubs lag behind pyarrow and are wrong in places
_SCALE = re.compile(r"decimal\(\d+,(\d+)\)")


class Aggregate:
    """One feature of every observation, filled run by run of the records.

    Args:
        feature: Its definition.
        field: Its field in the contract.
        observed: Dates of all observations, days since 1970.
    """

    def __init__(self, feature: Feature, field: Field, observed: Days) -> None:
        self._feature = feature
        self._type = arrow_type(field)
        self._observed = observed
        self._part = np.zeros(len(observed), np.int64)
        self._whole = np.zeros(len(observed), np.int64)
        self._latest: list[tuple[Rows, Any]] = []

    def add(self, known: Known) -> None:
        """Take known records in; those of one observation come together."""
        expression = self._feature.expression
        counted = [condition(known) for condition in expression.conditions]
        every = np.ones(len(known.pair), np.bool_)
        match expression.aggregate:
            case "count" | "exists":
                _add(self._whole, known.pair, counted[0] if counted else every)
            case "ratio":
                _add(self._part, known.pair, counted[0] & counted[1])
                _add(self._whole, known.pair, counted[1])
            case "mean":
                self._mean(known, expression.column, counted[0] if counted else every)
            case _:
                self._last(known, expression.column, counted[0] if counted else every)

    def column(self) -> Any:
        """Return the feature as an Arrow column of the contract's type, one value each."""
        match self._feature.expression.aggregate:
            case "count":
                return pa.array(self._whole)
            case "exists":
                return pa.array(self._whole > 0)
            case "ratio":
                scale = 10 ** _scale_of(self._feature.type)
                return self._quotient(self._part * scale)
            case "mean":
                return self._quotient(self._part)
            case "months_since":
                return self._months(days_of(self._newest(pa.date32())))
            case _:
                return self._newest(self._type)

    def _mean(self, known: Known, name: str, counted: Flags) -> None:
        column = known.column(name)
        there = np.asarray(column.is_valid().to_numpy(zero_copy_only=False))
        scale = 10**column.type.scale
        factor = pa.scalar(Decimal(scale), pa.decimal128(len(str(scale)), 0))
        unscaled = pc.multiply(column, factor).cast(pa.int64()).fill_null(0)
        values = np.asarray(unscaled.to_numpy(zero_copy_only=False))[known.place]
        counted = counted & there[known.place]
        _add(self._whole, known.pair, counted)
        pairs = known.pair[counted]
        if len(pairs):
            starts = _starts(pairs)
            self._part[pairs[starts]] += np.add.reduceat(values[counted], starts)

    def _last(self, known: Known, name: str, counted: Flags) -> None:
        """Keep the value of each observation's newest record, the last by key of several."""
        there = known.column(name).is_valid().to_numpy(zero_copy_only=False)
        lines = np.flatnonzero(counted & there[known.place])
        if not len(lines):
            return
        lines = lines[np.lexsort((known.event[lines], known.pair[lines]))]
        pairs = known.pair[lines]
        ends = np.append(_starts(pairs)[1:], len(pairs)) - 1
        newest = known.place[lines[ends]]
        self._latest.append((pairs[ends], known.column(name).take(pa.array(newest))))

    def _newest(self, kind: Any) -> Any:
        if not self._latest:
            return pa.nulls(len(self._observed), kind)
        places = np.full(len(self._observed), -1, np.int64)
        pairs = np.concatenate([pairs for pairs, _ in self._latest])
        places[pairs] = np.arange(len(pairs))
        values: Any = pa.concat_arrays([values for _, values in self._latest])
        return values.take(pa.array(places, mask=places < 0)).cast(kind)

    def _months(self, since: Days) -> Any:
        """Return whole months between each date and its observation."""
        there = since != NO_DAY
        start = np.where(there, since, 0).astype("datetime64[D]")
        end = self._observed.astype("datetime64[D]")
        months = (end.astype("datetime64[M]") - start.astype("datetime64[M]")).astype(np.int64)
        months -= _day_of_month(end) < _day_of_month(start)
        return pa.array(months, mask=~there)

    def _quotient(self, part: Rows) -> Any:
        whole = np.maximum(self._whole, 1)
        units = (2 * part + whole) // (2 * whole)  # half up; nothing here is negative
        words = np.zeros((len(units), 2), "<i8")
        words[:, 0] = units
        there: Any = pa.array(self._whole > 0)
        plain: Any = pa.Array.from_buffers(
            self._type, len(units), [None, pa.py_buffer(words.tobytes())]
        )
        return pc.if_else(there, plain, pa.scalar(None, self._type))


def _day_of_month(dates: Any) -> Any:
    return (dates - dates.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64)


def _scale_of(kind: str) -> int:
    found = _SCALE.fullmatch(kind)
    if found is None:
        raise ValueError("a share is a decimal")
    return int(found[1])


def _starts(ascending: Rows) -> Rows:
    """Return where each run of equal numbers begins."""
    return np.flatnonzero(np.concatenate(([True], ascending[1:] != ascending[:-1])))


def _add(totals: Rows, pairs: Rows, counted: Flags) -> None:
    """Add the number of lines that count to the total of each observation."""
    chosen = pairs[counted]
    if len(chosen):
        first = int(chosen[0])
        found = np.bincount(chosen - first)
        totals[first : first + len(found)] += found
