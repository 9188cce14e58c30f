"""One group of jobs as one durable transaction.

Jobs of a group are independent: one that raises takes back its own changes only (a
savepoint), and the others commit. A failure of the store itself takes all of them back.
"""

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
_PARAMETERS: Final = 32_000  # of one statement; SQLite takes 32,766


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


@dataclass(frozen=True, slots=True)
class Row:
    """One row that goes into a table beside an entry, written together with those of others.

    Args:
        into: The statement up to its values: `INSERT INTO t (a, b) VALUES`.
        values: The row's values.
        conflict: What follows the values, for example an ON CONFLICT clause.
    """

    into: str
    values: tuple[object, ...]
    conflict: str = ""


class Work:
    """A job, the body of a plain append, or an entry with its rows, and what became of it.

    An entry with rows (`rows` is given) has a job as well: it does the same alone, and is what
    runs when the rows of a group can't be written together.
    """

    __slots__ = ("after", "body", "deliver_to", "error", "job", "leaf", "result", "rows")

    def __init__(
        self,
        deliver_to: Any,
        job: Callable[[Transaction], Any] | None,
        body: bytes = b"",
        rows: Callable[[int], Sequence[Row]] | None = None,
        after: Callable[[Appended], Any] | None = None,
    ) -> None:
        self.after = after
        self.deliver_to = deliver_to
        self.job = job
        self.body = body
        self.rows = rows
        self.leaf = leaf_hash(body) if body else b""
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
    together: list[Work] = []
    for work in group:
        if work.body:
            together.append(work)
            continue
        _append_all(connection, transaction, together)
        _run_job(connection, transaction, work)
    _append_all(connection, transaction, together)


def _append_all(
    connection: sqlite3.Connection, transaction: Transaction, together: list[Work]
) -> None:
    """Write entries that came one after another, with their rows, in one statement per table.

    Each statement gives up the interpreter's lock, and winning it back from a busy event loop
    is what a group would otherwise spend most of its time on.
    """
    if not together:
        return
    connection.execute("SAVEPOINT together")
    try:
        _insert_all(connection, together)
    except Exception as error:
        if not connection.in_transaction or _is_store_failure(error):
            raise sqlite3.OperationalError("the store failed") from error
        # One of them is refused, a replayed key for example: each is tried alone.
        connection.execute("ROLLBACK TO together")
        for work in together:
            _run_job(connection, transaction, work)
    connection.execute("RELEASE together")
    together.clear()


def _insert_all(connection: sqlite3.Connection, together: Sequence[Work]) -> None:
    first = insert_bodies(connection, [(work.leaf, work.body) for work in together])
    tables: dict[tuple[str, str, int], list[object]] = {}
    for index, work in enumerate(together, first):
        work.result = Appended(index, work.leaf, work.body)
        for row in work.rows(index) if work.rows is not None else ():
            tables.setdefault((row.into, row.conflict, len(row.values)), []).extend(row.values)
    for (into, conflict, width), values in tables.items():
        marks_of_row = "(" + ",".join("?" * width) + ")"
        most = _PARAMETERS // width
        for start in range(0, len(values), most * width):
            part = values[start : start + most * width]
            marks = ",".join([marks_of_row] * (len(part) // width))
            # The stubs ask for a narrower type than the adapters of SQLite accept.
            connection.execute(f"{into} {marks} {conflict}", part)


def _run_job(connection: sqlite3.Connection, transaction: Transaction, work: Work) -> None:
    connection.execute("SAVEPOINT job")
    try:
        if work.job is None:
            work.result = transaction.append_body(work.body)
        else:
            work.result = work.job(transaction)
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
