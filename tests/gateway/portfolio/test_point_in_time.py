"""Point in time: what was known on the day, less what may not be shared now; nothing later."""

import datetime as dt
import tempfile
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gateway.portfolio.world import (
    DEFINITIONS,
    HAINAN,
    NOW,
    SUBJECTS,
    TODAY,
    Record,
    features_of,
    oracle,
    repaired,
    snapshots_of,
    told,
    without_future,
)

DAY = dt.timedelta(1)
_some_days = st.integers(0, 1_400).map(lambda n: TODAY - n * DAY)
_near = st.sampled_from([TODAY - n * DAY for n in (0, 1, 2, 89, 90, 91, 364, 365, 366, 1_095)])
_dates = st.one_of(_near, _some_days)
# Around midnight in Hainan, where a record begins to be known.
_seconds = st.sampled_from([0, 1, 43_200, 86_399])
_moments = st.builds(
    lambda day, second: dt.datetime.combine(day, dt.time(), HAINAN) + dt.timedelta(seconds=second),
    _dates,
    _seconds,
)
_maybe_date = st.none() | _dates
_ahead = st.none() | st.integers(-400, 400).map(lambda n: TODAY + n * DAY)
_VALUES = {
    "admin_penalty": {"severity": st.sampled_from(["SERIOUS", "GENERAL", None])},
    "admin_licence": {"valid_from": _maybe_date, "valid_to": _ahead},
    "serious_dishonesty_list": {"removed_on": _ahead},
    "judgement_debtor": {"removed_on": _ahead},
    "contract_performance": {
        "source": st.sampled_from(["GOV_MONITOR", "SELF_DECLARED", None]),
        "on_time_ratio": st.none() | st.integers(0, 10_000).map(lambda n: Decimal(n).scaleb(-4)),
    },
    "credit_commitment": {
        "fulfil_status": st.sampled_from(["全部履行", "部分履行", "未履行", "—", None])
    },
    "public_credit_grade": {
        "grade": st.sampled_from(["A", "B", None]),
        "score": st.none() | st.integers(0, 9_999).map(lambda n: Decimal(n).scaleb(-2)),
        "valid_to": _ahead,
    },
    "legal_entity_base": {},
}


@st.composite
def records(draw):
    found = []
    for number in range(draw(st.integers(0, 14))):
        product = draw(st.sampled_from(sorted(_VALUES)))
        values = tuple((name, draw(some)) for name, some in _VALUES[product].items())
        found.append(
            Record(
                product,
                f"r{number:03}",
                draw(st.sampled_from(SUBJECTS)),
                draw(_dates if product == "legal_entity_base" else _maybe_date),
                draw(st.none() | _moments),
                values,
                draw(st.booleans() | st.just(True)),
                draw(st.sampled_from([4_000_000_000, NOW, NOW + 1])),
            )
        )
    return found


pairs = st.lists(
    st.tuples(st.sampled_from((*SUBJECTS, "S-unknown")), _dates), min_size=1, max_size=5
)
quick = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def computed(given_records, observations):
    with tempfile.TemporaryDirectory() as folder:
        return told(features_of(snapshots_of(Path(folder), given_records), observations))


@quick
@given(records(), pairs)
def test_features_are_those_of_a_record_by_record_reading(made, observations):
    assert computed(made, observations) == oracle(made, observations)


@quick
@given(records(), st.sampled_from(SUBJECTS), _dates)
def test_nothing_later_than_the_observation_date_changes_a_value(made, subject, day):
    observation = [(subject, day)]
    assert computed(made, observation) == computed(without_future(made, day), observation)


@pytest.mark.rule("R44", "effect")
@quick
@given(records(), pairs, st.sets(st.integers(0, 13)))
def test_a_removed_record_counts_as_if_it_had_never_been(made, observations, numbers):
    gone = {f"r{number:03}" for number in numbers}
    rest = [record for record in made if record.key not in gone]
    assert computed(repaired(made, gone), observations) == computed(rest, observations)


