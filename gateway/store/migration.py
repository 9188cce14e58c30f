"""Numbered migrations: SQL files applied once, in order, and checked at every start.

A database that knows a migration which this program doesn't was written by a newer version;
opening it could lose what the newer one relies on, so it is refused. A migration whose text
changed after it was applied is refused as well.
"""

import hashlib
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from audit.store import Cursor
from gateway.domain.errors import InternalError

DIRECTORY = Path(__file__).parent / "migrations"
_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_CREATE = """
CREATE TABLE IF NOT EXISTS gateway_migrations (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL
) STRICT
"""


class StateVersionError(InternalError):
    """The state database does not belong to this version of the program."""

    grpc_code = "FAILED_PRECONDITION"

    def __init__(self, message: str) -> None:
        """Keep the one reason code."""
        super().__init__("STATE_VERSION", message, hints=("run the version that wrote it",))


class Statements(Protocol):
    """Runs one SQL statement inside a transaction that somebody else began and will end."""

    def execute(self, sql: str, params: Sequence[object] = (), /) -> Cursor:
        """Run one statement with positional parameters."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema.

    Args:
        number: Position, from 1, without gaps.
        name: What it brings.
        sql: Its statements.
    """

    number: int
    name: str
    sql: str

    @property
    def digest(self) -> str:
        """SHA-256 of the text, hex."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    def statements(self) -> Iterator[str]:
        """Yield its statements one by one."""
        pending = ""
        for line in self.sql.splitlines(keepends=True):
            pending += line
            if sqlite3.complete_statement(pending):
                yield pending
                pending = ""


def load(directory: Path = DIRECTORY) -> tuple[Migration, ...]:
    """Return the migrations of a directory in order.

    Raises:
        StateVersionError: when a number is missing or given twice.
    """
    found = []
    for path in sorted(directory.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            raise StateVersionError("a migration is not named NNNN_name.sql")
        found.append(Migration(int(match[1]), match[2], path.read_text(encoding="utf-8")))
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise StateVersionError("the migrations' numbers have a gap or a repetition")
    return tuple(found)


def migrate(tx: Statements, migrations: Sequence[Migration]) -> int:
    """Apply what is missing, inside the caller's transaction, and return how many were applied.

    Raises:
        StateVersionError: when the database knows a newer migration or another text of one.
    """
    tx.execute(_CREATE)
    rows = tx.execute("SELECT number, digest FROM gateway_migrations ORDER BY number").fetchall()
    if len(rows) > len(migrations):
        raise StateVersionError("the state database was written by a newer version")
    for migration, (number, digest) in zip(migrations, rows, strict=False):
        if number != migration.number or digest != migration.digest:
            raise StateVersionError("a migration changed after it was applied")
    for migration in migrations[len(rows) :]:
        for statement in migration.statements():
            tx.execute(statement)
        tx.execute(
            "INSERT INTO gateway_migrations (number, name, digest) VALUES (?, ?, ?)",
            (migration.number, migration.name, migration.digest),
        )
    return len(migrations) - len(rows)
