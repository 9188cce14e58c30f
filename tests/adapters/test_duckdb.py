"""What is particular to DuckDB files: what they may not do, and whose file is read."""

import threading
import time

import duckdb
import pyarrow as pa
import pytest

from adapters.duckdb import DuckDbSource
from adapters.predicate import Compare, Operator
from adapters.source import SourceError
from adapters.sql import DUCKDB, select
from tests.adapters.conftest import SCHEMA, records
from tests.adapters.live import DuckDbPlace

TABLE = records(100)
WHOLE = 1 << 30


@pytest.fixture
def place(tmp_path):
    made = DuckDbPlace(tmp_path, SCHEMA)
    yield made
    made.close()


def code(act):
    with pytest.raises(SourceError) as caught:
        act()
    return caught.value.code


def rows(source, predicate=None):
    return sum(batch.num_rows for batch in source.scan(None, predicate, WHOLE))


def view(place, rank):
    place.write(
        f"CREATE VIEW trap AS SELECT record_id, name, {rank} AS rank, capital, founded, updated,"
        " active FROM records",
        records=TABLE,
    )
    return place.open("trap")


def test_a_view_of_the_file_can_not_read_other_files(place, tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("number\n42\n")
    trap = f"(SELECT number::bigint FROM read_csv('{secret}'))"
    source = view(place, trap)
    with duckdb.connect(str(place.path), read_only=True) as free:
        assert free.execute("SELECT max(rank) FROM trap").fetchone() == (42,)
    with pytest.raises(SourceError) as caught:
        rows(source)
    assert caught.value.code == "SOURCE_FAILED"
    assert "secret" not in str(caught.value)


def test_the_engine_refuses_to_be_opened_up(place):
    source = place.put(TABLE)
    source.schema()
    connection = source._opened[0]
    for statement in (
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "ATTACH '/tmp/other.duckdb'",
        "COPY source.main.records TO '/tmp/stolen.csv'",
        "INSTALL httpfs",
        "DELETE FROM source.main.records",
    ):
        with pytest.raises(duckdb.Error):
            connection.execute(statement)
    assert rows(source) == 100


def test_a_file_put_in_the_place_of_another_is_never_taken_for_it(place):
    old = place.put(TABLE)
    assert rows(old) == 100
    new = place.put(TABLE.slice(0, 10))
    assert rows(new) == 10
    assert code(lambda: rows(old)) == "SOURCE_CHANGED"


def test_a_condition_reaches_the_scan(place):
    source = place.put(TABLE)
    source.schema()
    made = select(DUCKDB, "source.main.records", ["name"], Compare("rank", Operator.GE, 90), SCHEMA)
    plan = source._opened[0].execute("EXPLAIN " + made.text, made.values()).fetchall()
    text = "".join(line for _, line in plan)
    # Everything happens in the one step that reads the file.
    assert "Projections: name " in text
    assert "Filters: rank >= 90 " in text
    assert text.count("╭") == 1


def test_closing_interrupts_a_scan_in_another_thread(place):
    source = view(place, "(SELECT count(*) FROM range(30000000) a, range(1000000) b)")
    source.schema()
    caught = []

    def scan():
        try:
            rows(source)
        except SourceError as error:
            caught.append(error.code)

    thread = threading.Thread(target=scan)
    thread.start()
    time.sleep(0.7)  # so that it most likely is under way
    assert thread.is_alive()
    source.close()
    thread.join(60)  # by itself it would take hours
    assert not thread.is_alive()
    assert caught == ["SOURCE_FAILED"]
    assert code(source.schema) == "SOURCE_FAILED"


def test_a_table_of_another_schema_is_found_and_a_missing_one_is_not(place):
    place.write('CREATE SCHEMA "信用"', 'CREATE TABLE "信用"."公示" AS FROM records', records=TABLE)
    assert pa.Table.from_batches(place.open("信用.公示").scan(None, None, WHOLE)).equals(TABLE)
    for name in ("nobody", "nowhere.records", 'records"; DROP TABLE records; --'):
        assert code(place.open(name).schema) == "NOT_FOUND"
    assert rows(place.open("records")) == 100


def test_what_a_writer_left_in_its_log_is_read_and_is_part_of_the_version(place):
    source = place.put(TABLE)
    before = source.version()
    source.close()
    with duckdb.connect(str(place.path)) as database:
        database.execute("SET checkpoint_threshold = '1GB'")
        database.execute("PRAGMA disable_checkpoint_on_shutdown")
        database.execute("DELETE FROM records WHERE rank >= 50")
    assert place.path.with_name(place.path.name + ".wal").exists()
    after = place.open()
    assert after.version() != before
    assert rows(after, Compare("rank", Operator.GE, 50)) == 0


def test_a_file_that_is_no_database_is_a_source_error(tmp_path):
    path = tmp_path / "records.duckdb"
    source = DuckDbSource(str(path), "records", expected=SCHEMA)
    assert code(source.schema) == "NOT_FOUND"
    path.write_bytes(b"\xff" * 100_000)
    assert code(source.schema) == "SOURCE_FAILED"


def test_drift_names_each_difference(place):
    drifted = TABLE.drop_columns(["name"]).set_column(1, "rank", pa.array([0.5] * 100))
    with pytest.raises(SourceError) as caught:
        place.put(drifted).schema()
    assert caught.value.message == (
        "the table's schema differs: column name is missing; column rank is double instead of int64"
    )
    first = caught.value.differences[1]
    assert (first.column, first.found, first.expected) == ("rank", "double", "int64")
