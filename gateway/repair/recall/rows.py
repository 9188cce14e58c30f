"""Where records lie in every snapshot that deliveries may name, on the disk or as its map."""

import re
from collections.abc import Sequence
from pathlib import Path

from gateway.domain.errors import XinguanError
from gateway.snapshot.record_map import RecordMap, RecordRow, find_in_snapshot, mapped_ids
from gateway.snapshot.snapshot import Snapshot

_SNAPSHOT_ID = re.compile(r"[0-9a-f]{64}")
_PRODUCT = re.compile(r"[a-z][a-z0-9_]{0,63}")


class RecordPlaces:
    """Finds the rows of records. It reads snapshots as they were admitted and serves none.

    Owner: the thread that computes recalls.

    Args:
        directory: Where the library keeps its snapshots.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def ids(self, product: str) -> tuple[str, ...]:
        """Return the ids of a product's snapshots whose rows can be told, sorted."""
        if _PRODUCT.fullmatch(product) is None:
            return ()
        home = self._directory / product
        kept = {path.name for path in home.glob("*") if _SNAPSHOT_ID.fullmatch(path.name)}
        return tuple(sorted(kept | mapped_ids(home)))

    def every_id(self) -> frozenset[str]:
        """Return the ids of all products' snapshots whose rows can be told."""
        homes = (path.name for path in self._directory.glob("*") if path.is_dir())
        return frozenset(name for product in homes for name in self.ids(product))

    def find(self, product: str, snapshot_id: str, keys: Sequence[str]) -> list[RecordRow] | None:
        """Return the rows of records in one snapshot; None when it can't be told any more."""
        home = self._directory / product
        try:
            if (home / snapshot_id).is_dir():
                snapshot = Snapshot.open(home / snapshot_id)
                if snapshot.snapshot_id != snapshot_id or snapshot.product != product:
                    return None
                return find_in_snapshot(snapshot, keys)
            return RecordMap(home, snapshot_id).find(keys)
        except (XinguanError, OSError):
            return None
