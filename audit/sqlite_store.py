"""The state database on SQLite: one file, WAL, `synchronous=FULL`.

An index is the AUTOINCREMENT position minus one: SQLite counts on inside the transaction that
holds the write lock, and takes the count back with a rollback, so indexes have no gaps and are
never used twice, by any process.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import uniform
from typing import Any, Final

from audit.errors import (
    AuditError,
    AuditUnavailableError,
    CommitFailedError,
    StatementError,
    StoreFailedError,
)
from audit.store import Cursor

SCHEMA_VERSION: Final = 1
_PAUSE_S: Final = 0.002
_LONGEST_PAUSE_S: Final = 0.001
# Primary result codes after which the transaction as a whole cannot be trusted:
# BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOTADB.
_STORE_FAILURES: Final = frozenset({5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 26})
_SCHEMA: Final = (
    "CREATE TABLE audit_schema (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL)",
    "INSERT INTO audit_schema VALUES (1, 1)",
    (
        "CREATE TABLE audit_entry (position INTEGER PRIMARY KEY AUTOINCREMENT,"
        " leaf_hash BLOB NOT NULL CHECK (length(leaf_hash) = 32), body BLOB NOT NULL)"
    ),
    # What was last signed, and by whom it may be signed next: see audit.integrator.
    (
        "CREATE TABLE audit_head (one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL,"
        " root BLOB NOT NULL, checkpoint BLOB NOT NULL)"
    ),
    (
        "CREATE TABLE audit_lease (one INTEGER PRIMARY KEY CHECK (one = 1), token INTEGER NOT NULL,"
        " holder TEXT NOT NULL, expires INTEGER NOT NULL)"
    ),
    # What opens the commitments of an entry, and which entries concern a subject.
    "CREATE TABLE audit_opening (entry INTEGER PRIMARY KEY, sealed BLOB NOT NULL)",
    (
        "CREATE TABLE audit_label (label BLOB NOT NULL, entry INTEGER NOT NULL,"
        " PRIMARY KEY (label, entry)) WITHOUT ROWID"
    ),
)


class _Cursor(sqlite3.Cursor):
    """A cursor that raises the errors of the port."""

    def execute(self, sql: str, params: Any = (), /) -> "_Cursor":
        try:
            super().execute(sql, params)
        except sqlite3.Error as error:
            raise _told(error) from error
        return self

    def fetchone(self) -> Any:
        try:
            return super().fetchone()
        except sqlite3.Error as error:
            raise _told(error) from error

    def fetchall(self) -> list[Any]:
        try:
            return super().fetchall()
        except sqlite3.Error as error:
            raise _told(error) from error

    def __next__(self) -> Any:
        try:
            return super().__next__()
        except sqlite3.Error as error:
            raise _told(error) from error


_execute = sqlite3.Cursor.execute  # past the one above: this is the hot path


class SqliteConnection(sqlite3.Connection):
    """A connection that raises the errors of the port; a `Reader`, and what a writer uses."""

    def execute(self, sql: str, params: Any = (), /) -> _Cursor:
        """Run one statement; see the port."""
        try:
            cursor = _Cursor(self)
            _execute(cursor, sql, params)
        except sqlite3.Error as error:
            raise _told(error) from error
        return cursor

    @contextmanager
    def moment(self) -> Iterator[None]:
        """Let all statements in a `with` see one and the same commit."""
        self.execute("BEGIN")
        try:
            yield
        finally:
            self.execute("ROLLBACK")

    def next_index(self) -> int:
        """Return the number of entries ever committed."""
        row = self.execute("SELECT seq FROM sqlite_sequence WHERE name = 'audit_entry'")
        found = row.fetchone()
        return 0 if found is None else int(found[0])


class SqliteStore:
    """A state database in one file; a `Store`.

    Args:
        path: The database file; made when missing, its folder is not.
        busy_timeout_ms: How long to wait while another process writes.
    """

    def __init__(self, path: Path, *, busy_timeout_ms: int = 5000) -> None:
        self.path = path
        self._timeout_s = busy_timeout_ms / 1000

    def writer(self) -> "SqliteWriter":
        """Open a writing connection, making the log's tables when they are missing.

        Raises:
            AuditUnavailableError: It can't be opened, or a newer program made it.
        """
        return SqliteWriter(_open_writer(self.path, self._timeout_s), self._timeout_s)

    def connect(self) -> SqliteConnection:
        """Open a reading connection.

        Raises:
            AuditUnavailableError: It can't be opened.
        """
        connection = open_reader(self.path, timeout_s=self._timeout_s)
        connection.execute("PRAGMA query_only = 1")
        return connection


class SqliteWriter:
    """A `Writer`; see the port for its promises."""

    def __init__(self, connection: SqliteConnection, timeout_s: float) -> None:
        self.connection = connection
        self._timeout_s = timeout_s

    @contextmanager
    def transaction(self, *, acts: bool) -> Iterator["_Session"]:  # noqa: ARG002 - see the port
        """Run the block as one durable transaction; see the port."""
        connection = self.connection
        self._begin()
        try:
            yield _Session(connection, self._begin)
        except BaseException:
            self._roll_back()
            raise
        if not connection.in_transaction:
            raise StoreFailedError("the log could not be written")
        try:
            connection.execute("COMMIT")
        except AuditError as error:
            self._roll_back()
            raise CommitFailedError("the log could not be made durable") from error

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def _begin(self) -> None:
        """Take the write lock, polling often.

        SQLite's own busy handler backs off to 100 ms and starves beside a writer that takes the
        lock again after a millisecond; short random pauses let several processes take turns.
        """
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                self.connection.execute("BEGIN IMMEDIATE")
            except AuditError as error:
                if not _is_busy(error.__cause__) or time.monotonic() > deadline:
                    raise AuditUnavailableError("the log is held by another writer") from error
                pause_s = uniform(_LONGEST_PAUSE_S / 10, _LONGEST_PAUSE_S)  # noqa: S311 - no secret
                time.sleep(pause_s)
            else:
                return

    def _roll_back(self) -> None:
        if self.connection.in_transaction:
            try:
                self.connection.execute("ROLLBACK")
            except AuditError as error:
                raise CommitFailedError("the log could not take back a transaction") from error


class _Session:
    """A `Session` of SQLite, for one transaction.

    Each statement gives up the interpreter's lock, and winning it back from a busy event loop may
    cost a switch interval (5 ms) each time. So the first savepoint, before which nothing was done,
    is the transaction itself, and the last one is left to its end.
    """

    __slots__ = ("_begin", "_connection", "_set", "_untouched")

    def __init__(self, connection: SqliteConnection, begin: Callable[[], None]) -> None:
        self._connection = connection
        self._begin = begin
        self._untouched = True  # nothing was done in this transaction yet
        self._set = False  # a savepoint was set and not released

    def execute(self, sql: str, params: Sequence[object] = (), /) -> Cursor:
        self._untouched = False
        cursor: Cursor = self._connection.execute(sql, params)
        return cursor

    def insert_bodies(self, rows: Sequence[tuple[bytes, bytes]], /) -> int:
        """Insert entries with one statement."""
        self._untouched = False
        values = ",".join(["(?,?)"] * len(rows))
        cursor = self._connection.execute(
            f"INSERT INTO audit_entry (leaf_hash, body) VALUES {values}",
            [part for row in rows for part in row],
        )
        last = cursor.lastrowid
        if last is None:  # pragma: no cover - SQLite always tells the row of an insert
            raise StoreFailedError("the sequencer gave no index")
        return last - len(rows)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        execute, whole = self._connection.execute, self._untouched
        if not whole:
            if self._set:
                execute("RELEASE job")
            execute("SAVEPOINT job")
            self._set = True
        try:
            yield
        except BaseException as error:
            if self.intact() and not isinstance(error, StoreFailedError):
                execute("ROLLBACK" if whole else "ROLLBACK TO job")
                if whole:
                    self._begin()
                    self._untouched = True
            raise

    def intact(self) -> bool:
        return self._connection.in_transaction


def open_reader(path: Path, *, timeout_s: float = 5.0) -> SqliteConnection:
    """Open the state database for reading only; each statement sees one commit.

    Raises:
        AuditUnavailableError: It cannot be opened.
    """
    try:
        return sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=timeout_s,
            factory=SqliteConnection,
        )
    except sqlite3.Error as error:
        raise AuditUnavailableError("the state database cannot be opened") from error


def _open_writer(path: Path, timeout_s: float) -> SqliteConnection:
    try:
        connection = sqlite3.connect(
            path,
            timeout=timeout_s,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=2_048,
            factory=SqliteConnection,
        )
    except sqlite3.Error as error:
        raise AuditUnavailableError("the state database cannot be opened") from error
    try:
        _use_wal(connection, timeout_s)
        connection.execute("PRAGMA synchronous=FULL")
        # 32 MiB of log before it is copied back: copying stops every writer, and a tenth of
        # all calls waited for it at the default of 4 MiB.
        connection.execute("PRAGMA wal_autocheckpoint=8000")
        # A portfolio's labels go into pages all over their tables; without room for these, one
        # transaction writes them out again and again.
        connection.execute("PRAGMA cache_size=-32768")
        # After a failed fsync the kernel holds pages for clean that never reached the disk, and
        # recovery reads them as if they had. Copied into the database they are written and
        # synced anew, and the log begins again before anything else is acknowledged behind them.
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        connection.execute("PRAGMA foreign_keys=ON")
        # What is deleted is overwritten with zeros: openings that are destroyed are gone.
        connection.execute("PRAGMA secure_delete=ON")
        _migrate(connection)
        # The writer polls for the lock by itself from here on.
        connection.execute("PRAGMA busy_timeout=0")
    except (StatementError, StoreFailedError) as error:
        connection.close()
        raise AuditUnavailableError("the state database cannot be opened") from error
    except AuditUnavailableError:
        connection.close()
        raise
    return connection


def empty_write_ahead_log(path: Path, timeout_s: float) -> bool:
    """Copy the write-ahead log back into the database and cut it to nothing.

    Args:
        path: The database file.
        timeout_s: How long other processes are waited for.

    Returns:
        False while a reader holds part of it, or when it can't be done.
    """
    try:
        connection = sqlite3.connect(path, timeout=timeout_s)
        try:
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.Error:
        return False
    return not busy


def _use_wal(connection: SqliteConnection, timeout_s: float) -> None:
    """Turn write-ahead logging on, trying again while another opener of a new database does so.

    SQLite doesn't wait for this change of mode as it waits for a lock: it reports the other
    one at once, since waiting could deadlock.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except StoreFailedError as error:
            if not _is_busy(error.__cause__) or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_S)
        else:
            return


def _migrate(connection: SqliteConnection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        known = connection.execute(
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'audit_schema'"
        ).fetchone()
        if known is None:
            for statement in _SCHEMA:
                connection.execute(statement)
        version = connection.execute("SELECT version FROM audit_schema").fetchone()[0]
        if version != SCHEMA_VERSION:
            raise AuditUnavailableError("the state database has another version of the log")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _is_busy(error: BaseException | None) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _told(error: sqlite3.Error) -> AuditError:
    """Return the error of the port; a closed connection has no code and can't be used either."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _STORE_FAILURES:
        return StoreFailedError("the state database failed")
    return StatementError("the state database refused a statement")
