"""The manifest: what a snapshot is, pinned by one digest over all of it."""

import hashlib
import json
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from gateway.snapshot.errors import SnapshotDamagedError

MANIFEST = "manifest.json"
# What is hashed begins with a version and a tag, so that no other document of the
# gateway can ever have the same digest.
DOMAIN = b"xinguan/snapshot/v1\n"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FileDigest(_Part):
    """One file of the snapshot.

    Args:
        size: Length in bytes.
        sha256: SHA-256 of its content, hex.
    """

    size: int
    sha256: str


class BatchDigest(_Part):
    """One batch of the rows.

    Args:
        rows: Number of rows.
        sha256: SHA-256 of its Arrow IPC message (`RecordBatch.serialize()`, all columns), hex.
        first_expiry: Smallest expiry time in it, unix seconds: until then none has expired.
    """

    rows: int
    sha256: str
    first_expiry: int


class Manifest(_Part):
    """What was admitted, from where, under which contract.

    Args:
        version: Version of this structure.
        product: Product name.
        contract_version: Version of the data contract.
        contract_digest: Digest of the data contract, hex.
        subject_key: Name of the subject key column.
        record_key: Name of the record key column.
        columns: Name and Arrow type of each column, in order.
        source_version: What the source said it read: a digest or an etag.
        as_of: Time the source's state is of, unix seconds.
        admitted_at: Time of the admission, unix seconds.
        rows: Number of rows.
        subjects: Number of distinct subjects.
        shareable: Rows that were shareable at admission. Never told to callers.
        quarantined: Rows of the source that were set aside before admission.
        batch_rows: Rows of each batch but the last, a multiple of 8.
        subject_width: Bytes of the longest subject key.
        record_width: Bytes of the longest record key.
        files: File name to its size and digest.
        batches: The batches in order.
    """

    version: int
    product: str
    contract_version: str
    contract_digest: str
    subject_key: str
    record_key: str
    columns: tuple[tuple[str, str], ...]
    source_version: str
    as_of: int
    admitted_at: int
    rows: int
    subjects: int
    shareable: int
    quarantined: int
    batch_rows: int
    subject_width: int
    record_width: int
    files: dict[str, FileDigest]
    batches: tuple[BatchDigest, ...]

    @property
    def admitted_share(self) -> float:
        """Share of the source's rows that were admitted, 0 to 1; for the coverage statement."""
        total = self.rows + self.quarantined
        return self.rows / total if total else 1.0

    @property
    def snapshot_id(self) -> str:
        """SHA-256 over the whole manifest, hex; it pins every byte of the snapshot."""
        return hashlib.sha256(DOMAIN + self.canonical()).hexdigest()

    def canonical(self) -> bytes:
        """Return the one byte string that this manifest is written as."""
        content = self.model_dump(mode="json")
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return text.encode()

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read the manifest of a snapshot's directory.

        Raises:
            SnapshotDamagedError: It is missing, malformed, or not byte for byte canonical.
        """
        try:
            raw = (directory / MANIFEST).read_bytes()
        except OSError as error:
            raise SnapshotDamagedError(
                "PRODUCT_UNAVAILABLE", "the snapshot has no readable manifest"
            ) from error
        return cls.parse(raw)

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Return the manifest in the content of its file.

        Raises:
            SnapshotDamagedError: It is malformed, or not byte for byte canonical.
        """
        try:
            manifest = cls.model_validate_json(json.dumps(json.loads(raw)["manifest"]))
        except (ValueError, KeyError, TypeError) as error:
            raise SnapshotDamagedError(
                "PRODUCT_UNAVAILABLE", "the snapshot has no readable manifest"
            ) from error
        # Equality of the bytes, not of the parsed values, so that no byte is without effect.
        if raw != manifest.to_bytes():
            raise SnapshotDamagedError(
                "PRODUCT_UNAVAILABLE", "the snapshot's manifest doesn't match its own digest"
            )
        return manifest

    def to_bytes(self) -> bytes:
        """Return the file's content: the manifest and, beside it, the snapshot id."""
        return b'{"manifest":%b,"snapshot_id":"%b"}\n' % (
            self.canonical(),
            self.snapshot_id.encode(),
        )
