"""What differs between the schema that a file has and the one that its contract expects."""

import re
from collections import Counter

import pyarrow as pa

from adapters.errors import Difference, SourceError

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


def drift(what: str, actual: pa.Schema, expected: pa.Schema) -> SourceError | None:
    """Return the error for a schema that differs, or None.

    Args:
        what: What has the schema: file, table.
        actual: Its schema.
        expected: The contract's.
    """
    found = differences(actual, expected)
    if not found:
        return None
    sentences = "; ".join(entry.sentence for entry in found)
    return SourceError("SCHEMA_DRIFT", f"the {what}'s schema differs: {sentences}", found)


def difference(actual: pa.Schema, expected: pa.Schema) -> list[str]:
    """Return a sentence for each of `differences`."""
    return [found.sentence for found in differences(actual, expected)]


def differences(actual: pa.Schema, expected: pa.Schema) -> list[Difference]:
    """Return each difference; none when every record can be read losslessly.

    Order plays no part, nullability neither: values are checked as they come.
    """
    problems: list[Difference] = []
    names = Counter(actual.names)
    for field in expected:
        if names[field.name] != 1:
            word = "missing" if names[field.name] == 0 else "there more than once"
            sentence = f"column {field.name} is {word}"
            problems.append(Difference(field.name, word, str(field.type), sentence))
            continue
        kind = actual.field(field.name).type
        if not readable_as(kind, field.type):
            sentence = f"column {field.name} is {kind} instead of {field.type}"
            problems.append(Difference(field.name, str(kind), str(field.type), sentence))
    known = set(expected.names)
    for field in actual:
        if field.name not in known:
            # An odd name may be anything, a value too; only a plain one is repeated.
            plain = _PLAIN_NAME.fullmatch(field.name)
            shown = field.name if plain else "with an unusual name"
            sentence = f"column {shown} is not expected"
            problems.append(Difference(shown, str(field.type), "", sentence))
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
