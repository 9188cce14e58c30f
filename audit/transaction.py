"""One group of jobs as one durable transaction.

Jobs of a group are independent: one that raises takes back its own changes only (a
savepoint), and the others commit. A failure of the store itself takes all of them back.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from audit.canonical import encode_entry
from audit.errors import AuditUnavailableError, CommitFailedError, StatementError, StoreFailedError
from audit.merkle import leaf_hash
from audit.store import Appended, Cursor, Session, Writer

__all__ = [
    "CommitFailedError", "Ledger", "Posting", "Row", "Rows", "Transaction", "Work", "commit_group",
]  # fmt: skip

_CONTROL: Final = (
    *("BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE", "PRAGMA", "ATTACH"),
    *("ABORT", "START TRA", "SET ", "PREPARE T"),
)
_PARAMETERS: Final = 32_000  # of one statement; SQLite takes 32,766, PostgreSQL 65,535


class Transaction:
    """What a job may do: run statements and append entries, in the transaction of its group."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def execute(self, sql: str, params: Sequence[object] = ()) -> Cursor:
        """Run one statement.

        Args:
            sql: Any statement except transaction control, PRAGMA and ATTACH; in the dialect of
                `audit.store`.
            params: Its parameters, one for each `?`.

        Raises:
            ValueError: The statement would begin or end a transaction.
            StatementError: The statement was refused; raise it on, it takes back this job.
            StoreFailedError: The database failed, and the group with it.
        """
        if sql.lstrip()[:9].upper().startswith(_CONTROL):
            raise ValueError("a job neither begins nor ends transactions")
        return self._session.execute(sql, params)

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
        return Appended(self._session.insert_bodies([(leaf, body)]), leaf, body)

    def append_all(self, entries: Sequence[Mapping[str, object]]) -> list[Appended]:
        """Append entries one behind the other, with one statement.

        Args:
            entries: As `audit.entries` builds them, in their order.

        Raises:
            EntryError: One has no canonical form or is too long; none is appended.
        """
        if not entries:
            return []
        bodies = [encode_entry(entry) for entry in entries]
        rows = [(leaf_hash(body), body) for body in bodies]
        first = self._session.insert_bodies(rows)
        return [Appended(index, leaf, body) for index, (leaf, body) in enumerate(rows, first)]


@dataclass(frozen=True, slots=True)
class Row:
    """One row that goes into a table beside an entry, written together with those of others.

    Args:
        into: The statement up to its values: `INSERT INTO t (a, b) VALUES`.
        values: The row's values.
        conflict: What follows the values, for example an ON CONFLICT clause. Where it updates,
            no two rows of a group may meet in it (PostgreSQL refuses that), unless they `add`.
        adds: Whether the last value is added up over the rows of a group that are alike in all
            others, which then go in as one.
    """

    into: str
    values: tuple[object, ...]
    conflict: str = ""
    adds: bool = False

    def statements(self) -> Iterator[tuple[str, Sequence[object]]]:
        """Yield the statement that writes it alone, with its parameters."""
        return _statements(self.into, self.conflict, len(self.values), self.values)


@dataclass(frozen=True, slots=True)
class Rows:
    """Many rows of one table: a portfolio has thousands, and an object for each would cost more.

    Args:
        into: As in `Row`.
        width: Values of a row.
        values: The values of all rows, one row after the other.
    """

    into: str
    width: int
    values: Sequence[object]

    def statements(self) -> Iterator[tuple[str, Sequence[object]]]:
        """Yield the statements that write them alone, with their parameters."""
        return _statements(self.into, "", self.width, self.values)


class Ledger(Protocol):
    """Keeps sums that an entry may only raise while they allow it, for a whole group at once.

    Both methods run in the transaction of the group, alone among all writers of all processes;
    what they write is taken back with the group. Any stands for what the ledger is told: its
    own affair, alike for both.
    """

    def check(self, tx: Transaction, items: Sequence[Any]) -> Sequence[Exception | None]:
        """Return for each item, in order, why its entry may not stand, or None.

        An item counts against those after it only when it is let in. Nothing is written.
        """

    def post(self, tx: Transaction, items: Sequence[tuple[Any, int]]) -> None:
        """Write what was let in, each with the index of its entry, in order."""


@dataclass(frozen=True, slots=True)
class Posting:
    """What an entry puts into a ledger.

    Args:
        ledger: Asked before the entry is written, told after it.
        item: What it is asked about.
    """

    ledger: Ledger
    item: Any


class Work:
    """A job, the body of a plain append, or an entry with its rows, and what became of it.

    An entry with rows (`rows` is given) has a job as well: it does the same alone, and is what
    runs when the rows of a group can't be written together. An entry may have a second one
    `behind` it, which the job appends too.
    """

    __slots__ = (
        "after", "behind", "body", "deliver_to", "error", "job", "leaf", "postings", "result",
        "rows",
    )  # fmt: skip

    def __init__(
        self,
        deliver_to: Any,
        job: Callable[[Transaction], Any] | None,
        body: bytes = b"",
        rows: Callable[[int], Sequence[Row | Rows]] | None = None,
        after: Callable[[Appended], Any] | None = None,
        postings: Sequence[Posting] = (),
        behind: bytes = b"",
    ) -> None:
        self.after = after
        self.postings = postings
        self.behind = behind
        self.deliver_to = deliver_to
        self.job = job
        self.body = body
        self.rows = rows
        self.leaf = leaf_hash(body) if body else b""
        self.result: Any = None
        self.error: BaseException | None = None


class Latecomers(Protocol):
    """Who came while a group waited for its turn among all writers."""

    def __call__(self, group: list[Work], *, jobs: bool) -> None:
        """Let them join a group, in the order of arrival; jobs only where it says so."""


