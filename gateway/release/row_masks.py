"""Which rows of a snapshot meet the policy's conditions, remembered batch by batch.

A snapshot never changes and the policy's conditions are few, so a batch is tested once and not
once a request. The shareable bits, which do change, are not part of it.
"""

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from gateway.domain.request import Condition
from gateway.release.rows import Test, matching
from gateway.snapshot.snapshot import Snapshot

_MOST_CONDITIONS = 64
_Masks = dict[int, np.ndarray[Any, np.dtype[np.bool_]]]
_Rows = np.ndarray[Any, np.dtype[np.int64]]


class RowMasks:
    """One byte a row of the batches that were asked about, per distinct set of conditions.

    Owner: the event loop. Masks of a snapshot go with it.
    """

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._kept: WeakKeyDictionary[Snapshot, dict[tuple[Condition, ...], _Masks]] = (
            WeakKeyDictionary()
        )

    def select(
        self,
        snapshot: Snapshot,
        rows: _Rows,
        conditions: tuple[Condition, ...],
        tests: Sequence[Test],
    ) -> _Rows:
        """Return those of the rows that meet every condition.

        Args:
            snapshot: Where the rows are.
            rows: Row numbers, ascending.
            conditions: The policy's conditions; the key of what is remembered.
            tests: The same, compiled.
        """
        if not tests or not len(rows):
            return rows
        by_conditions = self._kept.setdefault(snapshot, {})
        if len(by_conditions) >= _MOST_CONDITIONS and conditions not in by_conditions:
            by_conditions.clear()
        masks = by_conditions.setdefault(conditions, {})
        size = snapshot.manifest.batch_rows
        first, last = int(rows[0]) // size, int(rows[-1]) // size
        if first == last:
            return rows[_mask(snapshot, first, masks, tests)[rows - first * size]]
        # Row numbers ascend, so those of one batch stand together.
        cuts = np.flatnonzero(np.diff(rows // size)) + 1
        parts = []
        for within in np.split(rows, cuts):
            number = int(within[0]) // size
            parts.append(within[_mask(snapshot, number, masks, tests)[within - number * size]])
        return np.concatenate(parts)


def _mask(
    snapshot: Snapshot, number: int, masks: _Masks, tests: Sequence[Test]
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    kept = masks.get(number)
    if kept is None:
        batch = snapshot.batch(number).rows
        found = matching(batch, tests)
        kept = (
            np.ones(batch.num_rows, dtype=np.bool_)
            if found is None
            else found.to_numpy(zero_copy_only=False)
        )
        masks[number] = kept
    return kept
