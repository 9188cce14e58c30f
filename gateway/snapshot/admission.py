"""Admission: a source's rows become an immutable, indexed, digested snapshot.

The directory appears by one rename, after everything in it is on the disk, and the
manifest is the last file written. So a crash half way leaves only a directory that has
no manifest and that nothing opens.
"""

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute

from gateway.domain.errors import ConflictError
from gateway.domain.product import Product
from gateway.snapshot.bitmap import Flags, Rows, pack
from gateway.snapshot.errors import SchemaDriftError
from gateway.snapshot.index import fixed_width, hash_keys, subject_runs
from gateway.snapshot.manifest import MANIFEST, BatchDigest, FileDigest, Manifest
from gateway.snapshot.sorting import Spool, in_order, order_of, spool

pc: Any = pyarrow.compute  # the published stubs lag behind pyarrow and are wrong in places
NEVER = (1 << 63) - 1  # expiry of a row whose sharing has no stated end
SCAN_BATCH_BYTES = 4 << 20
ROWS, SUBJECTS, STARTS = "rows.arrow", "subjects.bin", "starts.bin"
HASHES, RECORDS, EXPIRY, SHAREABLE = "hashes.bin", "records.bin", "expiry.bin", "shareable.bin"
FILES = (ROWS, SUBJECTS, STARTS, HASHES, RECORDS, EXPIRY, SHAREABLE)
_HASH_BLOCK = 1 << 20
Rule = Callable[[pa.RecordBatch, Product], Any]


class RecordSource(Protocol):
    """What admission needs of a source; `adapters.source.Source` meets it.

    `scan` yields each row once, in any order, with the columns asked for in that order, and
    raises rather than ends when it can't go on. Nothing is kept of a scan that raised.
    """

    def schema(self) -> Any:
        """Return the Arrow schema of what is there."""

    def scan(
        self, columns: Sequence[str] | None, predicate: Any, batch_bytes: int
    ) -> Iterator[Any]:
        """Yield record batches of about `batch_bytes` bytes."""

    def version(self) -> str:
        """Return the digest or etag of what is read."""


@dataclass(slots=True)
class _Written:
    """What was found while the rows were written."""

    expiry: list[Any] = field(default_factory=list)
    shareable: list[Flags] = field(default_factory=list)
    batches: list[BatchDigest] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Terms:
    """What the caller says of an admission; see `admit`."""

    now: int
    as_of: int
    quarantined: Callable[[], int]
    batch_rows: int


def admit(
    source: RecordSource,
    product: Product,
    schema: pa.Schema,
    directory: Path,
    *,
    now: int,
    as_of: int,
    quarantined: int | Callable[[], int],
    batch_rows: int = 32768,
    shareable: Rule | None = None,
    expires_at: Rule | None = None,
) -> Manifest:
    """Admit a source's rows as a snapshot at `directory`, which must not exist yet.

    Rows are sorted by (subject key, record key), so that a subject is one slice. A row is
    shareable only where `shareable` says true (unknown is no: DESIGN, allow-list). A row
    without an expiry time has none, except in an adverse product, where an end that isn't
    known keeps the row in (R10).

    Args:
        source: Where the rows are.
        product: Their contract.
        schema: The contract's Arrow schema.
        directory: Where the snapshot will be.
        now: Time of the admission, unix seconds.
        as_of: Time the source's state is of, unix seconds.
        quarantined: Rows set aside, for the coverage statement; a function is asked once the
            source is read to its end.
        batch_rows: Rows of a batch, a multiple of 8.
        shareable: (batch, product) to a boolean array; the ingest rules by default.
        expires_at: (batch, product) to int64 unix seconds, the first second at which the row
            may no longer leave, or null; the ingest rules by default.

    Raises:
        SchemaDriftError: The source's schema isn't the contract's.
        AdmissionError: A subject or record key is missing or malformed.
        ConflictError: `directory` exists.
    """
    if batch_rows < 8 or batch_rows % 8:  # noqa: PLR2004 - a byte of the bitmap
        raise ValueError("batch_rows is a positive multiple of 8")
    check_schema(source.schema(), schema)
    if directory.exists():
        raise ConflictError("CONFLICT", "there is a snapshot in this place already")
    rules = _rules(shareable, expires_at)
    staging = directory.parent / f".admitting-{secrets.token_hex(8)}"
    directory.parent.mkdir(parents=True, exist_ok=True)
    staging.mkdir(mode=0o700)  # records at rest are the gateway's alone
    try:
        held_back = quarantined if callable(quarantined) else lambda: quarantined
        settled = _Terms(now, as_of, held_back, batch_rows)
        manifest = _fill(staging, source, product, schema, rules, settled)
        _write(staging / MANIFEST, manifest.to_bytes())
        _sync(staging)
        staging.rename(directory)
        _sync(directory.parent)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return manifest


