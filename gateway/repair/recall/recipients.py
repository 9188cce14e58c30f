"""Who received which records, exactly, from the evidence of deliveries.

A delivery is one batch whose evidence is durable. Evidence is written before the batch leaves and
the batch leaves unless the process dies or the gate resets the stream in between; nobody can know
afterwards whether it did. So every delivery with evidence counts: whoever may hold the record is
told, and one that never got the batch answers NOT_HELD. Nobody is told for a row that no evidence
names, so a receiver of other records of the same subject is not.

The rows of all records that are being recalled are looked up in one pass over the deliveries of a
snapshot, because a pass costs the same for one record and for thousands.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from gateway.store.migration import Statements

_CHUNK = 20_000  # deliveries read at once
_AT_ONCE = 500  # intents of one look-up
_RUN_BYTES = 8
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Hit:
    """One wanted row in one delivery.

    Args:
        row: The row of the snapshot.
        intent: Log index of the intent.
        batch: Number of the batch.
        place: Its place in the batch, from 0.
    """

    row: int
    intent: int
    batch: int
    place: int


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who asked: what `requests` keeps of an intent.

    Args:
        party_id: The organisation.
        request_id: Its request.
        form: In which words rows can be named, see `gateway.release.reference_form`.
    """

    party_id: str
    request_id: str
    form: str


def delivered_snapshots(state: Statements) -> list[str]:
    """Return the ids of all snapshots that any delivery names, one index look-up each."""
    found: list[str] = []
    last = ""
    while True:
        row = state.execute(
            "SELECT min(snapshot_id) FROM deliveries WHERE snapshot_id > ?", (last,)
        ).fetchone()
        if row is None or row[0] is None:
            return found
        last = str(row[0])
        found.append(last)


def find_hits(state: Statements, snapshot_id: str, rows: Sequence[int]) -> Iterator[list[Hit]]:
    """Yield where wanted rows were delivered, chunk by chunk, ordered by intent and batch.

    Args:
        state: Reads the state.
        snapshot_id: The snapshot.
        rows: Wanted rows of it, distinct.
    """
    wanted = np.sort(np.asarray(rows, dtype=np.int64))
    cursor = iter(
        state.execute(
            "SELECT intent, sequence, rows FROM deliveries WHERE snapshot_id = ?"
            " ORDER BY intent, sequence",
            (snapshot_id,),
        )
    )
    while chunk := list(islice(cursor, _CHUNK)):
        hits = _hits(chunk, wanted)
        if hits:
            yield hits


def _hits(chunk: Sequence[tuple[int, int, bytes]], wanted: Numbers) -> list[Hit]:
    """Compare the runs of many deliveries with the wanted rows, all at once."""
    pairs = np.frombuffer(b"".join(blob for _, _, blob in chunk), dtype="<u4").reshape(-1, 2)
    firsts, lengths = pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64)
    left = np.searchsorted(wanted, firsts, side="left")
    found = np.searchsorted(wanted, firsts + lengths, side="left") - left
    runs = np.flatnonzero(found)
    if not len(runs):
        return []
    counts = np.array([len(blob) // _RUN_BYTES for _, _, blob in chunk], dtype=np.int64)
    ends = np.cumsum(counts)
    owners = np.searchsorted(ends, runs, side="right")
    before = np.cumsum(lengths) - lengths  # rows of the chunk before each run
    begins = before[ends[owners] - counts[owners]]  # and before each owner's first run
    hits: list[Hit] = []
    for run, owner, begin in zip(runs.tolist(), owners.tolist(), begins.tolist(), strict=True):
        intent, sequence, _ = chunk[owner]
        for at in range(int(left[run]), int(left[run] + found[run])):
            row = int(wanted[at])
            place = int(before[run]) - begin + row - int(firsts[run])
            hits.append(Hit(row, intent, sequence, place))
    return hits


def receivers(state: Statements, intents: Sequence[int]) -> Mapping[int, Receiver]:
    """Return who asked, by intent; an intent that is not known is missing.

    Args:
        state: Reads the state.
        intents: Log indexes of intents, distinct.
    """
    found: dict[int, Receiver] = {}
    every = iter(intents)
    while some := list(islice(every, _AT_ONCE)):
        marks = ",".join("?" * len(some))
        for intent, party_id, request_id, form in state.execute(
            f"SELECT intent, party_id, request_id, form FROM requests WHERE intent IN ({marks})",
            some,
        ):
            found[intent] = Receiver(party_id, request_id, form)
    return found
