"""What durable state says of decisions and their records, and what those before in a batch changed.

Decisions that are written together are decided one by one, each on what the ones before it left,
although nothing is written until the last of them is decided.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from audit.store import Appended
from gateway.repair.record import Decided, decided
from gateway.store.bulk import for_each_of
from gateway.store.migration import Statements

Key = tuple[str, str]  # product and record key


class Present:
    """The present state of one transaction's decisions; a decision is known by its repair id."""

    def __init__(
        self,
        standings: dict[Key, Decided],
        known: dict[str, tuple[str, Appended | int]],
        sequences: dict[str, int],
    ) -> None:
        """Keep what was read; use `read`."""
        self._standings = standings
        self._known = known
        self._sequences = sequences

    @classmethod
    def read(cls, tx: Statements, records: Iterable[Key], repair_ids: Collection[str]) -> "Present":
        """Read what the state says of some records and decisions.

        Args:
            tx: The transaction.
            records: Products and record keys.
            repair_ids: Ids of decisions.
        """
        by_product: defaultdict[str, set[str]] = defaultdict(set)
        for product, key in records:
            by_product[product].add(key)
        standings = {
            (product, key): found
            for product, keys in by_product.items()
            for key, found in decided(tx, product, keys).items()
        }
        known: dict[str, tuple[str, Appended | int]] = {}

        def read(marks: str, some: Sequence[object]) -> None:
            for repair_id, digest, index, leaf in tx.execute(
                "SELECT repair_id, digest, log_index, leaf_hash FROM repairs"
                f" WHERE repair_id IN ({marks})",
                some,
            ).fetchall():
                known[repair_id] = (digest, Appended(index, leaf, b""))

        for_each_of(read, set(repair_ids))
        rows = tx.execute("SELECT origin, sequence FROM repair_sequences").fetchall()
        return cls(standings, known, dict(rows))

    def standing(self, key: Key) -> Decided | None:
        """Return what was decided on a record, or None when nothing was yet."""
        return self._standings.get(key)

    def known(self, repair_id: str) -> tuple[str, Appended | int] | None:
        """Return the digest of a decision that was applied, and its entry.

        For one that is written by this very transaction: its place instead of its entry.
        """
        return self._known.get(repair_id)

    def sequence(self, origin: str) -> int:
        """Return the newest sequence of an origin, 0 before its first."""
        return self._sequences.get(origin, 0)

    def decide(self, key: Key, after: Decided, repair_id: str, digest: str, place: int) -> None:
        """Take note of a decision that will be written at a place."""
        self._standings[key] = after
        self._known[repair_id] = (digest, place)

    def advance(self, origin: str, sequence: int) -> None:
        """Take note of an origin's newest sequence."""
        self._sequences[origin] = sequence
