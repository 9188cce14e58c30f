"""Who accessed a subject: requests that named it, and exports whose released rows include it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from audit.access import Access, JsonObject, access_of, entry_source, outcome_of
from audit.access_proof import SUBJECT, Wanted
from audit.commitment import snapshot_label, subject_label
from audit.openings import who
from audit.reader import LogReader
from audit.store import Reader
from gateway.domain.errors import XinguanError
from gateway.snapshot.library import SnapshotLibrary

_log = structlog.get_logger(__name__)
_RUN_NUMBERS: Final = 2
MOST_TOLD: Final = 500


@dataclass(frozen=True, slots=True)
class Window:
    """Which accesses are wanted.

    Args:
        start: Unix seconds, inclusive.
        end: Unix seconds, exclusive.
        first: Log index from which on.
    """

    start: int = 0
    end: int = 1 << 62
    first: int = 0


@dataclass(frozen=True, slots=True)
class Destroyed:
    """What was forgotten about a subject.

    Args:
        index: Log index of the destruction.
        entries: How many entries it concerned.
        until: Entries before this time, unix seconds.
    """

    index: int
    entries: int
    until: int


@dataclass(frozen=True, slots=True)
class Found:
    """Every access to a subject in a window.

    Args:
        accesses: In the order of the log, at most `MOST_TOLD`.
        next_first: Log index from which on to ask for the rest; 0 when there is none.
        labels: What the index was asked about: `subject` and snapshots that hold the subject.
        snapshots_gone: Snapshots exported as a whole that are not kept any more, so that nobody
            can say whether the subject stood in them.
        destroyed: What was forgotten.
        bulk: Intent to (snapshot, rows of the subject that were released, batch entries).
        edges: The last access before the window and the first after it, which bound it.
    """

    accesses: Sequence[Access]
    next_first: int
    labels: Mapping[str, bytes] = field(repr=False)
    snapshots_gone: Sequence[str]
    destroyed: Sequence[Destroyed]
    bulk: Mapping[int, tuple[str, int, Sequence[int]]]
    edges: Sequence[int]

    def wanted(self, subject: str) -> Wanted:
        """Return what a proof of this has to show."""
        entries = {*self.edges, *(each.index for each in self.accesses)}
        entries |= {each.outcome for each in self.accesses if each.outcome >= 0}
        told: JsonObject = {
            "bulk": {
                str(intent): {"snapshot": snapshot, "rows": rows, "batches": list(batches)}
                for intent, (snapshot, rows, batches) in self.bulk.items()
            },
            "snapshots_gone": list(self.snapshots_gone),
            "destroyed": [
                {"entry": each.index, "entries": each.entries, "until": each.until}
                for each in self.destroyed
            ],
        }
        return Wanted(subject, self.labels, sorted(entries), told)


class AccessFinder:
    """Finds accesses in one state. Blocking; each call uses the connection it is given.

    Args:
        reader: The published log.
        library: The snapshots of this node.
        index_key: Key of the sealed index.
    """

    def __init__(self, reader: LogReader, library: SnapshotLibrary, index_key: bytes) -> None:
        self._reader = reader
        self._library = library
        self._index_key = index_key

    def find(self, connection: Reader, subject: str, window: Window) -> Found:
        """Find the accesses to a subject.

        Args:
            connection: A connection for reading, alone in its thread.
            subject: The subject's identifier.
            window: Which are wanted.
        """
        label = subject_label(self._index_key, subject)
        labels = {SUBJECT: label}
        intents: dict[int, int] = dict.fromkeys(who(connection, label), 0)
        bulk: dict[int, tuple[str, int, Sequence[int]]] = {}
        kept: set[str] = set()
        for snapshot_id, rows in self._rows(subject, kept):
            labels[snapshot_id] = snapshot_label(self._index_key, snapshot_id)
            for intent in who(connection, labels[snapshot_id]):
                count, sequences = _released(connection, intent, rows)
                if count:
                    intents[intent] = count
                    bulk[intent] = (snapshot_id, count, _batches(connection, intent, sequences))
        told, next_first, edges = self._tell(connection, intents, window)
        shown = {*edges, *(each.index for each in told)}
        return Found(
            accesses=told,
            next_first=next_first,
            labels=labels,
            snapshots_gone=self._gone(connection, kept),
            destroyed=_destroyed(connection, label),
            bulk={intent: each for intent, each in bulk.items() if intent in shown},
            edges=edges,
        )

    def _tell(
        self, connection: Reader, intents: Mapping[int, int], window: Window
    ) -> tuple[list[Access], int, list[int]]:
        """Return the accesses of a window, where to go on, and what bounds the window."""
        read = entry_source(connection, self._reader)
        told: list[Access] = []
        before: list[int] = []
        after: list[int] = []
        for index in sorted(intents):
            if index < window.first:
                continue
            entry = read(index)
            if entry["time"] < window.start:
                before = [index]
            elif entry["time"] >= window.end:
                after = after or [index]
            elif len(told) == MOST_TOLD:
                return told, index, before + after
            else:
                ended = outcome_of(connection, index)
                outcome = None if ended is None else (ended, read(ended))
                told.append(access_of(index, entry, outcome, intents[index]))
        return told, 0, before + after

    def _rows(self, subject: str, kept: set[str]) -> list[tuple[str, NDArray[np.int64]]]:
        """Locate the subject in every snapshot that is kept; note which those are."""
        found = []
        for product in self._library.products():
            for snapshot_id in self._library.kept(product):
                try:
                    snapshot = self._library.pinned(product, snapshot_id)
                except XinguanError:
                    _log.error("snapshot_damaged", product=product)
                    continue
                if snapshot is None:
                    continue
                kept.add(snapshot_id)
                rows = snapshot.locate([subject])
                if len(rows):
                    found.append((snapshot_id, rows))
        return found

    def _gone(self, connection: Reader, kept: set[str]) -> list[str]:
        """Return the snapshots that were exported as a whole and are not kept any more."""
        gone = []
        for snapshot in _delivered(connection):
            exported = snapshot_label(self._index_key, snapshot)
            if snapshot not in kept and who(connection, exported):
                gone.append(snapshot)
        return gone


def _delivered(connection: Reader) -> Iterator[str]:
    """Yield each snapshot of which rows were delivered, skipping along the index."""
    last = ""
    while True:
        row = connection.execute(
            "SELECT min(snapshot_id) FROM deliveries WHERE snapshot_id > ?", (last,)
        ).fetchone()
        if row[0] is None:
            return
        last = row[0]
        yield last


def _released(connection: Reader, intent: int, rows: NDArray[np.int64]) -> tuple[int, list[int]]:
    """Count the rows of a subject that an intent released, and name the batches."""
    count, sequences = 0, []
    query = "SELECT sequence, rows FROM deliveries WHERE intent = ? ORDER BY sequence"
    for sequence, runs in connection.execute(query, (intent,)):
        hit = _overlap(runs, rows)
        if hit:
            count += hit
            sequences.append(sequence)
    return count, sequences


def _overlap(runs: bytes, rows: NDArray[np.int64]) -> int:
    """Count the rows that lie in runs (`gateway.release.released_rows`), without unfolding them."""
    pairs = np.frombuffer(runs, dtype="<u4").reshape(-1, _RUN_NUMBERS).astype(np.int64)
    if not len(pairs):
        return 0
    # They stand in the order in which the rows left, which may be shuffled.
    pairs = pairs[np.argsort(pairs[:, 0])]
    place = np.searchsorted(pairs[:, 0], rows, side="right") - 1
    start, length = pairs[place, 0], pairs[place, 1]
    inside = (place >= 0) & (rows >= start) & (rows < start + length)
    return int(inside.sum())


def _batches(connection: Reader, intent: int, sequences: Sequence[int]) -> list[int]:
    """Return the log indexes of some batches of an intent.

    Deliveries and evidence of an intent are written together, both in the order of the stream.
    """
    entries = [
        row[0]
        for row in connection.execute(
            "SELECT entry FROM intent_entries WHERE intent = ? AND kind = 'batch' ORDER BY entry",
            (intent,),
        )
    ]
    order = [
        row[0]
        for row in connection.execute(
            "SELECT sequence FROM deliveries WHERE intent = ? ORDER BY sequence", (intent,)
        )
    ]
    if len(entries) != len(order):
        return []
    wanted = set(sequences)
    return [entry for entry, number in zip(entries, order, strict=True) if number in wanted]


def _destroyed(connection: Reader, label: bytes) -> list[Destroyed]:
    query = "SELECT log_index, entries, until FROM destructions WHERE label = ? ORDER BY log_index"
    return [Destroyed(*row) for row in connection.execute(query, (label,))]
