"""The files of an admitted snapshot: how they are read, checked against the manifest."""

import mmap
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from gateway.snapshot.admission import FILES, ROWS, digest_file
from gateway.snapshot.errors import SnapshotDamagedError
from gateway.snapshot.manifest import Manifest


class StoredRows(Protocol):
    """The rows of a snapshot, batch by batch. Safe to read from many threads."""

    @property
    def schema(self) -> pa.Schema:
        """Columns of every batch."""
        ...

    def batch(self, number: int) -> Any:
        """Return one batch."""
        ...


class StoredFiles(Protocol):
    """How the files of one snapshot are read; whoever opens the snapshot chooses."""

    def manifest(self) -> Manifest:
        """Read the manifest, or raise SnapshotDamagedError."""
        ...

    def check(self, manifest: Manifest, *, verify: bool) -> None:
        """Check that the files are the manifest's, or raise SnapshotDamagedError."""
        ...

    def array(self, name: str, dtype: str) -> Any:
        """Return a file as a read-only array."""
        ...

    def rows(self) -> StoredRows:
        """Open the rows."""
        ...


class MappedRows:
    """Rows mapped from an Arrow file that never changes."""

    __slots__ = ("_batches", "_reader", "schema")

    def __init__(self, path: Path) -> None:
        self._reader = pa.ipc.open_file(pa.memory_map(str(path)))
        self.schema: pa.Schema = self._reader.schema
        self._batches: list[Any] = [None] * self._reader.num_record_batches

    def batch(self, number: int) -> Any:
        """Return one batch, mapped, not copied."""
        batch = self._batches[number]
        if batch is None:
            batch = self._batches[number] = self._reader.get_batch(number)
        return batch


class MappedFiles:
    """The files as `admit` put them, mapped: opening costs no scan, replicas share the pages."""

    __slots__ = ("_directory",)

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def manifest(self) -> Manifest:
        """Read the manifest."""
        return Manifest.read(self._directory)

    def check(self, manifest: Manifest, *, verify: bool) -> None:
        """Compare sizes, and digests when wanted; see `check_files`."""
        check_files(self._directory, manifest, verify=verify)

    def array(self, name: str, dtype: str) -> Any:
        """Map a file."""
        return map_array(self._directory / name, dtype)

    def rows(self) -> MappedRows:
        """Map the rows."""
        return MappedRows(self._directory / ROWS)


def map_array(path: Path, dtype: str) -> Any:
    """Map a file as a read-only array; an empty file can't be mapped and needn't be."""
    if not path.stat().st_size:
        return np.empty(0, dtype=dtype)
    with path.open("rb") as file:
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), dtype=dtype)


def check_files(directory: Path, manifest: Manifest, *, verify: bool) -> None:
    """Check that a snapshot's files are there with the sizes that its manifest states.

    Args:
        directory: Where `admit` put them.
        manifest: What was admitted.
        verify: Compare the digests too.

    Raises:
        SnapshotDamagedError: `PRODUCT_UNAVAILABLE`.
    """
    if set(manifest.files) != set(FILES) or manifest.version != 1:
        raise SnapshotDamagedError("PRODUCT_UNAVAILABLE", "the manifest is of another version")
    for name, stated in manifest.files.items():
        path = directory / name
        if not path.is_file() or path.stat().st_size != stated.size:
            raise SnapshotDamagedError(
                "PRODUCT_UNAVAILABLE", "a file of the snapshot is missing or cut", hints=(name,)
            )
        if verify and digest_file(path) != stated.sha256:
            raise SnapshotDamagedError(
                "PRODUCT_UNAVAILABLE", "a file of the snapshot was changed", hints=(name,)
            )
