"""Each rule of records and periods on both of its sides: R02, R03, R08, R20 to R24."""

import datetime as dt

import pyarrow as pa
import pytest

from gateway.domain.period import BasisLevel, Override, Severity, end_of_day, lawful_period
from gateway.domain.share_state import Event, ShareState, Standing, advance
from gateway.registry.periods import lawful_periods
from gateway.repair.record import Record, is_early
from gateway.snapshot.admission_rules import expires_at, shareable
from tests.gateway.ingest.envelopes import DAY, PENALTY, SCHEMA, batch

WITH_CODE = SCHEMA.append(pa.field("uscc", pa.string()))
GOOD_CODE, BAD_CODE = "91350100M000100Y43", "91350100M000100Y4A"


def may_leave(at="2026-03-01", schema=SCHEMA, **changes) -> bool:
    """Whether a record leaves at the beginning of a day in Hainan."""
    records = batch({"publicity_end": DAY("2040-01-01")} | changes, schema=schema)
    opens = shareable(records, PENALTY)[0].as_py()
    return opens and expires_at(records, PENALTY)[0].as_py() > end_of_day(DAY(at)) - 86_400


def term(severity, override=None):
    return lawful_period(
        lawful_periods(),
        lawful_periods().basis(PENALTY.name),
        severity,
        determined_on=DAY("2026-01-31"),
        publicity_start=DAY("2026-02-03"),
        fulfilled_on=DAY("2026-02-10"),
        override=override,
    )


def early(severity, decided: dt.date) -> bool:
    """Whether a repair of that day is early, by the shortest publicity of the class."""
    ripe = end_of_day(term(severity).min_end)
    record = Record("k", "s", Standing(ShareState.ACTIVE), None, ripe, can_be_labelled=True)
    return is_early(record, end_of_day(decided))


@pytest.mark.rule("R02", "effect")
@pytest.mark.parametrize("code", [BAD_CODE, "", None, "9135"])
def test_a_record_under_a_wrong_code_is_withheld(code):
    assert not may_leave(schema=WITH_CODE, uscc=code)


@pytest.mark.rule("R02", "absence")
def test_a_record_under_a_right_code_may_leave():
    assert may_leave(schema=WITH_CODE, uscc=GOOD_CODE)


@pytest.mark.rule("R03", "effect")
@pytest.mark.parametrize("severity", [None, "NONE", "GRAVE"])
def test_an_adverse_record_without_a_class_is_withheld(severity):
    assert not may_leave(severity=severity)


@pytest.mark.rule("R03", "absence")
def test_an_adverse_record_with_a_class_may_leave():
    assert may_leave(severity="GENERAL")


@pytest.mark.rule("R20", "effect")
def test_a_minor_record_that_is_not_public_never_leaves():
    assert not may_leave(severity="MINOR", publicity_state="NOT_PUBLIC")


@pytest.mark.rule("R20", "absence")
def test_a_minor_record_that_had_to_be_published_may_leave():
    assert may_leave(severity="MINOR")


@pytest.mark.parametrize(
    ("severity", "last_day", "gone"),
    [
        pytest.param("MINOR", "2026-04-30", "2026-05-01", id="R21: three months"),
        pytest.param("GENERAL", "2027-01-31", "2027-02-01", id="R22: a year"),
        pytest.param("SERIOUS", "2029-01-31", "2029-02-01", id="R23: three years"),
    ],
)
@pytest.mark.rule("R21", "effect")
@pytest.mark.rule("R21", "absence")
@pytest.mark.rule("R22", "effect")
@pytest.mark.rule("R22", "absence")
@pytest.mark.rule("R23", "effect")
@pytest.mark.rule("R23", "absence")
def test_a_record_leaves_through_the_last_day_of_its_term_and_no_longer(severity, last_day, gone):
    assert may_leave(last_day, severity=severity)
    assert not may_leave(gone, severity=severity)


@pytest.mark.parametrize(
    ("severity", "still_early", "ripe"),
    [
        pytest.param(Severity.GENERAL, "2026-04-29", "2026-04-30", id="R22: three months"),
        pytest.param(Severity.SERIOUS, "2027-01-30", "2027-01-31", id="R23: a year"),
    ],
)
@pytest.mark.rule("R22", "effect")
@pytest.mark.rule("R22", "absence")
@pytest.mark.rule("R23", "effect")
@pytest.mark.rule("R23", "absence")
def test_a_repair_before_the_shortest_publicity_is_early(severity, still_early, ripe):
    assert early(severity, DAY(still_early))
    assert not early(severity, DAY(ripe))


@pytest.mark.rule("R24", "effect")
@pytest.mark.parametrize("level", [BasisLevel.DEPARTMENTAL_RULE, BasisLevel.LOCAL_RULE])
def test_a_lower_rule_lengthens_nothing(level):
    override = Override(level, 12, 60)
    assert term(Severity.GENERAL, override) == term(Severity.GENERAL)


@pytest.mark.rule("R24", "absence")
@pytest.mark.parametrize("level", [BasisLevel.LAW, BasisLevel.ADMIN_REGULATION])
def test_a_law_may_lengthen(level):
    assert term(Severity.GENERAL, Override(level, 12, 60)).max_end == DAY("2031-01-31")


@pytest.mark.rule("R08", "effect")
@pytest.mark.parametrize("base", [ShareState.ACTIVE, ShareState.NOT_SHARED, ShareState.QUARANTINED])
def test_an_annulled_decision_is_withdrawn_at_once(base):
    after = advance(Standing(base, disputed=True), Event.WITHDRAW, ends_at=None, now=0)
    assert after.state is ShareState.WITHDRAWN
    assert not after.shared


@pytest.mark.rule("R08", "absence")
@pytest.mark.parametrize("event", [Event.DISPUTE_OPENED, Event.REPAIR_ACCEPTED])
def test_a_decision_that_is_only_contested_is_still_shared(event):
    assert advance(Standing(ShareState.ACTIVE), event, ends_at=None, now=0).shared
