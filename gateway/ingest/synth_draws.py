"""Deterministic draws: each value is a function of (seed, product, column, row) alone.

SplitMix64 over row numbers instead of a stream of random numbers: chunks of any size give
the same values, on every machine and with every version of NumPy.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gateway.ingest.arrow_text import TextColumn

Rows = npt.NDArray[np.int64]
Bits = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_HEX = np.frombuffer(b"".join(f"{i:02x}".encode() for i in range(256)), np.uint8).reshape(256, 2)
_UUID_PLACES = np.array(
    [p for p in range(36) if p not in (8, 13, 18, 23)], dtype=np.int64
)  # where a UUID's 32 digits stand between its hyphens


def splitmix64(values: Bits) -> Bits:
    """Return the SplitMix64 finaliser of each value (Steele, Lea and Flood 2014)."""
    x = values.copy()
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


class Draws:
    """Draws for one product.

    Args:
        seed: Seed of the population.
        label: Product name, so that products don't repeat each other's draws.
    """

    def __init__(self, seed: int, label: str) -> None:
        self._prefix = f"xinguan/synth/v1|{seed}|{label}|"

    def bits(self, column: str, rows: Rows) -> Bits:
        """Return 64 drawn bits for each row."""
        digest = hashlib.sha256((self._prefix + column).encode()).digest()
        key = np.uint64(int.from_bytes(digest[:8], "big"))
        with np.errstate(over="ignore"):
            return splitmix64(rows.astype(np.uint64) * _GOLDEN + key)

    def below(self, column: str, rows: Rows, bound: int) -> Rows:
        """Return a number from 0 to `bound` - 1 for each row."""
        return (self.bits(column, rows) % np.uint64(bound)).astype(np.int64)

    def chance(self, column: str, rows: Rows, share: float) -> Flags:
        """Return True for about `share` of the rows."""
        fractions = (self.bits(column, rows) >> np.uint64(11)) * 2.0**-53
        return np.asarray(fractions < share)

    def choice(self, column: str, rows: Rows, words: Sequence[str]) -> TextColumn:
        """Return one of the words for each row."""
        return pick(words, self.below(column, rows, len(words)))

    def weighted(self, column: str, rows: Rows, weights: Sequence[float]) -> Rows:
        """Return an index into `weights` for each row, drawn by weight (they sum to 1)."""
        fractions = (self.bits(column, rows) >> np.uint64(11)) * 2.0**-53
        found = np.searchsorted(np.cumsum(weights), fractions, side="right")
        return np.minimum(found, len(weights) - 1).astype(np.int64)

    def digests(self, column: str, rows: Rows, size: int) -> npt.NDArray[np.uint8]:
        """Return `size` drawn bytes for each row, shape (rows, size); size is up to 32."""
        words = [
            self.bits(f"{column}/{part}", rows).astype(">u8").view(np.uint8).reshape(-1, 8)
            for part in range((size + 7) // 8)
        ]
        return np.concatenate(words, axis=1)[:, :size]


def pick(words: Sequence[str | None], indices: Rows) -> TextColumn:
    """Return `words[i]` for each index, as one Arrow column."""
    return pa.array(words, pa.string()).take(pa.array(indices, pa.int64()))


def fixed_texts(characters: npt.NDArray[np.uint8]) -> pa.StringArray:
    """Return a column of ASCII texts of one length from characters of shape (rows, length)."""
    rows, length = characters.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(length)
    return pa.StringArray.from_buffers(
        rows, pa.py_buffer(offsets.tobytes()), pa.py_buffer(characters.tobytes())
    )


def hex_texts(octets: npt.NDArray[np.uint8]) -> pa.StringArray:
    """Return bytes of shape (rows, size) as lower-case hexadecimal texts."""
    return fixed_texts(_HEX[octets].reshape(len(octets), -1))


def uuid7_texts(milliseconds: Rows, drawn: npt.NDArray[np.uint8]) -> pa.StringArray:
    """Return UUIDs of version 7 (RFC 9562).

    Args:
        milliseconds: Unix milliseconds of each record.
        drawn: Bytes of shape (rows, 10) for the rest.
    """
    octets = np.empty((len(milliseconds), 16), np.uint8)
    octets[:, :6] = milliseconds.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 2:]
    octets[:, 6:] = drawn
    octets[:, 6] = 0x70 | (octets[:, 6] & 0x0F)
    octets[:, 8] = 0x80 | (octets[:, 8] & 0x3F)
    characters = np.full((len(octets), 36), ord("-"), np.uint8)
    characters[:, _UUID_PLACES] = _HEX[octets].reshape(len(octets), 32)
    return fixed_texts(characters)
