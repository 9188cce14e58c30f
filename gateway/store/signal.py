"""Eight bytes that change after each act, so that a reader need not ask the database.

A reader that sees the same number as before need not ask. A writer raises it after its commit
and before it tells anyone of success. It is a hint for freshness only: whoever reads it late
or not at all (a crash between commit and raise) is set right by looking at the database at
least every tenth of a second.

    on SQLite      a file that the processes of one machine share: an act that was acknowledged
                   is seen by the very next look of every process
    on PostgreSQL  a number of each process, changed by notifications: of its own acts likewise,
                   of others' acts after the time a notification takes (`postgres_signal`)

The file is read through a mapping and written through the file, so that a process that waits
for a change is woken by the system.
"""

import mmap
import os
from pathlib import Path
from typing import Protocol, Self

from gateway.store.file_watch import FileWatch

_BYTES = 8


class Watch(Protocol):
    """A descriptor that becomes readable when a signal was raised; its user closes it."""

    descriptor: int

    def drain(self) -> None:
        """Take note of what was raised so far."""

    def close(self) -> None:
        """Watch no more."""


class Signal(Protocol):
    """Tells whether the state may have changed since an earlier look; thread-safe."""

    def read(self) -> bytes:
        """Return the present number; it costs well under a microsecond."""

    def raise_it(self) -> None:
        """Change the number; every reader asks the database again."""

    def watch(self) -> Watch | None:
        """Return what wakes its user at each raise; None where the system can't."""

    def close(self) -> None:
        """Stop watching."""


class ChangeSignal:
    """The shared number of one SQLite state database; a `Signal`.

    Owner of the file: whichever process opens the state first makes it. The number is drawn
    at random at each raise, so that two processes that raise at once can't lose one another.
    """

    def __init__(self, path: Path, descriptor: int, shared: mmap.mmap) -> None:
        """Keep an open file and its mapping; use `open`."""
        self._path = path
        self._descriptor = descriptor
        self._shared = shared

    @classmethod
    def open(cls, path: Path) -> Self:
        """Map the file, made when missing.

        Args:
            path: The file, beside the state database.

        Raises:
            OSError: It can't be made or mapped.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if os.fstat(descriptor).st_size < _BYTES:
                os.ftruncate(descriptor, _BYTES)
            return cls(path, descriptor, mmap.mmap(descriptor, _BYTES, access=mmap.ACCESS_READ))
        except BaseException:
            os.close(descriptor)
            raise

    def read(self) -> bytes:
        """Return the present number."""
        return self._shared[:]

    def raise_it(self) -> None:
        """Change the number; every reader asks the database again."""
        os.pwrite(self._descriptor, os.urandom(_BYTES), 0)

    def watch(self) -> Watch | None:
        """Return what wakes its user at each raise; None where the system can't."""
        return FileWatch.open(self._path)

    def close(self) -> None:
        """Unmap the file."""
        self._shared.close()
        os.close(self._descriptor)
