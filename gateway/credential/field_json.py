"""Values of a released record as JSON: what a partner's library can read without Arrow."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

_EXACT = 1 << 53  # beyond it, readers of JSON may round


def json_values(rows: pa.RecordBatch) -> list[object]:
    """Return the values of a batch's first row, in its order of columns."""
    return [json_value(column[0].as_py()) for column in rows.columns]


def json_value(value: Any) -> Any:
    """Return one value.

    Dates and times are ISO 8601 text, decimals and great integers their digits, nothing is null.
    """
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) < _EXACT else str(value)
    if isinstance(value, list):
        return [json_value(item) for item in value]
    return str(value)
