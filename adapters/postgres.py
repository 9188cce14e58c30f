"""PostgreSQL as a source: a table or view, read through ADBC as record batches.

When it is opened, one connection exports a snapshot of the database and stays. Every scan has a
connection of its own that takes over that snapshot, read only, so that all scans see one state
however long they take. A scan reads through a server-side cursor: memory is bounded, a reader
that stops costs the server an idle session, and closing the connection frees it.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

import pyarrow as pa

from adapters.errors import SourceError
from adapters.loopback import is_local
from adapters.normalise import normalised, require_schema
from adapters.postgres_types import arrow_of
from adapters.predicate import Predicate
from adapters.source import GuardedSource
from adapters.sql import POSTGRES, relation, select

_VERSION_TAG: Final = b"xinguan/postgres/v1\n"
_FIRST_ROWS: Final = 1_024
_MAX_ROWS: Final = 65_536
_FETCH_BYTES: Final = 4 << 20
_LOCK_WAIT_MS: Final = 5_000
_NO_TABLE: Final = frozenset({"42P01", "3F000", "42809"})  # nothing, no schema, another kind
_VERIFIED: Final = frozenset({"verify-ca", "verify-full"})
# Every row is one column of the relation; the first four columns are the same in all of them.
_DESCRIBE: Final = """
SELECT pg_catalog.pg_export_snapshot(), pg_catalog.pg_current_snapshot()::text,
  pg_catalog.pg_postmaster_start_time()::text,
  (SELECT d.oid::text FROM pg_catalog.pg_database d WHERE d.datname = current_database()),
  a.attname::text, t.typname::text, a.atttypmod::text, c.oid::text,
  COALESCE(l.collisdeterministic, true)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
