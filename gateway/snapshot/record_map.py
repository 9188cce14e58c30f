"""What is kept of a snapshot that is removed: which record each of its rows was.

    <directory>/<product>/records-<snapshot id>.arrow

Deliveries name a snapshot and its rows. Without this map a recall of a record, years later, would
miss whoever received it from a snapshot that is gone, or would have to accuse everybody who read
that snapshot. So a snapshot is removed only after its map is on the disk. The map holds the keys
that a recall needs and nothing of the content: subject, record key, digest of the content.
"""

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from gateway.snapshot.bitmap import Rows
from gateway.snapshot.errors import SnapshotDamagedError
from gateway.snapshot.snapshot import Snapshot

pc: Any = pyarrow.compute  # the published stubs lag behind pyarrow and are wrong in places
_arrow: Any = pa
CONTENT_HASH = "content_hash"
_PREFIX, _SUFFIX = "records-", ".arrow"
_DIGEST = b"xinguan.record-map.sha256"
_ABOUT = b"xinguan.record-map.v1"
_RECORD, _SUBJECT, _HASH = "record", "subject", "hash"
_SCHEMA = pa.schema(
    [
        pa.field(_RECORD, pa.large_string()),
        pa.field(_SUBJECT, pa.large_string()),
        pa.field(_HASH, pa.large_string()),
    ]
)


@dataclass(frozen=True, slots=True)
class RecordRow:
    """One row of a snapshot as a recall knows it.

    Args:
        row: Its number.
        record: Its record key.
        subject: Its subject.
        content_hash: Digest of its content: the version; empty where the product has none.
    """

    row: int
    record: str
    subject: str
    content_hash: str


def find_in_snapshot(snapshot: Snapshot, record_keys: Sequence[str]) -> list[RecordRow]:
    """Return the rows of records in a snapshot that is still here, whatever may leave of it."""
    rows = snapshot.rows_of(record_keys)
    if not len(rows):
        return []
    manifest = snapshot.manifest
    hashed = CONTENT_HASH in snapshot.schema.names
    names = [manifest.record_key, manifest.subject_key, *([CONTENT_HASH] if hashed else [])]
    taken = snapshot.take(rows, names)
    hashes = taken.column(2).to_pylist() if hashed else [None] * len(rows)
    return [
        RecordRow(int(row), str(record), str(subject), str(digest or ""))
        for row, record, subject, digest in zip(
            rows, taken.column(0).to_pylist(), taken.column(1).to_pylist(), hashes, strict=True
        )
    ]


def map_path(home: Path, snapshot_id: str) -> Path:
    """Return where the map of a product's removed snapshot is."""
    return home / f"{_PREFIX}{snapshot_id}{_SUFFIX}"


def mapped_ids(home: Path) -> set[str]:
    """Return the ids of the removed snapshots of a product whose maps are kept."""
    return {
        path.name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
        for path in home.glob(f"{_PREFIX}*{_SUFFIX}")
    }


def write_map(snapshot: Snapshot, home: Path) -> Path:
    """Write the map of a snapshot, durably, before the snapshot may go; idempotent.

    Raises:
        OSError: It can't be written; the snapshot must stay.
    """
    manifest = snapshot.manifest
    names = (manifest.record_key, manifest.subject_key, CONTENT_HASH)
    batches: Iterator[Any] = (snapshot.batch(n).rows for n in range(snapshot.batch_count))
    return write_rows(home, snapshot.snapshot_id, batches, names)


def write_rows(
    home: Path, snapshot_id: str, batches: Iterable[Any], names: tuple[str, str, str]
) -> Path:
    """Write the map of a snapshot from its rows, durably; idempotent.

    Args:
        home: The product's folder.
        snapshot_id: The snapshot.
        batches: Its rows, in its order; a column that is missing there is empty in the map.
        names: Columns of record key, subject and digest of the content.

    Raises:
        OSError: It can't be written.
    """
    path = map_path(home, snapshot_id)
    if path.exists():
        return path
    mapped, digest = [], hashlib.sha256()
    for rows in batches:
        columns = [
            rows.column(name).cast(pa.large_string())
            if name in rows.schema.names
            else pa.nulls(rows.num_rows, pa.large_string())
            for name in names
        ]
        batch = pa.RecordBatch.from_arrays(columns, schema=_SCHEMA)
        digest.update(batch.serialize())
        mapped.append(batch)
    about = {_ABOUT: snapshot_id.encode(), _DIGEST: digest.hexdigest().encode()}
    fresh = home / f".{_PREFIX}{secrets.token_hex(8)}"
    with fresh.open("xb") as sink:
        fresh.chmod(0o600)
        with pa.ipc.new_file(sink, _SCHEMA.with_metadata(about)) as writer:
            for batch in mapped:
                writer.write_batch(batch.replace_schema_metadata(about))
        sink.flush()
        os.fsync(sink.fileno())
    fresh.replace(path)
    handle = os.open(home, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    return path


class RecordMap:
    """An open map of a removed snapshot."""

    def __init__(self, home: Path, snapshot_id: str) -> None:
        """Map the file; its content is verified once.

        Raises:
            SnapshotDamagedError: It is missing, cut, changed, or of another snapshot.
        """
        try:
            reader = pa.ipc.open_file(pa.memory_map(str(map_path(home, snapshot_id))))
            self._table: Any = reader.read_all()
            about = self._table.schema.metadata or {}
            digest = hashlib.sha256()
            for batch in self._table.to_batches():
                digest.update(batch.replace_schema_metadata(None).serialize())
        except (OSError, ValueError) as error:
            raise _damaged() from error
        if about.get(_ABOUT) != snapshot_id.encode() or (
            about.get(_DIGEST) != digest.hexdigest().encode()
        ):
            raise _damaged()
        self.snapshot_id = snapshot_id

    def find(self, record_keys: Sequence[str]) -> list[RecordRow]:
        """Return the rows of records."""
        return self._having(_RECORD, record_keys)

    def of_subjects(self, subjects: Sequence[str]) -> list[RecordRow]:
        """Return the rows of subjects."""
        return self._having(_SUBJECT, subjects)

    def _having(self, column: str, values: Sequence[str]) -> list[RecordRow]:
        wanted = pa.array(list(values), pa.large_string())
        hits = pc.is_in(self._table.column(column), value_set=wanted)
        rows: Rows = np.flatnonzero(hits.to_numpy())
        taken = self._table.take(_arrow.array(rows)).to_pylist()
        return [
            RecordRow(int(row), each[_RECORD], each[_SUBJECT], each[_HASH] or "")
            for row, each in zip(rows, taken, strict=True)
        ]


def _damaged() -> SnapshotDamagedError:
    return SnapshotDamagedError(
        "PRODUCT_UNAVAILABLE", "the map of a removed snapshot is missing or was changed"
    )
