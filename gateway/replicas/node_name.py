"""Names of serving processes: one process has a name at a time, and a dead one lets go of it.

Beside the state of a deployment lies a file for each name, locked by the process that has it. The
operating system lets go of the lock when the process ends, however that happens; so processes that
share a directory know of each other's death at once, without waiting for a lease to run out.
"""

import fcntl
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from gateway.domain.errors import UnavailableError

_HOLDER_BYTES = 32  # characters of a holder
_TRIES = 50
_PAUSE_S = 0.01


@dataclass(frozen=True, slots=True)
class NodeName:
    """A name that this process has until it ends or lets go of it.

    Args:
        name: The name.
        holder: This process, drawn at random.
        before: The holder that had the name here before and is dead, or empty.
        place: Drawn once for the directory.
        handle: The locked file.
    """

    name: str
    holder: str
    before: str
    place: str
    handle: int

    def release(self) -> None:
        """Let go of the name."""
        os.close(self.handle)


def take_name(directory: Path, name: str) -> NodeName:
    """Take a name.

    Args:
        directory: Where the state lies.
        name: Name of the serving process.

    Raises:
        UnavailableError: `NODE_NAME_TAKEN` when a living process has it.
    """
    handle = os.open(_path(directory, name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(handle, name)
        before = os.pread(handle, _HOLDER_BYTES, 0).decode("ascii", "replace")
        holder = secrets.token_hex(_HOLDER_BYTES // 2)
        os.pwrite(handle, holder.encode(), 0)
        return NodeName(name, holder, before, place_of(directory), handle)
    except BaseException:
        os.close(handle)
        raise


def is_dead(directory: Path, name: str, holder: str) -> bool:
    """Say whether a process that served from this directory has surely ended.

    Args:
        directory: Where the state lies.
        name: Name of the serving process.
        holder: The process, as its lease names it.

    Returns:
        False also when it can't be known.
    """
    try:
        handle = os.open(_path(directory, name), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # Shared, and for an instant: a process that starts and wants the name tries again.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return os.pread(handle, _HOLDER_BYTES, 0) == holder.encode()
    except OSError:
        return False
    finally:
        os.close(handle)


def taken(name: str) -> UnavailableError:
    """Return what a second process of the same name is told."""
    return UnavailableError(
        "NODE_NAME_TAKEN",
        f"another process serves this state under the name {name}",
        hints=("start it with --node and a name of its own",),
    )


def _lock(handle: int, name: str) -> None:
    for _ in range(_TRIES):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(_PAUSE_S)
        else:
            return
    raise taken(name)


def _path(directory: Path, name: str) -> Path:
    return directory / f"node-{name}.lock"


def place_of(directory: Path) -> str:
    """Return the directory's own name, drawn by whichever process comes first."""
    path = directory / "place"
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        found = os.pread(handle, _HOLDER_BYTES, 0).decode("ascii", "replace")
        if len(found) != _HOLDER_BYTES:
            found = secrets.token_hex(_HOLDER_BYTES // 2)
            os.pwrite(handle, found.encode(), 0)
        return found
    finally:
        os.close(handle)
