"""Period arithmetic: the vectors of domain-rules 4.2, the corrections of 13, and properties."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.period import (
    BasisLevel,
    Override,
    PeriodBasis,
    PeriodError,
    PeriodTable,
    Severity,
    Term,
    add_months,
    end_of_day,
    lawful_period,
    overruns,
    sharing_stops_at,
)

TABLE = PeriodTable(
    terms={
        Severity.MINOR: Term(None, 3),
        Severity.GENERAL: Term(3, 12),
        Severity.SERIOUS: Term(12, 36),
        Severity.UNLABELLED: Term(12, 36),
    },
    bases={"judgement_debtor": PeriodBasis.COURT},
    default_basis=PeriodBasis.DOCUMENT,
    override_levels=frozenset({BasisLevel.LAW, BasisLevel.ADMIN_REGULATION}),
    unlabelled_before=dt.date(2026, 4, 1),
)
DAYS = st.dates(dt.date(1990, 1, 1), dt.date(2090, 12, 31))
day = dt.date.fromisoformat


def period(severity, determined, *, fulfilled="2024-01-01", basis=PeriodBasis.DOCUMENT, **more):
    return lawful_period(
        TABLE,
        basis,
        severity,
        determined_on=day(determined) if determined else None,
        publicity_start=more.pop("publicity_start", None),
        fulfilled_on=day(fulfilled) if fulfilled else None,
        **more,
    )


@pytest.mark.parametrize(
    ("severity", "determined", "min_end", "max_end"),
    [
        (Severity.GENERAL, "2026-01-31", "2026-04-30", "2027-01-31"),
        (Severity.SERIOUS, "2024-02-29", "2025-02-28", "2027-02-28"),
        (Severity.MINOR, "2026-11-30", "2024-01-01", "2027-02-28"),
        (Severity.GENERAL, "2023-11-30", "2024-02-29", "2024-11-30"),
    ],
)
def test_vectors_of_the_domain_rules(severity, determined, min_end, max_end):
    found = period(severity, determined)
    assert (found.min_end, found.max_end) == (day(min_end), day(max_end))


def test_a_minor_record_is_ripe_when_its_duty_is_fulfilled():
    assert period(Severity.MINOR, "2026-11-30", fulfilled=None).min_end is None


def test_an_uncorrected_record_follows_its_authority():
    found = period(Severity.GENERAL, "2026-01-31", fulfilled=None)
    assert found.max_end is None
    assert found.min_end == day("2026-04-30")
    assert sharing_stops_at(found, day("2031-01-31")) == end_of_day(day("2031-01-31"))
    assert not overruns(found, day("2031-01-31"))


def test_a_later_end_of_the_source_is_withheld_and_an_alarm_but_never_rewritten():
    found = period(Severity.SERIOUS, "2024-02-29")
    declared = day("2029-02-28")
    assert sharing_stops_at(found, declared) == end_of_day(day("2027-02-28"))
    assert overruns(found, declared)


def test_an_earlier_end_of_the_source_is_honoured():
    found = period(Severity.SERIOUS, "2024-02-29")
    assert sharing_stops_at(found, day("2025-06-30")) == end_of_day(day("2025-06-30"))
    assert not overruns(found, day("2027-02-28"))


@pytest.mark.parametrize("level", [BasisLevel.DEPARTMENTAL_RULE, BasisLevel.LOCAL_RULE])
def test_a_lower_rule_overrides_nothing(level):
    override = Override(level, 12, 60)
    assert period(Severity.GENERAL, "2026-01-31", override=override) == period(
        Severity.GENERAL, "2026-01-31"
    )


@pytest.mark.parametrize("level", [BasisLevel.LAW, BasisLevel.ADMIN_REGULATION])
def test_a_law_overrides_the_period(level):
    found = period(Severity.GENERAL, "2026-01-31", override=Override(level, 6, 60))
    assert (found.min_end, found.max_end) == (day("2026-07-31"), day("2031-01-31"))


@pytest.mark.parametrize("basis", [PeriodBasis.COURT, PeriodBasis.STATE])
def test_lists_by_state_or_court_have_no_end_of_their_own(basis):
    found = period(Severity.SERIOUS, "2024-02-29", basis=basis)
    assert found.max_end is None
    assert sharing_stops_at(found, None) is None


def test_the_publicity_basis_counts_from_the_first_day_of_publicity():
    found = period(
        Severity.GENERAL,
        "2026-01-01",
        basis=PeriodBasis.PUBLICITY,
        publicity_start=day("2026-02-28"),
    )
    assert found.max_end == day("2027-02-28")


def test_without_a_date_to_count_from_there_is_no_period():
    with pytest.raises(PeriodError):
        period(Severity.GENERAL, None)


def test_a_severity_without_a_term_has_no_period():
    with pytest.raises(PeriodError):
        period(Severity.NONE, "2026-01-31")


def test_a_period_ends_at_midnight_in_hainan():
    # 2026-12-31T16:00Z is 2027-01-01 in Hainan already.
    assert end_of_day(day("2026-12-31")) == int(
        dt.datetime(2026, 12, 31, 16, tzinfo=dt.UTC).timestamp()
    )


@given(DAYS, st.integers(0, 60))
def test_months_keep_the_day_or_take_the_last_one(start, months):
    end = add_months(start, months)
    assert (end.year * 12 + end.month) - (start.year * 12 + start.month) == months
    assert end.day == start.day or (end.day < start.day and (end + dt.timedelta(days=1)).day == 1)


@given(DAYS, DAYS, st.integers(0, 60))
def test_months_never_change_the_order_of_days(one, other, months):
    assert (one <= other) <= (add_months(one, months) <= add_months(other, months))


@given(DAYS, st.sampled_from([Severity.MINOR, Severity.GENERAL, Severity.SERIOUS]), st.dates())
def test_sharing_never_outlives_the_longer_of_law_and_source(start, severity, declared):
    found = lawful_period(
        TABLE,
        PeriodBasis.DOCUMENT,
        severity,
        determined_on=start,
        publicity_start=None,
        fulfilled_on=start,
    )
    stops = sharing_stops_at(found, declared)
    assert stops is not None
    assert found.max_end is not None
    assert stops <= end_of_day(found.max_end)
    assert stops <= end_of_day(declared)
