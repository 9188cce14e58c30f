"""Predicates and projections as parameterised SQL: one visitor, one table of dialects.

Names are quoted, values are always bound: nothing that a caller says becomes part of the text.
The meaning is that of `adapters.predicate`, so texts are ordered by their code points where a
database would order them by the language of its users.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa

from adapters.errors import SourceError
from adapters.predicate import Compare, In, IsNull, Operator, Predicate, check, typed_value, visit

# PostgreSQL counts parameters in 16 bits; other drivers bear less than that too.
MAX_PARAMETERS: Final = 32_000
_INSTANT: Final = pa.timestamp("us", "UTC")
_SYMBOLS: Final = {
    Operator.EQ: "=",
    Operator.NE: "<>",
    Operator.LT: "<",
    Operator.LE: "<=",
    Operator.GT: ">",
    Operator.GE: ">=",
}
_INVERSE: Final = {
    Operator.EQ: Operator.NE,
    Operator.NE: Operator.EQ,
    Operator.LT: Operator.GE,
    Operator.GE: Operator.LT,
    Operator.GT: Operator.LE,
    Operator.LE: Operator.GT,
}
_ORDERED: Final = frozenset({Operator.LT, Operator.LE, Operator.GT, Operator.GE})


@dataclass(frozen=True, slots=True)
class Dialect:
    """What differs between the databases.

    Args:
        placeholder: Text of the n-th parameter, counted from 1.
        by_code_point: What follows a text column whose order matters; empty where the
            database orders by code points anyway.
        casts: Name of a kind of parameter to the SQL type it is cast to; `{p}` and `{s}` stand
            for a decimal's precision and scale. Without one it is bound as it is.
        decimals_as_text: Whether a decimal is bound as text, for drivers that bind no decimal.
    """

    placeholder: Callable[[int], str]
    by_code_point: str = ""
    casts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    decimals_as_text: bool = False


POSTGRES: Final = Dialect(
    placeholder=lambda number: f"${number}",
    by_code_point=' COLLATE "C"',
    casts=MappingProxyType({"decimal": "numeric"}),
    decimals_as_text=True,
)
DUCKDB: Final = Dialect(
    placeholder=lambda _: "?",
    casts=MappingProxyType({"decimal": "DECIMAL({p},{s})", "instant": "TIMESTAMPTZ"}),
)
FLIGHT_SQL: Final = Dialect(placeholder=lambda _: "?")


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with its parameters, each a typed scalar in the order of the placeholders."""

    text: str
    parameters: tuple["pa.Scalar[Any]", ...] = ()

    def row(self) -> pa.RecordBatch | None:
        """Return the parameters as the one row that ADBC binds; None where there are none."""
        if not self.parameters:
            return None
        arrays = [pa.array([value.as_py()], value.type) for value in self.parameters]
        return pa.RecordBatch.from_arrays(arrays, names=[str(i) for i in range(len(arrays))])

    def values(self) -> list[object]:
        """Return the parameters as Python values."""
        return [value.as_py() for value in self.parameters]


def quoted(name: str) -> str:
    """Return a name as a quoted identifier.

    Raises:
        SourceError: `BAD_PROJECTION` for a name that no database takes.
    """
    if not name or "\0" in name:
        raise SourceError("BAD_PROJECTION", "a name is empty or holds a zero character")
    return '"' + name.replace('"', '""') + '"'


def relation(name: str) -> str:
    """Return `[catalog.][schema.]table` with each of its parts quoted."""
    return ".".join(quoted(part) for part in name.split("."))


def select(
    dialect: Dialect,
    table: str,
    columns: Sequence[str],
    predicate: Predicate | None,
    schema: pa.Schema,
) -> Statement:
    """Return the statement that reads the columns of the records that meet the predicate.

    Args:
        dialect: Whose SQL.
        table: `[catalog.][schema.]table`, a view too.
        columns: Names in the order wanted.
        predicate: Condition, or None for all records.
        schema: The records' schema, by which values are typed.

    Raises:
        SourceError: `BAD_PREDICATE` when the predicate doesn't fit the schema or has too many
            values; `BAD_PROJECTION` for an impossible name.
    """
    text = f"SELECT {', '.join(quoted(name) for name in columns)} FROM {relation(table)}"
    if predicate is None:
        return Statement(text)
    check(predicate, schema)
    visitor = _SqlVisitor(dialect, schema)
    condition = visit(predicate, visitor)
    if len(visitor.parameters) > MAX_PARAMETERS:
        raise SourceError("BAD_PREDICATE", "the condition has too many values")
    return Statement(f"{text} WHERE {condition}", tuple(visitor.parameters))


class _SqlVisitor:
    """Makes SQL; a negation is the inverse operator, which is unknown for a null as well."""

    def __init__(self, dialect: Dialect, schema: pa.Schema) -> None:
        self._dialect = dialect
        self._schema = schema
        self.parameters: list[pa.Scalar[Any]] = []

    def compare(self, leaf: Compare, *, negated: bool) -> str:
        sign = _INVERSE[leaf.operator] if negated else leaf.operator
        kind = self._schema.field(leaf.column).type
        is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        order = self._dialect.by_code_point if is_text and sign in _ORDERED else ""
        value = self._bound(leaf.value, kind)
        return f"{quoted(leaf.column)}{order} {_SYMBOLS[sign]} {value}"

    def one_of(self, leaf: In, *, negated: bool) -> str:
        kind = self._schema.field(leaf.column).type
        values = ", ".join(self._bound(value, kind) for value in leaf.values)
        return f"{quoted(leaf.column)} {'NOT IN' if negated else 'IN'} ({values})"

    def is_null(self, leaf: IsNull, *, negated: bool) -> str:
        return f"{quoted(leaf.column)} IS {'NOT NULL' if negated else 'NULL'}"

    def both(self, terms: list[str]) -> str:
        return "(" + " AND ".join(terms) + ")"

    def either(self, terms: list[str]) -> str:
        return "(" + " OR ".join(terms) + ")"

    def _bound(self, value: object, kind: pa.DataType) -> str:
        """Keep the value as a parameter and return what stands for it in the text."""
        if isinstance(value, str) and "\0" in value:
            raise SourceError("BAD_PREDICATE", "a value holds a zero character")
        scalar = typed_value(value, kind)
        name = ""
        if pa.types.is_timestamp(kind) and kind.tz is not None:
            scalar, name = pa.scalar(scalar.as_py(), _INSTANT), "instant"
        elif pa.types.is_decimal(kind):
            name = "decimal"
            if self._dialect.decimals_as_text:
                scalar = pa.scalar(format(scalar.as_py(), "f"), pa.string())
        self.parameters.append(scalar)
        mark = self._dialect.placeholder(len(self.parameters))
        cast = self._dialect.casts.get(name)
        if cast is None:
            return mark
        if pa.types.is_decimal(kind):
            cast = cast.format(p=kind.precision, s=kind.scale)
        return f"CAST({mark} AS {cast})"
