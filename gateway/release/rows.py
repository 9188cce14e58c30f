"""Which rows of a batch leave: conditions as whole-column kernels, never row by row.

Row conditions are ANDed; a null never meets one. The values of conditions are parsed
against the contract's types here, before any record is read, so that no cast can fail on
a hidden value (DESIGN: filters are no oracle).
"""

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gateway.domain.errors import InvalidRequestError
from gateway.domain.product import Field
from gateway.domain.request import Condition
from gateway.registry.arrow_schema import arrow_type

_DECIMAL = re.compile(r"decimal\((\d+),\s*(\d+)\)")
_KERNELS = {
    "eq": "equal",
    "ne": "not_equal",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
}
_FALSE = pa.scalar(False)
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
        return Condition(field.name, op, tuple(_value(field, value) for value in values))
    if len(values) != 1:
        raise InvalidRequestError("BAD_REQUEST", "a filter needs exactly one value")
    return Condition(field.name, op, _value(field, values[0]))


def _value(field: Field, text: str) -> object:
    """Return a value that the field's column can hold: what doesn't fit is refused here."""
    value = _parse(field.type, text)
    try:
        pa.scalar(value, type=arrow_type(field))
    except (pa.ArrowException, ValueError, OverflowError, TypeError):
        raise InvalidRequestError(
            "BAD_REQUEST", "a filter's value does not fit its field"
        ) from None
    return value


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


Test = Callable[[pa.RecordBatch], pa.BooleanArray]


def compile_rows(conditions: Sequence[Condition], schema: pa.Schema) -> tuple[Test, ...]:
    """Return one whole-column test per condition, its values converted once.

    Args:
        conditions: Conditions with values of the columns' types.
        schema: Schema of the batches; it has every column that the conditions name.
    """
    return tuple(_compile(condition, schema) for condition in conditions)


def matching(batch: pa.RecordBatch, tests: Sequence[Test]) -> pa.BooleanArray | None:
    """Return which rows meet every test, or None when all of them do.

    Args:
        batch: The rows.
        tests: Of `compile_rows`.
    """
    result: Any = None
    for test in tests:
        mask = test(batch)
        if mask.null_count:
            mask = pc.call_function("coalesce", [mask, _FALSE])
        result = mask if result is None else pc.and_(result, mask)
    return None if result is None or result.true_count == len(result) else result


def _compile(condition: Condition, schema: pa.Schema) -> Test:
    name, kind = condition.field, schema.field(condition.field).type
    if condition.op == "in":
        values = list(condition.value) if isinstance(condition.value, (tuple, list)) else []
        if len(values) == 1:  # `equal` costs a fifth of a look-up in a set
            return _compile(Condition(name, "eq", values[0]), schema)
        options = pc.SetLookupOptions(pa.array(values, type=kind))
        return lambda batch: pc.call_function("is_in", [batch.column(name)], options)
    value = condition.value
    if isinstance(value, str) and pa.types.is_date(kind):
        value = date.fromisoformat(value)  # the policy's predicates are JSON
    scalar = pa.scalar(value, type=kind)
    kernel = _KERNELS[condition.op]
    return lambda batch: pc.call_function(kernel, [batch.column(name), scalar])
