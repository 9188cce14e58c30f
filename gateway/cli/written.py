"""Files that a command makes: all of them or none, so that the command can be given again."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gateway.domain.errors import UnavailableError, XinguanError
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
        _take_back(written)
        raise
    return tuple(written)


@contextmanager
def written_for(files: Iterable[NewFile]) -> Iterator[None]:
    """Keep new files around the act that makes them count: a refused one takes them along.

    Raises:
        KeyFileError, OSError: As `write_together`, before anything was done.
    """
    written = write_together(files)
    try:
        yield
    except UnavailableError:
        # AUDIT_UNAVAILABLE: nobody knows whether the act holds. If it does, these are the only
        # copies of what it is about, so they stay. The same for what isn't a refusal of ours.
        raise
    except XinguanError:
        _take_back(written)
        raise


def _take_back(written: Iterable[Path]) -> None:
    for path in written:
        path.unlink(missing_ok=True)
