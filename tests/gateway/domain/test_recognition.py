"""Mapping tables are total and monotone, whatever is drawn; and days of destinations."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import InvalidRequestError
from gateway.domain.recognition import (
    Effect,
    FieldName,
    FieldTable,
    Scale,
    check_mapping,
    years_before,
)

GRADES = st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=8, unique=True).map(tuple)


@st.composite
def tables(draw):
    """A source, a target and rows that may be anything."""
    source, target = draw(GRADES), draw(GRADES)
    rows = [(grade, draw(st.none() | st.sampled_from(target))) for grade in source]
    return Scale("ours", source), Scale("theirs", target), rows


def monotone(target, rows):
    places = [target.grades.index(told) for _, told in rows if told is not None]
    return places == sorted(places)


@given(tables())
def test_a_table_is_taken_exactly_when_it_is_monotone(table):
    source, target, rows = table
    if monotone(target, rows):
        assert check_mapping(source, target, rows) == dict(rows)
    else:
        with pytest.raises(InvalidRequestError) as caught:
            check_mapping(source, target, rows)
        assert caught.value.code == "BAD_MAPPING"


@given(tables(), st.randoms())
def test_the_order_of_the_rows_changes_nothing(table, random):
    source, target, rows = table
    shuffled = list(rows)
    random.shuffle(shuffled)
    if monotone(target, rows):
        assert check_mapping(source, target, shuffled) == dict(rows)


@given(tables(), st.data())
def test_a_missing_foreign_or_repeated_grade_is_refused(table, data):
    source, target, rows = table
    place = data.draw(st.integers(0, len(rows) - 1))
    for broken in (
        rows[:place] + rows[place + 1 :],
        [*rows, rows[place]],
        [*rows, ("a grade of no scale", None)],
        [*rows[:place], (rows[place][0], "a grade of no scale"), *rows[place + 1 :]],
    ):
        with pytest.raises(InvalidRequestError):
            check_mapping(source, target, broken)


@given(GRADES)
def test_a_scale_that_names_a_grade_twice_is_refused(grades):
    twice = Scale("theirs", (*grades, grades[0]))
    for source, target in ((twice, Scale("x", grades)), (Scale("x", grades), twice)):
        with pytest.raises(InvalidRequestError):
            check_mapping(source, target, [(grade, None) for grade in source.grades])


@given(st.dates(dt.date(1905, 1, 1), dt.date(2100, 1, 1)), st.integers(0, 100))
def test_years_before_is_the_same_day_or_the_last_of_february(day, years):
    found = years_before(day, years)
    assert found.year == day.year - years
    assert (found.month, found.day) in {(day.month, day.day), (2, 28)}


def test_a_field_table_tells_what_is_forbidden_and_too_old():
    rows = (
        FieldName("p", "a", "A", "A", "", True, 0, "s", "M"),
        FieldName("p", "d", "D", "D", "", False, 3, "s", "M"),
        FieldName("q", "a", "A", "A", "", True, 0, "s", "M"),
    )
    table = FieldTable(Effect(1, 1, 0, None), "SG", {(r.product, r.field): r for r in rows})
    assert table.forbidden("p") == {"a"}
    assert table.oldest("p", dt.date(2028, 2, 29)) == {"d": "2025-02-28"}
    assert table.oldest("q", dt.date(2028, 2, 29)) == {}
