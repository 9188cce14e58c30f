"""A place for a state database, of either kind, for the suites that run on both."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from audit.journal import Journal
from audit.postgres_address import Address
from audit.postgres_store import PostgresStore
from audit.sqlite_store import SqliteStore
from gateway.store.state import State

PATIENT_MS = 60_000  # that another writer is waited for, on a disk that does other work too


@dataclass(frozen=True)
class Place:
    """Where a state database is; `path` names the file of SQLite, `address` a server."""

    kind: Literal["sqlite", "postgres"]
    path: Path
    address: Address | None = None

    def store(self, busy_timeout_ms=PATIENT_MS):
        if self.address is None:
            return SqliteStore(self.path, busy_timeout_ms=busy_timeout_ms)
        return PostgresStore(self.address, lock_wait_ms=busy_timeout_ms)

    def journal(self, **words):
        return Journal(self.store(**words))

    def state(self):
        if self.address is None:
            return State.open(self.path, busy_timeout_ms=PATIENT_MS)
        return State.open_postgres(self.address, busy_timeout_ms=PATIENT_MS)

    @property
    def words(self):
        """The place as words for another process; `place_of` reads them."""
        return [str(self.path), "" if self.address is None else self.address.conninfo]


def place_of(path, url):
    """Return the place that another process stated."""
    kind = "postgres" if url else "sqlite"
    return Place(kind, Path(path), Address(url) if url else None)
