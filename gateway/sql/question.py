"""From a statement to the parts of a request, with the names that the caller's licence grants."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.domain.errors import InvalidRequestError, NotSupportedError
from gateway.domain.product import Product
from gateway.sql.literals import Kind, Literal, Parameter, bound, kinds_of
from gateway.sql.statement import Comparison, Statement, rows_of


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition as a request carries it: the values as text."""

    field: str
    op: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What a statement asks of a product.

    Args:
        product: Its name.
        fields: The fields wanted.
        named: True when the statement names them; False for `*`.
        subjects: The subjects that the statement names, or empty for the whole product.
        filters: The conditions.
        limit: Greatest number of rows, or None.
        ordered: True when the rows are wanted in the order of their keys.
    """

    product: str
    fields: tuple[str, ...]
    named: bool
    subjects: tuple[str, ...]
    filters: tuple[Filter, ...]
    limit: int | None
    ordered: bool


def ask(
    statement: Statement,
    product: Product,
    granted: Sequence[str],
    parameters: Sequence[Literal] = (),
) -> Question:
    """Return what a statement asks.

    Args:
        statement: The statement.
        product: The contract of the product that it names.
        granted: The fields that exist for this caller, in the contract's order.
        parameters: What is bound to its `?`.

    Raises:
        InvalidRequestError: `UNKNOWN_FIELD` when it names a field that does not exist for the
            caller, granted to nobody or only to others; `BAD_REQUEST` when a value has the wrong
            kind or a parameter is missing.
        NotSupportedError: `NOT_SUPPORTED` for an order that records are not kept in.
    """
    if len(parameters) > statement.parameters:
        raise InvalidRequestError("BAD_REQUEST", "more parameters are bound than it has")
    fields = tuple(granted) if statement.columns is None else statement.columns
    for position, name in enumerate(fields):
        if name not in granted:
            raise _unknown(f"column {position + 1}")
    subjects: tuple[str, ...] = ()
    filters = []
    for comparison in statement.comparisons:
        if comparison.column not in granted:
            raise _unknown("a condition's column")
        values = _values(comparison, product, parameters)
        if comparison.column == product.subject_key and comparison.op in ("eq", "in"):
            if subjects:
                raise NotSupportedError("NOT_SUPPORTED", "naming subjects twice is not supported")
            subjects = values
        else:
            filters.append(Filter(comparison.column, comparison.op, values))
    _check_order(statement, product, fields)
    limit = None if statement.limit is None else rows_of(bound(statement.limit, parameters))
    return Question(
        product=product.name,
        fields=fields,
        named=statement.columns is not None,
        subjects=subjects,
        filters=tuple(filters),
        limit=limit,
        ordered=bool(statement.order),
    )


def parameter_names(statement: Statement, granted: Sequence[str]) -> tuple[str | None, ...]:
    """Return for each `?` the field that it is compared with, or None for the limit.

    Raises:
        InvalidRequestError: `UNKNOWN_FIELD` for a field that does not exist for the caller.
    """
    names: list[str | None] = [None] * statement.parameters
    for comparison in statement.comparisons:
        if comparison.column not in granted:
            raise _unknown("a condition's column")
        for value in comparison.values:
            if isinstance(value, Parameter):
                names[value.number] = comparison.column
    return tuple(names)


def _values(
    comparison: Comparison, product: Product, parameters: Sequence[Literal]
) -> tuple[str, ...]:
    field = product.fields[comparison.column]
    fitting = kinds_of(field)
    literals = [bound(value, parameters) for value in comparison.values]
    if not literals:
        # No value must never become no condition.
        raise InvalidRequestError("BAD_REQUEST", "an IN has no values")
    if not fitting:
        raise NotSupportedError("NOT_SUPPORTED", "a condition on a list or a map is not supported")
    for literal in literals:
        if literal.kind not in fitting:
            raise InvalidRequestError("BAD_REQUEST", "a value is not of its column's type")
        if literal.kind is Kind.TEXT and "\x00" in literal.text:
            raise InvalidRequestError("BAD_REQUEST", "a value holds a NUL")
    return tuple(literal.text for literal in literals)


def _check_order(statement: Statement, product: Product, fields: Sequence[str]) -> None:
    keys = (product.subject_key, product.record_key)
    if statement.order != keys[: len(statement.order)]:
        raise NotSupportedError(
            "NOT_SUPPORTED",
            "ORDER BY other than the subject key, with the record key after it, is not supported",
        )
    if not set(statement.order) <= set(fields):
        raise NotSupportedError(
            "NOT_SUPPORTED", "ORDER BY a column that is not selected is not supported"
        )


def _unknown(what: str) -> InvalidRequestError:
    return InvalidRequestError("UNKNOWN_FIELD", f"{what} is not a field that you are granted")
