import sqlite3
from pathlib import Path

import pytest

from gateway.store.migration import Migration, StateVersionError, load, migrate

FIRST = Migration(1, "first", "CREATE TABLE a (x); -- a; remark\nINSERT INTO a VALUES (';');\n")
SECOND = Migration(2, "second", "CREATE TABLE b (x);\n")


@pytest.fixture
def connection():
    opened = sqlite3.connect(":memory:", isolation_level=None)
    yield opened
    opened.close()


def test_what_is_missing_is_applied_once_and_in_order(connection) -> None:
    assert migrate(connection, [FIRST]) == 1
    assert migrate(connection, [FIRST, SECOND]) == 1
    assert migrate(connection, [FIRST, SECOND]) == 0
    assert connection.execute("SELECT x FROM a").fetchall() == [(";",)]


def test_a_database_of_a_newer_version_is_refused(connection) -> None:
    migrate(connection, [FIRST, SECOND])
    with pytest.raises(StateVersionError, match="newer version"):
        migrate(connection, [FIRST])


def test_a_migration_that_changed_afterwards_is_refused(connection) -> None:
    migrate(connection, [FIRST])
    with pytest.raises(StateVersionError, match="changed"):
        migrate(connection, [Migration(1, "first", FIRST.sql + "-- more\n")])


def test_the_shipped_migrations_are_numbered_without_gaps() -> None:
    shipped = load()
    assert [migration.number for migration in shipped] == list(range(1, len(shipped) + 1))
    for migration in shipped:
        assert "".join(migration.statements()).strip() == migration.sql.strip()


@pytest.mark.parametrize(
    "names",
    [["0002_b.sql"], ["0001_a.sql", "0003_c.sql"], ["0001_a.sql", "0001_b.sql"], ["first.sql"]],
)
def test_a_gap_or_a_strange_name_is_refused(tmp_path: Path, names) -> None:
    for name in names:
        (tmp_path / name).write_text("CREATE TABLE a (x);\n")
    with pytest.raises(StateVersionError):
        load(tmp_path)
