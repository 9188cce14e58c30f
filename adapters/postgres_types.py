"""Column types of PostgreSQL as Arrow types."""

from typing import Final

import pyarrow as pa

_PLAIN: Final[dict[str, pa.DataType]] = {
    "text": pa.string(),
    "varchar": pa.string(),
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
    "_text": pa.list_(pa.string()),
    "_varchar": pa.list_(pa.string()),
}
_HEADER: Final = 4  # that PostgreSQL adds to a type's modifier
_SCALE_BITS, _SCALE_SIGN = 0x7FF, 1_024


class Unread(pa.ExtensionType):
    """A type that isn't read, for the sentence that says so."""

    def __init__(self, name: str) -> None:
        self._name = name
        super().__init__(pa.null(), f"postgresql.{name}")

    def __arrow_ext_serialize__(self) -> bytes:
        """Return the name; it is never sent."""
        return self._name.encode()

    def __str__(self) -> str:
        """Return the name as the database has it."""
        return f"PostgreSQL's {self._name}"


def arrow_of(name: str, modifier: int, wanted: pa.DataType) -> pa.DataType:
    """Return the Arrow type of a column.

    `char(n)` is not read, because it pads what it holds; a floating-point number neither,
    because the contract's types have none.

    Args:
        name: Name of the type in `pg_type`.
        modifier: The column's type modifier, -1 for none.
        wanted: The contract's type. A numeric without limits is taken as it, because each of
            its values is checked when it is read.
    """
    if name == "numeric":
        if modifier < _HEADER:
            return wanted if pa.types.is_decimal(wanted) else Unread(name)
        bits = modifier - _HEADER
        precision, scale = bits >> 16, ((bits & _SCALE_BITS) ^ _SCALE_SIGN) - _SCALE_SIGN
        if not 1 <= precision <= 38:  # noqa: PLR2004 - of 128 bits
            return Unread(name)
        return pa.decimal128(precision, scale)
    return _PLAIN.get(name) or Unread(name)
