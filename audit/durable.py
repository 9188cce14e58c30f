"""Files that are either there whole and durable, or not there.

Every write goes to a temporary file first, which is synced before it gets its name. The
directory is opened before and synced after, through the same descriptor, because an error
between the two could otherwise be lost (learnt from tessera's POSIX driver).
"""

import contextlib
import fcntl
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from audit.errors import AuditUnavailableError

_READ_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class SyncFailedError(AuditUnavailableError):
    """An fsync failed: what the disk holds is unknown, and reading it back tells nothing."""


class DurableFiles:
    """Writes files under one root; `sync` makes their names durable, once per directory.

    Leaving the context closes the directories without syncing them.

    Args:
        root: An existing directory.
        scratch: An existing directory on the same file system, for temporary files.
    """

    def __init__(self, root: Path, scratch: Path) -> None:
        self._root = root
        self._scratch = scratch
        self._directories: dict[Path, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for descriptor in self._directories.values():
            os.close(descriptor)
        self._directories.clear()

    def create(self, name: str, data: bytes) -> bool:
        """Make a file that never changes.

        Args:
            name: Path under the root.
            data: Its bytes.

        Returns:
            False when a file of this name with other bytes exists; it is left alone.

        Raises:
            SyncFailedError: The bytes may not be on the disk.
            OSError: It cannot be written.
        """
        path = self._open_parent(name)
        with self._temporary(data) as temporary:
            try:
                os.link(temporary, path)
            except FileExistsError:
                return path.read_bytes() == data
        return True

    def replace(self, name: str, data: bytes) -> None:
        """Make a file or replace it whole.

        Raises:
            SyncFailedError: The bytes may not be on the disk.
            OSError: It cannot be written.
        """
        path = self._open_parent(name)
        with self._temporary(data) as temporary:
            temporary.replace(path)

    def sync(self) -> None:
        """Make the names durable of everything written so far.

        Raises:
            SyncFailedError: They may not be.
        """
        for descriptor in self._directories.values():
            _sync(descriptor)

    def _open_parent(self, name: str) -> Path:
        path = self._root / name
        self._open(path.parent)
        return path

    def _open(self, directory: Path) -> None:
        if directory in self._directories:
            return
        if directory != self._root and not directory.is_dir():
            # The name of a new directory must be durable too: open its parent first.
            self._open(directory.parent)
            with contextlib.suppress(FileExistsError):
                directory.mkdir()
        self._directories[directory] = os.open(directory, _READ_DIRECTORY)

    @contextlib.contextmanager
    def _temporary(self, data: bytes) -> Iterator[Path]:
        path = self._scratch / uuid.uuid4().hex
        descriptor = os.open(path, _NEW_FILE, 0o644)
        try:
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(descriptor, view) :]
                _sync(descriptor)
            finally:
                os.close(descriptor)
            yield path
        finally:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock of the file system; the operating system lets go of it with the process.

    Args:
        path: A file that is made when missing; nothing stands in it.

    Raises:
        AuditUnavailableError: Another process holds it, a sleeping one for example.
        OSError: The file cannot be made.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AuditUnavailableError("another process is publishing") from error
        yield
    finally:
        os.close(descriptor)


def _sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise SyncFailedError("the disk did not take what was written") from error
