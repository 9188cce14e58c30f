"""What is particular to upstream servers: spooling, pushing down, cancelling, who we are."""

import threading
import time

import pyarrow as pa
import pytest

from adapters.flight_sql import FlightAccess, FlightSqlSource
from adapters.predicate import Compare, IsNull, Operator
from adapters.source import SourceError
from adapters.spool import Spool
from tests.adapters.conftest import SCHEMA, records
from tests.adapters.flight_sql_server import FlightSqlServer
from tests.adapters.live import FlightSqlPlace

TABLE = records(1000)
WHOLE = 1 << 30


@pytest.fixture
def place():
    made = FlightSqlPlace(SCHEMA)
    yield made
    made.close()


def code(act):
    with pytest.raises(SourceError) as caught:
        act()
    return caught.value.code


def rows(source, predicate=None):
    return sum(batch.num_rows for batch in source.scan(None, predicate, WHOLE))


def read(place):
    """Return the statements that were run, without those that only asked for a schema."""
    return [sql for sql, _ in place.server.asked]


def test_projection_and_condition_reach_the_upstream(place):
    source = place.put(TABLE)
    found = list(source.scan(["name"], Compare("record_id", Operator.EQ, "r00012"), WHOLE))
    assert [batch.num_rows for batch in found] == [1]
    sql, values = place.server.asked[-1]
    assert sql == 'SELECT "name" FROM "records" WHERE "record_id" = ?'
    assert values == ["r00012"]


def test_the_version_reads_the_upstream_once_and_later_scans_not_at_all(place):
    source = place.put(TABLE)
    version = source.version()
    asked = len(place.server.asked)
    assert pa.Table.from_batches(source.scan(None, None, WHOLE)).equals(TABLE)
    assert rows(source, IsNull("name")) == 143
    assert source.version() == version
    assert len(place.server.asked) == asked


def test_before_a_version_is_asked_for_each_scan_sees_the_upstream_as_it_is(place):
    source = place.put(TABLE)
    assert rows(source) == 1000
    place.server.put(TABLE.slice(0, 10))
    assert rows(source) == 10


def test_equal_records_in_other_batches_have_equal_versions(place):
    place.server.batch_rows = 7
    first = place.put(TABLE).version()
    place.server.batch_rows = 999
    assert place.put(TABLE).version() == first


def test_a_spool_keeps_more_than_one_batch():
    table = records(40_000)
    spool = Spool.of(table.to_batches(max_chunksize=12_345), SCHEMA)
    try:
        assert pa.Table.from_batches(spool.batches(SCHEMA.names, None)).equals(table)
    finally:
        spool.close()


def test_an_upstream_that_dies_half_way_spools_nothing(place):
    source = place.put(TABLE)
    place.server.break_after = 5
    for _ in range(2):
        with pytest.raises(SourceError) as caught:
            source.version()
        assert caught.value.code == "SOURCE_FAILED"
        assert "secret" not in str(caught.value)
    place.server.break_after = None
    assert len(source.version()) == 64


def test_batches_arrive_before_the_end_and_cancelling_frees_the_upstream(place):
    cancelled = threading.Event()

    def let(number):
        assert number < 5 or cancelled.wait(60)  # the rest comes after the cancellation only

    place.server.let = let
    source = place.put(TABLE)
    scan = source.scan(None, None, WHOLE)
    assert next(scan).num_rows == 100
    assert place.server.streams == 1
    scan.close()
    cancelled.set()
    begun = time.monotonic()
    while place.server.streams:
        assert time.monotonic() - begun < 60
        time.sleep(0.01)


def test_closing_cancels_a_scan_in_another_thread(place):
    begun, over = threading.Event(), threading.Event()

    def let(_):
        begun.set()
        over.wait(60)

    place.server.let = let
    source = place.put(TABLE)
    source.schema()
    caught = []

    def scan():
        try:
            rows(source)
        except SourceError as error:
            caught.append(error.code)

    thread = threading.Thread(target=scan)
    thread.start()
    assert begun.wait(60)
    source.close()
    thread.join(30)  # the upstream would keep it for a minute
    assert not thread.is_alive()
    over.set()
    assert caught == ["SOURCE_FAILED"]
    assert code(source.version) == "SOURCE_FAILED"


def test_a_server_that_asks_who_we_are_is_told_and_others_are_refused():
    server = FlightSqlServer(token="Bearer secret-word")
    server.put(TABLE)
    try:
        for access, allowed in (
            (FlightAccess(authorization="Bearer secret-word"), True),
            (FlightAccess(authorization="Bearer other-word"), False),
            (None, False),
        ):
            source = FlightSqlSource(server.address, "records", expected=SCHEMA, access=access)
            assert "word" not in repr(access)
            if allowed:
                assert rows(source) == 1000
            else:
                with pytest.raises(SourceError) as caught:
                    rows(source)
                assert caught.value.code == "SOURCE_FAILED"
                assert "word" not in str(caught.value)
            source.close()
    finally:
        server.close()


def test_a_table_that_is_not_there_fails_without_its_sql(place):
    source = place.put(TABLE)
    for name in ("nobody", 'records"; DROP TABLE records; --'):
        other = place.open(name)
        with pytest.raises(SourceError) as caught:
            other.schema()
        assert caught.value.code == "SOURCE_FAILED"
        assert "SELECT" not in str(caught.value)
    assert rows(source) == 1000


@pytest.mark.parametrize(
    "location",
    [
        "grpc+tcp://db.example:31337",
        "grpc+tls://user:secret-word@db.example:31337",
        "grpc+tls://db.example:31337?token=secret-word",
        "http://127.0.0.1:1",
        "grpc+tls://",
        "secret-word",
        "grpc+tls://[::1",
    ],
)
def test_an_unsafe_or_malformed_location_is_refused_and_not_repeated(location):
    with pytest.raises(SourceError) as caught:
        FlightSqlSource(location, "records", expected=SCHEMA)
    assert caught.value.code == "BAD_LOCATION"
    assert "secret-word" not in str(caught.value)


def test_a_server_that_is_not_there_is_a_source_error():
    source = FlightSqlSource("grpc+tcp://127.0.0.1:1", "records", expected=SCHEMA, deadline_s=2)
    with pytest.raises(SourceError) as caught:
        source.schema()
    assert caught.value.code == "SOURCE_FAILED"
    assert "127.0.0.1" not in str(caught.value)
