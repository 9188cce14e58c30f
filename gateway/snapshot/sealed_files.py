"""Files of a snapshot that are encrypted at rest, section by section, and read without a scan.

    file     := MAGIC section* table u32          (length of the sealed table, little-endian)
    section  := AES-256-GCM of its content, 16 bytes of tag at the end
    table    := AES-256-GCM of the sections' sealed lengths, 8 bytes each, little-endian

Each file has a key of its own: HKDF-SHA256 of the store's key, with the snapshot's random salt and
the file's name. So section number is nonce enough, no file can stand in for another or for that of
another snapshot, and a cut or reordered one is found by the table. A batch of rows is a section:
reading one subject unseals one batch. What is unsealed stays in the process's memory, in bounds.
"""

import hashlib
import mmap
import os
import struct
import threading
from collections import OrderedDict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.snapshot.admission import FILES, ROWS
from gateway.snapshot.errors import SnapshotDamagedError
from gateway.snapshot.manifest import MANIFEST, FileDigest, Manifest

_arrow: Any = pa  # the published stubs lag behind pyarrow and are wrong in places
MAGIC = b"xinguan/sealed-file/v1\n"
SALT = "salt"
SALT_BYTES = 32
_LENGTH = struct.Struct("<I")
_TABLE_NONCE = b"\xff" * 12
_SECTION_BYTES = 1 << 20  # of files that are read whole
_CACHED_BYTES = 64 << 20  # unsealed batches of one snapshot that are kept


def derive_key(store_key: bytes, salt: bytes, purpose: str) -> bytes:
    """Return the 32-byte key of one purpose under a store's key."""
    info = b"xinguan/border-store/v1\n" + purpose.encode()
    return HKDF(SHA256(), 32, salt, info).derive(store_key)


class SealedWriter:
    """Writes one sealed file that must not exist yet; a context manager. Durable on leaving."""

    def __init__(self, directory: Path, name: str, store_key: bytes, salt: bytes) -> None:
        self._path = directory / name
        self._name = name
        self._cipher = AESGCM(derive_key(store_key, salt, name))
        self._digest = hashlib.sha256()
        self._lengths: list[int] = []
        self._size = 0

    def __enter__(self) -> Self:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        self._file = os.fdopen(os.open(self._path, flags, 0o600), "wb")
        self._file.write(MAGIC)
        return self

    def section(self, content: bytes) -> None:
        """Seal one more section."""
        nonce = len(self._lengths).to_bytes(12, "big")
        sealed = self._cipher.encrypt(nonce, content, _binding(self._name))
        self._lengths.append(len(sealed))
        self._digest.update(content)
        self._size += len(sealed) - 16
        self._file.write(sealed)

    def whole(self, content: bytes) -> None:
        """Seal a content that is read whole, in sections of a fixed size."""
        for start in range(0, len(content), _SECTION_BYTES):
            self.section(content[start : start + _SECTION_BYTES])

    def stated(self) -> FileDigest:
        """Return size and digest of what was sealed, as a manifest states them."""
        return FileDigest(size=self._size, sha256=self._digest.hexdigest())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._file:
            if error is None:
                table = np.array(self._lengths, "<u8").tobytes()
                sealed = self._cipher.encrypt(_TABLE_NONCE, table, _binding(self._name))
                self._file.write(sealed + _LENGTH.pack(len(sealed)))
                self._file.flush()
                os.fsync(self._file.fileno())


