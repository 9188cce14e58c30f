"""Making one copy: rows of a domestic snapshot that may be shared, and fields that may cross.

Nothing of it is on the disk in the clear, not even while it is made.
"""

import hashlib
import os
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gateway.border.store_apart_snapshot import RECORD, SUBJECT, CopyStatement, Tokens
from gateway.domain.product import Product
from gateway.snapshot.admission import (
    EXPIRY,
    HASHES,
    NEVER,
    RECORDS,
    ROWS,
    SHAREABLE,
    STARTS,
    SUBJECTS,
    columns_of,
)
from gateway.snapshot.bitmap import Flags, Rows, pack
from gateway.snapshot.index import fixed_width, hash_keys, subject_runs
from gateway.snapshot.manifest import MANIFEST, BatchDigest, Manifest
from gateway.snapshot.sealed_files import SALT, SALT_BYTES, SealedWriter
from gateway.snapshot.snapshot import Snapshot

_arrow: Any = pa  # the published stubs lag behind pyarrow and are wrong in places
# Small, since reading one subject unseals one batch.
BATCH_ROWS = 4_096


def statement_of(snapshot: Snapshot, flags: Flags, fields: Sequence[str]) -> CopyStatement:
    """Return what a copy of these rows and fields says of itself."""
    bits = hashlib.sha256(pack(flags).tobytes()).hexdigest()
    return CopyStatement(snapshot.snapshot_id, tuple(sorted(fields)), bits)


