"""The state database on PostgreSQL, for several processes and machines.

audit_sequence   one row: how many entries were ever committed. A writer locks it first
                 and holds it to the commit, so transactions run one after another, as
                 on SQLite; a rollback takes the count back.
audit_writer     a row per writer: the number of its last committed group. It answers, after
                 a connection broke while committing, whether the commit took place.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from secrets import token_hex
from typing import Final

import psycopg
from psycopg.pq import TransactionStatus

from audit.errors import AuditUnavailableError, StatementError, StoreFailedError
from audit.postgres_address import Address
from audit.postgres_connection import Connection, connect, is_lost, told
from audit.postgres_schema import make_tables
from audit.postgres_sql import is_definition, translate
from audit.store import Cursor

CHANNEL: Final = "xinguan_changed"
_TRY_AGAIN_S: Final = 0.1  # between attempts to reach a database that is away
_DEFINITION_S: Final = 600.0  # an index over a large table takes its time
_IN_TRANSACTION: Final = (TransactionStatus.INTRANS, TransactionStatus.INERROR)
_LOCK: Final = "SELECT next FROM audit_sequence FOR UPDATE"
_INSERT: Final = """
INSERT INTO audit_entry (position, leaf_hash, body)
SELECT $3 + given.place, given.leaf_hash, given.body
FROM unnest($1::bytea[], $2::bytea[]) WITH ORDINALITY AS given (leaf_hash, body, place)
"""


class PostgresStore:
    """A state database on a server; a `Store`.

    Args:
        address: Where it is.
        lock_wait_ms: How long to wait while another process writes.
    """

    def __init__(self, address: Address, *, lock_wait_ms: int = 5_000) -> None:
        self.address = address
        self._lock_wait_ms = lock_wait_ms

    def writer(self) -> "PostgresWriter":
        """Open a writing connection, making the log's tables when they are missing.

        Raises:
            AuditUnavailableError: It can't be opened, isn't durable, or a newer program made it.
        """
        return PostgresWriter(self.address, self._lock_wait_ms)

    def connect(self) -> "PostgresReader":
        """Open a reading connection.

        Raises:
            AuditUnavailableError: It can't be opened.
        """
        return PostgresReader(self.address)


class PostgresWriter:
    """A `Writer`; see the port for its promises.

    A connection that broke is opened again by the next transaction. While the database is away
    attempts are made ten times a second and no more, and everything in between fails at once.
    """

    def __init__(self, address: Address, lock_wait_ms: int) -> None:
        self._address = address
        self._lock_wait_ms = lock_wait_ms
        self._name = token_hex(16)
        self._group = 0
        self._try_again_at = 0.0
        self._connection: Connection | None = self._connect()
        try:
            make_tables(self._connection)
        except psycopg.Error as error:
            self._connection.close()
            raise AuditUnavailableError("the log's tables can't be made") from error
        except AuditUnavailableError:
            self._connection.close()
            raise

    @contextmanager
    def transaction(self, *, acts: bool) -> Iterator["_Session"]:
        """Run the block as one durable transaction; see the port."""
        connection, count = self._begin()
        session = _Session(connection, count)
        try:
            yield session
        except BaseException:
            self._roll_back(connection)
            raise
        if connection.pgconn.transaction_status != TransactionStatus.INTRANS:
            self._roll_back(connection)
            raise StoreFailedError("the log could not be written")
        self._commit(connection, session.count - count, acts=acts)

    def close(self) -> None:
        """Forget this writer's groups and close the connection."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.execute("DELETE FROM audit_writer WHERE writer = $1", (self._name,))
        except psycopg.Error:
            pass  # The row is small, and the next writer that starts deletes old ones.
        finally:
            connection.close()

    def _connect(self) -> Connection:
        return connect(self._address, read_only=False, lock_wait_ms=self._lock_wait_ms)

    def _begin(self) -> tuple[Connection, int]:
        """Begin and take the lock; a connection that broke unseen is replaced first."""
        self._group += 1
        for last in (False, True):
            connection = self._ready()
            try:
                return connection, _lock(connection, self._lock_wait_ms)
            except psycopg.Error as error:
                self._roll_back(connection)
                if last or self._connection is not None:
                    raise AuditUnavailableError("the log is held by another writer") from error
        raise AssertionError

    def _ready(self) -> Connection:
        if self._connection is None:
            if time.monotonic() < self._try_again_at:
                raise AuditUnavailableError("the state database can't be reached")
            try:
                self._connection = self._connect()
            finally:
                self._try_again_at = time.monotonic() + _TRY_AGAIN_S
        return self._connection

    def _roll_back(self, connection: Connection) -> None:
        """Take back what is under way; a connection that can't do so is given up."""
        try:
            if not is_lost(connection):
                connection.execute("ROLLBACK")
                return
        except psycopg.Error:
            pass
        self._give_up(connection)

    def _give_up(self, connection: Connection) -> None:
        connection.close()
        self._connection = None

    # --- the commit, and what is done when nobody answers it ---

    def _commit(self, connection: Connection, appended: int, *, acts: bool) -> None:
        # One message to the server: its parts are constants and values of ours.
        text = (
            f"UPDATE audit_sequence SET next = next + {appended};"
            f" INSERT INTO audit_writer (writer, done) VALUES ('{self._name}', {self._group})"
            " ON CONFLICT (writer) DO UPDATE SET done = excluded.done, at = now();"
            f"{f' NOTIFY {CHANNEL};' if acts else ''} COMMIT"
        )
        try:
            connection.execute(text)
        except psycopg.Error as error:
            if not is_lost(connection):
                # The server answered, so it knows: an error before the commit record.
                self._roll_back(connection)
                raise AuditUnavailableError("the log could not be made durable") from error
            self._give_up(connection)
            if not self._was_committed():
                raise AuditUnavailableError("the log could not be made durable") from error

    def _was_committed(self) -> bool:
        """Look for the group's number, once no transaction of ours can be open any more.

        Raises:
            AuditUnavailableError: The database didn't come back in time; nobody knows.
        """
        deadline = time.monotonic() + self._lock_wait_ms / 1000
        while True:
            try:
                return self._looked_up()
            except (AuditUnavailableError, psycopg.Error) as error:
                if self._connection is not None:
                    self._give_up(self._connection)
                if time.monotonic() > deadline:
                    raise AuditUnavailableError("nobody knows yet what was committed") from error
                time.sleep(_TRY_AGAIN_S)

    def _looked_up(self) -> bool:
        self._connection = connection = self._connect()
        # The broken connection's transaction held this lock: it has ended when we have it.
        _lock(connection, self._lock_wait_ms)
        found = connection.execute(
            "SELECT 1 FROM audit_writer WHERE writer = $1 AND done = $2", (self._name, self._group)
        ).fetchone()
        connection.execute("ROLLBACK")
        return found is not None


