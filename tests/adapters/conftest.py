"""Records in every kind of place that a source reads: files, S3, databases, Flight SQL."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv, fs, ipc

from adapters.files import FileSource
from adapters.locations import S3Options
from adapters.source import GuardedSource
from tests.adapters.live import DuckDbPlace, FlightSqlPlace, PostgresPlace
from tests.ports import free_port

ROW_GROUP = 100
ROWS = 1000
SHANGHAI = timezone(timedelta(hours=8))
SCHEMA = pa.schema(
    [
        pa.field("record_id", pa.string(), nullable=False),
        pa.field("name", pa.string()),
        pa.field("rank", pa.int64()),
        pa.field("capital", pa.decimal128(18, 6)),
        pa.field("founded", pa.date32()),
        pa.field("updated", pa.timestamp("s", "Asia/Shanghai")),
        pa.field("active", pa.bool_()),
    ]
)


def records(rows: int = ROWS) -> pa.Table:
    """Return records of every type; each column but the key is null somewhere."""
    numbers = range(rows)
    return pa.table(
        {
            "record_id": [f"r{i:05d}" for i in numbers],
            "name": [None if i % 7 == 0 else f"示例“{i}”公司,有限" for i in numbers],
            "rank": [None if i % 11 == 0 else i for i in numbers],
            "capital": [None if i % 13 == 0 else Decimal(i) / 1000 for i in numbers],
            "founded": [
                None if i % 17 == 0 else date(1980, 1, 31) + timedelta(days=i) for i in numbers
            ],
            "updated": [
                None if i % 19 == 0 else datetime(2026, 1, 1, 0, 30, i % 60, tzinfo=SHANGHAI)
                for i in numbers
            ],
            "active": [None if i % 23 == 0 else i % 2 == 0 for i in numbers],
        },
        schema=SCHEMA,
    )


def write(table: pa.Table, path: Path, kind: str) -> None:
    """Write a table in one of the formats."""
    if kind == "parquet":
        pq.write_table(table, path, row_group_size=ROW_GROUP, compression="none")
    elif kind == "ipc":
        with ipc.new_file(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=ROW_GROUP)
    else:
        # CSV has no zones of its own; times are written as instants.
        position = table.schema.get_field_index("updated")
        if position >= 0:
            text = [
                None if value is None else value.isoformat()
                for value in table["updated"].to_pylist()
            ]
            table = table.set_column(position, "updated", pa.array(text, pa.string()))
        csv.write_csv(table, path)


@dataclass(frozen=True)
class Place:
    """A kind of place: how to put a table there, and how to break what is there.

    `by_content`: equal records have equal versions, wherever and whenever they were put.
    `keeps`: a source goes on giving the state it was opened in; otherwise it fails.
    """

    kind: str
    put: Callable[[pa.Table], GuardedSource]
    damage: Callable[[GuardedSource], GuardedSource]
    by_content: bool = True
    keeps: bool = False


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Options]:
    """An S3 server on this machine; credentials stand in the environment only."""
    from moto.server import ThreadedMotoServer

    port = free_port()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    saved = dict(os.environ)
    os.environ.update(
        AWS_ACCESS_KEY_ID="testing",
        AWS_SECRET_ACCESS_KEY="testing",
        AWS_EC2_METADATA_DISABLED="true",
    )
    try:
        yield S3Options(region="us-east-1", endpoint=f"127.0.0.1:{port}", scheme="http")
    finally:
        os.environ.clear()
        os.environ.update(saved)
        server.stop()


@pytest.fixture(scope="session")
def s3_filesystem(s3_server: S3Options) -> fs.S3FileSystem:
    filesystem = fs.S3FileSystem(
        region=s3_server.region,
        endpoint_override=s3_server.endpoint,
        scheme="http",
        allow_bucket_creation=True,
    )
    filesystem.create_dir("credit")
    return filesystem


FILES = ["parquet", "csv", "ipc", "s3"]
LIVE = ["postgres", "duckdb", "flight_sql"]


@pytest.fixture(params=[*FILES, *LIVE])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param in LIVE:
        with live_place(request.param, request, tmp_path) as place:
            yield place
    elif request.param == "s3":
        yield _s3_place(
            request.getfixturevalue("s3_server"),
            request.getfixturevalue("s3_filesystem"),
            tmp_path,
        )
    else:
        yield _file_place(request.param, tmp_path)


@contextmanager
def live_place(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Give a database or server with nothing in it, and close whatever was opened on it."""
    if kind == "postgres":
        live = PostgresPlace(request.getfixturevalue("postgres"), SCHEMA)
    elif kind == "duckdb":
        live = DuckDbPlace(tmp_path, SCHEMA)
    else:
        live = FlightSqlPlace(SCHEMA)
    try:
        yield Place(kind, live.put, live.damage, by_content=kind == "flight_sql", keeps=live.keeps)
    finally:
        live.close()


def _file_place(kind: str, tmp_path: Path) -> Place:
    path = tmp_path / f"records.{'arrow' if kind == 'ipc' else kind}"

    def put(table: pa.Table) -> FileSource:
        write(table, path, kind)
        return FileSource(str(path), expected=SCHEMA)

    def damage(_: GuardedSource) -> FileSource:
        path.write_bytes(_broken(path.read_bytes(), kind))
        return FileSource(str(path), expected=SCHEMA)

    return Place(kind, put, damage)


def _s3_place(options: S3Options, filesystem: fs.S3FileSystem, tmp_path: Path) -> Place:
    key = f"credit/{tmp_path.name}/records.parquet"
    local = tmp_path / "records.parquet"

    def upload() -> FileSource:
        with filesystem.open_output_stream(key) as stream:
            stream.write(local.read_bytes())
        return FileSource(f"s3://{key}", expected=SCHEMA, s3=options)

    def put(table: pa.Table) -> FileSource:
        write(table, local, "parquet")
        return upload()

    def damage(_: GuardedSource) -> FileSource:
        local.write_bytes(_broken(local.read_bytes(), "parquet"))
        return upload()

    return Place("s3", put, damage)


def _broken(content: bytes, kind: str) -> bytes:
    """Break the records after the first ones, so that reading starts and then fails."""
    if kind == "csv":
        lines = content.split(b"\n")
        lines[-5] = b"only,three,cells"
        return b"\n".join(lines)
    middle = len(content) // 2 if kind == "parquet" else len(content) * 3 // 4
    return content[:middle] + b"\xff" * 2000 + content[middle + 2000 :]
