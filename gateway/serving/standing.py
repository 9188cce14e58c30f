"""What durable state says of records and of time, read before a snapshot or a process serves."""

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute

from audit.sequence import next_index, read_bodies
from audit.store import Reader
from gateway.deployment import Deployment
from gateway.repair.consequences import prepare
from gateway.snapshot.library import SnapshotLibrary
from gateway.snapshot.snapshot import Snapshot
from gateway.store.state import State

pc: Any = pyarrow.compute  # the published stubs lag behind pyarrow and are wrong in places
_SEALED_PAGE = 1 << 20  # sealed records read at once; bounds the memory of opening
_CUT = "\x1f"  # ASCII's unit separator
_END_OF_PAGE = (
    "SELECT record_key FROM sealed_records WHERE product = ? AND record_key > ?"
    " ORDER BY record_key LIMIT 1 OFFSET ?"
)
_AFTER = " FROM sealed_records WHERE product = ? AND record_key > ?"
_UP_TO = " AND record_key <= ?"
_OPEN_ENDED = 2  # parameters of a page that has no end: product and first key
_JOINED = f"SELECT count(*), group_concat(record_key, ?){_AFTER}"
_ONE_BY_ONE = f"SELECT record_key{_AFTER}"


def prepare_snapshot(state: State, snapshot: Snapshot) -> None:
    """Label and withhold in a snapshot what durable state says, before it serves (R14, R27)."""
    connection = state.connect()
    try:
        prepare(connection, snapshot)
    finally:
        connection.close()


def open_library(deployment: Deployment, state: State) -> SnapshotLibrary:
    """Return a deployment's snapshots, each sealed and labelled before it serves."""
    return SnapshotLibrary(
        deployment.snapshots_directory,
        lambda name: sealed_keys(state, name),
        prepare=lambda snapshot: prepare_snapshot(state, snapshot),
    )


def sealed_keys(state: State, product: str) -> Iterator[Any]:
    """Yield the records of a product that may never leave again (R27), page by page.

    A page is one text, joined by the database and cut by Arrow: there may be millions of keys, and
    a Python object for each would cost as much as all the rest of opening a snapshot.

    What is sealed or unsealed meanwhile is a change of its own, which takes effect after the
    snapshot that these keys are read for was opened.

    Yields:
        A column of record keys, in Arrow or as a list.

    Raises:
        StoreFailedError: The database can't be read.
    """
    connection = state.connect()
    try:
        last: str | None = ""
        while last is not None:
            found = connection.execute(_END_OF_PAGE, (product, last, _SEALED_PAGE - 1)).fetchone()
            end = found[0] if found else None
            keys = _page(connection, (product, last) if end is None else (product, last, end))
            if len(keys):
                yield keys
            last = end
    finally:
        connection.close()


def _page(connection: Reader, where: tuple[str, ...]) -> Any:
    """Return the keys after one key, up to another if there is one, as an Arrow column."""
    some = _UP_TO if len(where) > _OPEN_ENDED else ""
    count, text = connection.execute(_JOINED + some, (_CUT, *where)).fetchone()
    if not count:
        return ()
    keys = pc.split_pattern(pa.scalar(text, pa.large_string()), _CUT).values
    if len(keys) == count:
        return keys
    # A key holds the very character that they are joined by; what is sealed stays exact.
    return [row[0] for row in connection.execute(_ONE_BY_ONE + some, where)]


def newest_time(state: State) -> int:
    """Return the newest time that the log has recorded, in unix seconds; 0 in an empty log."""
    connection = state.connect()
    try:
        count = next_index(connection)
        newest = read_bodies(connection, count - 1, count)
    finally:
        connection.close()
    return int(json.loads(newest[0][2])["time"]) if newest else 0
