"""What a statement says, parsed by sqlglot and taken over node by node.

Only what is named here is taken. Every node of the tree may carry only the parts that this
module reads; a part that it doesn't know is not ignored but refused, because a clause that is
silently left out would make another question of it. Texts of the caller are never repeated in
errors, and sqlglot, which would put statements that it can't parse into the log, sees none that
does not begin with SELECT.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from gateway.domain.errors import InvalidRequestError, NotSupportedError
from gateway.sql.literals import Kind, Literal, Parameter, Value, number

MAX_DEPTH = 16  # parentheses inside each other
MAX_CONDITIONS = 32
_MAX_CALLS = 2  # inside each other; a cast is one, and no other is offered
_BEFORE_A_GROUP = frozenset({TokenType.WHERE, TokenType.AND, TokenType.IN, TokenType.L_PAREN})
_MAX_LIMIT = 2**63 - 1
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# sqlglot warns with the text of the statement, which may hold a subject.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL + 1)

_OPERATORS: dict[type[exp.Expr], tuple[str, str]] = {
    exp.EQ: ("eq", "eq"),
    exp.NEQ: ("ne", "ne"),
    exp.LT: ("lt", "gt"),
    exp.LTE: ("le", "ge"),
    exp.GT: ("gt", "lt"),
    exp.GTE: ("ge", "le"),
}
_CLAUSES = {
    "distinct": "DISTINCT", "joins": "JOIN", "laterals": "LATERAL", "group": "GROUP BY",
    "having": "HAVING", "with_": "WITH", "offset": "OFFSET", "windows": "WINDOW",
    "qualify": "QUALIFY", "locks": "FOR UPDATE", "hint": "a hint", "into": "INTO",
    "sample": "TABLESAMPLE", "pivots": "PIVOT", "limit_options": "an option of LIMIT",
    "query": "a subquery", "alias": "an alias", "kind": "SELECT AS",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Comparison:
    """`column op values`; several values for `in` only."""

    column: str
    op: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """One question.

    Args:
        table: Name of the product.
        columns: Names of the columns, or None for `*`.
        comparisons: They all hold together.
        order: Names of the columns that rows are ordered by, ascending.
        limit: Greatest number of rows, or None.
        parameters: How many `?` it has.
    """

    table: str
    columns: tuple[str, ...] | None
    comparisons: tuple[Comparison, ...]
    order: tuple[str, ...]
    limit: Value | None
    parameters: int


def parse(text: str, max_bytes: int) -> Statement:
    """Return what a statement says.

    Args:
        text: The statement.
        max_bytes: Greatest length in UTF-8.

    Raises:
        InvalidRequestError: `BAD_REQUEST` when it is no SQL, too long or too deeply nested.
        NotSupportedError: `NOT_SUPPORTED` when it is more than the gateway offers.
    """
    if len(text.encode("utf-8", "surrogatepass")) > max_bytes:
        raise InvalidRequestError("BAD_REQUEST", f"a statement has at most {max_bytes} bytes")
    tokens = _tokens(text)
    try:
        parsed = Dialect().parser().parse(tokens, text)
    except Exception:  # noqa: BLE001 - a parser that stumbles over a text has refused it
        raise _unreadable() from None
    (root,) = parsed if len(parsed) == 1 else (None,)
    if not isinstance(root, exp.Select):
        raise _unsupported("anything but one SELECT")
    return _Reader().statement(root)


def _tokens(text: str) -> list[Token]:
    try:
        tokens = Dialect().tokenize(text)
    except SqlglotError:
        raise _unreadable() from None
    while tokens and tokens[-1].token_type is TokenType.SEMICOLON:
        tokens.pop()
    if not tokens or tokens[0].token_type is not TokenType.SELECT:
        raise _unsupported("anything but one SELECT")
    if any(token.token_type is TokenType.SEMICOLON for token in tokens):
        raise _unsupported("several statements at once")
    # Of a comment that a server reads as code nothing has to be known when there are none.
    if any(token.comments for token in tokens):
        raise _unsupported("a comment")
    _check_nesting(tokens)
    return tokens


def _check_nesting(tokens: list[Token]) -> None:
    """Refuse what takes the parser twice the time for each thing inside another.

    It reads a call, and brackets, first as a type and then again as a value: forty of them inside
    each other, in two hundred bytes, would keep it busy for years.
    """
    calls: list[bool] = []  # of the parentheses that are open: whether they are of a call
    before = tokens[0].token_type
    for token in tokens:
        kind = token.token_type
        if kind is TokenType.L_BRACKET:
            raise _unsupported("anything in brackets")
        if kind is TokenType.L_PAREN:
            calls.append(before not in _BEFORE_A_GROUP)
            if len(calls) > MAX_DEPTH or sum(calls) > _MAX_CALLS:
                raise InvalidRequestError("BAD_REQUEST", "the statement is nested too deeply")
        elif kind is TokenType.R_PAREN and calls:
            calls.pop()
        before = kind


def _unreadable() -> InvalidRequestError:
    return InvalidRequestError("BAD_REQUEST", "the statement is not readable as SQL")


def _unsupported(what: str) -> NotSupportedError:
    return NotSupportedError("NOT_SUPPORTED", f"{what} is not supported")


def _only(node: exp.Expr, *known: str) -> None:
    """Refuse a node that has a part beside the known ones."""
    for name, value in node.args.items():
        if value and name not in known:
            raise _unsupported(_CLAUSES.get(name, f"a clause of {node.key.upper()}"))


class _Reader:
    """Reads one tree; counts parameters in the order of the text."""

    def __init__(self) -> None:
        self._parameters = 0
        self._table: exp.Table | None = None

    def statement(self, root: exp.Select) -> Statement:
        _only(root, "expressions", "from_", "where", "order", "limit")
        source = root.args.get("from_")
        if not isinstance(source, exp.From) or not isinstance(source.this, exp.Table):
            raise _unsupported("a SELECT that is not FROM one product")
        _only(source, "this")
        table = self._name_of_table(source.this)
        columns = self._columns(root.expressions)
        comparisons = tuple(self._where(root.args.get("where")))
        order = self._order(root.args.get("order"))
        limit = self._limit(root.args.get("limit"))
        return Statement(table, columns, comparisons, order, limit, self._parameters)

    def _name_of_table(self, node: exp.Table) -> str:
        _only(node, "this", "db", "catalog")
        self._table = node
        if not isinstance(node.this, exp.Identifier):
            raise _unsupported("a function as a table")
        for part, expected in (("db", "public"), ("catalog", "xinguan")):
            found = node.args.get(part)
            if found is not None and _identifier(found) != expected:
                raise InvalidRequestError(
                    "UNKNOWN_PRODUCT", "products are in the catalog xinguan and its schema public"
                )
        return _identifier(node.this)

    def _columns(self, nodes: list[exp.Expr]) -> tuple[str, ...] | None:
        if len(nodes) == 1 and isinstance(nodes[0], exp.Star):
            _only(nodes[0])
            return None
        names = tuple(self._column(node) for node in nodes)
        if not names or len(set(names)) != len(names):
            raise _unsupported("a column selected twice or none at all")
        return names

    def _column(self, node: object) -> str:
        if not isinstance(node, exp.Column):
            raise _unsupported("anything but the name of a column here (functions, expressions)")
        _only(node, "this", "table")
        qualifier = node.args.get("table")
        if qualifier is not None:
            assert self._table is not None  # noqa: S101 - read before any column
            if _identifier(qualifier) != _identifier(self._table.this):
                raise InvalidRequestError("UNKNOWN_FIELD", "a column names another table")
        return _identifier(node.this)

    def _where(self, where: exp.Expr | None) -> Iterator[Comparison]:
        if where is None:
            return
        _only(where, "this")
        # By hand and from the left, so that parameters are met in the order of the text.
        waiting, met = [where.this], 0
        while waiting:
            node = waiting.pop()
            if isinstance(node, exp.And):
                _only(node, "this", "expression")
                waiting += [node.expression, node.this]
            elif isinstance(node, exp.Paren):
                _only(node, "this")
                waiting.append(node.this)
            else:
                met += 1
                if met > MAX_CONDITIONS:
                    raise InvalidRequestError("BAD_REQUEST", "too many conditions")
                yield from self._comparison(node)

    def _comparison(self, node: object) -> Iterator[Comparison]:
        if isinstance(node, exp.In):
            _only(node, "this", "expressions")
            column = self._column(node.this)
            yield Comparison(column, "in", tuple(self._value(each) for each in node.expressions))
        elif isinstance(node, exp.Between):
            _only(node, "this", "low", "high")
            column = self._column(node.this)
            yield Comparison(column, "ge", (self._value(node.args["low"]),))
            yield Comparison(column, "le", (self._value(node.args["high"]),))
        elif isinstance(node, exp.Expr) and type(node) in _OPERATORS:
            _only(node, "this", "expression")
            straight, turned = _OPERATORS[type(node)]
            left, right = node.this, node.expression
            if isinstance(left, exp.Column):
                yield Comparison(self._column(left), straight, (self._value(right),))
            else:
                value = self._value(left)
                yield Comparison(self._column(right), turned, (value,))
        else:
            raise _unsupported(
                "a condition other than =, <>, <, <=, >, >=, IN and BETWEEN of a column and "
                "values, joined by AND,"
            )

    def _value(self, node: object) -> Value:
        match node:
            case exp.Placeholder():
                _only(node)
                self._parameters += 1
                return Parameter(self._parameters - 1)
            case exp.Literal():
                _only(node, "this", "is_string")
                text = str(node.this)
                return Literal(Kind.TEXT, text) if node.is_string else number(text)
            case exp.Neg() if isinstance(node.this, exp.Literal) and not node.this.is_string:
                return number(f"-{node.this.this}")
            case exp.Boolean():
                return Literal(Kind.BOOLEAN, "true" if node.this else "false")
            case exp.Cast() if isinstance(node.this, exp.Literal) and node.this.is_string:
                _only(node, "this", "to", "_type")
                return Literal(_kind_of_cast(node.args["to"]), str(node.this.this))
            case _:
                raise _unsupported("comparing with anything but a literal or a ?")

    def _order(self, order: exp.Expr | None) -> tuple[str, ...]:
        if order is None:
            return ()
        _only(order, "expressions")
        names = []
        for each in order.expressions:
            if not isinstance(each, exp.Ordered) or each.args.get("desc"):
                raise _unsupported("ORDER BY other than ascending")
            _only(each, "this", "desc", "nulls_first")
            names.append(self._column(each.this))
        return tuple(names)

    def _limit(self, limit: exp.Expr | None) -> Value | None:
        if limit is None:
            return None
        if not isinstance(limit, exp.Limit):
            raise _unsupported("FETCH")
        _only(limit, "expression")
        return self._value(limit.expression)


def rows_of(limit: Literal) -> int:
    """Return the number of a LIMIT.

    Raises:
        InvalidRequestError: `BAD_REQUEST` when it is no whole number from 0 to 2^63 - 1.
    """
    if limit.kind is Kind.NUMBER and limit.text.isdigit() and int(limit.text) <= _MAX_LIMIT:
        return int(limit.text)
    raise InvalidRequestError("BAD_REQUEST", "a LIMIT is a whole number that is not negative")


def _identifier(node: object) -> str:
    """Return a name: folded to lower case where it stands without quotes, as SQL has it."""
    if not isinstance(node, exp.Identifier):
        raise _unsupported("an expression in place of a name")
    _only(node, "this", "quoted")
    name = str(node.this)
    if node.args.get("quoted"):
        return name
    if not _PLAIN_NAME.fullmatch(name):
        raise _unreadable()
    return name.lower()


def _kind_of_cast(to: exp.Expr) -> Kind:
    _only(to, "this", "nested")
    kinds = {
        exp.DataType.Type.DATE: Kind.DATE,
        exp.DataType.Type.TIMESTAMP: Kind.TIMESTAMP,
        exp.DataType.Type.TIMESTAMPTZ: Kind.TIMESTAMP,
    }
    if to.this not in kinds:
        raise _unsupported("a cast other than DATE '...' and TIMESTAMP '...'")
    return kinds[to.this]