@pytest.mark.rule("R44", "effect")
def test_a_seal_is_felt_by_the_next_computation(tmp_path):
    day = TODAY - 30 * DAY
    moment = dt.datetime.combine(day, dt.time(12), HAINAN)
    made = [
        Record("legal_entity_base", "b1", "S1", day - 800 * DAY, moment),
        Record("admin_penalty", "p1", "S1", day, moment, (("severity", "SERIOUS"),)),
        Record("admin_penalty", "p2", "S1", day, moment, (("severity", "GENERAL"),)),
    ]
    snapshots = snapshots_of(tmp_path, made)
    ask = [("S1", TODAY)]
    assert told(features_of(snapshots, ask))["S1", TODAY]["penalties_12m"] == 2
    snapshots["admin_penalty"].seal(["p1"])
    after = told(features_of(snapshots, ask))["S1", TODAY]
    assert (after["penalties_12m"], after["serious_penalties_36m"]) == (1, 0)


@pytest.mark.rule("R44", "absence")
def test_a_record_that_stays_shareable_counts_on(tmp_path):
    moment = dt.datetime.combine(TODAY, dt.time(12), HAINAN) - 40 * DAY
    made = [Record("admin_penalty", key, "S1", TODAY - 40 * DAY, moment) for key in ("p1", "p2")]
    snapshots = snapshots_of(tmp_path, made)
    before = told(features_of(snapshots, [("S1", TODAY)]))
    snapshots["admin_penalty"].seal(["another"])
    assert told(features_of(snapshots, [("S1", TODAY)])) == before


def test_an_unavailable_source_makes_its_features_null_and_never_zero(tmp_path):
    moment = dt.datetime.combine(TODAY, dt.time(12), HAINAN) - 40 * DAY
    made = [Record("legal_entity_base", "b1", "S1", TODAY - 400 * DAY, moment)]
    snapshots = snapshots_of(tmp_path, made)
    ask = [("S1", TODAY)]
    assert told(features_of(snapshots, ask))["S1", TODAY]["penalties_12m"] == 0
    snapshots.pop("admin_penalty")
    found = features_of(snapshots, ask, {"admin_penalty": "STALE_FEED"})
    assert "penalties_12m" not in found.features
    assert found.unavailable == {"admin_penalty": "STALE_FEED"}
    assert "admin_penalty" not in found.coverage


def test_a_subject_of_whom_nothing_is_known_has_no_row(tmp_path):
    found = features_of(snapshots_of(tmp_path, []), [("S1", TODAY)])
    assert not found.hit.any()
    assert told(found) == {}


def test_the_row_ends_with_the_first_record_that_it_counts(tmp_path):
    moment = dt.datetime.combine(TODAY, dt.time(), HAINAN) - 40 * DAY
    made = [
        Record("admin_penalty", f"p{n}", "S1", TODAY - 40 * DAY, moment, expiry=NOW + n * 86_400)
        for n in (3, 2, 5)
    ]
    found = features_of(snapshots_of(tmp_path, made), [("S1", TODAY)])
    assert found.expiry.tolist() == [NOW + 2 * 86_400]


def test_a_dispute_about_any_record_is_carried(tmp_path):
    moment = dt.datetime.combine(TODAY, dt.time(), HAINAN) - 40 * DAY
    made = [
        Record(
            "admin_penalty", f"p{n}", "S1", TODAY - 40 * DAY, moment, (("dispute_flag", n == 1),)
        )
        for n in range(3)
    ]
    snapshots = snapshots_of(tmp_path, made)
    assert features_of(snapshots, [("S1", TODAY)]).disputed.all()
    assert not features_of(snapshots_of(tmp_path, made[:1]), [("S1", TODAY)]).disputed.any()


def test_subjects_of_contradictory_kinds_have_no_row(tmp_path, monkeypatch):
    moment = dt.datetime.combine(TODAY, dt.time(), HAINAN) - 40 * DAY
    row = Record.row

    def lying(self, schema):
        made = row(self, schema)
        return made | ({"subject_type": "SOLE_PROP"} if self.key == "p1" else {})

    monkeypatch.setattr(Record, "row", lying)
    made = [
        Record("legal_entity_base", "b1", "S1", TODAY - 400 * DAY, moment),
        Record("admin_penalty", "p1", "S1", TODAY - 40 * DAY, moment),
    ]
    assert not features_of(snapshots_of(tmp_path, made), [("S1", TODAY)]).hit.any()


def test_every_feature_has_its_definition():
    fields = DEFINITIONS.product.fields
    assert [f.name for f in DEFINITIONS.features] == [n for n, f in fields.items() if f.basis]
    assert all("R44" in fields[f.name].basis for f in DEFINITIONS.features)
