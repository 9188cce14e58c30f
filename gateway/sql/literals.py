"""Values in statements: literals as they are written, and parameters as they are bound.

Whatever the way in, a value has the kind that it was written with, and a field takes only kinds
that fit its type; no text becomes a number, and nothing is cast on a record's side.
"""

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from gateway.domain.errors import InvalidRequestError
from gateway.domain.product import Field

_NUMBER = re.compile(r"-?\d{1,40}(\.\d{1,40})?")


class Kind(StrEnum):
    """What a value was written as."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True, slots=True)
class Literal:
    """A value with the text that a condition carries it as."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A `?` of a prepared statement, numbered from 0."""

    number: int


Value = Literal | Parameter


def number(text: str) -> Literal:
    """Return a number as written.

    Raises:
        InvalidRequestError: `BAD_REQUEST` for anything but digits with one point.
    """
    if not _NUMBER.fullmatch(text):
        raise InvalidRequestError("BAD_REQUEST", "a number is written in plain digits")
    return Literal(Kind.NUMBER, text)


def of_python(value: object) -> Literal:
    """Return a bound value as a literal.

    Raises:
        InvalidRequestError: `BAD_REQUEST` for a null, a float or any other type.
    """
    match value:
        case bool():
            return Literal(Kind.BOOLEAN, "true" if value else "false")
        case int():
            return Literal(Kind.NUMBER, str(value))
        case Decimal() if value.is_finite():
            return number(format(value, "f"))
        case str():
            return Literal(Kind.TEXT, value)
        case dt.datetime():
            return Literal(Kind.TIMESTAMP, value.isoformat())
        case dt.date():
            return Literal(Kind.DATE, value.isoformat())
        case _:
            raise InvalidRequestError(
                "BAD_REQUEST",
                "a parameter is a text, an integer, a decimal, a boolean, a date or a timestamp",
            )


def bound(value: Value, parameters: Sequence[Literal]) -> Literal:
    """Return the literal behind a value.

    Raises:
        InvalidRequestError: `BAD_REQUEST` when a parameter has not been bound.
    """
    if isinstance(value, Literal):
        return value
    if value.number >= len(parameters):
        raise InvalidRequestError("BAD_REQUEST", "a parameter of the statement is not bound")
    return parameters[value.number]


def kinds_of(field: Field) -> frozenset[Kind]:
    """Return the kinds of value that a field can be compared with; none for lists and maps."""
    if field.type == "integer" or field.type.startswith("decimal"):
        return frozenset({Kind.NUMBER})
    if field.type == "boolean":
        return frozenset({Kind.BOOLEAN})
    if field.type == "date":
        return frozenset({Kind.TEXT, Kind.DATE})
    if field.type == "timestamp":
        return frozenset({Kind.TEXT, Kind.TIMESTAMP})
    if field.type.startswith(("list", "map")):
        return frozenset()
    return frozenset({Kind.TEXT})