class _Session:
    """A `Session` of PostgreSQL."""

    __slots__ = ("_connection", "_unused", "count")

    def __init__(self, connection: Connection, count: int) -> None:
        self._connection = connection
        # A savepoint comes with the lock; what nobody used yet need not be set again, and none
        # need be released at the end: each message to the server costs a group its time.
        self._unused = True
        # Nobody else can count while this transaction has the lock; the row follows at the end.
        self.count = count

    def execute(self, sql: str, params: Sequence[object] = (), /) -> Cursor:
        connection, self._unused = self._connection, False
        if is_definition(sql):
            with _patience(connection):
                return _run(connection, translate(sql), params)
        return _run(connection, translate(sql), params)

    def insert_bodies(self, rows: Sequence[tuple[bytes, bytes]], /) -> int:
        leaves, bodies = [row[0] for row in rows], [row[1] for row in rows]
        first, self._unused = self.count, False
        _run(self._connection, _INSERT, (leaves, bodies, first))
        self.count = first + len(rows)
        return first

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        connection, count = self._connection, self.count
        if not self._unused:
            _run(connection, "RELEASE job; SAVEPOINT job", ())
        self._unused = False
        try:
            yield
            _require_no_error(connection)
        except BaseException as error:
            if self.intact() and not isinstance(error, StoreFailedError):
                _run(connection, "ROLLBACK TO job", ())
                self._unused, self.count = True, count
            raise

    def intact(self) -> bool:
        return self._connection.pgconn.transaction_status in _IN_TRANSACTION


class PostgresReader:
    """A `Reader`; see the port for its promises."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._lock = threading.RLock()
        self._try_again_at = 0.0
        self._in_moment = False
        self._closed = False
        self._connection: Connection | None = connect(address, read_only=True)

    def execute(self, sql: str, params: Sequence[object] = (), /) -> Cursor:
        """Run one SELECT; see the port."""
        text = translate(sql)
        with self._lock:
            for last in (False, True):
                connection = self._ready()
                try:
                    return _run(connection, text, params)
                except (StoreFailedError, AuditUnavailableError):
                    # A read may be tried again, but not in the middle of one moment.
                    if not is_lost(connection):
                        raise
                    connection.close()
                    self._connection = None
                    if last or self._in_moment:
                        raise
        raise AssertionError

    @contextmanager
    def moment(self) -> Iterator[None]:
        """Let all statements in a `with` see one and the same commit."""
        self.execute("BEGIN")
        self._in_moment = True
        try:
            yield
        finally:
            self._in_moment = False
            if self._connection is not None:
                self.execute("ROLLBACK")

    def next_index(self) -> int:
        """Return the number of entries ever committed."""
        return int(self.execute("SELECT next FROM audit_sequence").fetchone()[0])

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._closed = True
            if self._connection is not None:
                self._connection.close()

    def _ready(self) -> Connection:
        if self._closed:
            raise StoreFailedError("the connection is closed")
        if self._connection is None:
            if self._in_moment or time.monotonic() < self._try_again_at:
                raise StoreFailedError("the state database can't be reached")
            try:
                self._connection = connect(self._address, read_only=True)
            except AuditUnavailableError as error:
                raise StoreFailedError("the state database can't be reached") from error
            finally:
                self._try_again_at = time.monotonic() + _TRY_AGAIN_S
        return self._connection


def _run(connection: Connection, text: str, params: Sequence[object]) -> Cursor:
    try:
        cursor: Cursor = connection.execute(text, params or None)
    except psycopg.Error as error:
        raise told(error) from error
    return cursor


def _require_no_error(connection: Connection) -> None:
    """Check that no statement was refused.

    Raises:
        StatementError: One was, and the block that ran it passed over that.
    """
    if connection.pgconn.transaction_status == TransactionStatus.INERROR:
        raise StatementError("the block passed over the error of a statement")


def _lock(connection: Connection, wait_ms: int) -> int:
    """Begin a transaction as the only writer; return how many entries there are.

    Raises:
        psycopg.Error: It can't be had in time.
    """
    usual_s = connection.limit_s
    connection.limit_s = usual_s + wait_ms / 1000
    try:
        cursor = connection.execute(f"BEGIN; {_LOCK}; SAVEPOINT job")
        cursor.nextset()
        row = cursor.fetchone()
        if row is None:
            raise psycopg.DataError("the sequencer has lost its count")
        return int(row[0])
    finally:
        connection.limit_s = usual_s


@contextmanager
def _patience(connection: Connection) -> Iterator[None]:
    usual_s = connection.limit_s
    connection.limit_s = _DEFINITION_S
    try:
        yield
    finally:
        connection.limit_s = usual_s
