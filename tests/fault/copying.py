"""SQLite copies its write-ahead log into the database after few pages, so that faults meet it."""

import sqlite3
from typing import Any


class Copying:
    """Whether any connection took the change, which a check should ask."""

    changed = 0


def copy_often(pages: int) -> None:
    """Let every writer that this process opens from now on copy after so many pages."""
    connect = sqlite3.connect

    def impatient(
        *words: Any, factory: type[sqlite3.Connection] = sqlite3.Connection, **named: Any
    ) -> Any:
        class Impatient(factory):  # type: ignore[misc, valid-type]  # whichever the store names
            def execute(self, sql: str, *parameters: Any) -> Any:
                if sql.startswith("PRAGMA wal_autocheckpoint"):
                    Copying.changed += 1
                    sql = f"PRAGMA wal_autocheckpoint={pages}"
                return super().execute(sql, *parameters)

        return connect(*words, factory=Impatient, **named)

    sqlite3.connect = impatient  # type: ignore[assignment]  # a process of its own
