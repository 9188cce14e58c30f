"""Entries of the deployment's own log, published or only committed, and how ranges are written."""

import re
from collections.abc import Iterator

from audit.errors import AuditError, NoteError
from audit.reader import LogReader
from audit.sequence import read_bodies
from audit.store import Reader
from gateway.decision.history import check_leaf
from gateway.deployment import Deployment
from gateway.domain.errors import InvalidRequestError, UnavailableError

AT_ONCE = 1_024
_RANGE = re.compile(r"(\d{0,15}):(\d{0,15})")


def parse_range(text: str, size: int) -> tuple[int, int]:
    """Return first index and one past the last of `START:END`, either of them left out.

    Args:
        text: What the user wrote; END is not included, as in Python.
        size: Number of entries of the log.

    Raises:
        InvalidRequestError: `BAD_RANGE`.
    """
    found = _RANGE.fullmatch(text)
    if found is None:
        raise InvalidRequestError("BAD_RANGE", "a range is START:END, START:, :END or :")
    start, end = int(found[1] or 0), int(found[2] or size)
    if not start < end <= size:
        raise InvalidRequestError("BAD_RANGE", f"the log has the entries 0 to {size - 1}")
    return start, end


def bodies(
    deployment: Deployment, connection: Reader, start: int, end: int
) -> Iterator[tuple[int, bytes]]:
    """Yield entries: published ones from the log's files, newer ones from the sequencer's table.

    Raises:
        UnavailableError: `ENTRY_MISSING`: one is in neither; `ENTRY_TAMPERED`.
    """
    reader = LogReader(deployment.log_directory, deployment.log_vkey)
    for first in range(start, end, AT_ONCE):
        last = min(first + AT_ONCE, end)
        rows = read_bodies(connection, first, last)
        if len(rows) == last - first:
            for index, leaf_hash, body in rows:
                check_leaf(leaf_hash, body)
                yield index, body
        else:
            yield from enumerate(_published(reader, rows, first, last), first)


def _published(
    reader: LogReader, rows: list[tuple[int, bytes, bytes]], first: int, last: int
) -> list[bytes]:
    """Return entries of which some have left the table: these are in the published log."""
    kept = {index: body for index, _, body in rows}
    try:
        size = min(last, reader.checkpoint().size)
        found = list(reader.entries(first, size)) if first < size else []
    except NoteError:
        found = []
    except AuditError:
        raise UnavailableError("ENTRY_TAMPERED", "the published log can't be read") from None
    bodies = found + [kept[i] for i in range(first + len(found), last) if i in kept]
    if len(bodies) != last - first:
        raise UnavailableError(
            "ENTRY_MISSING", f"the entries {first} to {last - 1} aren't all here"
        )
    return bodies
