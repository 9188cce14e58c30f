"""What the journal and the readers of the log need of a state database, whichever it is.

Two implementations: `audit.sqlite_store` (one machine) and `audit.postgres_store` (several
replicas). SQL is written once, by hand, in the dialect that both understand: positional `?`
parameters, `INSERT ... ON CONFLICT`, the types INTEGER, TEXT and BLOB, columns qualified by
their table inside DO UPDATE. Whoever implements a port raises these errors and no others:

    StatementError      this statement was refused; what came before it still stands
    StoreFailedError    the database is away, full, locked or damaged
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol


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


class Cursor(Protocol):
    """The result of one statement. Integers are `int`, text is `str`, binary is `bytes`.

    Any stands for a row: its types are those of the columns that the statement names.
    """

    @property
    def rowcount(self) -> int:
        """Rows that an INSERT, UPDATE or DELETE touched."""

    def fetchone(self) -> Any:
        """Return the next row as a tuple, or None."""

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""

    def __iter__(self) -> Iterator[Any]: ...


class Reader(Protocol):
    """A connection that can't write. One user at a time; it may be handed between threads.

    Each statement sees the newest commit of any process at its start, in full. A reader
    outlives a restart of the database: the statement that meets it fails or is tried once
    more, and the next one finds the database again.
    """

    def execute(self, sql: str, params: Sequence[object] = (), /) -> Cursor:
        """Run one SELECT.

        Raises:
            StatementError: It was refused.
            StoreFailedError: The database can't be read now.
        """

    def moment(self) -> AbstractContextManager[None]:
        """Let all statements in a `with` see one and the same commit."""

    def next_index(self) -> int:
        """Return the index that the next entry will have: the number ever committed."""

    def close(self) -> None:
        """Close the connection; to be called once its user is done."""


class Session(Protocol):
    """What runs inside an open transaction."""

    def execute(self, sql: str, params: Sequence[object] = (), /) -> Cursor:
        """Run one statement.

        Raises:
            StatementError: It was refused; leave the savepoint by it, and the rest may go on.
            StoreFailedError: The transaction is lost.
        """

    def savepoint(self) -> AbstractContextManager[None]:
        """Take back what the block did when it is left by an exception, and no more."""

    def insert_bodies(self, rows: Sequence[tuple[bytes, bytes]], /) -> int:
        """Insert entries and return the index of the first.

        Indexes follow those of every entry that any process ever committed, without a gap. A
        rollback, to a savepoint too, gives its indexes back.

        Args:
            rows: (leaf hash, canonical body) in order; at least one, at most some thousands.
        """

    def intact(self) -> bool:
        """Whether the transaction can still go on, at least from its last savepoint."""


class Writer(Protocol):
    """A writing connection, of one thread."""

    def transaction(self, *, acts: bool) -> AbstractContextManager[Session]:
        """Run the block as one transaction, alone among all writers of all processes.

        From its start to its end no other transaction of any process reads or writes what it
        could change, so a block may read first and write by what it read. It is durable, on
        the disk and not only sent there, when the block has been left; left by an exception,
        nothing of it happened.

        Args:
            acts: Whether processes that watch for changes have to be told of this one. On
                SQLite they look at a file that the state raises itself.

        Raises:
            AuditUnavailableError: Nothing of it was committed. Where a connection broke while
                committing, the database was asked afterwards whether it did; could it not be
                asked in time, then nothing of it was acknowledged, and nobody knows yet.
            CommitFailedError: As above for a database that can't be asked; the writer must not
                be used again.
        """

    def close(self) -> None:
        """Close the connection."""


class Store(Protocol):
    """A state database with its log's tables; thread-safe."""

    def writer(self) -> Writer:
        """Open a writing connection, making the log's tables when they are missing.

        Raises:
            AuditUnavailableError: It can't be opened, can't promise durability, or a newer
                program made it.
        """

    def connect(self) -> Reader:
        """Open a reading connection.

        Raises:
            AuditUnavailableError: It can't be opened.
        """
