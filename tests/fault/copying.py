"""SQLite copies its write-ahead log into the database after few pages, so that faults meet it."""

import functools
import sqlite3
from typing import Any


def copy_often(pages: int) -> None:
    """Let every connection that this process opens from now on copy after so many pages."""

    class Impatient(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql.startswith("PRAGMA wal_autocheckpoint"):
                sql = f"PRAGMA wal_autocheckpoint={pages}"
            return super().execute(sql, *parameters)

    sqlite3.connect = functools.partial(sqlite3.connect, factory=Impatient)  # type: ignore[assignment]  # a process of its own
