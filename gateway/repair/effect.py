"""What a change does to the snapshots that are open in one process.

What the change was is not asked: the record is brought in line with where durable state says it
stands now. So changes may be applied twice, or together, or by a process that missed some.
"""

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial

from gateway.repair.consequences import derived_products, stale_since, withhold_stale
from gateway.replicas.changes import Change
from gateway.snapshot.library import SnapshotLibrary
from gateway.snapshot.snapshot import Snapshot
from gateway.store.migration import Statements

_AT_ONCE = 500  # parameters of one statement


class SnapshotEffect:
    """Brings the snapshots of one process in line with the state. Owner: the event loop."""

    def __init__(self, state: Statements, *libraries: SnapshotLibrary) -> None:
        """Take a reading connection of the state and every library that anything leaves from."""
        self._state = state
        self._libraries = libraries

    def products(self, changes: Sequence[Change]) -> Collection[str]:
        """Return the products whose records or derived values the changes touch."""
        named = {change.product for change in changes}
        return named | set(derived_products()) if any(one.ended for one in changes) else named

    def flip(self, changes: Sequence[Change]) -> None:
        """Seal, unseal and label these records, then withhold what was derived from them."""
        by_product: dict[str, set[str]] = {}
        for change in changes:
            by_product.setdefault(change.product, set()).add(change.record_key)
        for product, keys in by_product.items():
            for some in _slices(sorted(keys)):
                self._records(product, some)
        # Last: unsealing a value must not bring back one that is older than a repair. A record
        # that was changed may be such a value itself, so its subject is looked at in any case.
        derived = derived_products()
        subjects = {
            change.subject for change in changes if change.ended or change.product in derived
        }
        stale = stale_since(self._state, derived, sorted(subjects)) if subjects else {}
        for product, since in stale.items():
            self._change(product, partial(withhold_stale, since=since))

    def start_over(self) -> None:
        """Bring every open snapshot in line, whatever was missed."""
        for library in self._libraries:
            library.start_over()

    def _change(self, product: str, change: Callable[[Snapshot], object]) -> None:
        for library in self._libraries:
            library.change(product, change)

    def _records(self, product: str, keys: Sequence[str]) -> None:
        marks = ",".join("?" * len(keys))
        rows = self._state.execute(
            f"SELECT record_key FROM sealed_records WHERE product = ? AND record_key IN ({marks})",
            (product, *keys),
        ).fetchall()
        sealed = {str(row[0]) for row in rows}
        disputes = self._state.execute(
            "SELECT record_key, dispute_id FROM record_states WHERE product = ?"
            f" AND disputed = 1 AND ended IS NULL AND record_key IN ({marks})",
            (product, *keys),
        ).fetchall()
        labels = {str(row[0]): str(row[1]) for row in disputes}

        free = [key for key in keys if key not in sealed]

        def change(snapshot: Snapshot) -> None:
            snapshot.seal(list(sealed))
            snapshot.unseal(free)
            snapshot.relabel(keys, labels)

        self._change(product, change)


def _slices(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for number in itertools.count(0, _AT_ONCE):
        if number >= len(values):
            return
        yield values[number : number + _AT_ONCE]
