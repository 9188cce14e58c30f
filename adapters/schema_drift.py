"""What differs between the schema that a file has and the one that its contract expects."""

import re
from collections import Counter

import pyarrow as pa

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


def difference(actual: pa.Schema, expected: pa.Schema) -> list[str]:
    """Return a sentence for each difference; none when every record can be read losslessly.

    Order plays no part, nullability neither: values are checked as they come.
    """
    problems: list[str] = []
    names = Counter(actual.names)
    for field in expected:
        if names[field.name] != 1:
            word = "missing" if names[field.name] == 0 else "there more than once"
            problems.append(f"column {field.name} is {word}")
            continue
        kind = actual.field(field.name).type
        if not readable_as(kind, field.type):
            problems.append(f"column {field.name} is {kind} instead of {field.type}")
    known = set(expected.names)
    for name in names:
        if name not in known:
            # An odd name may be anything, a value too; only a plain one is repeated.
            shown = name if _PLAIN_NAME.fullmatch(name) else "with an unusual name"
            problems.append(f"column {shown} is not expected")
    return problems


def readable_as(actual: pa.DataType, expected: pa.DataType) -> bool:
    """Tell whether every value of the one type is a value of the other.

    Parquet has no whole seconds and readers differ in the width of texts, so the unit of a
    timestamp and the size of offsets may differ; the cast fails on a value that would lose.
    """
    if pa.types.is_dictionary(actual):
        return readable_as(actual.value_type, expected)
    if pa.types.is_list(actual) and pa.types.is_list(expected):
        return readable_as(actual.value_type, expected.value_type)
    return bool(
        actual == expected
        or (pa.types.is_large_string(actual) and pa.types.is_string(expected))
        or (
            pa.types.is_timestamp(actual)
            and pa.types.is_timestamp(expected)
            and actual.tz == expected.tz
        )
        or (
            pa.types.is_decimal(actual)
            and pa.types.is_decimal(expected)
            and actual.scale == expected.scale
            and actual.precision <= expected.precision
        )
        or (
            pa.types.is_signed_integer(actual)
            and pa.types.is_signed_integer(expected)
            and actual.bit_width <= expected.bit_width
        )
    )
