"""The log's tables on PostgreSQL, made by whoever comes first and checked by everyone else."""

from typing import Final

from audit.errors import AuditUnavailableError
from audit.postgres_connection import Connection

SCHEMA_VERSION: Final = 1
# Of the database, not of the schema: two openers at once take turns. "xinguan" in ASCII.
_ADVISORY_KEY: Final = int.from_bytes(b"xinguan", "big")
_SCHEMA: Final = """
CREATE TABLE audit_schema (one BIGINT PRIMARY KEY CHECK (one = 1), version BIGINT NOT NULL);
INSERT INTO audit_schema VALUES (1, 1);
CREATE TABLE audit_sequence (one BIGINT PRIMARY KEY CHECK (one = 1), next BIGINT NOT NULL)
    WITH (fillfactor = 10);
INSERT INTO audit_sequence VALUES (1, 0);
CREATE TABLE audit_writer (writer TEXT PRIMARY KEY, done BIGINT NOT NULL,
    at TIMESTAMPTZ NOT NULL DEFAULT now()) WITH (fillfactor = 10);
CREATE TABLE audit_entry (position BIGINT PRIMARY KEY,
    leaf_hash BYTEA NOT NULL CHECK (length(leaf_hash) = 32), body BYTEA NOT NULL);
CREATE TABLE audit_head (one BIGINT PRIMARY KEY CHECK (one = 1), size BIGINT NOT NULL,
    root BYTEA NOT NULL, checkpoint BYTEA NOT NULL);
CREATE TABLE audit_lease (one BIGINT PRIMARY KEY CHECK (one = 1), token BIGINT NOT NULL,
    holder TEXT NOT NULL, expires BIGINT NOT NULL);
CREATE TABLE audit_opening (entry BIGINT PRIMARY KEY, sealed BYTEA NOT NULL);
CREATE TABLE audit_label (label BYTEA NOT NULL, entry BIGINT NOT NULL, PRIMARY KEY (label, entry))
"""
# A writer that lives longer writes its row again with its next group.
_FORGET: Final = "DELETE FROM audit_writer WHERE at < now() - interval '30 days'"


def make_tables(connection: Connection) -> None:
    """Make the tables when they are missing.

    Raises:
        AuditUnavailableError: They are of another version.
        psycopg.Error: They can't be made or read.
    """
    connection.execute(f"BEGIN; SELECT pg_advisory_xact_lock({_ADVISORY_KEY})")
    try:
        known = connection.execute(
            "SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = $1",
            ("audit_schema",),
        ).fetchone()
        if known is None:
            connection.execute(_SCHEMA)
        _require_version(connection)
        connection.execute(_FORGET)
    except BaseException:
        if not connection.closed:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _require_version(connection: Connection) -> None:
    row = connection.execute("SELECT version FROM audit_schema").fetchone()
    if row is None or row[0] != SCHEMA_VERSION:
        raise AuditUnavailableError("the state database has another version of the log")
