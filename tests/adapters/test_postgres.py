"""What is particular to PostgreSQL: one state, plans, sessions freed, types, limits."""

import threading
import time

import psycopg
import pyarrow as pa
import pytest

from adapters.postgres import PostgresSource, _require
from adapters.predicate import Compare, In, Operator
from adapters.source import SourceError
from adapters.sql import POSTGRES, select
from tests.adapters.conftest import SCHEMA, records
from tests.adapters.live import PostgresPlace

TABLE = records(100)
WHOLE = 1 << 30
MANY = 20_000


@pytest.fixture
def place(postgres):
    made = PostgresPlace(postgres, SCHEMA)
    yield made
    made.close()


def code(act):
    with pytest.raises(SourceError) as caught:
        act()
    return caught.value.code


def drift(source):
    with pytest.raises(SourceError) as caught:
        source.schema()
    assert caught.value.code == "SCHEMA_DRIFT"
    return caught.value.message


def rows(source, predicate=None):
    return sum(batch.num_rows for batch in source.scan(None, predicate, WHOLE))


def fill(place, count=MANY):
    place.put(TABLE.slice(0, 0))
    place.run(
        "INSERT INTO records SELECT 'r' || i, '示例' || i, i, i / 1000.0, NULL, NULL, i % 2 = 0"
        f" FROM generate_series(1, {count}) i"
    )
    return place.open("records")


def wait_for(true, told):
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < 60, told
        time.sleep(0.01)


def gone(place):
    """Wait until no session is left: of its own accord none would ever end."""
    wait_for(lambda: not place.sessions(), "the source still holds a session")


def test_all_scans_of_a_source_see_the_state_it_was_opened_in(place):
    source = place.put(TABLE)
    version = source.version()
    place.run("DELETE FROM records WHERE rank < 50")
    half = source.scan(None, None, 1000)
    first = next(half)
    place.run("UPDATE records SET name = 'other'")
    assert pa.Table.from_batches([first, *half]).equals(TABLE)
    assert pa.Table.from_batches(source.scan(None, None, WHOLE)).equals(TABLE)
    assert source.version() == version
    assert place.open("sorted").version() != version


def test_a_table_is_not_emptied_under_an_open_source(place):
    source = place.put(TABLE)
    source.version()
    with pytest.raises(psycopg.errors.LockNotAvailable):
        place.run("SET lock_timeout = 200; TRUNCATE records")
    assert rows(source) == 100
    source.close()
    place.run("TRUNCATE records")


def test_a_condition_reaches_the_index(place):
    fill(place).close()
    place.run("CREATE INDEX ON records (record_id)")
    place.run("CREATE INDEX ON records (rank)")
    place.run("ANALYZE records")
    for predicate in (
        Compare("record_id", Operator.EQ, "r77"),
        In("record_id", ("r77", "r78")),
        Compare("rank", Operator.GE, MANY - 10),
    ):
        made = select(POSTGRES, "records", ["name"], predicate, SCHEMA)
        with psycopg.connect(place.dsn, cursor_factory=psycopg.RawCursor) as database:
            plan = database.execute("EXPLAIN " + made.text, made.values()).fetchall()
        text = "\n".join(line for (line,) in plan)
        assert "Index Cond" in text, text
        assert "Seq Scan" not in text, text


def test_a_condition_without_an_index_is_the_scans_filter(place):
    fill(place).close()
    made = select(POSTGRES, "records", ["rank"], Compare("name", Operator.LT, "示例2"), SCHEMA)
    with psycopg.connect(place.dsn, cursor_factory=psycopg.RawCursor) as database:
        plan = database.execute("EXPLAIN VERBOSE " + made.text, made.values()).fetchall()
    text = "\n".join(line for (line,) in plan)
    assert "Filter:" in text, text
    assert "Output: rank\n" in text, text  # and only the column that was asked for is given


def test_an_abandoned_scan_frees_its_session_while_its_source_is_open(place):
    source = fill(place)
    scan = source.scan(None, None, 10_000)
    next(scan)
    assert place.sessions() == 2  # the one that keeps the state, and the scan's
    scan.close()
    wait_for(lambda: place.sessions() == 1, "the scan still holds its session")
    source.close()
    gone(place)


def test_closing_cancels_a_scan_that_waits_for_the_server(place):
    place.put(TABLE)
    place.run(
        "CREATE VIEW slow AS SELECT r.* FROM records r,"
        " LATERAL (SELECT pg_sleep(600) FROM generate_series(1, 1 + length(r.record_id))) s"
    )
    source = place.open("slow")
    source.schema()
    caught = []

    def scan():
        try:
            rows(source)
        except SourceError as error:
            caught.append(error.code)

    thread = threading.Thread(target=scan)
    thread.start()
    wait_for(lambda: "PgSleep" in place.waits(), "it never waited in the server")
    source.close()
    thread.join(60)  # the view sleeps for ten minutes a row
    assert not thread.is_alive()
    assert caught == ["SOURCE_FAILED"]
    gone(place)
    assert code(source.schema) == "SOURCE_FAILED"


def test_a_server_that_dies_half_way_is_a_source_error(place, postgres):
    source = fill(place)
    scan = source.scan(None, None, 10_000)
    assert next(scan).num_rows
    with postgres.admin() as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s",
            (place.user,),
        )
    with pytest.raises(SourceError) as caught:
        list(scan)
    assert caught.value.code == "SOURCE_FAILED"
    assert "示例" not in str(caught.value)
    # The state went with its session; another one would be another state.
    assert code(lambda: rows(source)) == "SOURCE_FAILED"
    assert rows(place.open("records")) == MANY


