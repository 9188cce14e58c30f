"""One segment of the sealed index of subjects: pure hashing, proofs and their verification.

A segment covers the entries of a range and maps each keyed label in it to the list of its
entries. It is built once and never changes:

    handle = SHA-256(tag, salt, label)         label: audit.commitment, keyed; salt: drawn once
    path   = SHA-256(tag, handle)              where the label's leaf stands
    value  = SHA-256(tag, handle, entries)     which entries concern it, 8 bytes each
    leaf   = RFC 6962 leaf hash of (tag, path, value)

The leaves stand in order of their paths, between one at 00.. and one at ff.., filled up with
dummies to a power of two, under an RFC 6962 tree. So a label that is absent has two
neighbours, and two adjacent leaves prove its absence.

What a proof shows of others is paths and values under handles that nobody can compute without
both the index key and the salt; and since every segment has a salt of its own and never
changes, two proofs cannot be compared to see whether somebody else's list grew meanwhile.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Final, TypeVar

from audit.errors import ProofError
from audit.merkle import HASH_BYTES, leaf_hash, root_of, verify_inclusion

_T = TypeVar("_T", bound=tuple[bytes, bytes] | tuple[bytes, int])
_RUN: Final = 1 << 13  # items sorted in one call
SMALLEST: Final = 64  # leaves; a quiet hour looks like a slightly busier one
_HANDLE_TAG: Final = b"xinguan/index/handle/v1\0"
_PATH_TAG: Final = b"xinguan/index/path/v1\0"
_VALUE_TAG: Final = b"xinguan/index/list/v1\0"
_LEAF_TAG: Final = b"xinguan/index/leaf/v1\0"
_DUMMY_TAG: Final = b"xinguan/index/dummy/v1\0"
FIRST_PATH: Final = bytes(HASH_BYTES)
LAST_PATH: Final = b"\xff" * HASH_BYTES


@dataclass(frozen=True, slots=True)
class Segment:
    """The leaves of a segment in order.

    Args:
        paths: The paths, 32 bytes each, one after the other.
        values: The values in the same order.
    """

    paths: bytes
    values: bytes

    @property
    def leaves(self) -> int:
        """Number of leaves, a power of two."""
        return len(self.paths) // HASH_BYTES

    def root(self) -> bytes:
        """Compute the root of the tree over all leaves."""
        return root_of(leaf_hashes(self.paths, self.values))


@dataclass(frozen=True, slots=True)
class Leaf:
    """One leaf with its place in the tree.

    Args:
        position: Its number, from 0.
        path: Its path, 32 bytes.
        value: Its value, 32 bytes.
        proof: Audit path to the root.
    """

    position: int
    path: bytes
    value: bytes
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a segment says about one label: a list of entries, or that there is none.

    Args:
        handle: The label's handle in this segment.
        entries: Indexes of its entries, ascending; empty when the label is absent.
        leaves: The label's leaf; or the two neighbours between which it would stand.
    """

    handle: bytes
    entries: tuple[int, ...]
    leaves: tuple[Leaf, ...]


def handle_of(salt: bytes, label: bytes) -> bytes:
    """Compute the handle of a label in the segment with this salt."""
    return sha256(_HANDLE_TAG + salt + label).digest()


def path_of(handle: bytes) -> bytes:
    """Compute where the leaf of a handle stands."""
    return sha256(_PATH_TAG + handle).digest()


def value_of(handle: bytes, entries: Sequence[int]) -> bytes:
    """Compute the value that a list of entries has under a handle."""
    listed = struct.pack(f">{len(entries)}Q", *entries)
    return sha256(_VALUE_TAG + handle + listed).digest()


def leaf_hashes(paths: bytes, values: bytes) -> list[bytes]:
    """Hash leaves whose paths and values lie one after the other."""
    tag = b"\x00" + _LEAF_TAG
    return [
        sha256(tag + paths[at : at + HASH_BYTES] + values[at : at + HASH_BYTES]).digest()
        for at in range(0, len(paths), HASH_BYTES)
    ]


def build(pairs: Iterable[tuple[bytes, int]], salt: bytes) -> Segment:
    """Build a segment.

    Args:
        pairs: (label, index of an entry), each pair once, in any order.
        salt: 32 fresh random bytes.
    """
    made: list[tuple[bytes, bytes]] = []
    for label, group in groupby(_in_order(list(pairs)), key=itemgetter(0)):
        handle = handle_of(salt, label)
        made.append((path_of(handle), value_of(handle, [entry for _, entry in group])))
    size = max(SMALLEST, 1 << (len(made) + 1).bit_length())
    for number in range(size - 2 - len(made)):
        dummy = sha256(_DUMMY_TAG + salt + number.to_bytes(8, "big")).digest()
        made.append((path_of(dummy), value_of(dummy, ())))
    made.append((FIRST_PATH, value_of(FIRST_PATH, ())))
    made.append((LAST_PATH, value_of(LAST_PATH, ())))
    made = list(_in_order(made))
    return Segment(b"".join(path for path, _ in made), b"".join(value for _, value in made))


def _in_order(items: list[_T]) -> Iterator[_T]:
    """Yield items in order; other threads run meanwhile.

    One call that sorts half a million keeps the interpreter for seconds, and a process that
    stands still so long loses its lease.
    """
    runs = [sorted(items[at : at + _RUN]) for at in range(0, len(items), _RUN)]
    return merge(*runs)


def check_lookup(lookup: Lookup, size: int, root: bytes) -> None:
    """Check what a segment is claimed to say about a handle.

    Args:
        lookup: The claim.
        size: Number of leaves, as the segment's entry in the log says.
        root: Its root, from the same entry.

    Raises:
        ProofError: The segment does not say so.
    """
    path = path_of(lookup.handle)
    for leaf in lookup.leaves:
        if len(leaf.path) != HASH_BYTES or len(leaf.value) != HASH_BYTES:
            raise ProofError("a leaf of the index is malformed")
        hashed = leaf_hash(_LEAF_TAG + leaf.path + leaf.value)
        verify_inclusion(leaf.position, size, hashed, leaf.proof, root)
    if lookup.entries:
        if list(lookup.entries) != sorted(set(lookup.entries)) or lookup.entries[0] < 0:
            raise ProofError("a list of entries is out of order")
        if len(lookup.leaves) != 1 or lookup.leaves[0].path != path:
            raise ProofError("the leaf is not that of the label")
        if lookup.leaves[0].value != value_of(lookup.handle, lookup.entries):
            raise ProofError("the list of entries is not what the index holds")
        return
    if len(lookup.leaves) != 2:  # noqa: PLR2004 - the neighbours on both sides
        raise ProofError("an absence has two neighbours")
    before, after = lookup.leaves
    if after.position != before.position + 1 or not before.path < path < after.path:
        raise ProofError("the neighbours do not show that the label is absent")
