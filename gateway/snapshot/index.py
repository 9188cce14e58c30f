"""Two indexes over sorted rows: subject to its slice, record key to its rows.

Both are plain sorted arrays in files that are mapped into memory, so that opening costs
nothing, replicas share the pages, and a look-up is one binary search. The choice and its
measurement are in docs/adr/0002-point-lookups.md.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from gateway.snapshot.bitmap import Rows

pc: Any = pyarrow.compute  # the published stubs lag behind pyarrow and are wrong in places
MAX_KEY_BYTES = 256  # of a subject or record key; longer ones are refused at admission
_CHUNK = 1 << 20  # rows turned into fixed width at once
_MANY = 256  # keys; from here on whole-column kernels are quicker than a loop
_STRETCH = 1024  # sorted keys that are looked up in one part of the index
_NUMBER_BITS = 63  # of a signed 64-bit number
_NONE: Rows = np.empty(0, dtype=np.int64)
_NONE.setflags(write=False)
_SEED = np.uint64(0x9E3779B97F4A7C15)
_FACTOR = np.uint64(0xFF51AFD7ED558CCD)
Keys = NDArray[np.bytes_]
RecordKeys = Sequence[str] | pa.LargeStringArray  # texts, or Arrow's column of them
Hashes = NDArray[np.uint64]


def fixed_width(strings: Any, width: int) -> Keys:
    """Return Arrow strings without nulls as a numpy array of `width` bytes each, zero-padded.

    Args:
        strings: A string or large_string array without nulls.
        width: Bytes of each key; none may be longer.
    """
    wide = strings.cast(pa.large_string())
    out = np.zeros((len(wide), width), dtype=np.uint8)
    for start in range(0, len(wide), _CHUNK):
        part = wide.slice(start, _CHUNK)
        _, offsets, data = part.buffers()
        ends = np.frombuffer(offsets, dtype=np.int64)[part.offset : part.offset + len(part) + 1]
        lengths = np.diff(ends)
        text = np.frombuffer(data, dtype=np.uint8) if data is not None else out[:0, 0]
        if bool((lengths == width).all()):  # as ids made alike are: their bytes are the matrix
            out[start : start + len(part)] = text[ends[0] : ends[-1]].reshape(-1, width)
            continue
        inside = np.arange(width) < lengths[:, None]
        out[start : start + len(part)][inside] = text[ends[0] : ends[-1]]
    keys: Keys = out.reshape(-1).view(f"S{width}")
    return keys


def hash_keys(keys: Keys) -> Hashes:
    """Return a 64-bit hash of each key; its quality matters for speed only, never for truth."""
    width = keys.dtype.itemsize
    words = -(-width // 8)
    padded = np.zeros((len(keys), words * 8), dtype=np.uint8)
    padded[:, :width] = np.ascontiguousarray(keys).view(np.uint8).reshape(-1, width)
    mixed: Hashes = np.full(len(keys), _SEED, dtype=np.uint64)
    for word in padded.view("<u8").T:
        mixed ^= word
        mixed *= _FACTOR
        mixed ^= mixed >> np.uint64(32)
    return mixed


def encode(keys: RecordKeys, width: int) -> Keys:
    """Return the keys that can be in an index of this width at all, as numpy bytes.

    A longer key would make numpy widen the whole index, and a NUL would compare equal to
    padding; neither can have been admitted, so they are simply unknown.
    """
    if len(keys) > _MANY:
        return _encode_many(keys, width)
    encoded = [key.encode("utf-8", "surrogatepass") for key in as_texts(keys)]
    possible = [key for key in encoded if 0 < len(key) <= width and 0 not in key]
    return np.array(possible, dtype=f"S{width}")


def as_texts(keys: RecordKeys) -> Sequence[str]:
    """Return keys as texts of the interpreter, whichever way they came."""
    if not isinstance(keys, pa.Array):
        return keys
    texts: Any = keys.to_pylist()  # the stubs don't know that a column of keys has no nulls
    return list(texts)


def _encode_many(keys: RecordKeys, width: int) -> Keys:
    """Do the same for whole columns: millions of records are sealed before a node serves."""
    try:
        texts: Any = keys if isinstance(keys, pa.Array) else pa.array(keys, pa.large_string())
    except UnicodeEncodeError:  # a lone surrogate; such a key was never admitted
        return encode([key for key in as_texts(keys) if _is_unicode(key)], width)
    lengths = pc.binary_length(texts)
    possible = pc.and_(pc.greater(lengths, 0), pc.less_equal(lengths, width))
    possible = pc.and_not(possible, pc.match_substring(texts, "\0"))
    if not pc.all(possible).as_py():
        texts = texts.filter(possible)
    return fixed_width(texts, width)


def _is_unicode(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def subject_runs(subjects: Keys) -> tuple[Keys, Rows]:
    """Return the distinct keys of a sorted array, and where each begins, ending with the total."""
    if not len(subjects):
        return subjects, np.zeros(1, dtype=np.int64)
    begins = np.flatnonzero(np.concatenate(([True], subjects[1:] != subjects[:-1])))
    return subjects[begins], np.concatenate((begins, [len(subjects)])).astype(np.int64)


class SubjectIndex:
    """Subject key to the slice of rows it has.

    Args:
        keys: Distinct subject keys, sorted by bytes.
        starts: First row of each key, and the number of rows at the end.
    """

    __slots__ = ("_keys", "_starts", "_width")

    def __init__(self, keys: Keys, starts: Rows) -> None:
        # A plain view: reading one item of a memmap costs five times as much.
        self._keys = keys.view(np.ndarray)
        self._starts = starts
        self._width = keys.dtype.itemsize

    def locate(self, subjects: Sequence[str]) -> Rows:
        """Return the row numbers of these subjects, ascending; unknown ones have none."""
        if len(subjects) == 1:
            return self._one(subjects[0].encode("utf-8", "surrogatepass"))
        wanted = encode(subjects, self._width)
        if not len(wanted) or not len(self._keys):
            return _NONE
        # Sorted queries walk the index forwards, three times as fast as at random.
        wanted = np.unique(wanted)
        places = np.searchsorted(self._keys, wanted)
        known = self._keys[np.minimum(places, len(self._keys) - 1)] == wanted
        places = places[known & (places < len(self._keys))]
        return _ranges(self._starts[places], self._starts[places + 1])

    def runs(self, subjects: Any) -> tuple[Rows, Rows]:
        """Return the first row and the number of rows of each subject, 0 for an unknown one.

        Args:
            subjects: Arrow column of texts without nulls; quickest when sorted.
        """
        lengths = pc.binary_length(subjects)
        possible = pc.and_(pc.less_equal(lengths, self._width), pc.greater(lengths, 0))
        possible = pc.and_not(possible, pc.match_substring(subjects, "\0"))
        # An empty text stands for what can't be in the index; no key of it is empty.
        wanted = fixed_width(pc.if_else(possible, subjects, ""), self._width)
        if not len(self._keys):
            return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.int64)
        places = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        known = self._keys[places] == wanted
        starts = self._starts[places]
        counts: Rows = np.where(known, self._starts[places + 1] - starts, 0)
        return np.asarray(starts), counts

    def among(self, rows: Rows) -> int:
        """Return how many subjects these rows are of; ascending row numbers."""
        owner = np.searchsorted(self._starts, rows, side="right")
        return len(distinct(owner))

    def _one(self, wanted: bytes) -> Rows:
        """Look one subject up without leaving the interpreter, which costs more than the search."""
        keys = self._keys
        if not wanted:
            return _NONE
        place = bisect_left(keys, wanted)
        # NumPy's fixed-width items end at their padding, so a key with a NUL equals none of them.
        if place == len(keys) or bytes(keys[place]) != wanted:
            return _NONE
        return np.arange(self._starts[place], self._starts[place + 1], dtype=np.int64)


class RecordIndex:
    """Record key to candidate rows, through a hash; the caller compares the true key.

    Args:
        hashes: Sorted 64-bit hashes of the record keys.
        rows: Row number of each hash.
        width: Bytes of the longest record key.
    """

    __slots__ = ("_hashes", "_rows", "_width")

    def __init__(self, hashes: Hashes, rows: Rows, width: int) -> None:
        self._hashes = hashes
        self._rows = rows
        self._width = width

    def candidates(self, record_keys: RecordKeys) -> tuple[Rows, Keys]:
        """Return rows whose key may be one of these keys, ascending, and the key for each.

        A row stands there once for each key that has its hash, so that the caller compares
        pairs, a column with a column. A key that is given twice counts once.
        """
        wanted = encode(record_keys, self._width)
        if not len(wanted) or not len(self._hashes):
            return _NONE, wanted[:0]
        hashed = hash_keys(wanted)
        # Sorted queries walk the index forwards, which is several times as fast as at random.
        order = np.argsort(hashed)
        hashed = hashed[order]
        left = _walk(self._hashes, hashed)
        last = len(self._hashes) - 1
        found = self._hashes[np.minimum(left, last)] == hashed
        found &= left <= last
        if not found.all():
            left, order, hashed = left[found], order[found], hashed[found]
        shared = self._hashes[np.minimum(left + 1, last)] == hashed
        if shared[left < last].any():
            right = np.searchsorted(self._hashes, hashed, side="right")
            rows, order = self._rows[_ranges(left, right)], np.repeat(order, right - left)
        else:  # as nearly always: no two records have one hash
            rows = self._rows[left]
        rows, ascending = _sorted_rows(rows)
        return rows, wanted[order[ascending]]


def _sorted_rows(rows: Rows) -> tuple[Rows, Rows]:
    """Return row numbers ascending, and the place of each before.

    Sorting row and place as one number takes a third of the time of sorting places by rows.
    """
    bits = len(rows).bit_length()
    if not len(rows) or int(rows.max()) >> (_NUMBER_BITS - bits):
        order = np.argsort(rows)
        return rows[order], order
    both = (rows << bits) | np.arange(len(rows))
    both.sort()
    return both >> bits, both & ((1 << bits) - 1)


def _walk(index: Hashes, wanted: Hashes, stretch: int = _STRETCH) -> Rows:
    """Return where each of these sorted values is or would be, as `searchsorted` does.

    It knows that the values are sorted, but not how far the next one can be: searching a stretch of
    them in the part of the index that they can be in takes two thirds of the time.
    """
    begins = np.searchsorted(index, wanted[::stretch])
    if len(begins) <= 1:
        return np.searchsorted(index, wanted)
    places = np.empty(len(wanted), np.int64)
    ends = [*begins[1:].tolist(), len(index)]
    for number, (begin, end) in enumerate(zip(begins.tolist(), ends, strict=True)):
        some = slice(number * stretch, (number + 1) * stretch)
        places[some] = index[begin:end].searchsorted(wanted[some]) + begin
    return places


def expand_runs(begins: Rows, counts: Rows) -> tuple[Rows, Rows]:
    """Return the row numbers of runs, and for each row the number of its run."""
    owner = np.repeat(np.arange(len(counts)), counts)
    shift = np.repeat(begins - np.concatenate(([0], np.cumsum(counts)[:-1])), counts)
    return np.arange(len(owner), dtype=np.int64) + shift, owner


def distinct(ascending: Rows) -> Rows:
    """Return sorted row numbers, each once.

    `np.unique` hashes integers since NumPy 2.3, which took eight times as long here.
    """
    fresh = np.ones(len(ascending), np.bool_)
    np.not_equal(ascending[1:], ascending[:-1], out=fresh[1:])
    return ascending if fresh.all() else ascending[fresh]


def _ranges(begins: NDArray[Any], ends: NDArray[Any]) -> Rows:
    """Return the concatenation of the ranges [begin, end)."""
    lengths = ends - begins
    total = int(lengths.sum())
    if not total:
        return _NONE
    shift = np.repeat(begins - np.concatenate(([0], np.cumsum(lengths)[:-1])), lengths)
    rows: Rows = (np.arange(total, dtype=np.int64) + shift).astype(np.int64)
    return rows
