import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.border.law import lawful_border, load_law
from gateway.domain.working_days import WorkCalendar
from gateway.registry.periods import POLICIES

CALENDAR = lawful_border().calendar
D = dt.date


@pytest.mark.parametrize(
    ("day", "worked"),
    [
        (D(2026, 1, 1), False),
        (D(2026, 1, 4), True),  # 周日上班
        (D(2026, 2, 14), True),
        (D(2026, 2, 15), False),
        (D(2026, 2, 23), False),
        (D(2026, 2, 24), True),
        (D(2026, 2, 28), True),
        (D(2026, 5, 9), True),
        (D(2026, 10, 7), False),
        (D(2026, 10, 10), True),
        (D(2026, 11, 28), False),  # an ordinary Saturday
        (D(2025, 10, 8), False),
        (D(2025, 10, 11), True),
    ],
)
def test_days_as_the_state_council_arranged_them(day, worked) -> None:
    assert CALENDAR.is_worked(day) is worked


def test_counting_back_over_the_national_day() -> None:
    # 8, 9 and 10 October are worked (the 10th is a Saturday), the 1st to the 7th are not.
    assert CALENDAR.before(D(2026, 10, 12), 3).day == D(2026, 10, 8)
    assert CALENDAR.before(D(2026, 10, 12), 4).day == D(2026, 9, 30)
    assert not CALENDAR.before(D(2026, 10, 12), 4).provisional


def test_the_year_has_as_many_working_days_as_published() -> None:
    days = [D(2026, 1, 1) + dt.timedelta(days=n) for n in range(365)]
    assert sum(map(CALENDAR.is_worked, days)) == 248
    assert sum(day.weekday() < 5 for day in days) - 13 == 248


def test_no_count_below_one() -> None:
    with pytest.raises(ValueError):
        CALENDAR.before(D(2026, 6, 1), 0)


@given(st.dates(D(2025, 7, 1), D(2026, 12, 31)), st.integers(1, 60))
def test_the_term_holds_exactly_that_many_working_days(day, count) -> None:
    deadline = CALENDAR.before(day, count)
    between = [deadline.day + dt.timedelta(days=n) for n in range((day - deadline.day).days)]
    assert sum(map(CALENDAR.is_worked, between)) == count
    assert CALENDAR.is_worked(deadline.day)


@given(st.dates(D(2025, 7, 1), D(2026, 12, 31)), st.integers(1, 60))
def test_without_the_year_s_table_the_duty_comes_rather_earlier(day, count) -> None:
    known = CALENDAR.before(day, count)
    blind = WorkCalendar({}).before(day, count)
    assert blind.provisional
    assert blind.day <= known.day


def test_a_later_year_is_provisional_until_it_is_published() -> None:
    assert CALENDAR.before(D(2027, 3, 1), 60).provisional
    assert CALENDAR.before(D(2028, 3, 1), 60).provisional


def test_a_malformed_table_is_refused(tmp_path) -> None:
    for name in ("thresholds", "working_days"):
        (tmp_path / f"{name}.json").write_text((POLICIES / "data" / f"{name}.json").read_text())
    assert load_law(tmp_path).renewal_days == 60
    (tmp_path / "working_days.json").write_text('{"2026": {"holidays": [], "worked": []}}')
    with pytest.raises(ValueError):
        load_law(tmp_path)
    (tmp_path / "working_days.json").write_text("{}")
    (tmp_path / "thresholds.json").write_text("{}")
    with pytest.raises(ValueError):
        load_law(tmp_path)
