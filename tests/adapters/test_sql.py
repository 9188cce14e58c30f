"""Predicates as SQL: what is said is bound, what is named is quoted."""

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.predicate import And, Compare, In, IsNull, Not, Operator, Or
from adapters.source import SourceError
from adapters.sql import DUCKDB, FLIGHT_SQL, MAX_PARAMETERS, POSTGRES, quoted, relation, select
from tests.adapters.conftest import SCHEMA

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def where(dialect, predicate):
    return select(dialect, "t", ["rank"], predicate, SCHEMA).text.partition(" WHERE ")[2]


def test_a_statement_names_columns_in_their_order_and_the_table_in_its_parts():
    made = select(POSTGRES, "credit.公示", ["rank", "name"], None, SCHEMA)
    assert made.text == 'SELECT "rank", "name" FROM "credit"."公示"'
    assert made.row() is None


@pytest.mark.parametrize(
    ("predicate", "text"),
    [
        (Compare("rank", Operator.EQ, 1), '"rank" = $1'),
        (Not(Compare("rank", Operator.LT, 1)), '"rank" >= $1'),
        (Compare("name", Operator.EQ, "示例"), '"name" = $1'),
        (Compare("name", Operator.GT, "示例"), '"name" COLLATE "C" > $1'),
        (Compare("capital", Operator.LE, Decimal("1.5")), '"capital" <= CAST($1 AS numeric)'),
        (Not(In("rank", (1, 2))), '"rank" NOT IN ($1, $2)'),
        (Not(IsNull("rank")), '"rank" IS NOT NULL'),
        (
            Not(And((IsNull("name"), Or((IsNull("rank"), Compare("rank", Operator.NE, 3)))))),
            '("name" IS NOT NULL OR ("rank" IS NOT NULL AND "rank" = $1))',
        ),
    ],
)
def test_conditions_in_postgresqls_sql(predicate, text):
    assert where(POSTGRES, predicate) == text


def test_dialects_differ_in_marks_and_casts_only():
    both = And((Compare("capital", Operator.LE, 2), Compare("updated", Operator.LT, NOON)))
    assert where(DUCKDB, both) == (
        '("capital" <= CAST(? AS DECIMAL(18,6)) AND "updated" < CAST(? AS TIMESTAMPTZ))'
    )
    assert where(FLIGHT_SQL, both) == '("capital" <= ? AND "updated" < ?)'


def test_parameters_have_the_types_of_their_columns():
    terms = (
        Compare("updated", Operator.EQ, NOON),
        Compare("founded", Operator.EQ, dt.date(2026, 1, 1)),
        Compare("capital", Operator.EQ, Decimal("0.000001")),
        Compare("active", Operator.EQ, True),
    )
    row = select(POSTGRES, "t", ["rank"], And(terms), SCHEMA).row()
    assert row.schema.types == [pa.timestamp("us", "UTC"), pa.date32(), pa.string(), pa.bool_()]
    assert row.to_pylist() == [{"0": NOON, "1": dt.date(2026, 1, 1), "2": "0.000001", "3": True}]
    exact = select(FLIGHT_SQL, "t", ["rank"], And(terms), SCHEMA).row()
    assert exact.schema.types[2] == pa.decimal128(18, 6)


@given(st.text(max_size=40).filter(lambda text: "\0" not in text))
def test_no_value_becomes_part_of_the_text(value):
    for dialect in (POSTGRES, DUCKDB, FLIGHT_SQL):
        made = select(dialect, "t", ["rank"], Compare("name", Operator.EQ, value), SCHEMA)
        mark = dialect.placeholder(1)
        assert made.text == f'SELECT "rank" FROM "t" WHERE "name" = {mark}'
        assert made.values() == [value]


@given(st.text(min_size=1, max_size=20).filter(lambda name: "\0" not in name))
def test_a_name_stays_within_its_quotes(name):
    text = quoted(name)
    assert text[0] == text[-1] == '"'
    # Every quote inside is doubled, so none of them ends the identifier.
    assert text[1:-1].replace('""', "").count('"') == 0
    assert text[1:-1].replace('""', '"') == name


@pytest.mark.parametrize("name", ["", "a\0b", "a..b", ".a"])
def test_impossible_names_are_refused(name):
    with pytest.raises(SourceError):
        relation(name)


def test_too_many_values_are_refused():
    many = In("rank", tuple(range(10_000)))
    terms = Or((many,) * (MAX_PARAMETERS // 10_000 + 1))
    with pytest.raises(SourceError) as caught:
        select(POSTGRES, "t", ["rank"], terms, SCHEMA)
    assert caught.value.code == "BAD_PREDICATE"


def test_an_unknown_column_or_another_type_is_refused():
    for wrong in (
        Compare("name", Operator.EQ, "a\0b"),
        IsNull('rank" IS NULL --'),
        Compare("rank", Operator.EQ, "1 OR 1=1"),
    ):
        with pytest.raises(SourceError) as caught:
            select(POSTGRES, "t", ["rank"], wrong, SCHEMA)
        assert caught.value.code == "BAD_PREDICATE"
