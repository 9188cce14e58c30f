"""The predicate language: strict values, and the meaning of SQL in every nesting."""

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.predicate import (
    MAX_DEPTH,
    MAX_VALUES,
    And,
    Compare,
    In,
    IsNull,
    Not,
    Operator,
    Or,
    PredicateError,
    check,
    to_arrow,
)

SCHEMA = pa.schema(
    {
        "text": pa.string(),
        "number": pa.int32(),
        "amount": pa.decimal128(6, 2),
        "day": pa.date32(),
        "instant": pa.timestamp("s", "Asia/Shanghai"),
        "local": pa.timestamp("us"),
        "flag": pa.bool_(),
        "ratio": pa.float64(),
        "items": pa.list_(pa.string()),
    }
)
NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("text", "示例"),
        ("number", -(2**31)),
        ("amount", Decimal("9999.99")),
        ("amount", 9999),
        ("day", dt.date(2026, 1, 1)),
        ("instant", NOON),
        ("local", dt.datetime(2026, 1, 1)),
        ("flag", False),
        ("ratio", 1),
        ("ratio", 0.5),
    ],
)
def test_a_value_of_the_columns_type_is_accepted(column, value):
    check(Compare(column, Operator.EQ, value), SCHEMA)
    check(In(column, (value,)), SCHEMA)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("text", 1),
        ("text", b"x"),
        ("text", None),
        ("number", "1"),
        ("number", 1.0),
        ("number", True),
        ("number", 2**31),
        ("number", Decimal(1)),
        ("amount", 1.5),
        ("amount", "1.5"),
        ("amount", True),
        ("amount", Decimal("0.001")),  # never rounded
        ("amount", Decimal(10**6)),
        ("amount", Decimal("NaN")),
        ("day", dt.datetime(2026, 1, 1)),
        ("day", "2026-01-01"),
        ("instant", dt.datetime(2026, 1, 1)),  # no zone: which midnight?
        ("instant", NOON.replace(microsecond=1)),
        ("local", NOON),
        ("flag", 1),
        ("flag", "true"),
        ("ratio", float("nan")),
        ("ratio", float("inf")),
        ("items", "x"),
        ("items", ["x"]),
        ("nobody", "x"),
    ],
)
def test_a_value_of_another_type_is_refused_and_not_repeated(column, value):
    for predicate in (
        Compare(column, Operator.EQ, value),
        In(column, (value,)),
        Not(And((IsNull("text"), Compare(column, Operator.LT, value)))),
    ):
        with pytest.raises(PredicateError) as caught:
            to_arrow(predicate, SCHEMA)
        assert caught.value.code == "BAD_PREDICATE"
        assert "2026" not in str(caught.value)


@pytest.mark.parametrize(
    "predicate",
    [
        In("number", ()),
        In("number", tuple(range(MAX_VALUES + 1))),
        And(()),
        Or(()),
        IsNull("nobody"),
        "number = 1",
        None,
    ],
)
def test_a_malformed_predicate_is_refused(predicate):
    with pytest.raises(PredicateError):
        check(predicate, SCHEMA)


def test_nesting_has_a_limit():
    predicate = IsNull("text")
    for _ in range(MAX_DEPTH - 1):
        predicate = Not(predicate)
    check(predicate, SCHEMA)
    with pytest.raises(PredicateError, match="nested"):
        check(Not(predicate), SCHEMA)


def test_predicates_are_values():
    one = And((Compare("number", Operator.EQ, 1), IsNull("text")))
    assert one == And((Compare("number", Operator.EQ, 1), IsNull("text")))
    assert len({one, Not(one), Not(one)}) == 2
    with pytest.raises(AttributeError):
        one.terms = ()


# --- the meaning, against a three-valued reference --------------------------------------------

COMPARISONS = {
    Operator.EQ: lambda a, b: a == b,
    Operator.NE: lambda a, b: a != b,
    Operator.LT: lambda a, b: a < b,
    Operator.LE: lambda a, b: a <= b,
    Operator.GT: lambda a, b: a > b,
    Operator.GE: lambda a, b: a >= b,
}


def holds(predicate, row):
    """Return True, False or None (unknown), as SQL does."""
    match predicate:
        case Compare(column, operator, value):
            return None if row[column] is None else COMPARISONS[operator](row[column], value)
        case In(column, values):
            return None if row[column] is None else row[column] in values
        case IsNull(column):
            return row[column] is None
        case Not(term):
            inner = holds(term, row)
            return None if inner is None else not inner
        case And(terms):
            inner = [holds(term, row) for term in terms]
            return False if False in inner else None if None in inner else True
        case Or(terms):
            inner = [holds(term, row) for term in terms]
            return True if True in inner else None if None in inner else False


NUMBERS, TEXTS = st.integers(0, 4), st.sampled_from(["甲", "乙", "丙"])
OPERATORS = st.sampled_from(list(Operator))
LEAVES = st.one_of(
    st.builds(Compare, st.just("number"), OPERATORS, NUMBERS),
    st.builds(Compare, st.just("text"), OPERATORS, TEXTS),
    st.builds(In, st.just("number"), st.lists(NUMBERS, min_size=1, max_size=3).map(tuple)),
    st.builds(In, st.just("text"), st.lists(TEXTS, min_size=1, max_size=3).map(tuple)),
    st.builds(IsNull, st.sampled_from(["number", "text"])),
)
PREDICATES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=8,
)
ROWS = [{"number": n, "text": t} for n in (None, 0, 1, 2, 3) for t in (None, "甲", "乙", "丙")]
SMALL = pa.Table.from_pylist(ROWS, schema=pa.schema({"number": pa.int64(), "text": pa.string()}))


@given(PREDICATES)
def test_arrow_gives_exactly_the_rows_for_which_sql_says_true(predicate):
    found = ds.dataset(SMALL).to_table(filter=to_arrow(predicate, SMALL.schema)).to_pylist()
    assert found == [row for row in ROWS if holds(predicate, row) is True]


@given(PREDICATES)
def test_a_condition_and_its_negation_never_share_a_row(predicate):
    for row in ROWS:
        assert not (holds(predicate, row) is True and holds(Not(predicate), row) is True)
    negated = ds.dataset(SMALL).to_table(filter=to_arrow(Not(predicate), SMALL.schema))
    assert negated.to_pylist() == [row for row in ROWS if holds(predicate, row) is False]
