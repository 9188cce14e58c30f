"""Waking up when another process writes to a file: inotify, where the system has it."""

import ctypes
import os
from contextlib import suppress
from pathlib import Path
from typing import Self

_MODIFIED = 0x2  # IN_MODIFY
_MOST = 4096


class FileWatch:
    """A descriptor that becomes readable when a file was written to."""

    def __init__(self, descriptor: int) -> None:
        """Keep an open descriptor; use `open`."""
        self.descriptor = descriptor

    @classmethod
    def open(cls, path: Path) -> Self | None:
        """Watch a file, or return None where the system can't."""
        libc = ctypes.CDLL(None, use_errno=True)
        if not hasattr(libc, "inotify_init1"):
            return None
        descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if descriptor < 0:
            return None
        if libc.inotify_add_watch(descriptor, os.fsencode(path), _MODIFIED) < 0:
            os.close(descriptor)
            return None
        return cls(descriptor)

    def drain(self) -> None:
        """Take note of what was written so far."""
        with suppress(BlockingIOError):
            while os.read(self.descriptor, _MOST):
                pass

    def close(self) -> None:
        """Watch no more."""
        os.close(self.descriptor)
