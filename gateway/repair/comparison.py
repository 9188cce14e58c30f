"""Comparing what is served with what a publicity authority shows: whole columns, no rows.

Each record that follows the authority and is public by its source gets one word. Those that
are withheld for it are named first:

    MISSING_THERE    the authority doesn't show it
    OTHER_END        it shows another last day (期限一致)
    OTHER_HASH       it shows another content (内容相同)
    ENDED_THERE      its publicity ended there
    REPAIRED_THERE   it was repaired there
    WITHDRAWN_THERE  it was withdrawn there
    AGREES           the same here and there

and two for what is only told: MISSING_HERE, public there and unknown here, and HIDDEN_HERE,
public there and not by the source here.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from gateway.repair.precedence import Precedence
from gateway.snapshot.snapshot import Snapshot

pc: Any = pyarrow.compute  # the published stubs lag behind pyarrow and are wrong in places
_PUBLIC = "PUBLIC"


class Difference(IntEnum):
    """What comparing made of a record; the module says what each means."""

    NOT_COMPARED = 0
    AGREES = 1
    MISSING_THERE = 2
    OTHER_END = 3
    OTHER_HASH = 4
    ENDED_THERE = 5
    REPAIRED_THERE = 6
    WITHDRAWN_THERE = 7
    HIDDEN_HERE = 8
    MISSING_HERE = 9


WITHHELD = frozenset(
    {
        Difference.MISSING_THERE,
        Difference.OTHER_END,
        Difference.OTHER_HASH,
        Difference.ENDED_THERE,
        Difference.REPAIRED_THERE,
        Difference.WITHDRAWN_THERE,
    }
)
_BY_STATE = {
    "ENDED": Difference.ENDED_THERE,
    "REPAIRED": Difference.REPAIRED_THERE,
    "WITHDRAWN": Difference.WITHDRAWN_THERE,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """What comparing found.

    Args:
        keys: Record keys of the snapshot, in the order of its rows, a chunked array.
        words: One `Difference` a row of the snapshot.
        missing_here: Keys of records that are public there and unknown here.
    """

    keys: Any
    words: NDArray[np.uint8]
    missing_here: Any

    @property
    def compared(self) -> int:
        """Number of the snapshot's records that were compared."""
        return int(np.count_nonzero(self.words))

    def counts(self) -> dict[str, int]:
        """Return how often each difference was found, those that were not left out."""
        found = np.bincount(self.words, minlength=len(Difference))
        told = {word.name: int(found[word]) for word in Difference if word > Difference.AGREES}
        told[Difference.MISSING_HERE.name] = len(self.missing_here)
        return {name: count for name, count in told.items() if count}

    def keys_of(self, word: Difference) -> list[str]:
        """Return the record keys with a word."""
        rows = np.flatnonzero(self.words == word)
        return [str(key) for key in self.keys.take(pa.array(rows)).to_pylist()]

    def agreeing(self) -> set[str]:
        """Return the record keys that agree in every row; one may stand in several."""
        agree = set(self.keys_of(Difference.AGREES))
        return agree.difference(*(self.keys_of(word) for word in WITHHELD)) if agree else agree

    def table(self) -> pa.Table:
        """Return one row for each difference: record id and its word."""
        rows = np.flatnonzero(self.words > Difference.AGREES)
        names: Any = pa.array([word.name for word in Difference])
        words = names.take(pa.array(self.words[rows]))
        missing: Any = pa.repeat(pa.scalar(Difference.MISSING_HERE.name), len(self.missing_here))
        keys = [*self.keys.take(pa.array(rows)).cast(pa.string()).chunks, self.missing_here]
        return pa.table(
            {
                "record_id": pa.chunked_array(keys, pa.string()),
                "difference": pa.chunked_array([words, missing], pa.string()),
            }
        )


def compare(
    snapshot: Snapshot, publicity: pa.Table, precedence: Precedence, authority: str, now: int
) -> Comparison:
    """Compare a snapshot with what an authority shows.

    Records that follow another authority, and those whose sharing has ended by date, are not
    compared.

    Args:
        snapshot: What is served.
        publicity: Rows of `gateway.repair.publicity.SCHEMA`, each record once.
        precedence: Whom the product's records follow.
        authority: Whose publicity it is.
        now: Unix seconds.
    """
    here = _columns(snapshot, precedence)
    place = pc.index_in(here["key"], value_set=publicity.column("record_id").combine_chunks())
    there = _numpy(pc.fill_null(place, -1))
    found = there >= 0
    states = _of_rows(publicity.column("publicity_state"), place)
    words = np.full(snapshot.rows, Difference.AGREES, np.uint8)
    words[~found] = Difference.MISSING_THERE
    words[found & ~_same(here["end"], _of_rows(publicity.column("publicity_end"), place))] = (
        Difference.OTHER_END
    )
    hashes = _of_rows(publicity.column("content_hash"), place)
    other = found & ~_same(here["hash"], hashes) & (words != Difference.OTHER_END)
    words[other] = Difference.OTHER_HASH
    for state, word in _BY_STATE.items():
        words[_is(states, state)] = word
    public_here = _is(here["state"], _PUBLIC) & ~snapshot.expired(now)
    follows = _follows(here["by"], precedence, authority, snapshot.rows)
    hidden = follows & ~_is(here["state"], _PUBLIC) & _is(states, _PUBLIC)
    words[~(follows & public_here)] = Difference.NOT_COMPARED
    words[hidden] = Difference.HIDDEN_HERE
    known = pc.is_in(publicity.column("record_id"), value_set=here["key"].combine_chunks())
    strange = pc.and_not(pc.equal(publicity.column("publicity_state"), _PUBLIC), known)
    missing = publicity.column("record_id").filter(strange).combine_chunks()
    return Comparison(here["key"], words, missing)


def _columns(snapshot: Snapshot, precedence: Precedence) -> dict[str, Any]:
    """Return the columns that are compared, mapped and not copied."""
    names = {
        "key": snapshot.manifest.record_key,
        "state": "publicity_state",
        "hash": "content_hash",
        "end": "publicity_end",
    }
    if precedence.column:
        names["by"] = precedence.column
    batches = [snapshot.batch(number).rows for number in range(snapshot.batch_count)]
    columns: dict[str, Any] = {
        role: pa.chunked_array(
            [batch.column(name) for batch in batches], snapshot.schema.field(name).type
        )
        for role, name in names.items()
    }
    return {"by": None} | columns


def _of_rows(column: Any, place: Any) -> Any:
    """Return the authority's value for each row here; null where it has none."""
    return column.take(place)


def _same(ours: Any, theirs: Any) -> NDArray[np.bool_]:
    """Compare, with null equal to null: no last day here and none there agree."""
    equal = pc.fill_null(pc.equal(ours, theirs), False)
    same: NDArray[np.bool_] = _numpy(pc.or_(equal, pc.and_(pc.is_null(ours), pc.is_null(theirs))))
    return same


def _is(column: Any, word: str) -> NDArray[np.bool_]:
    equal: NDArray[np.bool_] = _numpy(pc.fill_null(pc.equal(column, word), False))
    return equal


def _follows(by: Any, precedence: Precedence, authority: str, rows: int) -> NDArray[np.bool_]:
    if by is None:
        return np.full(rows, precedence.default == authority)
    return np.concatenate(
        [_numpy(precedence.follow(chunk, authority)) for chunk in by.chunks]
        or [np.zeros(0, np.bool_)]
    )


def _numpy(column: Any) -> Any:
    flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return flat.to_numpy(zero_copy_only=False)
