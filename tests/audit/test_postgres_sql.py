"""The translation to PostgreSQL: exact, and strict about what is of one database only."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.postgres_sql import first_word, is_definition, translate

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("given_sql", "meant"),
    [
        ("SELECT a FROM t WHERE b = ? AND c = ?", "SELECT a FROM t WHERE b = $1 AND c = $2"),
        ("SELECT '?', \"?\", 'it''s ?' FROM t -- ?", "SELECT '?', \"?\", 'it''s ?' FROM t "),
        ("SELECT /* ? */ ?", "SELECT  $1"),
        (
            "CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB, c TEXT) STRICT, WITHOUT ROWID;",
            'CREATE TABLE t (a BIGINT PRIMARY KEY, b BYTEA, c TEXT COLLATE "C")',
        ),
        ("CREATE TABLE t (a INTEGER) STRICT", "CREATE TABLE t (a BIGINT)"),
        ("-- what\nCREATE INDEX i ON t (a)", "\nCREATE INDEX i ON t (a)"),
        ("SELECT CAST(NULL AS INTEGER)", "SELECT CAST(NULL AS INTEGER)"),
        ("UPDATE t SET text = 'INTEGER'", "UPDATE t SET text = 'INTEGER'"),
        ("SELECT group_concat(a, ?) FROM t", "SELECT string_agg(a, $1) FROM t"),
        ("SELECT 'group_concat'", "SELECT 'group_concat'"),
        ("SELECT a::bigint FROM t;", "SELECT a::bigint FROM t;"),
        ("DELETE FROM t WHERE a = 'x;y'", "DELETE FROM t WHERE a = 'x;y'"),
    ],
)
def test_what_is_portable_is_translated(given_sql, meant):
    assert translate(given_sql) == meant


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT OR IGNORE INTO t VALUES (1)",
        "insert  or replace into t values (1)",
        "REPLACE INTO t VALUES (1)",
        "CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT)",
        "SELECT name FROM sqlite_master",
        "SELECT rowid FROM t",
        "SELECT ifnull(a, 1) FROM t",
        "PRAGMA synchronous",
        "SELECT :name",
        "SELECT $1",
        "SELECT 'no end",
        'SELECT "no end',
        "SELECT 1; DROP TABLE t",
    ],
)
def test_what_is_of_one_database_only_is_refused(sql):
    with pytest.raises(ValueError):
        translate(sql)


@given(st.text(alphabet=st.characters(exclude_characters="\0", codec="utf-8")))
def test_a_literal_is_never_touched(text):
    literal = "'" + text.replace("'", "''") + "'"
    assert translate(f"SELECT {literal}, ?") == f"SELECT {literal}, $1"


def test_definitions_are_known_past_their_comments():
    assert is_definition("-- a\n/* b */ create table t (a)")
    assert not is_definition("SELECT 'CREATE'")
    assert first_word(" -- nothing") == ""


def test_no_sql_of_one_database_stands_outside_its_store():
    """What runs on SQLite alone would be found out by nobody who tests on SQLite alone."""
    word = re.compile(r"INSERT OR |REPLACE INTO|sqlite_|AUTOINCREMENT|\bimport sqlite3")
    known = {
        "audit/sqlite_store.py",
        "audit/postgres_sql.py",
        "gateway/store/migration.py",
        "audit/witness.py",  # a witness keeps a small database of its own, never the gateway's
    }
    found = set()
    for folder in ("audit", "gateway"):
        for path in (ROOT / folder).rglob("*.py"):
            # Names of modules aside: `audit.sqlite_store` is where such words belong.
            if word.search(path.read_text(encoding="utf-8").replace("sqlite_store", "")):
                found.add(str(path.relative_to(ROOT)))
    assert found <= known
