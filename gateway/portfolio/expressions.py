"""The language of features: one aggregate over the records of a subject, and a condition.

    count(severity == 'SERIOUS' and decided_on > months_before(36))
    exists(removed_on is None or removed_on > observed)
    mean(on_time_ratio, signed_on > months_before(36))
    ratio(fulfil_status == '全部履行', fulfil_status in ('全部履行', '未履行'))
    latest(grade, valid_to >= observed)
    months_since(established_on)

The text is read by Python's own parser and never run: what isn't named here is refused, and each
name and type is checked against the contract of the records. A null meets no comparison, and there
is no `not`, so what isn't known is never counted. `observed` is the observation date;
`months_before(n)` and `days_after(n)` count from it.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gateway.domain.product import Product
from gateway.portfolio.known import Flags, Known
from gateway.snapshot.calendar_columns import NO_DAY, Days, add_months

Condition = Callable[[Known], Flags]
AGGREGATES = ("count", "exists", "mean", "ratio", "latest", "months_since")
_DATES: Mapping[type[ast.cmpop], Callable[[Days, Days], Flags]] = {
    ast.Eq: np.equal,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}
_MOST_STEPS = 1_200  # months or days that a definition may count from the observation date


class ExpressionError(ValueError):
    """A definition is not in the language, or doesn't fit the contract of its records."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A definition, ready to be computed.

    Args:
        aggregate: One of `AGGREGATES`.
        column: The column it is of; empty for `count`, `exists` and `ratio`.
        conditions: Two for `ratio` (part, whole), otherwise at most one.
        columns: Every column that it reads, sorted.
    """

    aggregate: str
    column: str
    conditions: tuple[Condition, ...]
    columns: tuple[str, ...]


def parse_expression(text: str, product: Product) -> Expression:
    """Return the expression of a definition.

    Args:
        text: The definition.
        product: Contract of the records that it is about.

    Raises:
        ExpressionError: It isn't one.
    """
    try:
        call = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ExpressionError("it can't be read") from None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.keywords:
        raise ExpressionError("it is one aggregate")
    aggregate, reader = call.func.id, _Reader(product)
    if aggregate not in AGGREGATES:
        raise ExpressionError("its aggregate is unknown")
    arguments, column = list(call.args), ""
    if aggregate in ("mean", "latest", "months_since"):
        column = reader.value(aggregate, arguments.pop(0)) if arguments else ""
        if not column:
            raise ExpressionError("its aggregate needs a column")
    most = 2 if aggregate == "ratio" else 1
    if len(arguments) > most or (aggregate == "ratio" and len(arguments) != most):
        raise ExpressionError("its aggregate has a wrong number of conditions")
    conditions = tuple(reader.condition(argument) for argument in arguments)
    return Expression(aggregate, column, conditions, tuple(sorted(reader.columns)))


class _Reader:
    """Turns conditions into kernels and collects the columns that they read."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.columns: set[str] = set()

    def value(self, aggregate: str, node: ast.expr) -> str:
        name = self._column(node)
        kind = self.product.fields[name].type
        if aggregate == "mean" and not kind.startswith("decimal"):
            raise ExpressionError("a mean is of a decimal column")
        if aggregate == "months_since" and kind != "date":
            raise ExpressionError("months are counted since a date")
        return name

    def condition(self, node: ast.expr) -> Condition:
        if isinstance(node, ast.BoolOp):
            parts = tuple(self.condition(part) for part in node.values)
            both = isinstance(node.op, ast.And)
            return lambda known: _joined([part(known) for part in parts], both=both)
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            return self._comparison(node.left, node.ops[0], node.comparators[0])
        raise ExpressionError("a condition is a comparison, or several with `and` and `or`")

    def _comparison(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Condition:
        name = self._column(left)
        kind = self.product.fields[name].type
        if isinstance(op, ast.Is) and isinstance(right, ast.Constant) and right.value is None:
            return lambda known: known.missing(name)
        if kind == "date" and type(op) in _DATES:
            compare, moment = _DATES[type(op)], _moment(right)

            def dated(known: Known) -> Flags:
                days = known.days(name)
                return np.asarray(compare(days, moment(known.observed)) & (days != NO_DAY))

            return dated
        if kind == "string" or kind.startswith("enum("):
            return self._words(name, kind, op, right)
        raise ExpressionError("a comparison is of dates, or of texts with ==, != and in")

    def _words(self, name: str, kind: str, op: ast.cmpop, right: ast.expr) -> Condition:
        several = right.elts if isinstance(right, ast.Tuple) else [right]
        words = tuple(e.value for e in several if isinstance(e, ast.Constant))
        if len(words) != len(several) or not all(isinstance(word, str) for word in words):
            raise ExpressionError("a text is compared with texts")
        texts = tuple(str(word) for word in words)
        if kind.startswith("enum(") and not set(texts) <= set(kind[5:-1].split(",")):
            raise ExpressionError("a text is none of the column's words")
        one = not isinstance(right, ast.Tuple)
        if (isinstance(op, ast.In) and not one) or (isinstance(op, ast.Eq) and one):
            return lambda known: known.among(name, texts)
        if isinstance(op, ast.NotEq) and one:
            return lambda known: ~known.among(name, texts) & ~known.missing(name)
        raise ExpressionError("a text is compared with ==, != or in")

    def _column(self, node: ast.expr) -> str:
        if not isinstance(node, ast.Name) or node.id not in self.product.fields:
            raise ExpressionError("it names a column that the contract of the records lacks")
        self.columns.add(node.id)
        return node.id


def _joined(flags: Sequence[Flags], *, both: bool) -> Flags:
    return np.asarray((np.logical_and if both else np.logical_or).reduce(flags))


def _moment(node: ast.expr) -> Callable[[Days], Days]:
    """Return what turns observation dates into the days that a comparison is with."""
    if isinstance(node, ast.Name) and node.id == "observed":
        return lambda observed: observed
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        match [a.value for a in node.args if isinstance(a, ast.Constant)], node.func.id:
            case [int(count)], "months_before" if 0 < count <= _MOST_STEPS:
                return lambda observed: add_months(observed, -count)
            case [int(count)], "days_after" if 0 < count <= _MOST_STEPS:
                return lambda observed: observed + count
    raise ExpressionError("a date is compared with observed, months_before(n) or days_after(n)")
