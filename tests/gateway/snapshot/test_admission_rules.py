"""What may be shared at admission and until when: R03, R10, R20 to R24, and doubts."""

import datetime as dt

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.period import (
    PeriodBasis,
    Severity,
    end_of_day,
    lawful_period,
    sharing_stops_at,
)
from gateway.registry.periods import lawful_periods
from gateway.snapshot.admission_rules import AdmissionRuleError, expires_at, shareable
from gateway.snapshot.calendar_columns import NEVER
from tests.gateway.ingest.envelopes import (
    COMMITMENT,
    DAY,
    DEBTOR,
    GOOD,
    PENALTY,
    SCHEMA,
    batch,
    not_adverse,
)


def may_leave(change: dict, product=PENALTY) -> bool:
    return shareable(batch(change), product)[0].as_py()


def stops(change: dict, product=PENALTY, schema=SCHEMA) -> int:
    return expires_at(batch(change, schema=schema), product)[0].as_py()


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"share_state": "DISPUTED"},
        {"share_state": "REPAIR_PENDING"},
        {"severity": "SERIOUS"},
        {"severity": "UNLABELLED"},
        # A minor record that had to be published is shared as long as it is public.
        {"severity": "MINOR"},
        {"fulfilled_on": None},
    ],
)
def test_a_publicised_record_with_a_class_may_leave(change):
    assert may_leave(change)


@pytest.mark.parametrize(
    "change",
    [
        *({"share_state": state} for state in ("INGESTED", "QUARANTINED", "NOT_SHARED")),
        *({"share_state": state} for state in ("REPAIRED", "TEMP_MASKED", "EXPIRED", "WITHDRAWN")),
        {"share_state": None},
        {"share_state": "active"},
        {"share_state": "SOMETHING_NEW"},
        *({"publicity_state": state} for state in ("NOT_PUBLIC", "ENDED", "WITHDRAWN")),
        {"publicity_state": None},
        {"publicity_state": "PUBLISHED"},
        {"severity": None},
        {"severity": "NONE"},
        {"severity": "GRAVE"},
        {"severity": "MINOR", "publicity_state": "NOT_PUBLIC"},
        {"publicity_end": None},
        {"determination_date": None},
    ],
)
def test_everything_else_is_withheld(change):
    assert not may_leave(change)


@pytest.mark.parametrize("flag", [False, None])
def test_an_adverse_products_records_are_adverse_whatever_their_flag_says(flag):
    assert not may_leave({"is_adverse": flag, "publicity_state": "NOT_PUBLIC"})


def test_a_record_that_is_not_adverse_needs_no_publicity():
    assert may_leave({"is_adverse": False, "publicity_state": "NOT_PUBLIC"}, COMMITMENT)
    assert not may_leave({"is_adverse": False, "share_state": "WITHDRAWN"}, COMMITMENT)


def test_an_unknown_adverse_flag_counts_as_adverse():
    assert not may_leave({"is_adverse": None, "publicity_state": "NOT_PUBLIC"}, COMMITMENT)


def test_a_court_list_needs_no_end_of_publicity():
    change = {"publicity_end": None, "severity": "SERIOUS"}
    assert may_leave(change, DEBTOR)
    assert stops(change, DEBTOR) == NEVER


@pytest.mark.parametrize(
    ("change", "last_day"),
    [
        ({}, "2027-01-31"),
        ({"publicity_end": DAY("2031-01-31")}, "2027-01-31"),  # M19: withheld, not rewritten
        ({"publicity_end": DAY("2026-06-30")}, "2026-06-30"),
        ({"publicity_end": DAY("2031-01-31"), "fulfilled_on": None}, "2031-01-31"),
        ({"severity": "MINOR", "determination_date": DAY("2026-11-30")}, "2027-01-31"),
        (
            {
                "severity": "MINOR",
                "determination_date": DAY("2026-11-30"),
                "publicity_end": DAY("2028-01-01"),
            },
            "2027-02-28",
        ),
        (
            {
                "severity": "SERIOUS",
                "determination_date": DAY("2024-02-29"),
                "publicity_end": DAY("2029-02-28"),
            },
            "2027-02-28",
        ),
    ],
)
def test_sharing_stops_at_the_earlier_of_the_sources_and_the_lawful_end(change, last_day):
    assert stops(change) == end_of_day(DAY(last_day))


