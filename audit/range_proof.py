"""Proof that entries are all those of a tree from one index to another, none left out. Pure.

The proof holds the roots of the subtrees left and right of the range, in the order in which the
tree (RFC 9162, section 2.1) is walked from its root, left before right. With the leaves of the
range they give the root; with one leaf more or fewer, or another order, they do not.
"""

from collections.abc import Iterator, Sequence

from audit.errors import ProofError
from audit.merkle import HASH_BYTES, NodeSource, node_hash, root_of, subtree_root


def range_proof(start: int, end: int, size: int, nodes: NodeSource) -> list[bytes]:
    """Make the proof of a range.

    Args:
        start: First index.
        end: One past the last.
        size: Size of the tree.
        nodes: Its perfect subtrees.

    Raises:
        ProofError: The range is empty or not in the tree.
    """
    _check(start, end, size)
    return list(_outside(0, size, start, end, nodes))


def range_root(start: int, leaves: Sequence[bytes], size: int, proof: Sequence[bytes]) -> bytes:
    """Compute the root of a tree from a range of leaves and what stands beside it.

    Args:
        start: Index of the first leaf.
        leaves: Leaf hashes of the range, in order.
        size: Size of the tree.
        proof: As `range_proof` makes it.

    Raises:
        ProofError: The proof has not the hashes that this range needs.
    """
    end = start + len(leaves)
    _check(start, end, size)
    if any(len(each) != HASH_BYTES for each in proof):
        raise ProofError("a hash of the proof has not 32 bytes")
    beside = iter(proof)
    root = _fold(0, size, start, leaves, beside)
    if next(beside, None) is not None:
        raise ProofError("the proof of the range is too long")
    return root


def _outside(low: int, high: int, start: int, end: int, nodes: NodeSource) -> Iterator[bytes]:
    if high <= start or low >= end:
        yield subtree_root(low, high, nodes)
    elif low < start or high > end:
        middle = low + _split(high - low)
        yield from _outside(low, middle, start, end, nodes)
        yield from _outside(middle, high, start, end, nodes)


def _fold(
    low: int, high: int, start: int, leaves: Sequence[bytes], beside: Iterator[bytes]
) -> bytes:
    end = start + len(leaves)
    if high <= start or low >= end:
        found = next(beside, None)
        if found is None:
            raise ProofError("the proof of the range is too short")
        return found
    if start <= low and high <= end:
        return root_of(leaves[low - start : high - start])
    middle = low + _split(high - low)
    left = _fold(low, middle, start, leaves, beside)
    return node_hash(left, _fold(middle, high, start, leaves, beside))


def _check(start: int, end: int, size: int) -> None:
    if not 0 <= start < end <= size:
        raise ProofError("the range is empty or not in the tree")


def _split(width: int) -> int:
    """Return the greatest power of two below a width of two or more."""
    return 1 << ((width - 1).bit_length() - 1)