def test_memory_does_not_grow_with_the_result(place):
    source = fill(place, 100_000)
    before = pa.total_allocated_bytes()
    most = 0
    for batch in source.scan(None, None, 1 << 20):
        assert batch.nbytes <= 1 << 20
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 32 << 20


def test_a_numeric_without_limits_is_read_where_its_values_fit(place):
    place.put(TABLE)
    place.run("CREATE VIEW loose AS SELECT record_id, name, rank, capital * 1.0 AS capital,"
              " founded, updated, active FROM records ORDER BY record_id")  # fmt: skip
    found = pa.Table.from_batches(place.open("loose").scan(None, None, WHOLE))
    assert found.equals(TABLE)


@pytest.mark.parametrize(
    "change",
    [
        "capital = 'NaN'",
        "founded = 'infinity'",
        "founded = '0044-03-15 BC'",
        "updated = '-infinity'",
        "updated = '2026-01-01 00:00:00.5+08'",
    ],
)
def test_a_value_that_the_contract_has_no_room_for_fails_and_is_not_told(place, change):
    place.put(TABLE)
    place.run(f"UPDATE records SET {change} WHERE rank = 50")
    with pytest.raises(SourceError) as caught:
        rows(place.open())
    assert caught.value.code == "SOURCE_FAILED"
    assert caught.value.message.startswith("a value of column ")


def test_an_exponent_too_large_for_the_contract_fails(place):
    place.put(TABLE)
    place.run("CREATE VIEW wide AS SELECT record_id, name, rank, 1e15 + capital AS capital,"
              " founded, updated, active FROM records")  # fmt: skip
    assert code(lambda: rows(place.open("wide"))) == "SOURCE_FAILED"


def test_drift_names_each_difference_in_the_databases_words(place):
    place.run(
        "CREATE TABLE records (record_id char(18), name text, rank double precision,"
        " capital numeric(20,2), founded timestamp, updated timestamp, religion money)"
    )
    message = drift(place.open())
    for part in (
        "column record_id is PostgreSQL's bpchar instead of string",
        "column rank is PostgreSQL's float8 instead of int64",
        "column capital is decimal128(20, 2) instead of decimal128(18, 6)",
        "column founded is timestamp[us] instead of date32[day]",
        "column updated is timestamp[us] instead of timestamp[s, tz=Asia/Shanghai]",
        "column active is missing",
        "column religion is not expected",
    ):
        assert part in message


def test_texts_that_count_as_equal_though_they_differ_are_drift():
    # The server of the tests has no such collations: this is what the catalogue would say.
    row = ("s", "1:1:", "start", "1", "name", "text", "-1", "7", False)
    with pytest.raises(SourceError) as caught:
        _require([row], SCHEMA)
    assert caught.value.code == "SCHEMA_DRIFT"
    assert "in column name texts that differ count as equal" in caught.value.message


@pytest.mark.parametrize(
    "table", ["nobody", "nowhere.records", 'records"; DROP TABLE records; --', "records' OR ''='"]
)
def test_a_table_that_is_not_there_is_not_found_and_nothing_else_happens(place, table):
    place.put(TABLE)
    assert code(place.open(table).schema) == "NOT_FOUND"
    assert rows(place.open()) == 100


def test_a_source_can_not_write(place):
    place.put(TABLE)
    place.run("CREATE FUNCTION spoil() RETURNS bigint LANGUAGE plpgsql AS"
              " $$ BEGIN DELETE FROM records; RETURN 1; END $$")  # fmt: skip
    place.run("CREATE VIEW trap AS SELECT record_id, name, spoil() AS rank, capital, founded,"
              " updated, active FROM records")  # fmt: skip
    assert code(lambda: rows(place.open("trap"))) == "SOURCE_FAILED"
    assert rows(place.open()) == 100


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://u:secret-word@db.example/credit",
        "host=db.example sslmode=require password=secret-word",
        "postgresql://u:secret-word@127.0.0.1,db.example/credit",
        "nonsense secret-word",
    ],
)
def test_an_unsafe_or_malformed_address_is_refused_and_not_repeated(dsn):
    with pytest.raises(SourceError) as caught:
        PostgresSource(dsn, "records", expected=SCHEMA)
    assert caught.value.code == "BAD_LOCATION"
    assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize(
    ("dsn", "beside"),
    [
        ("dbname=d service=elsewhere", {}),
        ("dbname=d", {"PGSERVICE": "elsewhere"}),
        ("dbname=d", {"PGHOST": "db.example"}),
        ("host=localhost dbname=d", {"PGHOSTADDR": "192.0.2.7"}),
    ],
)
def test_what_libpq_finds_beside_the_connection_string_leads_nowhere_unverified(
    dsn, beside, monkeypatch
):
    for name, value in beside.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SourceError) as caught:
        PostgresSource(dsn, "records", expected=SCHEMA)
    assert caught.value.code == "BAD_LOCATION"


def test_a_server_that_is_not_there_is_told_without_its_address():
    source = PostgresSource(
        "postgresql://u:secret-word@127.0.0.1:1/credit", "records", expected=SCHEMA
    )
    with pytest.raises(SourceError) as caught:
        source.schema()
    assert caught.value.code == "SOURCE_FAILED"
    assert "127.0.0.1" not in str(caught.value)
    assert "secret-word" not in str(caught.value)
