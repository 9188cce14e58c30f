"""One group of jobs as one durable transaction.

Jobs of a group are independent: one that raises takes back its own changes only (a
savepoint), and the others commit. A failure of the store itself takes all of them back.
"""

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from random import uniform
from typing import Any, Final

from audit.canonical import encode_entry
from audit.errors import AuditUnavailableError
from audit.merkle import leaf_hash
from audit.sequence import Appended, insert_bodies

# Primary result codes after which the transaction as a whole cannot be trusted:
# BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOTADB.
_STORE_FAILURES: Final = frozenset({5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 26})
_CONTROL: Final = ("BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE", "PRAGMA", "ATTACH")
_LONGEST_PAUSE_S: Final = 0.001


class CommitFailedError(AuditUnavailableError):
    """The commit itself failed: whether the group is on the disk is unknown until reopening."""


class Transaction:
    """What a job may do: run statements and append entries, in the transaction of its group."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(
        self, sql: str, params: Sequence[object] | Mapping[str, object] = ()
    ) -> sqlite3.Cursor:
        """Run one statement.

        Args:
            sql: Any statement except transaction control, PRAGMA and ATTACH.
            params: Its parameters.

        Raises:
            ValueError: The statement would begin or end a transaction.
            sqlite3.Error: The statement failed; raise it on, it takes back this job.
        """
        if sql.lstrip()[:9].upper().startswith(_CONTROL):
            raise ValueError("a job neither begins nor ends transactions")
        return self._connection.execute(sql, params)

    def append(self, entry: Mapping[str, object]) -> Appended:
        """Append an entry; its index is final when the transaction commits.

        Args:
            entry: As `audit.entries` builds it.

        Raises:
            EntryError: It has no canonical form or is too long.
        """
        return self.append_body(encode_entry(entry))

    def append_body(self, body: bytes) -> Appended:
        """Append the bytes of an entry that is canonical already.

        Args:
            body: At most 65,535 bytes.
        """
        leaf = leaf_hash(body)
        return Appended(insert_bodies(self._connection, [(leaf, body)]), leaf, body)


class Work:
    """A job, or the body of a plain append, and what became of it."""

    __slots__ = ("body", "deliver_to", "error", "job", "leaf", "result")

    def __init__(
        self, deliver_to: Any, job: Callable[[Transaction], Any] | None, body: bytes = b""
    ) -> None:
        self.deliver_to = deliver_to
        self.job = job
        self.body = body
        self.leaf = b"" if job is not None else leaf_hash(body)
        self.result: Any = None
        self.error: BaseException | None = None


def commit_group(connection: sqlite3.Connection, group: Sequence[Work], timeout_s: float) -> None:
    """Run a group and make it durable; fill in each work's result or error.

    Args:
        connection: The writer's connection, outside a transaction.
        group: In the order of arrival, which is the order of their indexes.
        timeout_s: How long another process may hold the write lock.

    Raises:
        AuditUnavailableError: Nothing of the group was committed.
        CommitFailedError: The commit failed; the connection must not be used again.
    """
    _begin(connection, timeout_s)
    try:
        _run_all(connection, group)
    except sqlite3.Error as error:
        _roll_back(connection)
        raise AuditUnavailableError("the log could not be written") from error
    if not connection.in_transaction:
        raise AuditUnavailableError("the log could not be written")
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        _roll_back(connection)
        raise CommitFailedError("the log could not be made durable") from error


def _begin(connection: sqlite3.Connection, timeout_s: float) -> None:
    """Take the write lock, polling often.

    SQLite's own busy handler backs off to 100 ms and starves beside a writer that takes the
    lock again after a millisecond; short random pauses let several processes take turns.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > deadline:
                raise AuditUnavailableError("the log is held by another writer") from error
            time.sleep(uniform(_LONGEST_PAUSE_S / 10, _LONGEST_PAUSE_S))  # noqa: S311 - no secret
        else:
            return


def _run_all(connection: sqlite3.Connection, group: Sequence[Work]) -> None:
    transaction = Transaction(connection)
    appends: list[Work] = []
    for work in group:
        if work.job is None:
            appends.append(work)
            continue
        _append_all(connection, appends)
        _run_job(connection, transaction, work)
    _append_all(connection, appends)


def _append_all(connection: sqlite3.Connection, appends: list[Work]) -> None:
    """Insert the plain appends that came one after another with one statement."""
    if appends:
        first = insert_bodies(connection, [(work.leaf, work.body) for work in appends])
        for index, work in enumerate(appends, first):
            work.result = Appended(index, work.leaf, work.body)
        appends.clear()


def _run_job(connection: sqlite3.Connection, transaction: Transaction, work: Work) -> None:
    connection.execute("SAVEPOINT job")
    try:
        # A work without a job never comes here.
        work.result = work.job(transaction)  # type: ignore[misc]  # see above
    except BaseException as error:
        if not connection.in_transaction or _is_store_failure(error):
            raise sqlite3.OperationalError("the store failed") from error
        connection.execute("ROLLBACK TO job")
        # Futures refuse to carry StopIteration.
        work.error = RuntimeError("job") if isinstance(error, StopIteration) else error
    connection.execute("RELEASE job")


def _is_store_failure(error: BaseException) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) if isinstance(error, sqlite3.Error) else 0
    return code & 0xFF in _STORE_FAILURES


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise CommitFailedError("the log could not take back a transaction") from error
