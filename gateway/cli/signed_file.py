"""Signed documents that commands leave in files: new ones, kept from before the act they are for.

A document that was put in force and then can't be written is lost: signing again gives another one
with another serial. So the file comes first, and goes again when the act is refused.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.cli.written import NewFile, write_together, written_for

_PUBLIC_MODE = 0o644  # what is signed is for others to read; it is no secret


def write_signed(path: Path | None, document: str) -> None:
    """Write a signed document to a file that must not exist yet; without a path do nothing.

    Raises:
        KeyFileError: `FILE_EXISTS` when something stands there already; it stays as it is.
        OSError: It can't be written there.
    """
    if path is not None:
        write_together((_file(path, document),))


@contextmanager
def signed_file(path: Path | None, document: str) -> Iterator[None]:
    """Keep a signed document in a new file around the act that puts it in force.

    Args:
        path: Where to put it, or None to keep it nowhere.
        document: The document, compact.

    Raises:
        KeyFileError, OSError: as `write_signed`, before anything was done.
    """
    with written_for(() if path is None else (_file(path, document),)):
        yield


def _file(path: Path, document: str) -> NewFile:
    return NewFile(path, f"{document.rstrip()}\n".encode(), _PUBLIC_MODE)
