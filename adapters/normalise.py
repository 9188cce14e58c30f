"""What a database's driver gives, as the records of a contract: no value changes on the way.

Drivers say the same in several ways: a decimal as a text, an instant in the zone of the server,
a number in fewer bits. What can't be said in the contract's type without loss fails.
"""

import datetime as dt
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from adapters.errors import SourceError
from adapters.schema_drift import drift, readable_as

# Calendars of clients know the years 1 to 9999; "infinity" of PostgreSQL lies far outside.
_FIRST_DAY: Final = dt.date.min
_LAST_DAY: Final = dt.date.max
_EPOCH: Final = dt.date(1970, 1, 1).toordinal()
_DAY_S: Final = 86_400
_UNITS: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def require_schema(actual: pa.Schema, expected: pa.Schema) -> None:
    """Refuse a table whose columns differ from the contract's.

    Raises:
        SourceError: `SCHEMA_DRIFT`, with every difference.
    """
    error = drift("table", in_zones_of(actual, expected), expected)
    if error is not None:
        raise error


def in_zones_of(actual: pa.Schema, expected: pa.Schema) -> pa.Schema:
    """Return the schema with instants in the expected zones.

    A database keeps instants, and a zone is only how they are shown; a time without any zone
    is no instant and stays different.
    """
    fields = []
    for entry in actual:
        place = expected.get_field_index(entry.name)
        wanted = expected.field(place).type if place >= 0 else None
        zoned = (
            wanted is not None
            and pa.types.is_timestamp(wanted)
            and pa.types.is_timestamp(entry.type)
            and wanted.tz is not None
            and entry.type.tz is not None
        )
        fields.append(entry.with_type(pa.timestamp(entry.type.unit, wanted.tz)) if zoned else entry)  # type: ignore[union-attr]  # `zoned` says so
    return pa.schema(fields)


def normalised(batch: pa.RecordBatch, wanted: pa.Schema) -> pa.RecordBatch:
    """Return the batch with exactly the wanted columns, by position.

    Raises:
        SourceError: `SCHEMA_DRIFT` when a column can't be read as the wanted one,
            `SOURCE_FAILED` when a value can't.
    """
    if batch.num_columns != len(wanted):
        raise SourceError("SCHEMA_DRIFT", "the source gave other columns than were asked for")
    columns = [
        _column(batch.column(number), field, batch.schema.names[number])
        for number, field in enumerate(wanted)
    ]
    # Nullability is the template's to check; here it would only say that less clearly.
    open_schema = pa.schema([field.with_nullable(True) for field in wanted])
    return pa.RecordBatch.from_arrays(columns, schema=open_schema)


def _column(
    column: Any, field: "pa.Field[Any]", name: str
) -> Any:  # Any: Arrow's arrays, untyped here
    if isinstance(column.type, pa.BaseExtensionType):
        opaque = column.type
        column = column.storage
        # ADBC has no decimal without limits and gives PostgreSQL's numeric as its text.
        if (
            getattr(opaque, "type_name", "") == "numeric"
            and pa.types.is_string(column.type)
            and pa.types.is_decimal(field.type)
        ):
            return _cast(column, field)
    if name != field.name:
        raise SourceError("SCHEMA_DRIFT", "the source gave other columns than were asked for")
    shown = in_zones_of(pa.schema([(name, column.type)]), pa.schema([field]))
    if not readable_as(shown.field(0).type, field.type):
        raise SourceError(
            "SCHEMA_DRIFT", f"column {field.name} is {column.type} instead of {field.type}"
        )
    _require_calendar(column, field)
    return _cast(column, field)


def _cast(column: Any, field: "pa.Field[Any]") -> Any:
    try:
        return column.cast(field.type)
    except pa.ArrowInvalid:
        raise SourceError(
            "SOURCE_FAILED", f"a value of column {field.name} is not a {field.type} without loss"
        ) from None


def _require_calendar(column: Any, field: "pa.Field[Any]") -> None:
    """Refuse times that no calendar of a client knows; Arrow would pass them on."""
    first, last = _FIRST_DAY.toordinal() - _EPOCH, _LAST_DAY.toordinal() - _EPOCH
    if pa.types.is_date32(column.type):
        numbers = column.cast(pa.int32())
    elif pa.types.is_timestamp(column.type):
        scale = _UNITS[column.type.unit] * _DAY_S
        numbers, first, last = column.cast(pa.int64()), first * scale, last * scale
    else:
        return
    bounds: Any = pc.min_max(numbers).as_py()
    if bounds["min"] is not None and not (first <= bounds["min"] and bounds["max"] <= last):
        raise SourceError("SOURCE_FAILED", f"a value of column {field.name} is in no calendar year")
