"""What durable state says of records and of time, read before a snapshot or a process serves."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain

from audit.sequence import next_index, read_bodies
from gateway.deployment import Deployment
from gateway.repair.consequences import prepare
from gateway.snapshot.library import SnapshotLibrary
from gateway.snapshot.snapshot import Snapshot
from gateway.store.state import State

_SEALED_PAGE = 1 << 16  # sealed records read at once; there may be millions


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


def sealed_keys(state: State, product: str) -> Iterable[str]:
    """Return the records of a product that may never leave again (R27), read as they are used."""
    return chain.from_iterable(_sealed_pages(state, product))


def _sealed_pages(state: State, product: str) -> Iterator[list[str]]:
    """Read page by page in the order of the keys: fetching a page whole costs a third of its rows.

    What is sealed or unsealed meanwhile is a change of its own, which takes effect after the
    snapshot that these keys are read for was opened.
    """
    connection = state.connect()
    try:
        last = ""
        while True:
            page = connection.execute(
                "SELECT record_key FROM sealed_records WHERE product = ? AND record_key > ?"
                " ORDER BY record_key LIMIT ?",
                (product, last, _SEALED_PAGE),
            ).fetchall()
            if not page:
                return
            yield [row[0] for row in page]
            last = page[-1][0]
    finally:
        connection.close()


def newest_time(state: State) -> int:
    """Return the newest time that the log has recorded, in unix seconds; 0 in an empty log."""
    connection = state.connect()
    try:
        count = next_index(connection)
        newest = read_bodies(connection, count - 1, count)
    finally:
        connection.close()
    return int(json.loads(newest[0][2])["time"]) if newest else 0