def test_a_product_that_cannot_show_an_open_duty_keeps_the_maximum():
    schema = SCHEMA.remove(SCHEMA.get_field_index("fulfilled_on"))
    declared = {"publicity_end": DAY("2031-01-31")}
    assert stops(declared, schema=schema) == end_of_day(DAY("2027-01-31"))


def test_a_record_that_is_not_adverse_has_no_lawful_end():
    assert stops({"is_adverse": False}, COMMITMENT) == NEVER


@pytest.mark.parametrize(
    ("column", "kind", "value", "expected"),
    [
        ("removed_on", pa.date32(), DAY("2026-05-02"), end_of_day(DAY("2026-05-01"))),
        ("share_until", pa.date32(), DAY("2026-05-02"), end_of_day(DAY("2026-05-02"))),
        (
            "withdrawn_at",
            pa.timestamp("s", "Asia/Shanghai"),
            dt.datetime(2026, 5, 2, tzinfo=dt.UTC),
            1_777_680_000,
        ),
        ("removed_on", pa.date32(), None, NEVER),
        ("withdrawn_at", pa.timestamp("s", "Asia/Shanghai"), None, NEVER),
    ],
)
def test_products_have_ends_of_their_own(column, kind, value, expected):
    schema = SCHEMA.append(pa.field(column, kind))
    assert stops({"is_adverse": False, column: value}, COMMITMENT, schema) == expected


@pytest.mark.parametrize("missing", [n for n in SCHEMA.names if n != "fulfilled_on"])
def test_a_missing_envelope_column_is_an_error_and_not_a_yes(missing):
    records = batch({}).drop_columns([missing])
    for kernel in (shareable, expires_at):
        with pytest.raises(AdmissionRuleError, match=missing):
            kernel(records, PENALTY)


def test_tables_of_several_chunks_give_one_answer_per_record():
    table = pa.Table.from_batches([batch({}), batch({"share_state": "REPAIRED"}, {})])
    assert shareable(table, PENALTY).to_pylist() == [True, False, True]
    assert len(expires_at(table, PENALTY)) == 3


def test_no_records_give_no_answers():
    assert len(shareable(batch(), PENALTY)) == 0
    assert len(expires_at(batch(), PENALTY)) == 0


DAYS = st.dates(dt.date(2000, 1, 1), dt.date(2040, 12, 31))
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "severity": st.sampled_from(["MINOR", "GENERAL", "SERIOUS", "UNLABELLED"]),
            "determination_date": DAYS,
            "publicity_end": st.none() | DAYS,
            "fulfilled_on": st.none() | DAYS,
        }
    ),
    min_size=1,
    max_size=20,
)


@given(ROWS)
def test_the_kernel_agrees_with_the_arithmetic_of_the_domain(rows):
    found = expires_at(batch(*rows), PENALTY).to_pylist()
    for row, stop in zip(rows, found, strict=True):
        period = lawful_period(
            lawful_periods(),
            PeriodBasis.DOCUMENT,
            Severity(row["severity"]),
            determined_on=row["determination_date"],
            publicity_start=None,
            fulfilled_on=row["fulfilled_on"],
        )
        expected = sharing_stops_at(period, row["publicity_end"])
        assert stop == (NEVER if expected is None else expected)


WORDS = st.sampled_from([*GOOD.values(), None, "NONE", "PUBLIC", "ACTIVE", "EXPIRED", "MINOR"])


@given(
    st.fixed_dictionaries(
        {
            "severity": WORDS.filter(lambda w: w is None or isinstance(w, str)),
            "publicity_state": WORDS.filter(lambda w: w is None or isinstance(w, str)),
            "share_state": WORDS.filter(lambda w: w is None or isinstance(w, str)),
            "publicity_end": st.none() | DAYS,
        }
    )
)
def test_nothing_adverse_leaves_that_is_not_public(change):
    if may_leave(change):
        assert change["publicity_state"] == "PUBLIC"
        assert change["share_state"] == "ACTIVE"
        assert change["severity"] in ("MINOR", "GENERAL", "SERIOUS", "UNLABELLED")
        assert change["publicity_end"] is not None
        # What the adverse product withholds is not let through by a flag either.
        assert may_leave(change | {"is_adverse": True}, not_adverse(PENALTY))