class SealedReader:
    """One sealed file, open: what is mapped is sealed. Safe to read from many threads.

    Raises:
        SnapshotDamagedError: It is missing, cut, changed, or sealed under another key.
    """

    def __init__(self, directory: Path, name: str, store_key: bytes, salt: bytes) -> None:
        self._name = name
        self._cipher = AESGCM(derive_key(store_key, salt, name))
        try:
            with (directory / name).open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            end = len(self._map) - _LENGTH.size
            (length,) = _LENGTH.unpack(self._map[end:])
            sealed = self._map[end - length : end]
            table = self._cipher.decrypt(_TABLE_NONCE, sealed, _binding(name))
        except (OSError, struct.error, InvalidTag, ValueError):
            raise _damaged(name) from None
        self._lengths = np.frombuffer(table, "<u8").astype(np.int64)
        self._starts = len(MAGIC) + np.cumsum(self._lengths) - self._lengths
        if self._map[: len(MAGIC)] != MAGIC or (
            end != len(MAGIC) + int(self._lengths.sum()) + length
        ):
            raise _damaged(name)

    @property
    def sections(self) -> int:
        """Number of sections."""
        return len(self._lengths)

    def section(self, number: int) -> bytes:
        """Return the content of one section."""
        start = int(self._starts[number])
        sealed = self._map[start : start + int(self._lengths[number])]
        try:
            return self._cipher.decrypt(number.to_bytes(12, "big"), sealed, _binding(self._name))
        except (InvalidTag, ValueError):
            raise _damaged(self._name) from None

    def whole(self) -> bytes:
        """Return the whole content."""
        return b"".join(self.section(number) for number in range(self.sections))


class SealedRows:
    """Sealed rows: section 0 is the schema, section n + 1 is batch n."""

    def __init__(self, reader: SealedReader) -> None:
        self._reader = reader
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, Any] = OrderedDict()
        self._bytes = 0
        self.schema: pa.Schema = pa.ipc.read_schema(pa.py_buffer(reader.section(0)))

    def batch(self, number: int) -> Any:
        """Return one batch, unsealed now or lately."""
        with self._lock:
            found = self._kept.get(number)
            if found is not None:
                self._kept.move_to_end(number)
                return found
        content = self._reader.section(number + 1)
        batch = _arrow.ipc.read_record_batch(pa.py_buffer(content), self.schema)
        with self._lock:
            if number not in self._kept:
                self._kept[number] = batch
                self._bytes += batch.nbytes
            while self._bytes > _CACHED_BYTES and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return batch


class SealedFiles:
    """How the files of a sealed snapshot are read (`gateway.snapshot.files.StoredFiles`).

    Args:
        directory: Where they are.
        store_key: 32 bytes.
    """

    def __init__(self, directory: Path, store_key: bytes) -> None:
        self._directory = directory
        self.store_key = store_key
        try:
            self.salt = (directory / SALT).read_bytes()
        except OSError:
            raise _damaged(SALT) from None

    def read(self, name: str) -> bytes:
        """Return a file's content."""
        return SealedReader(self._directory, name, self.store_key, self.salt).whole()

    def manifest(self) -> Manifest:
        """Unseal the manifest."""
        return Manifest.parse(self.read(MANIFEST))

    def check(self, manifest: Manifest, *, verify: bool) -> None:
        """Check that it is a manifest of these files; each file authenticates itself.

        Args:
            manifest: What was copied.
            verify: Unseal every file and compare its digest.

        Raises:
            SnapshotDamagedError: `PRODUCT_UNAVAILABLE`.
        """
        if set(manifest.files) != set(FILES) or manifest.version != 1:
            raise SnapshotDamagedError("PRODUCT_UNAVAILABLE", "the manifest is of another version")
        for name, stated in manifest.files.items() if verify else ():
            content = self.read(name)
            if len(content) != stated.size or hashlib.sha256(content).hexdigest() != stated.sha256:
                raise _damaged(name)

    def array(self, name: str, dtype: str) -> Any:
        """Unseal a file as a read-only array."""
        return np.frombuffer(self.read(name), dtype=dtype)

    def rows(self) -> SealedRows:
        """Open the rows; each batch is unsealed when it is read."""
        return SealedRows(SealedReader(self._directory, ROWS, self.store_key, self.salt))


def _binding(name: str) -> bytes:
    return MAGIC + name.encode()


def _damaged(name: str) -> SnapshotDamagedError:
    return SnapshotDamagedError(
        "PRODUCT_UNAVAILABLE",
        "a sealed file of the store apart is missing, changed, or under another key",
        hints=(name,),
    )
