"""Conditions on records as immutable data, checked against a schema before anything is read.

The meaning is that of SQL: a comparison with a null is unknown, `Not` of unknown is unknown,
and only records for which the whole is true are given. Values have exactly the type of their
column: no cast can fail later on a record's hidden value, and no text becomes a number.
"""

import datetime as dt
import decimal
import enum
import math
import operator
from dataclasses import dataclass
from functools import reduce
from typing import Any, Protocol, TypeAlias, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from adapters.errors import SourceError

MAX_VALUES = 10_000  # of one `In`
MAX_DEPTH = 32

_T_co = TypeVar("_T_co", covariant=True)


class PredicateError(SourceError):
    """The predicate doesn't fit the schema; its values are not repeated."""

    def __init__(self, message: str) -> None:
        """All have the code BAD_PREDICATE."""
        super().__init__("BAD_PREDICATE", message)


class Operator(enum.StrEnum):
    """How a column is compared with a value."""

    EQ = "eq"
    NE = "ne"
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"


@dataclass(frozen=True, slots=True)
class Compare:
    """`column operator value`."""

    column: str
    operator: Operator
    value: object


@dataclass(frozen=True, slots=True)
class In:
    """`column` is one of `values`, at least one and at most `MAX_VALUES`."""

    column: str
    values: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class IsNull:
    """`column` is null."""

    column: str


@dataclass(frozen=True, slots=True)
class And:
    """All terms hold; at least one."""

    terms: "tuple[Predicate, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """Some term holds; at least one."""

    terms: "tuple[Predicate, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    """The term does not hold."""

    term: "Predicate"


Predicate: TypeAlias = Compare | In | IsNull | And | Or | Not


class Visitor(Protocol[_T_co]):
    """Turns a predicate into something else: an expression, SQL, a text.

    Negation is already pushed down to the leaves, so a visitor meets no `Not`; a negated leaf
    must not hold for a null column.
    """

    def compare(self, leaf: Compare, *, negated: bool) -> _T_co:
        """Return the comparison or its negation."""
        ...

    def one_of(self, leaf: In, *, negated: bool) -> _T_co:
        """Return the membership or its negation."""
        ...

    def is_null(self, leaf: IsNull, *, negated: bool) -> _T_co:
        """Return the test for null or its negation."""
        ...

    def both(self, terms: "list[Any]") -> _T_co:
        """Return the conjunction of results of this visitor."""
        ...

    def either(self, terms: "list[Any]") -> _T_co:
        """Return the disjunction of results of this visitor."""
        ...


def visit(predicate: Predicate, visitor: Visitor[_T_co], *, negated: bool = False) -> _T_co:
    """Return what the visitor makes of the predicate, negations pushed to its leaves."""
    match predicate:
        case Compare():
            return visitor.compare(predicate, negated=negated)
        case In():
            return visitor.one_of(predicate, negated=negated)
        case IsNull():
            return visitor.is_null(predicate, negated=negated)
        case Not():
            return visit(predicate.term, visitor, negated=not negated)
        case And() | Or():
            results = [visit(term, visitor, negated=negated) for term in predicate.terms]
            # De Morgan: a negated conjunction is the disjunction of the negated terms.
            join = visitor.both if isinstance(predicate, And) is not negated else visitor.either
            return join(results)


def check(predicate: Predicate, schema: pa.Schema, *, depth: int = 1) -> None:
    """Check the predicate against the schema.

    Raises:
        PredicateError: For an unknown column, a value that is not exactly of the column's
            type, an empty or too long list, or too deep a nesting.
    """
    if depth > MAX_DEPTH:
        raise PredicateError("the condition is nested too deeply")
    match predicate:
        case Compare():
            typed_value(predicate.value, _type(predicate.column, schema))
        case In():
            _check_values(predicate, _type(predicate.column, schema))
        case IsNull():
            _type(predicate.column, schema)
        case Not():
            check(predicate.term, schema, depth=depth + 1)
        case And() | Or():
            _check_terms(predicate.terms, schema, depth + 1)
        case _:
            raise PredicateError("not a condition")


def _check_values(leaf: In, kind: pa.DataType) -> None:
    if not 1 <= len(leaf.values) <= MAX_VALUES:
        raise PredicateError("a list of values is empty or too long")
    for value in leaf.values:
        typed_value(value, kind)


def _check_terms(terms: tuple[Predicate, ...], schema: pa.Schema, depth: int) -> None:
    if not terms:
        raise PredicateError("a conjunction or disjunction has no terms")
    for term in terms:
        check(term, schema, depth=depth)


def to_arrow(predicate: Predicate, schema: pa.Schema) -> pc.Expression:
    """Return the predicate as an Arrow expression on records of the schema.

    Raises:
        PredicateError: When it doesn't fit the schema.
    """
    check(predicate, schema)
    return visit(predicate, _ArrowVisitor(schema))


class _ArrowVisitor:
    """Makes Arrow expressions."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema

    def compare(self, leaf: Compare, *, negated: bool) -> pc.Expression:
        column = pc.field(leaf.column)
        value = pc.scalar(typed_value(leaf.value, _type(leaf.column, self._schema)))  # type: ignore[arg-type]  # a typed scalar is taken too
        result: pc.Expression = {
            Operator.EQ: column == value,
            Operator.NE: column != value,
            Operator.LT: column < value,
            Operator.LE: column <= value,
            Operator.GT: column > value,
            Operator.GE: column >= value,
        }[leaf.operator]
        inverted: pc.Expression = ~result
        return inverted if negated else result

    def one_of(self, leaf: In, *, negated: bool) -> pc.Expression:
        kind = _type(leaf.column, self._schema)
        values = pa.array([typed_value(value, kind).as_py() for value in leaf.values], kind)
        column = pc.field(leaf.column)
        # Arrow's membership is false, not unknown, for a null.
        result: pc.Expression = (
            ~column.isin(values) & column.is_valid() if negated else column.isin(values)
        )
        return result

    def is_null(self, leaf: IsNull, *, negated: bool) -> pc.Expression:
        column = pc.field(leaf.column)
        missing: pc.Expression = column.is_null()
        inverted: pc.Expression = ~missing
        return inverted if negated else missing

    def both(self, terms: list[pc.Expression]) -> pc.Expression:
        return reduce(operator.and_, terms)

    def either(self, terms: list[pc.Expression]) -> pc.Expression:
        return reduce(operator.or_, terms)


