"""Which rows of a snapshot were released, in which order, exactly and small.

A recall reads it back years later: which delivery held a record, and as which row of its batch.
"""

import struct

import numpy as np

_RUN = struct.Struct("<II")


def encode_rows(rows: np.ndarray | None) -> bytes:
    """Return row numbers as runs: pairs of first row and length, 32 bits each, little-endian.

    The order is kept, since it is the order in which the rows left: where it was shuffled, only
    this says which row of the batch a record was. Eight bytes for the contiguous rows of one
    subject; at worst, shuffled, eight bytes a row.

    Args:
        rows: Distinct row numbers in the order of the batch, below 2**32; None for none.
    """
    if rows is None or not len(rows):
        return b""
    first, count = int(rows[0]), len(rows)
    if int(rows[-1]) - first == count - 1 and (count == 1 or bool((np.diff(rows) == 1).all())):
        return _RUN.pack(first, count)
    starts = np.flatnonzero(np.diff(rows, prepend=rows[0] - 2) != 1)
    lengths = np.diff(starts, append=count)
    return np.stack([rows[starts], lengths], axis=1).astype("<u4").tobytes()


def decode_rows(runs: bytes) -> np.ndarray:
    """Return the row numbers of `encode_rows`, in the order of the batch."""
    pairs = np.frombuffer(runs, dtype="<u4").reshape(-1, 2).astype(np.int64)
    spans = [np.arange(first, first + length) for first, length in pairs]
    return np.concatenate(spans) if spans else np.empty(0, dtype=np.int64)