WHERE c.oid = pg_catalog.to_regclass($1) ORDER BY a.attnum
"""


@dataclass(frozen=True, slots=True)
class _Pin:
    """The state that is read: a connection that keeps it, and its names."""

    connection: Any
    snapshot: str
    version: str


class PostgresSource(GuardedSource):
    """A table or view of a PostgreSQL database (13 or later), in one state.

    Args:
        dsn: Connection string of libpq; from a private file or the environment. It is in no
            message. A server on another machine needs `sslmode=verify-full` or `verify-ca`.
        table: `[schema.]table`, a view too.
        expected: Schema that the records must have.
        deadline_s: Longest time of one statement and of an idle wait between two.
        connect_timeout_s: Longest time to connect.

    Close it when done: until then it keeps its state on the server.
    """

    def __init__(
        self,
        dsn: str,
        table: str,
        *,
        expected: pa.Schema,
        deadline_s: int = 3_600,
        connect_timeout_s: int = 5,
    ) -> None:
        self._conninfo = _checked(dsn, connect_timeout_s)
        self._table = table
        self._expected = expected
        self._deadline_ms = deadline_s * 1_000
        self._pin: _Pin | None = None
        self._running: set[Any] = set()
        self._closed = False
        self._lock = Lock()

    def close(self) -> None:
        """Cancel what runs, in whatever thread, and give the state free."""
        with self._lock:
            self._closed = True
            for cursor in self._running:
                with suppress(Exception):
                    cursor.adbc_cancel()
            pin, self._pin = self._pin, None
        if pin is not None:
            _close(pin.connection)

    def _schema(self) -> pa.Schema:
        self._pinned()
        return self._expected

    def _version(self) -> str:
        return self._pinned().version

    def _batches(
        self, columns: Sequence[str], predicate: Predicate | None
    ) -> Iterator[pa.RecordBatch]:
        statement = select(POSTGRES, self._table, columns, predicate, self._expected)
        wanted = pa.schema([self._expected.field(name) for name in columns])
        pin = self._pinned()
        with self._scan(pin.snapshot) as cursor:
            cursor.execute(
                f"DECLARE xinguan_scan NO SCROLL CURSOR FOR {statement.text}", statement.row()
            )
            rows = _FIRST_ROWS
            while True:
                cursor.execute(f"FETCH FORWARD {rows} FROM xinguan_scan")
                found = cursor.fetch_arrow_table()
                if not found.num_rows:
                    return
                for batch in found.to_batches():
                    yield normalised(batch, wanted)
                rows = _next_rows(found)

    def _pinned(self) -> _Pin:
        with self._lock:
            if self._closed:
                raise SourceError("SOURCE_FAILED", "the source was closed")
            if self._pin is None:
                self._pin = self._open()
            return self._pin

    def _open(self) -> _Pin:
        connection = _connect(self._conninfo)
        try:
            with connection.cursor() as cursor:
                self._begin(cursor)
                self._hold(cursor)
                cursor.execute(_DESCRIBE, pa.record_batch({"0": [relation(self._table)]}))
                found = cursor.fetchall()
            _require(found, self._expected)
        except BaseException:
            _close(connection)
            raise
        named = "\0".join(str(part) for part in (*found[0][1:4], found[0][7], self._table))
        digest = hashlib.sha256(_VERSION_TAG + named.encode()).hexdigest()
        return _Pin(connection, found[0][0], digest)

    def _begin(self, cursor: Any) -> None:
        """Begin the one transaction of a connection."""
        _plain(cursor)
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
            cursor.execute(f"SET LOCAL {name} = {self._deadline_ms:d}")
        # All rows are wanted, so a plan that is quick for the first ones only is a bad one.
        cursor.execute("SET LOCAL cursor_tuple_fraction = 1.0")

    def _hold(self, cursor: Any) -> None:
        """Keep the table from being emptied, changed or dropped before the scans have begun.

        TRUNCATE knows no snapshots: a table would look empty to one taken before. The lock
        comes before the snapshot and excludes nobody who reads or writes records.
        """
        from adbc_driver_manager import Error

        cursor.execute(f"SET LOCAL lock_timeout = {_LOCK_WAIT_MS:d}")
        try:
            cursor.execute(f"LOCK TABLE {relation(self._table)} IN ACCESS SHARE MODE")
        except Error as error:
            if error.sqlstate in _NO_TABLE:
                raise SourceError("NOT_FOUND", "the database has no such table or view") from None
            raise

    @contextmanager
    def _scan(self, snapshot: str) -> Iterator[Any]:
        connection = _connect(self._conninfo)
        cursor = None
        try:
            cursor = connection.cursor()
            with self._lock:
                self._running.add(cursor)
            self._begin(cursor)
            # The server made this name; a statement of this kind takes no parameters.
            cursor.execute("SET TRANSACTION SNAPSHOT '" + snapshot.replace("'", "''") + "'")
            yield cursor
        finally:
            with self._lock:
                self._running.discard(cursor)
            if cursor is not None:
                with suppress(Exception):
                    cursor.close()
            _close(connection)


def _require(found: list[tuple[Any, ...]], expected: pa.Schema) -> None:
    if not found:
        raise SourceError("NOT_FOUND", "the database has no such table or view")
    fields = []
    for row in found:
        name, kind, modifier, deterministic = row[4], row[5], int(row[6]), row[8]
        place = expected.get_field_index(name)
        wanted = expected.field(place).type if place >= 0 else pa.null()
        if place >= 0 and not deterministic:
            raise SourceError(
                "SCHEMA_DRIFT", f"the table's schema differs: in column {name} texts that differ"
                " count as equal; a view with COLLATE helps"
            )  # fmt: skip
        fields.append(pa.field(name, arrow_of(kind, modifier, wanted)))
    require_schema(pa.schema(fields), expected)


def _checked(dsn: str, connect_timeout_s: int) -> str:
    """Return the connection string with our own limits.

    Raises:
        SourceError: `BAD_LOCATION` when it is malformed, or leads to another machine without
            a verified certificate.
    """
    import psycopg
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    try:
        given = conninfo_to_dict(dsn)
    except psycopg.Error:
        raise SourceError("BAD_LOCATION", "the connection string is malformed") from None
    if given.get("sslmode") not in _VERIFIED and not _stays_here(given):
        raise SourceError("BAD_LOCATION", "a database on another machine needs sslmode=verify-full")
    return make_conninfo(dsn, connect_timeout=connect_timeout_s, application_name="xinguan source")


def _stays_here(given: Mapping[str, object]) -> bool:
    """Tell whether a connection string leads to this machine, whatever libpq finds beside it.

    A service file can name any host, so a string that uses one is not known to stay here.
    """
    if given.get("service") or os.environ.get("PGSERVICE"):
        return False
    addresses = given.get("hostaddr") or os.environ.get("PGHOSTADDR")
    hosts = addresses or given.get("host") or os.environ.get("PGHOST", "")
    return all(is_local(host) for host in str(hosts).split(","))


def _connect(conninfo: str) -> Any:
    from adbc_driver_postgresql import dbapi  # type: ignore[import-untyped]  # has no types

    return dbapi.connect(conninfo)


def _plain(cursor: Any) -> None:
    # Without this the driver wraps what it runs into COPY, which knows no FETCH.
    cursor.adbc_statement.set_options(**{"adbc.postgresql.use_copy": "false"})


def _close(connection: Any) -> None:
    with suppress(Exception):
        connection.close()


def _next_rows(found: pa.Table) -> int:
    """Return how many rows of this width make a batch of some megabytes."""
    return max(1, min(_MAX_ROWS, _FETCH_BYTES * found.num_rows // max(1, found.nbytes)))