def _type(column: str, schema: pa.Schema) -> pa.DataType:
    if schema.get_field_index(column) < 0:
        raise PredicateError("a condition names an unknown column")
    kind: pa.DataType = schema.field(column).type
    return kind


def typed_value(value: object, kind: pa.DataType) -> "pa.Scalar[Any]":
    """Return the value as a scalar of exactly the column's type.

    Raises:
        PredicateError: When it is none.
    """
    if not _fits(value, kind):
        raise PredicateError(f"a value is not of its column's type {kind}")
    if isinstance(value, int) and pa.types.is_decimal(kind):
        value = decimal.Decimal(value)
    try:
        made = pa.scalar(value, kind)
        # Arrow drops fractions of a second silently.
        if made.as_py() == value:
            return made
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OverflowError, ValueError, TypeError):
        pass
    raise PredicateError(f"a value does not fit its column's type {kind}")


def _fits(value: object, kind: pa.DataType) -> bool:  # noqa: PLR0911 - one line for each type
    if pa.types.is_boolean(kind):
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return isinstance(value, str)
    if pa.types.is_integer(kind):
        return isinstance(value, int)
    if pa.types.is_decimal(kind):
        return isinstance(value, int | decimal.Decimal)
    if pa.types.is_floating(kind):
        return isinstance(value, int | float) and math.isfinite(value)
    if pa.types.is_date(kind):
        return isinstance(value, dt.date) and not isinstance(value, dt.datetime)
    if pa.types.is_timestamp(kind):
        return isinstance(value, dt.datetime) and (value.tzinfo is None) == (kind.tz is None)
    return False
