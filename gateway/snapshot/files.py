"""The files of an admitted snapshot: checked against the manifest, mapped for reading."""

import mmap
from pathlib import Path
from typing import Any

import numpy as np

from gateway.snapshot.admission import FILES, digest_file
from gateway.snapshot.errors import SnapshotDamagedError
from gateway.snapshot.manifest import Manifest


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
