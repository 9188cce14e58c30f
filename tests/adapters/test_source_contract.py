"""The contract of the Source port; every adapter passes all of it."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pytest

from adapters.predicate import And, Compare, In, IsNull, Not, Operator, Or, Predicate
from adapters.source import Source, SourceError
from tests.adapters.conftest import ROWS, SCHEMA, SHANGHAI, Place, records

WHOLE = 1 << 30
TABLE = records()


def read(source: Source, columns=None, predicate: Predicate | None = None) -> pa.Table:
    batches = list(source.scan(columns, predicate, WHOLE))
    names = SCHEMA.names if columns is None else columns
    return pa.Table.from_batches(batches, pa.schema([SCHEMA.field(name) for name in names]))


def test_every_type_comes_back_as_it_was(place: Place):
    table = read(place.put(TABLE))
    assert table.schema == SCHEMA
    assert table.equals(TABLE)
    assert table["name"][1].as_py() == "示例“1”公司,有限"
    assert table["capital"][1].as_py() == Decimal("0.001000")
    # Half past midnight in Hainan is still the day before in UTC.
    assert table["updated"][1].as_py() == datetime(2025, 12, 31, 16, 30, 1, tzinfo=UTC)


def test_the_schema_is_the_contracts(place: Place):
    assert place.put(TABLE).schema() == SCHEMA


@pytest.mark.parametrize(
    "columns", [["rank"], ["updated", "record_id"], ["active", "name", "rank"]]
)
def test_a_projection_has_its_columns_in_its_order(place: Place, columns: list[str]):
    assert read(place.put(TABLE), columns).equals(TABLE.select(columns))


def test_a_predicate_may_use_columns_outside_the_projection(place: Place):
    found = read(place.put(TABLE), ["name"], Compare("rank", Operator.EQ, 12))
    assert found["name"].to_pylist() == ["示例“12”公司,有限"]


LATE = datetime(2026, 1, 1, 0, 30, 50, tzinfo=SHANGHAI)
PREDICATES: list[tuple[Predicate, object]] = [
    (Compare("record_id", Operator.EQ, "r00500"), lambda r: r["record_id"] == "r00500"),
    (
        Compare("name", Operator.NE, "示例“1”公司,有限"),
        lambda r: r["name"] not in (None, "示例“1”公司,有限"),
    ),
    (Compare("rank", Operator.LT, 40), lambda r: r["rank"] is not None and r["rank"] < 40),
    (Compare("rank", Operator.GE, 990), lambda r: r["rank"] is not None and r["rank"] >= 990),
    (
        Compare("capital", Operator.LE, Decimal("0.0100")),
        lambda r: r["capital"] is not None and r["capital"] <= Decimal("0.01"),
    ),
    (Compare("capital", Operator.GT, 0), lambda r: r["capital"] is not None and r["capital"] > 0),
    (
        Compare("founded", Operator.GT, date(1982, 9, 1)),
        lambda r: r["founded"] is not None and r["founded"] > date(1982, 9, 1),
    ),
    (
        Compare("updated", Operator.GE, LATE),
        lambda r: r["updated"] is not None and r["updated"] >= LATE,
    ),
    (
        # The same instant, said in another zone.
        Compare("updated", Operator.EQ, LATE.astimezone(timezone(timedelta(hours=-3)))),
        lambda r: r["updated"] is not None and r["updated"] == LATE,
    ),
    (Compare("active", Operator.EQ, True), lambda r: r["active"] is True),
    (
        In("record_id", ("r00001", "r00999", "nobody")),
        lambda r: r["record_id"] in ("r00001", "r00999"),
    ),
    (In("rank", (5, 6)), lambda r: r["rank"] in (5, 6)),
    (IsNull("name"), lambda r: r["name"] is None),
    (Not(IsNull("founded")), lambda r: r["founded"] is not None),
    # A null is in no list and outside of none.
    (Not(In("rank", (5, 6))), lambda r: r["rank"] is not None and r["rank"] not in (5, 6)),
    (Not(Compare("rank", Operator.LT, 990)), lambda r: r["rank"] is not None and r["rank"] >= 990),
    (
        Not(Or((Compare("rank", Operator.LT, 990), IsNull("name")))),
        lambda r: r["rank"] is not None and r["rank"] >= 990 and r["name"] is not None,
    ),
    (
        And((Compare("active", Operator.EQ, False), Compare("rank", Operator.LT, 10))),
        lambda r: r["active"] is False and r["rank"] is not None and r["rank"] < 10,
    ),
]


def test_predicates_mean_what_sql_means(place: Place):
    source = place.put(TABLE)
    rows = TABLE.to_pylist()
    for predicate, meaning in PREDICATES:
        expected = [row["record_id"] for row in rows if meaning(row)]
        assert expected, predicate
        assert read(source, ["record_id"], predicate)["record_id"].to_pylist() == expected, (
            predicate
        )


def test_nothing_found_gives_no_batch(place: Place):
    source = place.put(TABLE)
    assert list(source.scan(None, Compare("rank", Operator.GT, 10**9), WHOLE)) == []


def test_an_empty_source_gives_no_batch(place: Place):
    assert list(place.put(TABLE.slice(0, 0)).scan(None, None, WHOLE)) == []


@pytest.mark.parametrize("limit", [1, 1000, 20_000])
def test_batches_are_cut_by_bytes_and_never_empty(place: Place, limit: int):
    batches = list(place.put(TABLE).scan(None, None, limit))
    assert all(batch.num_rows for batch in batches)
    assert all(batch.nbytes <= limit or batch.num_rows == 1 for batch in batches)
    assert pa.Table.from_batches(batches).equals(TABLE)


def test_one_huge_record_among_small_ones_is_alone_in_its_batch(place: Place):
    names = ["短"] * 50
    names[25] = "长" * 50_000
    table = TABLE.slice(0, 50).set_column(1, "name", pa.array(names))
    batches = list(place.put(table).scan(["name"], None, 4096))
    sizes = [batch.num_rows for batch in batches if batch.nbytes > 4096]
    assert sizes == [1]
    assert sum(batch.num_rows for batch in batches) == 50


def test_an_abandoned_scan_can_be_closed_and_another_one_is_complete(place: Place):
    source = place.put(TABLE)
    scan = source.scan(None, None, 1000)
    assert next(scan).num_rows
    scan.close()
    with pytest.raises(StopIteration):
        next(scan)
    assert read(source).num_rows == ROWS


def test_two_scans_do_not_disturb_each_other(place: Place):
    source = place.put(TABLE)
    first, second = source.scan(["rank"], None, 500), source.scan(["rank"], None, 500)
    one, two = [], []
    for left, right in zip(first, second, strict=True):
        one.append(left)
        two.append(right)
    assert pa.Table.from_batches(one).equals(pa.Table.from_batches(two))


def test_a_failure_half_way_is_a_source_error_without_values_or_paths(place: Place, tmp_path):
    broken = place.damage(place.put(TABLE))
    with pytest.raises(SourceError) as caught:
        for _ in broken.scan(None, None, 1000):
            pass
    assert_silent(caught.value, tmp_path)


def assert_silent(error: SourceError, tmp_path) -> None:
    """No value, path or cause that could carry one."""
    text = f"{error.code} {error.message} {error}"
    for secret in (str(tmp_path), "records.", "示例", "only,three", "127.0.0.1", "credit/"):
        assert secret not in text
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None


def test_equal_records_have_equal_versions_and_others_another(place: Place):
    source = place.put(TABLE)
    first = source.version()
    assert first == source.version()
    assert len(first) == 64
    # A live database's state has a name of its own; equal names still mean equal records.
    assert not place.by_content or first == place.put(TABLE).version()
    assert place.put(TABLE.slice(0, ROWS - 1)).version() != first


def test_a_source_that_changes_after_it_was_opened_gives_its_state_or_fails(place: Place):
    source = place.put(TABLE)
    version = source.version()
    place.put(TABLE.slice(0, 10))
    if place.keeps:
        assert read(source).equals(TABLE)
        assert read(source, ["rank"], IsNull("name")).num_rows == len(range(0, ROWS, 7))
        assert source.version() == version
        return
    for attempt in (source.version, lambda: list(source.scan(None, None, WHOLE))):
        with pytest.raises(SourceError) as caught:
            attempt()
        assert caught.value.code == "SOURCE_CHANGED"


@pytest.mark.parametrize("columns", [[], ["nobody"], ["rank", "rank"]])
def test_a_wrong_projection_is_refused_before_reading(place: Place, columns: list[str]):
    source = place.put(TABLE)
    with pytest.raises(SourceError) as caught:
        source.scan(columns, None, WHOLE)
    assert caught.value.code == "BAD_PROJECTION"


def test_a_batch_of_no_bytes_is_refused(place: Place):
    with pytest.raises(SourceError):
        place.put(TABLE).scan(None, None, 0)


def test_a_wrong_predicate_is_refused_before_reading(place: Place):
    source = place.put(TABLE)
    with pytest.raises(SourceError) as caught:
        source.scan(None, Compare("rank", Operator.EQ, "十二"), WHOLE)
    assert caught.value.code == "BAD_PREDICATE"


def test_a_missing_column_is_schema_drift_and_is_named(place: Place):
    source = place.put(TABLE.drop_columns(["capital"]))
    with pytest.raises(SourceError) as caught:
        source.schema()
    assert caught.value.code == "SCHEMA_DRIFT"
    assert "column capital is missing" in caught.value.message


def test_a_surplus_column_is_schema_drift(place: Place):
    source = place.put(TABLE.append_column("religion", pa.nulls(ROWS, pa.string())))
    with pytest.raises(SourceError) as caught:
        list(source.scan(["rank"], None, WHOLE))
    assert caught.value.code == "SCHEMA_DRIFT"


def test_an_empty_key_is_refused(place: Place):
    keys = pa.array([None if i == 500 else f"r{i}" for i in range(ROWS)])
    source = place.put(TABLE.set_column(0, "record_id", keys))
    with pytest.raises(SourceError) as caught:
        list(source.scan(None, None, WHOLE))
    assert caught.value.code == "NULL_KEY"
