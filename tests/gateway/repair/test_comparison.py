"""Comparing with a publicity authority: every kind of difference, and nothing by the row."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.repair.comparison import WITHHELD, Difference, compare
from gateway.repair.precedence import Precedence
from gateway.repair.publicity import SCHEMA as PUBLICITY
from gateway.snapshot.admission import admit
from gateway.snapshot.snapshot import Snapshot
from tests.gateway.snapshot.population import Rows, product

NOW = 1_795_500_000
DAY = dt.date(2027, 1, 31)
RULES = Precedence("CREDIT_CHINA", "by", (("市场监督管理", "ENTERPRISE_PUBLICITY"),))
SCHEMA = pa.schema(
    [
        pa.field("record_id", pa.string(), nullable=False),
        pa.field("uscc", pa.string(), nullable=False),
        pa.field("publicity_state", pa.string()),
        pa.field("content_hash", pa.string()),
        pa.field("publicity_end", pa.date32()),
        pa.field("by", pa.string()),
    ]
)


def here(key: str, **words) -> dict:
    row = {"record_id": key, "uscc": f"U{key}", "publicity_state": "PUBLIC", "by": "综合执法局"}
    return row | {"content_hash": f"hash-{key}", "publicity_end": DAY} | words


def there(key: str, **words) -> dict:
    row = {"record_id": key, "publicity_state": "PUBLIC", "content_hash": f"hash-{key}"}
    return row | {"publicity_end": DAY} | words


@pytest.fixture
def snapshot(tmp_path):
    made = iter(range(1_000))

    def build(rows, ends=NOW + 1_000) -> Snapshot:
        place = tmp_path / f"s{next(made)}"
        admit(
            Rows(rows, schema=SCHEMA),
            product(),
            SCHEMA,
            place,
            now=NOW,
            as_of=NOW,
            quarantined=0,
            batch_rows=8,
            shareable=lambda batch, _: pa.array(np.ones(batch.num_rows, np.bool_)),
            expires_at=lambda batch, _: pa.array(np.full(batch.num_rows, ends)),
        )
        return Snapshot.open(place)

    return build


def words(snapshot: Snapshot, publicity: list[dict], authority="CREDIT_CHINA") -> dict[str, str]:
    table = pa.Table.from_pylist(publicity, schema=PUBLICITY)
    found = compare(snapshot, table, RULES, authority, NOW)
    told = dict(zip(found.keys.to_pylist(), found.words.tolist(), strict=True))
    return {key: Difference(word).name for key, word in told.items()}


@pytest.mark.parametrize(
    ("ours", "theirs", "word"),
    [
        ({}, {}, "AGREES"),
        ({}, None, "MISSING_THERE"),
        ({}, {"content_hash": "other"}, "OTHER_HASH"),
        ({}, {"content_hash": None}, "OTHER_HASH"),
        ({"content_hash": None}, {}, "OTHER_HASH"),
        ({}, {"publicity_end": DAY + dt.timedelta(1)}, "OTHER_END"),
        ({}, {"publicity_end": DAY - dt.timedelta(1), "content_hash": "other"}, "OTHER_END"),
        ({}, {"publicity_end": None}, "OTHER_END"),
        ({"publicity_end": None}, {"publicity_end": None}, "AGREES"),
        ({}, {"publicity_state": "ENDED"}, "ENDED_THERE"),
        ({}, {"publicity_state": "REPAIRED", "content_hash": "other"}, "REPAIRED_THERE"),
        ({}, {"publicity_state": "WITHDRAWN"}, "WITHDRAWN_THERE"),
        ({"publicity_state": "NOT_PUBLIC"}, {}, "HIDDEN_HERE"),
        ({"publicity_state": "NOT_PUBLIC"}, None, "NOT_COMPARED"),
        ({"publicity_state": "NOT_PUBLIC"}, {"publicity_state": "REPAIRED"}, "NOT_COMPARED"),
        ({"publicity_state": None}, None, "NOT_COMPARED"),
        ({"by": "市场监督管理局"}, None, "NOT_COMPARED"),
        ({"by": "市场监督管理局"}, {"content_hash": "other"}, "NOT_COMPARED"),
        ({"by": None}, None, "MISSING_THERE"),
    ],
)
def test_each_difference_has_its_word(snapshot, ours, theirs, word):
    publicity = [there("b"), there("c")] + ([] if theirs is None else [there("a", **theirs)])
    found = words(snapshot([here("a", **ours), here("b"), here("c")]), publicity)
    assert found == {"a": word, "b": "AGREES", "c": "AGREES"}


def test_the_other_authority_compares_exactly_its_own(snapshot):
    opened = snapshot([here("a", by="示例市场监督管理局"), here("b")])
    assert words(opened, [], "ENTERPRISE_PUBLICITY") == {"a": "MISSING_THERE", "b": "NOT_COMPARED"}


def test_what_has_expired_is_not_compared(snapshot):
    assert words(snapshot([here("a")], ends=NOW), []) == {"a": "NOT_COMPARED"}
    assert words(snapshot([here("a")], ends=NOW + 1), []) == {"a": "MISSING_THERE"}


def test_what_is_unknown_here_is_told_and_nothing_else(snapshot):
    opened = snapshot([here("a")])
    publicity = [there("a"), there("x"), there("y", publicity_state="REPAIRED")]
    table = pa.Table.from_pylist(publicity, schema=PUBLICITY)
    found = compare(opened, table, RULES, "CREDIT_CHINA", NOW)
    assert found.counts() == {"MISSING_HERE": 1}
    assert found.table().to_pylist() == [{"record_id": "x", "difference": "MISSING_HERE"}]
    assert found.compared == 1


def test_the_report_names_each_difference_once(snapshot):
    opened = snapshot([here(f"{number:02d}") for number in range(30)])
    publicity = [there(f"{number:02d}", content_hash="other") for number in range(0, 30, 3)]
    table = pa.Table.from_pylist(publicity, schema=PUBLICITY)
    found = compare(opened, table, RULES, "CREDIT_CHINA", NOW)
    assert found.counts() == {"OTHER_HASH": 10, "MISSING_THERE": 20}
    assert found.table().num_rows == 30
    assert found.keys_of(Difference.OTHER_HASH) == [f"{number:02d}" for number in range(0, 30, 3)]


def test_an_empty_product_and_an_empty_publicity(snapshot):
    assert words(snapshot([]), [there("x")]) == {}
    assert words(snapshot([here("a")]), []) == {"a": "MISSING_THERE"}


ROW = st.fixed_dictionaries(
    {
        "publicity_state": st.sampled_from(["PUBLIC", "ENDED", "REPAIRED", "WITHDRAWN"]),
        "content_hash": st.sampled_from(["x", "y"]),
        "publicity_end": st.sampled_from([None, DAY, DAY + dt.timedelta(1)]),
    }
)
KEYS = st.sampled_from([f"k{number}" for number in range(12)])


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=60,
)
@given(st.dictionaries(KEYS, ROW), st.dictionaries(KEYS, ROW))
def test_only_what_is_the_same_here_and_there_goes_on_being_shared(snapshot, ours, theirs):
    opened = snapshot([here(key) | row for key, row in ours.items()])
    found = words(opened, [there(key) | row for key, row in theirs.items()])
    for key, row in ours.items():
        if row["publicity_state"] != "PUBLIC":
            assert Difference[found[key]] not in WITHHELD
            continue
        assert (found[key] == "AGREES") == (theirs.get(key) == row)
        assert (found[key] == "AGREES") or Difference[found[key]] in WITHHELD


def test_a_record_agrees_only_when_each_of_its_rows_does(snapshot):
    rows = [here("r1"), here("r1", content_hash="other"), here("r2"), here("r2"), here("r3")]
    shown = pa.Table.from_pylist([there("r1"), there("r2"), there("r3")], schema=PUBLICITY)
    found = compare(snapshot(rows), shown, RULES, "CREDIT_CHINA", NOW)
    assert "r1" in found.keys_of(Difference.AGREES)  # by one of its rows
    assert found.agreeing() == {"r2", "r3"}
