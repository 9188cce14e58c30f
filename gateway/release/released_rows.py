"""Which rows of a snapshot were released, exactly and small: what a recall reads years later."""

import struct

import numpy as np

_RUN = struct.Struct("<II")


def encode_rows(rows: np.ndarray | None) -> bytes:
    """Return row numbers as runs: pairs of first row and length, 32 bits each, little-endian.

    Exact, and eight bytes for the contiguous rows of one subject; a recall reads it back.

    Args:
        rows: Distinct row numbers in any order, below 2**32; None for none.
    """
    if rows is None or not len(rows):
        return b""
    first, count = int(rows[0]), len(rows)
    if int(rows[-1]) - first == count - 1 and (count == 1 or bool((np.diff(rows) == 1).all())):
        return _RUN.pack(first, count)
    ordered = np.sort(rows)
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[0] - 2) != 1)
    lengths = np.diff(starts, append=len(ordered))
    return np.stack([ordered[starts], lengths], axis=1).astype("<u4").tobytes()


def decode_rows(runs: bytes) -> np.ndarray:
    """Return the row numbers of `encode_rows`, ascending."""
    pairs = np.frombuffer(runs, dtype="<u4").reshape(-1, 2).astype(np.int64)
    spans = [np.arange(first, first + length) for first, length in pairs]
    return np.concatenate(spans) if spans else np.empty(0, dtype=np.int64)
