"""Which rows are a record's: the true keys are compared, whatever their hashes say."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gateway.snapshot.bitmap import Rows
from gateway.snapshot.index import RecordIndex, RecordKeys, as_texts, distinct, fixed_width

_FEW = 256  # keys; below it, remembering rows is quicker than whole-column kernels
_REMEMBERED = 4_096
Names = Callable[[Rows], Any]  # rows, ascending, to the Arrow column of their record keys


class RecordRows:
    """Record key to its rows, for one key or for millions. Safe to use from many threads.

    Args:
        index: The snapshot's index of record keys.
        width: Bytes of the longest record key.
    """

    __slots__ = ("_found", "_index", "_width")

    def __init__(self, index: RecordIndex, width: int) -> None:
        self._index = index
        self._width = width
        self._found: dict[str, tuple[int, ...]] = {}

    def of(self, keys: RecordKeys, names: Names) -> Rows:
        """Return every row of exactly these records, ascending."""
        if len(keys) <= _FEW:
            return self._of_few(as_texts(keys), names)
        return self._of_many(keys, names)

    def _of_few(self, keys: Sequence[str], names: Names) -> Rows:
        """Look up a few keys, which are asked for twice: to decide on them, then to seal them.

        What was found is remembered, since no row ever changes; and it is compared as text, since
        each of Arrow's kernels gives up the interpreter's lock and waits to have it back.
        """
        known = self._found
        fresh = {key: list[int]() for key in keys if key not in known}
        if fresh:
            candidates, _ = self._index.candidates(list(fresh))
            if len(candidates):
                rows = distinct(candidates)
                for row, name in zip(rows.tolist(), names(rows).to_pylist(), strict=True):
                    if name in fresh:
                        fresh[name].append(row)
            if len(known) >= _REMEMBERED:
                known = {key: known[key] for key in keys if key in known}
            known = known | {key: tuple(found) for key, found in fresh.items()}
            # Replaced, never changed, so that a reader on another thread sees all or nothing.
            self._found = known
        return np.array(sorted({row for key in keys for row in known[key]}), dtype=np.int64)

    def _of_many(self, keys: RecordKeys, names: Names) -> Rows:
        candidates, wanted = self._index.candidates(keys)
        if not len(candidates):
            return candidates
        rows = distinct(candidates)
        there = fixed_width(names(rows), self._width)
        if len(rows) != len(candidates):
            there = there[np.searchsorted(rows, candidates)]
        return distinct(candidates[there == wanted])