def _fill(
    staging: Path,
    source: RecordSource,
    product: Product,
    schema: pa.Schema,
    rules: tuple[Rule, Rule],
    terms: _Terms,
) -> Manifest:
    """Write every file but the manifest, durably, and return the manifest."""
    version = source.version()
    batches = _checked(source.scan(schema.names, None, SCAN_BATCH_BYTES), schema)
    held = spool(batches, schema, staging / "spool", (product.subject_key, product.record_key))
    order = order_of(held)
    ordered = in_order(held, order, terms.batch_rows)
    written = _write_rows(ordered, schema, product, rules, staging)
    subjects, subject_width, record_width = _write_indexes(held, order, staging)
    _write_bits(written, staging)
    (staging / "spool").unlink()
    return Manifest(
        version=1,
        product=product.name,
        contract_version=product.version,
        contract_digest=product.digest,
        subject_key=product.subject_key,
        record_key=product.record_key,
        columns=columns_of(schema),
        source_version=version,
        as_of=terms.as_of,
        admitted_at=terms.now,
        rows=len(order),
        subjects=subjects,
        shareable=sum(int(part.sum()) for part in written.shareable),
        quarantined=terms.quarantined(),
        batch_rows=terms.batch_rows,
        subject_width=subject_width,
        record_width=record_width,
        files={name: _sync_and_digest(staging / name) for name in FILES},
        batches=tuple(written.batches),
    )


def columns_of(schema: pa.Schema) -> tuple[tuple[str, str], ...]:
    """Return name and type of each column as the manifest states them."""
    return tuple((field.name, str(field.type)) for field in schema)


def check_schema(actual: pa.Schema, contract: pa.Schema) -> None:
    """Compare names and types; the order of columns is not part of a contract.

    Raises:
        SchemaDriftError: They differ; the hints name each difference.
    """
    found = {field.name: field.type for field in actual}
    due = {field.name: field.type for field in contract}
    hints = [f"missing: {name}: {due[name]}" for name in due if name not in found]
    hints += [f"not in the contract: {name}: {found[name]}" for name in found if name not in due]
    hints += [
        f"changed: {name}: {due[name]} is {found[name]}"
        for name in due
        if name in found and found[name] != due[name]
    ]
    if len(actual.names) != len(found):
        hints.append("a column name occurs twice")
    if hints:
        raise SchemaDriftError(
            "SOURCE_FAILED", "the source's schema has drifted from the contract", hints=hints
        )


def _checked(batches: Iterator[Any], schema: pa.Schema) -> Iterator[Any]:
    for batch in batches:
        check_schema(batch.schema, schema)
        yield pa.RecordBatch.from_arrays([batch.column(n) for n in schema.names], schema=schema)


def _rules(shareable: Rule | None, expires_at: Rule | None) -> tuple[Rule, Rule]:
    if shareable is None or expires_at is None:
        from gateway.snapshot import admission_rules  # the default; tests bring their own

        shareable = shareable or admission_rules.shareable
        expires_at = expires_at or admission_rules.expires_at
    return shareable, expires_at


def _write_rows(
    batches: Iterator[Any],
    schema: pa.Schema,
    product: Product,
    rules: tuple[Rule, Rule],
    staging: Path,
) -> _Written:
    written = _Written()
    options = pa.ipc.IpcWriteOptions(compression=None)
    with (
        pa.OSFile(str(staging / ROWS), "wb") as sink,
        pa.ipc.new_file(sink, schema, options=options) as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)
            expiry = rules[1](batch, product)
            known = expiry.is_valid().to_numpy(zero_copy_only=False)
            flags = rules[0](batch, product).fill_null(False).to_numpy(zero_copy_only=False)
            if len(known) != batch.num_rows or len(flags) != batch.num_rows:
                raise ValueError("an admission rule answered for another number of rows")
            ends = expiry.fill_null(NEVER).to_numpy()
            written.expiry.append(ends)
            written.shareable.append(flags & known if product.adverse else flags)
            digest = hashlib.sha256(batch.serialize()).hexdigest()
            written.batches.append(
                BatchDigest(rows=batch.num_rows, sha256=digest, first_expiry=int(ends.min()))
            )
    return written


def _write_indexes(held: Spool, order: Rows, staging: Path) -> tuple[int, int, int]:
    """Write both indexes; return distinct subjects, subject width, record width."""
    taken: Any = pa.array(order)
    subjects = _fixed(held.subjects.take(taken))
    keys, starts = subject_runs(subjects)
    _write(staging / SUBJECTS, keys)
    _write(staging / STARTS, starts)
    records = _fixed(held.records.take(taken))
    hashes = hash_keys(records)
    by_hash = np.argsort(hashes, kind="stable")
    _write(staging / HASHES, hashes[by_hash])
    _write(staging / RECORDS, by_hash.astype(np.int64))
    return len(keys), keys.dtype.itemsize, records.dtype.itemsize


def _fixed(strings: Any) -> Any:
    width = int(pc.max(pc.binary_length(strings)).as_py() or 1)
    return fixed_width(strings, width)


def _write_bits(written: _Written, staging: Path) -> None:
    flags = np.concatenate(written.shareable or [np.zeros(0, np.bool_)])
    expiry = np.concatenate(written.expiry or [np.zeros(0, np.int64)])
    _write(staging / SHAREABLE, pack(flags.astype(np.bool_)))
    _write(staging / EXPIRY, expiry.astype(np.int64))


def _write(path: Path, content: bytes | np.ndarray[Any, Any]) -> None:
    with path.open("wb") as sink:
        sink.write(content if isinstance(content, bytes) else np.ascontiguousarray(content).data)
        sink.flush()
        os.fsync(sink.fileno())


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's content, hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _sync_and_digest(path: Path) -> FileDigest:
    _sync(path)
    return FileDigest(size=path.stat().st_size, sha256=digest_file(path))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
