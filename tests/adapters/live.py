"""Databases and servers with records in them, for the contract of all sources."""

import os
from pathlib import Path

import duckdb
import psycopg
import pyarrow as pa

from adapters.duckdb import DuckDbSource
from adapters.flight_sql import FlightSqlSource
from adapters.postgres import PostgresSource
from tests.adapters.flight_sql_server import FlightSqlServer

FAILS_AT = 500


class LivePlace:
    """What they share: sources are closed when the test ends."""

    keeps = True

    def __init__(self, schema):
        self.schema = schema
        self.opened = []

    def open(self, table="records"):
        source = self.source(table)
        self.opened.append(source)
        return source

    def close(self):
        while self.opened:
            self.opened.pop().close()


def sql_type(kind):
    if pa.types.is_decimal(kind):
        return f"numeric({kind.precision},{kind.scale})"
    if pa.types.is_timestamp(kind):
        return "timestamptz" if kind.tz else "timestamp"
    if pa.types.is_list(kind):
        return "text[]"
    names = {pa.int64(): "bigint", pa.bool_(): "boolean", pa.date32(): "date"}
    return names.get(kind, "text")


class PostgresPlace(LivePlace):
    def __init__(self, server, schema):
        super().__init__(schema)
        self.server = server
        self.dsn = server.database().conninfo
        self.user = self.dsn.removeprefix("postgresql://").partition("@")[0]
        self.columns = None

    def source(self, table):
        return PostgresSource(self.dsn, table, expected=self.schema)

    def run(self, sql):
        with psycopg.connect(self.dsn, autocommit=True) as database:
            found = database.execute(sql)
            return found.fetchall() if found.description else []

    def put(self, table):
        columns = ", ".join(f'"{field.name}" {sql_type(field.type)}' for field in table.schema)
        if columns != self.columns:
            # A source that is open keeps its table from being dropped.
            self.close()
            self.run("DROP TABLE IF EXISTS records CASCADE")
            self.run(f"CREATE TABLE records ({columns})")
            # A table has no order; the contract compares with one that has.
            self.run("CREATE VIEW sorted AS SELECT * FROM records ORDER BY record_id")
            self.columns = columns
        with psycopg.connect(self.dsn) as database, database.cursor() as cursor:
            cursor.execute("DELETE FROM records")
            with cursor.copy("COPY records FROM STDIN") as copy:
                for row in table.to_pylist():
                    copy.write_row(tuple(row.values()))
        return self.open("sorted")

    def damage(self, _):
        self.run(
            "CREATE OR REPLACE VIEW broken AS SELECT * FROM records"
            f" WHERE rank IS NULL OR 1 / (rank - {FAILS_AT}) IS NOT NULL"
        )
        return self.open("broken")

    def waits(self):
        """Return what the sessions of our sources wait for in the server."""
        with self.server.admin() as admin:
            found = admin.execute(
                "SELECT wait_event FROM pg_stat_activity WHERE usename = %s", (self.user,)
            )
            return [event for (event,) in found.fetchall()]

    def sessions(self):
        """Return how many sessions of our sources the server has."""
        with self.server.admin() as admin:
            found = admin.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE usename = %s", (self.user,)
            )
            return found.fetchone()[0]


class DuckDbPlace(LivePlace):
    keeps = False

    def __init__(self, folder: Path, schema):
        super().__init__(schema)
        self.path = folder / "records.duckdb"

    def source(self, table):
        return DuckDbSource(str(self.path), table, expected=self.schema)

    def write(self, *statements, **tables):
        fresh = self.path.with_suffix(".new")
        with duckdb.connect(str(fresh)) as database:
            for name, table in tables.items():
                database.register("incoming", table)
                database.execute(f"CREATE TABLE {name} AS SELECT * FROM incoming")
                database.unregister("incoming")
            for statement in statements:
                database.execute(statement)
        os.replace(fresh, self.path)  # noqa: PTH105 - what an operator's script would do

    def put(self, table):
        self.write(records=table)
        return self.open()

    def damage(self, source):
        table = pa.Table.from_batches(source.scan(None, None, 1 << 30))
        self.write(
            "CREATE VIEW broken AS SELECT * FROM records WHERE CASE"
            f" WHEN rank = {FAILS_AT} THEN error('示例 records.duckdb') ELSE true END",
            records=table,
        )
        return self.open("broken")


class FlightSqlPlace(LivePlace):
    def __init__(self, schema):
        super().__init__(schema)
        self.server = FlightSqlServer()

    def source(self, table):
        return FlightSqlSource(self.server.address, table, expected=self.schema, deadline_s=60)

    def put(self, table):
        self.server.put(table)
        return self.open()

    def damage(self, _):
        self.server.break_after = 5
        return self.open()

    def close(self):
        super().close()
        self.server.close()
