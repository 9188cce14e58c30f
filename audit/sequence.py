"""The sequencer's table: it gives every entry its durable, contiguous index.

The rows live in the gateway's own state database, so that a change of state and the entry
that reports it are one transaction. An index is the AUTOINCREMENT position minus one:
SQLite counts on inside the transaction that holds the write lock, and takes the count back
with a rollback, so indexes have no gaps and are never used twice, by any process.
"""

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from audit.errors import AuditUnavailableError

SCHEMA_VERSION: Final = 1
_PAUSE_S: Final = 0.002
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


@dataclass(frozen=True, slots=True)
class Appended:
    """An entry that has its index.

    Args:
        index: Position in the log, from 0, contiguous.
        leaf_hash: RFC 6962 leaf hash, 32 bytes.
        body: The canonical bytes that were logged.
    """

    index: int
    leaf_hash: bytes
    body: bytes


def open_writer(path: Path, busy_timeout_ms: int) -> sqlite3.Connection:
    """Open the state database for writing and bring the log's tables to this version.

    Args:
        path: The database file; made when missing, its folder is not.
        busy_timeout_ms: How long the opening may wait for other processes.

    Raises:
        AuditUnavailableError: It cannot be opened, or a newer program made it.
    """
    try:
        connection = sqlite3.connect(
            path,
            timeout=busy_timeout_ms / 1000,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=2_048,
        )
    except sqlite3.Error as error:
        raise AuditUnavailableError("the state database cannot be opened") from error
    try:
        _use_wal(connection, busy_timeout_ms / 1000)
        connection.execute("PRAGMA synchronous=FULL")
        # 32 MiB of log before it is copied back: copying stops every writer, and a tenth of
        # all calls waited for it at the default of 4 MiB.
        connection.execute("PRAGMA wal_autocheckpoint=8000")
        # After a failed fsync the kernel holds pages for clean that never reached the disk, and
        # recovery reads them as if they had. Copied into the database they are written and
        # synced anew, and the log begins again before anything else is acknowledged behind them.
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        connection.execute("PRAGMA foreign_keys=ON")
        _migrate(connection)
    except sqlite3.Error as error:
        connection.close()
        raise AuditUnavailableError("the state database cannot be opened") from error
    except AuditUnavailableError:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
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
        )
    except sqlite3.Error as error:
        raise AuditUnavailableError("the state database cannot be opened") from error


def _use_wal(connection: sqlite3.Connection, timeout_s: float) -> None:
    """Turn write-ahead logging on, trying again while another opener of a new database does so.

    SQLite doesn't wait for this change of mode as it waits for a lock: it reports the other
    one at once, since waiting could deadlock.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_S)
        else:
            return


def _migrate(connection: sqlite3.Connection) -> None:
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


def insert_bodies(connection: sqlite3.Connection, rows: Sequence[tuple[bytes, bytes]]) -> int:
    """Insert entries inside an open transaction; give the index of the first.

    One statement takes all rows: each statement gives up the interpreter's lock once, and
    winning it back from a busy event loop may cost a switch interval (5 ms) each time.

    Args:
        connection: It holds the write lock.
        rows: (leaf hash, canonical body) in order; at least one, at most some thousands.
    """
    values = ",".join(["(?,?)"] * len(rows))
    cursor = connection.execute(
        f"INSERT INTO audit_entry (leaf_hash, body) VALUES {values}",
        [part for row in rows for part in row],
    )
    last = cursor.lastrowid
    if last is None:  # pragma: no cover - SQLite always tells the row of an insert
        raise AuditUnavailableError("the sequencer gave no index")
    return last - len(rows)


def read_bodies(
    connection: sqlite3.Connection, start: int, end: int
) -> list[tuple[int, bytes, bytes]]:
    """Read entries that are still in the database.

    Args:
        connection: Any connection to the state database.
        start: First index.
        end: One past the last index.

    Returns:
        (index, leaf hash, body) in order of the index.

    Raises:
        AuditUnavailableError: The database cannot be read.
    """
    query = (
        "SELECT position - 1, leaf_hash, body FROM audit_entry"
        " WHERE position > ? AND position <= ? ORDER BY position"
    )
    try:
        return connection.execute(query, (start, end)).fetchall()
    except sqlite3.Error as error:
        raise AuditUnavailableError("the state database cannot be read") from error


def next_index(connection: sqlite3.Connection) -> int:
    """Give the index that the next entry will have: the number of entries ever committed.

    Raises:
        AuditUnavailableError: The database cannot be read.
    """
    query = "SELECT seq FROM sqlite_sequence WHERE name = 'audit_entry'"
    try:
        found = connection.execute(query).fetchone()
    except sqlite3.Error as error:
        raise AuditUnavailableError("the state database cannot be read") from error
    return 0 if found is None else int(found[0])
