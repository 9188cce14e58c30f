"""The gateway's state: one database, written only through the audit log's journal.

Owner of the writes: `audit.journal.Journal`, one thread per process, group commit, durable when
it returns. Because the sequencer's table lies in the same database, a change of state and its
log entry are one transaction: neither can exist without the other. Reads go past the journal,
on connections that can't write; each statement sees the newest commit of any process.

The database is a SQLite file for one machine, or PostgreSQL for several; nothing outside this
package and the two stores of `audit/` knows which.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

from audit.errors import AuditUnavailableError
from audit.journal import Journal, Transaction
from audit.postgres_address import Address
from audit.sqlite_store import SqliteStore
from audit.store import Reader, Store
from gateway.store.migration import load, migrate
from gateway.store.signal import ChangeSignal, Signal

T = TypeVar("T")
BUSY_TIMEOUT_MS = 5_000


class State:
    """An open state database. Thread-safe; several processes may have it open at once."""

    def __init__(self, journal: Journal, signal: Signal) -> None:
        """Keep an open journal; use `open` or `open_postgres`."""
        self.journal = journal
        self.signal = signal

    @classmethod
    def open(cls, path: Path, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> Self:
        """Open a SQLite database, create it when it is missing, and bring it up to date.

        Args:
            path: The database file.
            busy_timeout_ms: How long a writer of another process is waited for.

        Raises:
            AuditUnavailableError: It can't be opened.
            StateVersionError: a newer version of the program wrote it.
        """
        store = SqliteStore(path, busy_timeout_ms=busy_timeout_ms)
        return cls._open(store, lambda: ChangeSignal.open(path.with_suffix(".changed")))

    @classmethod
    def open_postgres(cls, address: Address, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> Self:
        """Open a database on a PostgreSQL server and bring its tables up to date.

        Args:
            address: The database, which exists; its user may make tables in it.
            busy_timeout_ms: How long a writer of another process is waited for.

        Raises:
            AuditUnavailableError: It can't be opened or isn't safe to use.
            StateVersionError: a newer version of the program wrote it.
        """
        # The driver takes a tenth of a second to load, which only its users should pay.
        from audit.postgres_store import PostgresStore
        from gateway.store.postgres_signal import PostgresSignal

        store = PostgresStore(address, lock_wait_ms=busy_timeout_ms)
        return cls._open(store, lambda: PostgresSignal(address))

    @classmethod
    def _open(cls, store: Store, signal: Callable[[], Signal]) -> Self:
        journal = Journal(store)
        try:
            migrations = load()
            journal.run(lambda tx: migrate(tx, migrations))
            return cls(journal, signal())
        except OSError as error:
            journal.close()
            raise AuditUnavailableError("the state's directory can't be written") from error
        except BaseException:
            journal.close()
            raise

    def run(self, job: Callable[[Transaction], T]) -> T:
        """Do an act in a transaction; return once it is durable and told; blocks."""
        result = self.journal.run(job)
        self.signal.raise_it()
        return result

    async def submit(self, job: Callable[[Transaction], T]) -> T:
        """Do an act in a transaction; return once it is durable and told."""
        result = await self.journal.submit(job)
        self.signal.raise_it()
        return result

    def connect(self) -> Reader:
        """Return a new connection that can only read; its user serialises its own threads.

        Raises:
            AuditUnavailableError: The database can't be opened now.
        """
        return self.journal.connect()

    def close(self) -> None:
        """Stop the journal; what was submitted before is finished first."""
        self.journal.close()
        self.signal.close()
