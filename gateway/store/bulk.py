"""Many rows with few statements, in the SQL of both databases.

Each statement gives up the interpreter's lock once, and winning it back from a busy event loop is
what a transaction of many small statements spends most of its time on. The numbers of rows of a
statement are powers of two, so that both databases meet few different texts and keep them prepared.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import lru_cache

from gateway.store.migration import Statements

_MOST_ROWS = 256
_MOST_PARAMETERS = 16_000  # of one statement; SQLite takes 32,766, PostgreSQL 65,535


def insert_rows(
    tx: Statements, into: str, rows: Sequence[Sequence[object]], conflict: str = ""
) -> None:
    """Insert rows that have one width.

    Args:
        tx: The transaction.
        into: The statement up to its values: `INSERT INTO t (a, b) VALUES`.
        rows: The rows. Where `conflict` updates, no two of them may meet in it: PostgreSQL
            refuses that.
        conflict: What follows the values, for example an ON CONFLICT clause.
    """
    if not rows:
        return
    width = len(rows[0])
    for some in _pieces(rows, _MOST_PARAMETERS // width):
        values = [value for row in some for value in row]
        tx.execute(_insert(into, width, len(some), conflict), values)


def for_each_of(run: Callable[[str, Sequence[object]], object], wanted: Collection[object]) -> None:
    """Call a function with marks for an `IN (...)` and the values for them, piece by piece.

    The values of a piece are filled up to a power of two with its last one, which is found once
    all the same.

    Args:
        run: Takes the marks and the values.
        wanted: The values, distinct.
    """
    values = list(wanted)
    for first in range(0, len(values), _MOST_ROWS):
        some = values[first : first + _MOST_ROWS]
        size = 1 << (len(some) - 1).bit_length()
        run(_marks(size), [*some, *[some[-1]] * (size - len(some))])


def _pieces(rows: Sequence[Sequence[object]], most: int) -> Iterator[Sequence[Sequence[object]]]:
    """Cut rows into pieces whose lengths are powers of two."""
    first = 0
    while first < len(rows):
        left = min(len(rows) - first, most, _MOST_ROWS)
        size = 1 << (left.bit_length() - 1)
        yield rows[first : first + size]
        first += size


@lru_cache(maxsize=512)
def _insert(into: str, width: int, count: int, conflict: str) -> str:
    row = f"({_marks(width)})"
    return f"{into} {','.join([row] * count)} {conflict}"


@lru_cache(maxsize=64)
def _marks(count: int) -> str:
    return ",".join("?" * count)
