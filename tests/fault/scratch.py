"""Where the matrices work: in memory, if the machine has such a place.

The page cache outlives a killed process on any file system alike, so a disk would only be slow.
"""

from pathlib import Path

_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a private directory is made inside


def scratch_disk() -> Path | None:
    """Return a directory in memory, or None for the machine's temporary directory."""
    return _IN_MEMORY if _IN_MEMORY.is_dir() else None