class CopyMaker:
    """Makes one copy; used once.

    Args:
        snapshot: The domestic snapshot.
        product: Its contract.
        flags: Which of its rows are copied.
        fields: Fields that may leave.
        needed: Columns that the gate needs to withhold rows; none of them may leave unless it
            is among the fields.
        store_key: The store's key.
        now: Unix seconds.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        product: Product,
        flags: Flags,
        fields: Sequence[str],
        needed: Sequence[str],
        *,
        store_key: bytes,
        now: int,
    ) -> None:
        self._source = snapshot
        self._product = product
        self._fields = tuple(fields)
        wanted = {*fields, *needed}
        self._columns = [name for name in snapshot.schema.names if name in wanted]
        self._key = store_key
        self._now = now
        self._statement = statement_of(snapshot, flags, fields)
        self._salt = secrets.token_bytes(SALT_BYTES)
        chosen: Rows = np.flatnonzero(flags).astype(np.int64)
        names = self._names(chosen)
        order = np.lexsort((names[1], names[0])) if len(chosen) else np.empty(0, np.int64)
        self._subjects, self._records = names[0][order], names[1][order]
        self.rows: Rows = chosen[order]  # of the domestic snapshot, in the order of the copy

    def _names(self, chosen: Rows) -> tuple[Any, Any]:
        """Return the tokens of subject and record of each chosen row."""
        tokens = Tokens(self._key)
        keys = [self._product.subject_key, self._product.record_key]
        taken: Any = self._source.take(chosen, keys)
        return tuple(
            fixed_width(pa.array(tokens.of(taken.column(n).to_pylist()), pa.string()), 32)
            for n in (0, 1)
        )  # type: ignore[return-value]  # a pair

    def write(self, home: Path) -> Manifest:
        """Write the copy into a product's folder, durably, under its own id.

        Raises:
            OSError: It can't be written; nothing of it stays.
        """
        staging = home / f".staging-{secrets.token_hex(8)}"
        staging.mkdir(mode=0o700, parents=True)
        try:
            manifest = self._fill(staging)
            _sync(staging)
            staging.rename(home / manifest.snapshot_id)
            _sync(home)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        return manifest

    def parts(self) -> Any:
        """Yield the domestic rows of each batch, with the columns of the map of records."""
        hashed = "content_hash" in self._source.schema.names
        names = [self._product.record_key, self._product.subject_key]
        for rows in self._batches():
            yield _in_order(self._source, rows, [*names, *(["content_hash"] if hashed else [])])

    def _batches(self) -> list[Rows]:
        return [
            self.rows[start : start + BATCH_ROWS] for start in range(0, len(self.rows), BATCH_ROWS)
        ]

    def _fill(self, staging: Path) -> Manifest:
        (staging / SALT).write_bytes(self._salt)
        _sync(staging / SALT)
        source, manifest = self._source, self._source.manifest
        fields = [source.schema.field(name) for name in self._columns]
        tokens = [pa.field(SUBJECT, pa.string()), pa.field(RECORD, pa.string())]
        schema = pa.schema([*fields, *tokens])
        expiry = source.expiry_of(self.rows)
        stated, batches = {}, []
        with self._open(staging, ROWS) as sink:
            sink.section(schema.serialize().to_pybytes())
            for number, rows in enumerate(self._batches()):
                part = slice(number * BATCH_ROWS, number * BATCH_ROWS + len(rows))
                message = self._message(rows, part, schema)
                sink.section(message)
                batches.append(
                    BatchDigest(
                        rows=len(rows),
                        sha256=hashlib.sha256(message).hexdigest(),
                        first_expiry=int(expiry[part].min(initial=NEVER)),
                    )
                )
            stated[ROWS] = sink.stated()
        keys, starts = subject_runs(self._subjects)
        hashes = hash_keys(self._records)
        by_hash = np.argsort(hashes, kind="stable")
        arrays = {
            SUBJECTS: keys,
            STARTS: starts,
            HASHES: hashes[by_hash],
            RECORDS: by_hash.astype(np.int64),
            EXPIRY: expiry.astype(np.int64),
            SHAREABLE: pack(np.ones(len(self.rows), np.bool_)),
        }
        for name, array in arrays.items():
            with self._open(staging, name) as sink:
                sink.whole(np.ascontiguousarray(array).tobytes())
                stated[name] = sink.stated()
        made = Manifest(
            version=1,
            product=self._product.name,
            contract_version=self._product.version,
            contract_digest=self._product.digest,
            subject_key=SUBJECT,
            record_key=RECORD,
            columns=columns_of(schema),
            source_version=self._statement.to_text(),
            as_of=manifest.as_of,
            admitted_at=self._now,
            rows=len(self.rows),
            subjects=len(keys),
            shareable=len(self.rows),
            # The share of the source that is there, as at home: a share of its own would tell
            # how many records are withheld.
            quarantined=_same_share(manifest, len(self.rows)),
            batch_rows=BATCH_ROWS,
            subject_width=32,
            record_width=32,
            files=stated,
            batches=tuple(batches),
        )
        with self._open(staging, MANIFEST) as sink:
            sink.whole(made.to_bytes())
        return made

    def _message(self, rows: Rows, part: slice, schema: pa.Schema) -> bytes:
        taken: Any = _in_order(self._source, rows, self._columns)
        names = [
            pa.array(np.asarray(tokens[part]).astype("U").tolist(), pa.string())
            for tokens in (self._subjects, self._records)
        ]
        batch: Any = pa.RecordBatch.from_arrays([*taken.columns, *names], schema=schema)
        message: bytes = batch.serialize().to_pybytes()
        return message

    def _open(self, staging: Path, name: str) -> SealedWriter:
        return SealedWriter(staging, name, self._key, self._salt)


def _in_order(snapshot: Snapshot, rows: Rows, columns: Sequence[str]) -> Any:
    """Return rows in any order, as they were admitted, in buffers of their own.

    Not by `Snapshot.take`, which lays open disputes over them: a copy is labelled when it is
    opened, by what durable state says then.
    """
    names = list(columns)
    batches = [snapshot.batch(n).rows for n in range(snapshot.batch_count)]
    table: Any = _arrow.Table.from_batches(
        [batch.select(names) for batch in batches], schema=_select(snapshot.schema, names)
    )
    return table.take(pa.array(rows)).combine_chunks().to_batches()[0]


def _select(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    return pa.schema([schema.field(name) for name in names])


def _same_share(manifest: Manifest, rows: int) -> int:
    return round(rows * manifest.quarantined / manifest.rows) if manifest.rows else 0


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
