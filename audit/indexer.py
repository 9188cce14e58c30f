"""Seals the index of subjects: segments over the newest entries, merged as they gather.

    (1) lease      one process at a time; its token fences all that follows
    (2) heal       ranges whose salt a destruction took are sealed again
    (3) seal       a segment over what is new, at most `BASE` entries each
    (4) merge      sixteen neighbours of one level become one of the next
    (5) sweep      tiles that nobody refers to any more are deleted

The tiles of a segment are written first, in small transactions, so that no request waits for
them; its row and its entry in the log come last, in one. A crash between leaves tiles without
a row, which the next pass deletes. An entry is sealed once for each level, and levels rise by
sixteens up to a million entries, so its share of the work stays within a few microseconds
however long the log grows; and a look-up reads some fifteen segments for each level. Segments over
large portfolios are kept small in entries, and as they are.
"""

import os
import uuid
from collections.abc import Callable
from typing import Final, TypeVar

from audit.index_entries import index_root
from audit.index_store import (
    SegmentRow,
    check_index_lease,
    drop_index_lease,
    drop_tiles,
    insert_segment,
    insert_tiles,
    live_segments,
    stale_segments,
    take_index_lease,
    tile_segment,
)
from audit.journal import Journal
from audit.openings import Reading
from audit.segment import build
from audit.sequence import next_index
from audit.transaction import Transaction

T = TypeVar("T")
LEASE_S: Final = 60
BASE: Final = 4_096
FAN: Final = 16
LARGEST: Final = 1 << 20
# A segment is built in memory, some 400 bytes a label. An entry about a part of a portfolio has
# thousands of labels, so a fresh segment covers few of those, and large ones are not merged.
LARGE_ENTRIES: Final = 16
MOST_LEAVES: Final = 1 << 21
_TILES_AT_ONCE: Final = 128
_SWEPT_AT_ONCE: Final = 256


class Indexer:
    """Seals the index in one state database. Its methods block; use it from one thread.

    Args:
        journal: The writer of the state database.
        node: Name of the node in the entries.
        clock: Gives unix seconds.
        base: Greatest number of entries of a fresh segment.
        fan: How many segments of one level become one of the next.
        largest: Segments over this many entries are not merged any more.
    """

    def __init__(
        self,
        journal: Journal,
        node: str,
        clock: Callable[[], int],
        *,
        base: int = BASE,
        fan: int = FAN,
        largest: int = LARGEST,
    ) -> None:
        self._journal = journal
        self._node = node
        self._clock = clock
        self._base = base
        self._fan = fan
        self._largest = largest
        self._holder = uuid.uuid4().hex
        self._token = 0
        self._connection = journal.connect()

    def seal(self, *, only_full: bool = False) -> list[int]:
        """Seal what is new, merge what has gathered, and give the lease back.

        Args:
            only_full: Leave what does not fill a fresh segment for later.

        Returns:
            Log indexes of the roots that were committed to.

        Raises:
            LeaseHeldError: Another process is at work.
            LeaseLostError: Another process took over meanwhile.
            AuditUnavailableError: The database failed; try again later.
        """
        try:
            return self.under_lease(lambda: self._pass(only_full))
        finally:
            self._journal.run(lambda tx: drop_index_lease(tx, self._holder))

    def under_lease(self, work: Callable[[], T]) -> T:
        """Do something while no other process seals; the lease is kept, unless it fails.

        Raises:
            LeaseHeldError: Another process is at work.
        """
        self._renew()
        try:
            return work()
        except BaseException:
            self._journal.run(lambda tx: drop_index_lease(tx, self._holder))
            raise

    def pending(self) -> int:
        """Return how many entries no root covers yet."""
        return next_index(self._connection) - covered(self._connection)

    def close(self) -> None:
        """Close the connection for reading."""
        self._connection.close()

    def _renew(self) -> None:
        now = self._clock()
        self._token = self._journal.run(lambda tx: take_index_lease(tx, self._holder, now, LEASE_S))

    def _pass(self, only_full: bool) -> list[int]:
        made = [self._heal(row) for row in live_segments(self._connection) if row.salt is None]
        self._sweep()
        end = next_index(self._connection)
        while (first := covered(self._connection)) < end:
            past, full = self._range(first, end)
            if not full and (only_full or not self._concerns(first, past)):
                break
            made.append(self._seal(first, past, 0, None))
            made += self._merge()
            self._renew()
        if made:
            self._sweep()
        return made

    def _range(self, first: int, end: int) -> tuple[int, bool]:
        """Return where the next fresh segment ends, and whether it is full."""
        past = min(first + self._base, end)
        found = self._connection.execute(
            "SELECT entry FROM bulk_entries WHERE entry >= ? AND entry < ? ORDER BY entry LIMIT ?",
            (first, past, LARGE_ENTRIES + 1),
        ).fetchall()
        if len(found) > LARGE_ENTRIES:
            return int(found[LARGE_ENTRIES][0]), True
        return past, past - first == self._base

    def _concerns(self, first: int, past: int) -> bool:
        """Say whether any entry of a range concerns a subject; a root for nothing says nothing."""
        found = self._connection.execute(
            "SELECT 1 FROM subject_labels WHERE entry >= ? AND entry < ? LIMIT 1", (first, past)
        )
        return found.fetchone() is not None

    def _merge(self) -> list[int]:
        made = []
        while (run := self._mergeable()) is not None:
            made.append(self._seal(run[0].first, run[-1].past, run[0].level + 1, None))
        return made

    def _mergeable(self) -> list[SegmentRow] | None:
        newest = live_segments(self._connection)[-self._fan :]
        alike = len({row.level for row in newest}) == 1
        if len(newest) < self._fan or not alike:
            return None
        if sum(row.leaves for row in newest) > MOST_LEAVES:
            return None
        return newest if newest[-1].past - newest[0].first <= self._largest else None

    def _heal(self, row: SegmentRow) -> int:
        return self._seal(row.first, row.past, row.level, row.destruction)

    def _seal(self, first: int, past: int, level: int, destruction: int | None) -> int:
        """Build and commit to one segment; return the log index of its root."""
        salt, name = os.urandom(32), uuid.uuid4().hex
        pairs = self._connection.execute(
            "SELECT label, entry FROM subject_labels WHERE entry >= ? AND entry < ?", (first, past)
        ).fetchall()
        segment = build(pairs, salt)
        tiles, root = tile_segment(name, segment)
        token = self._token
        for at in range(0, len(tiles), _TILES_AT_ONCE):
            self._journal.run(
                lambda tx, part=tiles[at : at + _TILES_AT_ONCE]: insert_tiles(tx, part)  # type: ignore[misc]  # default binds it
            )

        def commit_to(tx: Transaction) -> int:
            check_index_lease(tx, token)
            entry = index_root(
                time=self._clock(),
                node=self._node,
                first=first,
                past=past,
                leaves=segment.leaves,
                root=root,
                destruction=destruction,
            )
            index = tx.append(entry).index
            row = SegmentRow(
                index, name, first, past, level, segment.leaves, root, salt, destruction, live=True
            )
            insert_segment(tx, row)
            return index

        return self._journal.run(commit_to)

    def _sweep(self) -> None:
        for name in stale_segments(self._connection):
            while self._journal.run(lambda tx, name=name: drop_tiles(tx, name, _SWEPT_AT_ONCE)):  # type: ignore[misc]  # default binds it
                pass


def covered(connection: Reading) -> int:
    """Return the first entry that no root covers."""
    row = connection.execute("SELECT max(past) FROM index_segments WHERE live = 1").fetchone()
    return 0 if row[0] is None else int(row[0])
