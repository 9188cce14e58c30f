"""Where the records of copies lie, as a trace needs it: in maps at home, in copies abroad."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gateway.border.store_apart import StoreApart
from gateway.domain.errors import XinguanError
from gateway.snapshot.record_map import RecordMap, RecordRow, mapped_ids


class CopyPlaces:
    """Finds rows of copies, whether or not the store apart still has them.

    Args:
        maps: Where the maps of records are: the domestic snapshots' directory.
        store: The store apart, for what single rows say; a store that is gone says nothing.
    """

    def __init__(self, maps: Path, store: StoreApart) -> None:
        self._store = store
        self._homes = {
            snapshot_id: home
            for home in sorted(maps.glob("*"))
            if home.is_dir()
            for snapshot_id in mapped_ids(home)
        }
        self._maps: dict[str, RecordMap | None] = {}

    def of_subjects(self, snapshot_id: str, texts: Sequence[str]) -> list[RecordRow] | None:
        """Return the rows of these subjects, or None when the snapshot has no map."""
        found = self._map(snapshot_id)
        return None if found is None else found.of_subjects(texts)

    def texts(self, snapshot_id: str, rows: Sequence[int]) -> list[dict[str, str]] | None:
        """Return what rows say, field by field, or None when the copy is gone."""
        try:
            copy = self._store.pinned(self._homes[snapshot_id].name, snapshot_id)
        except (XinguanError, OSError):
            return None
        if copy is None:
            return None
        order = np.sort(np.asarray(rows, dtype=np.int64))
        taken = copy.take(order, sorted(copy.releasable)).to_pylist()
        said = dict(zip(order.tolist(), taken, strict=True))
        return [
            {name: "" if value is None else str(value) for name, value in said[row].items()}
            for row in rows
        ]

    def _map(self, snapshot_id: str) -> RecordMap | None:
        if snapshot_id not in self._maps:
            home = self._homes.get(snapshot_id)
            try:
                found = None if home is None else RecordMap(home, snapshot_id)
            except XinguanError:
                found = None
            self._maps[snapshot_id] = found
        return self._maps[snapshot_id]
