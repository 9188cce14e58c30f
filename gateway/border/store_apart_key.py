"""The key of the store apart: drawn when the first copy is made, its own, and destroyable.

    <files.border_key>                 32 bytes, mode 0600
    <files.border_key>.destroyed       the key was destroyed on purpose; none is drawn by itself

Without the key nothing of the store can be read again: destroying it destroys every copy, also
those in a backup of the store. The domestic keys, and what they protect, are not touched.
"""

import os
import secrets
from pathlib import Path

from gateway.domain.errors import UnavailableError
from gateway.identity.keyfiles import (
    PRIVATE_MODE,
    SECRET_BYTES,
    new_secret,
    read_secret,
    write_new,
)
from gateway.snapshot.sealed_files import derive_key

_NO_SALT = b"\0" * 32


class StoreDestroyedError(UnavailableError):
    """The store was destroyed; a person opens it again with `xinguan border copy`."""

    def __init__(self) -> None:
        """State what would make it allowed."""
        super().__init__(
            "BORDER_STORE_DESTROYED",
            "the store apart was destroyed and nobody has opened it again",
            hints=("xinguan border copy",),
        )


def key_name(key: bytes) -> str:
    """Return the name of a key, which tells nothing of it."""
    return derive_key(key, _NO_SALT, "key-name")[:16].hex()


def open_key(path: Path, *, anew: bool = False) -> bytes:
    """Return the store's key; the first time it is drawn.

    Args:
        path: Where it is.
        anew: A person wants the store again after it was destroyed.

    Raises:
        StoreDestroyedError: It was destroyed.
        KeyFileError: It can't be read, or others could read it.
    """
    mark = _mark(path)
    if not path.exists():
        if mark.exists() and not anew:
            raise StoreDestroyedError
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_new(path, new_secret(), PRIVATE_MODE)
        mark.unlink(missing_ok=True)
    return read_secret(path)


def destroy_key(path: Path) -> str | None:
    """Overwrite and remove the key, and see to it that none is drawn by itself.

    A file system may keep old blocks; where that matters the key lies in memory or in a module.

    Returns:
        The name of the key that was destroyed, or None when there was none.
    """
    name = key_name(read_secret(path)) if path.exists() else None
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _mark(path).exists():
        write_new(_mark(path), b"", PRIVATE_MODE)
    if name is not None:
        with path.open("r+b") as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
    return name


def _mark(path: Path) -> Path:
    return path.with_name(path.name + ".destroyed")