def commit_group(writer: Writer, group: list[Work], latecomers: Latecomers) -> None:
    """Run a group and make it durable; fill in each work's result or error.

    Args:
        writer: The writer, outside a transaction.
        group: In the order of arrival, which is the order of their indexes.
        latecomers: Asked once, when nobody else writes any more: the longer the wait was, the
            more of them share its commit. They are part of the group from then on.

    Raises:
        AuditUnavailableError: Nothing of the group was committed, or nothing was acknowledged:
            see `audit.store.Writer`.
        CommitFailedError: The commit failed; the writer must not be used again.
    """
    # Entries alone change nothing that others watch; jobs may.
    acts = any(not work.body for work in group)
    try:
        with writer.transaction(acts=acts) as session:
            latecomers(group, jobs=acts)
            _run_all(session, group)
    except CommitFailedError:
        raise
    except (StoreFailedError, StatementError) as error:
        raise AuditUnavailableError("the log could not be written") from error


def _run_all(session: Session, group: Sequence[Work]) -> None:
    transaction = Transaction(session)
    together: list[Work] = []
    for work in group:
        if work.body:
            together.append(work)
            continue
        _append_all(session, transaction, together)
        _run_job(session, transaction, work)
    _append_all(session, transaction, together)


def _append_all(session: Session, transaction: Transaction, together: list[Work]) -> None:
    """Write entries that came one after another, with their rows, in one statement per table.

    Each statement gives up the interpreter's lock, and winning it back from a busy event loop
    is what a group would otherwise spend most of its time on.
    """
    if not together:
        return
    try:
        with session.savepoint():
            admitted = _admitted(transaction, together)
            if admitted:
                _insert_all(session, admitted)
                _post(transaction, admitted)
    except Exception as error:  # noqa: BLE001 - each is tried again, and told then
        _require_intact(session, error)
        # One of them is refused, a replayed key for example: each is tried alone.
        for work in together:
            work.error = None
            _run_job(session, transaction, work)
    together.clear()


def _admitted(transaction: Transaction, together: Sequence[Work]) -> list[Work]:
    """Return the works that their ledgers let in; the others have their error."""
    for ledger, asked in _by_ledger(together):
        items = [item for _, item in asked]
        for (work, _), error in zip(asked, ledger.check(transaction, items), strict=True):
            work.error = work.error or error
    return [work for work in together if work.error is None]


def _post(transaction: Transaction, admitted: Sequence[Work]) -> None:
    for ledger, told in _by_ledger(admitted):
        ledger.post(transaction, [(item, work.result.index) for work, item in told])


def _by_ledger(works: Sequence[Work]) -> list[tuple[Ledger, list[tuple[Work, Any]]]]:
    found: dict[int, tuple[Ledger, list[tuple[Work, Any]]]] = {}
    for work in works:
        for posting in work.postings:
            ledger = posting.ledger
            found.setdefault(id(ledger), (ledger, []))[1].append((work, posting.item))
    return list(found.values())


def _insert_all(session: Session, together: Sequence[Work]) -> None:
    bodies: list[tuple[bytes, bytes]] = []
    for work in together:
        bodies.append((work.leaf, work.body))
        if work.behind:
            bodies.append((leaf_hash(work.behind), work.behind))
    index = session.insert_bodies(bodies)
    tables: dict[tuple[str, str, int], list[object]] = {}
    sums: dict[Row, int] = {}
    for work in together:
        work.result = Appended(index, work.leaf, work.body)
        for row in work.rows(index) if work.rows is not None else ():
            if isinstance(row, Rows):
                tables.setdefault((row.into, "", row.width), []).extend(row.values)
                continue
            if row.adds:
                *alike, amount = row.values
                key = Row(row.into, tuple(alike), row.conflict)
                sums[key] = sums.get(key, 0) + amount  # type: ignore[operator]  # `adds` says so
                continue
            tables.setdefault((row.into, row.conflict, len(row.values)), []).extend(row.values)
        index += 2 if work.behind else 1
    for row, total in sums.items():
        table = tables.setdefault((row.into, row.conflict, len(row.values) + 1), [])
        table.extend((*row.values, total))
    for (into, conflict, width), values in tables.items():
        for statement, part in _statements(into, conflict, width, values):
            session.execute(statement, part)


def _statements(
    into: str, conflict: str, width: int, values: Sequence[object]
) -> Iterator[tuple[str, Sequence[object]]]:
    """Yield statements of as many rows as one takes, with their parameters."""
    marks_of_row = "(" + ",".join("?" * width) + ")"
    most = _PARAMETERS // width
    for start in range(0, len(values), most * width):
        part = values[start : start + most * width]
        marks = ",".join([marks_of_row] * (len(part) // width))
        yield f"{into} {marks} {conflict}", part


def _run_job(session: Session, transaction: Transaction, work: Work) -> None:
    try:
        with session.savepoint():
            for posting in work.postings:
                (refused,) = posting.ledger.check(transaction, [posting.item])
                if refused is not None:
                    raise refused  # noqa: TRY301 - its savepoint and its caller are this one's
            if work.job is None:
                work.result = transaction.append_body(work.body)
            else:
                work.result = work.job(transaction)
            _post(transaction, [work])
    except BaseException as error:  # noqa: BLE001 - handed to the caller
        _require_intact(session, error)
        # Futures refuse to carry StopIteration.
        work.error = RuntimeError("job") if isinstance(error, StopIteration) else error


def _require_intact(session: Session, error: BaseException) -> None:
    """Check that a failure was the job's own and not the store's.

    Raises:
        StoreFailedError: It was the store's.
    """
    if isinstance(error, StoreFailedError) or not session.intact():
        raise StoreFailedError("the store failed") from error
