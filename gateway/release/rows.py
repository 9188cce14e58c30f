"""Which rows of a batch leave: conditions as whole-column kernels, never row by row.

Row conditions are ANDed; a null never meets one. The values of conditions are parsed
against the contract's types here, before any record is read, so that no cast can fail on
a hidden value (DESIGN: filters are no oracle).
"""

import re
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gateway.domain.errors import InvalidRequestError
from gateway.domain.product import Field
from gateway.domain.request import Condition

_DECIMAL = re.compile(r"decimal\((\d+),\s*(\d+)\)")
_KERNELS = {
    "eq": pc.equal,
    "ne": pc.not_equal,
    "lt": pc.less,
    "le": pc.less_equal,
    "gt": pc.greater,
    "ge": pc.greater_equal,
}
OPERATORS = frozenset(_KERNELS) | {"in"}


def parse_condition(field: Field, op: str, values: Sequence[str]) -> Condition:
    """Return a caller's condition with values of the field's type.

    Args:
        field: The field it is on.
        op: One of `OPERATORS`.
        values: Texts; exactly one unless `op` is `in`.

    Raises:
        InvalidRequestError: `BAD_REQUEST` for an unknown operator, a wrong number of values or
            a value that is not of the field's type.
    """
    if op not in OPERATORS:
        raise InvalidRequestError("BAD_REQUEST", "a filter uses an unknown operator")
    if op == "in":
        if not values:
            raise InvalidRequestError("BAD_REQUEST", "a filter with `in` needs values")
        return Condition(field.name, op, tuple(_parse(field.type, value) for value in values))
    if len(values) != 1:
        raise InvalidRequestError("BAD_REQUEST", "a filter needs exactly one value")
    return Condition(field.name, op, _parse(field.type, values[0]))


def _parse(kind: str, text: str) -> object:
    try:
        if kind == "integer":
            return int(text)
        if _DECIMAL.fullmatch(kind):
            return Decimal(text)
        if kind == "date":
            return date.fromisoformat(text)
        if kind == "timestamp":
            return datetime.fromisoformat(text)
        if kind == "boolean":
            return {"true": True, "false": False}[text.lower()]
    except (ValueError, KeyError, InvalidOperation):
        raise InvalidRequestError("BAD_REQUEST", "a filter's value has the wrong type") from None
    if kind.startswith(("list", "map")):
        raise InvalidRequestError("BAD_REQUEST", "a filter can't be on a list or a map")
    return text


def matching(batch: pa.RecordBatch, conditions: Sequence[Condition]) -> pa.BooleanArray | None:
    """Return which rows meet every condition, or None when there is no condition.

    Args:
        batch: The rows; it has every column that the conditions name.
        conditions: Conditions with values of the columns' types.
    """
    result: Any = None
    for condition in conditions:
        column = batch.column(condition.field)
        if condition.op == "in":
            values = list(condition.value) if isinstance(condition.value, (tuple, list)) else []
            mask = pc.is_in(column, value_set=pa.array(values, type=column.type))
        else:
            mask = _KERNELS[condition.op](column, pa.scalar(condition.value, type=column.type))
        result = mask if result is None else pc.and_(result, mask)
    return None if result is None else pc.fill_null(result, False)
