"""The gateway's state: one database, written only through the audit log's journal.

Owner of the writes: `audit.journal.Journal`, one thread per process, group commit, durable when
it returns. Because the sequencer's table lies in the same database, a change of state and its
log entry are one transaction: neither can exist without the other. Reads go past the journal,
on connections that can't write; each statement sees the newest commit of any process.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar
from urllib.parse import quote

from audit.errors import AuditUnavailableError
from audit.journal import Journal, Transaction
from gateway.store.migration import load, migrate
from gateway.store.signal import ChangeSignal

T = TypeVar("T")
BUSY_TIMEOUT_MS = 5_000


class State:
    """An open state database. Thread-safe; several processes may have it open at once."""

    def __init__(
        self, journal: Journal, path: Path, busy_timeout_ms: int, signal: ChangeSignal
    ) -> None:
        """Keep an open journal; use `open`."""
        self.journal = journal
        self.signal = signal
        self.path = path
        self._busy_timeout_ms = busy_timeout_ms

    @classmethod
    def open(cls, path: Path, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> Self:
        """Open the database, create it when it is missing, and bring its tables up to date.

        Args:
            path: The database file.
            busy_timeout_ms: How long a writer of another process is waited for.

        Raises:
            StateVersionError: a newer version of the program wrote it.
        """
        journal = Journal(path, busy_timeout_ms=busy_timeout_ms)
        try:
            migrations = load()
            journal.run(lambda tx: migrate(tx, migrations))
            signal = ChangeSignal.open(path.with_suffix(".changed"))
        except OSError as error:
            journal.close()
            raise AuditUnavailableError("the state's directory can't be written") from error
        except BaseException:
            journal.close()
            raise
        return cls(journal, path, busy_timeout_ms, signal)

    def run(self, job: Callable[[Transaction], T]) -> T:
        """Do an act in a transaction; return once it is durable and seen by all; blocks."""
        result = self.journal.run(job)
        self.signal.raise_it()
        return result

    async def submit(self, job: Callable[[Transaction], T]) -> T:
        """Do an act in a transaction; return once it is durable and seen by all."""
        result = await self.journal.submit(job)
        self.signal.raise_it()
        return result

    def connect(self) -> sqlite3.Connection:
        """Return a new connection that can only read; its user serialises its own threads."""
        connection = sqlite3.connect(
            f"file:{quote(str(self.path))}?mode=ro",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=self._busy_timeout_ms / 1000,
        )
        connection.execute("PRAGMA query_only = 1")
        return connection

    def close(self) -> None:
        """Stop the journal; what was submitted before is finished first."""
        self.journal.close()
        self.signal.close()
