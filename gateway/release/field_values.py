"""The bytes of each field of a small answer that its entry commits to: JSON of its values."""

import json.encoder
from typing import Any

import pyarrow as pa

_SLOW = json.JSONEncoder(default=str, ensure_ascii=False, separators=(",", ":"))
# The encoder behind `JSONEncoder.encode`, made once instead of once a value; CPython has it.
_text = json.encoder.encode_basestring
_make: Any = getattr(json.encoder, "c_make_encoder", None)
_FAST: Any = _make and _make(
    None, str, json.encoder.encode_basestring, None, ":", ",", False, False, True
)


def field_values(batch: pa.RecordBatch) -> dict[str, bytes]:
    """Return the canonical bytes of each field: a JSON array of its values, row by row.

    Texts stand as they are, dates and decimals as their text, a null as null.

    Args:
        batch: The rows of a small answer.
    """
    return {
        name: encode(column.to_pylist()).encode()
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    }


def encode(values: list[object]) -> str:
    """Return a compact JSON array, non-ASCII characters as they are."""
    if len(values) == 1 and type(values[0]) is str:  # the ordinary case, a third of the cost
        return f"[{_text(values[0])}]"
    return "".join(_FAST(values, 0)) if _FAST is not None else _SLOW.encode(values)
