"""Files that a command makes: all of them or none, so that the command can be given again."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from gateway.identity.keyfiles import write_new


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to be written.

    Args:
        path: Where nothing may stand yet.
        content: What it holds.
        mode: Who may read it.
    """

    path: Path
    content: bytes = field(repr=False)
    mode: int


def write_together(files: Iterable[NewFile]) -> tuple[Path, ...]:
    """Write new files; when one can't be written, none of them stays.

    An OSError is the caller's to tell.

    Returns:
        Where they are.

    Raises:
        KeyFileError: `FILE_EXISTS` when something stands there already.
    """
    written: list[Path] = []
    try:
        for file in files:
            write_new(file.path, file.content, file.mode)
            written.append(file.path)
    except BaseException:
        take_back(written)
        raise
    return tuple(written)


def take_back(written: Iterable[Path]) -> None:
    """Remove files that this very run wrote."""
    for path in written:
        path.unlink(missing_ok=True)
