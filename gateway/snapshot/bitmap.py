"""Shareable bits: one packed bit a row, flipped while others read."""

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Flags = NDArray[np.bool_]
Packed = NDArray[np.uint8]


def pack(flags: Flags) -> Packed:
    """Pack flags into bytes, lowest bit first, as Arrow's validity bitmaps are."""
    return np.packbits(flags, bitorder="little")


class Bitmap:
    """The admitted bits of a snapshot, and the bits that hold now.

    The admitted bits are read from the file's mapping and cost no memory of the process; the
    live ones are one bit a row. A flip is a write of whole bytes, so a concurrent reader sees
    a row as it was or as it is and nothing else; writers take turns, since two of them may
    touch the same byte. When a flip has returned, every later read sees it.

    Args:
        admitted: Packed bits as admitted; never written.
        rows: Number of rows.
    """

    __slots__ = ("_admitted", "_live", "_lock", "rows")

    def __init__(self, admitted: Packed, rows: int) -> None:
        self._admitted = admitted
        self._live: Packed = np.array(admitted, dtype=np.uint8)
        self._lock = threading.Lock()
        self.rows = rows

    @property
    def nbytes(self) -> int:
        """Memory that the bits take, in bytes."""
        return int(self._live.nbytes)

    def test(self, rows: Rows) -> Flags:
        """Return for each row number whether its bit is set."""
        picked: Any = self._live[rows >> 3] >> (rows & 7).astype(np.uint8)
        flags: Flags = (picked & 1).astype(np.bool_)
        return flags

    def test_slice(self, first: int, count: int) -> Flags:
        """Return the bits of `count` rows from row `first` on, as a copy of this instant."""
        start = first >> 3
        part = self._live[start : (first + count + 7) >> 3]
        offset = first - (start << 3)
        bits = np.unpackbits(part, bitorder="little")[offset : offset + count]
        flags: Flags = bits.view(np.bool_)
        return flags

    def clear(self, rows: Rows) -> None:
        """Set the bits of these rows to 0. Clearing a cleared bit changes nothing."""
        with self._lock:
            np.bitwise_and.at(self._live, rows >> 3, ~_bit(rows))

    def restore(self, rows: Rows) -> None:
        """Set the bits of these rows back to what was admitted, never further."""
        with self._lock:
            admitted = self._admitted[rows >> 3] & _bit(rows)
            np.bitwise_or.at(self._live, rows >> 3, admitted)

    def restore_all(self) -> None:
        """Set every bit back to what was admitted."""
        with self._lock:
            self._live[:] = self._admitted


def _bit(rows: Rows) -> Packed:
    shifted: Packed = np.left_shift(np.uint8(1), (rows & 7).astype(np.uint8))
    return shifted
