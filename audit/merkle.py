"""RFC 6962 Merkle tree hashing, pure: hashes, roots, proofs and their verification.

Verification is strict where lax verifiers were caught by the public vectors: a hash has
exactly 32 bytes, an index lies inside the tree, a consistency proof from the empty tree
is refused (it proves nothing), and no hash may be left over.

Source: RFC 9162 section 2.1, which keeps the hashing of RFC 6962 section 2.1.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from hmac import compare_digest

from audit.errors import ProofError

HASH_BYTES = 32
# A tree of 2**63 entries has no longer path; tlog-witness caps proofs at the same number.
MAX_PROOF_HASHES = 63
EMPTY_ROOT = sha256(b"").digest()

# Gives the hash of the perfect subtree of this height at this offset, in units of its width.
NodeSource = Callable[[int, int], bytes]


def leaf_hash(entry: bytes) -> bytes:
    """Hash an entry into a leaf: SHA-256(0x00 || entry)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into their parent: SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


def node_of_pair(pair: bytes) -> bytes:
    """Hash two subtrees that stand side by side, as tiles hold them; as `node_hash`."""
    return sha256(b"\x01" + pair).digest()


class CompactRange:
    """The perfect subtrees that cover the first `size` leaves, largest first.

    It is all one needs in order to append to a tree and to know its root: at most 63 hashes.
    """

    __slots__ = ("_heights", "_nodes", "size")

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._heights: list[int] = []
        self.size = 0

    def push(self, node: bytes, height: int = 0) -> None:
        """Append a perfect subtree on the right.

        Args:
            node: Its hash, 32 bytes.
            height: 0 for a leaf; the subtree covers 2**height leaves.

        Raises:
            ProofError: The hash has another length, or a larger subtree would follow a
                smaller one, which no tree contains.
        """
        if len(node) != HASH_BYTES:
            raise ProofError("a hash must have 32 bytes")
        if self._heights and self._heights[-1] < height:
            raise ProofError("subtrees must be pushed largest first")
        self.size += 1 << height
        while self._heights and self._heights[-1] == height:
            node = node_hash(self._nodes.pop(), node)
            self._heights.pop()
            height += 1
        self._nodes.append(node)
        self._heights.append(height)

    def root(self) -> bytes:
        """Compute the root of the tree of `size` leaves."""
        if not self._nodes:
            return EMPTY_ROOT
        acc = self._nodes[-1]
        for node in reversed(self._nodes[:-1]):
            acc = node_hash(node, acc)
        return acc


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Compute the root over leaf hashes.

    Args:
        leaves: Leaf hashes in order, 32 bytes each.
    """
    level = list(leaves)
    if not level:
        return EMPTY_ROOT
    # Pairing from the left, with the odd one carried up, gives the tree of RFC 6962.
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        pairs = zip(level[::2], level[1::2], strict=False)
        level = [sha256(b"\x01" + left + right).digest() for left, right in pairs] + odd
    return level[0]


def subtree_root(start: int, end: int, nodes: NodeSource) -> bytes:
    """Compute MTH(D[start:end]) of a subtree as a proof cuts it.

    Args:
        start: First leaf, a multiple of the smallest power of two not below end - start.
        end: One past the last leaf.
        nodes: Gives perfect subtrees by (height, offset).
    """
    parts: list[bytes] = []
    while start < end:
        height = (end - start).bit_length() - 1
        parts.append(nodes(height, start >> height))
        start += 1 << height
    acc = parts.pop()
    while parts:
        acc = node_hash(parts.pop(), acc)
    return acc


def inclusion_proof(index: int, size: int, nodes: NodeSource) -> list[bytes]:
    """Make the audit path of a leaf (RFC 9162 section 2.1.3.1).

    Args:
        index: The leaf, 0 <= index < size.
        size: Number of leaves of the tree.
        nodes: Gives perfect subtrees by (height, offset).

    Raises:
        ProofError: The index is outside the tree.
    """
    if not 0 <= index < size:
        raise ProofError("the index is outside the tree")
    return _path(index, 0, size, nodes)


def _path(index: int, start: int, end: int, nodes: NodeSource) -> list[bytes]:
    siblings: list[bytes] = []
    while end - start > 1:
        split = start + _split(end - start)
        if index < split:
            siblings.append(subtree_root(split, end, nodes))
            end = split
        else:
            siblings.append(subtree_root(start, split, nodes))
            start = split
    siblings.reverse()
    return siblings


def consistency_proof(size1: int, size2: int, nodes: NodeSource) -> list[bytes]:
    """Make the proof that the tree of size1 is a prefix of that of size2 (2.1.4.1).

    Args:
        size1: The older size, 0 < size1 <= size2.
        size2: The newer size.
        nodes: Gives perfect subtrees of the newer tree by (height, offset).

    Raises:
        ProofError: size1 is 0 (there is nothing to prove) or over size2.
    """
    if not 0 < size1 <= size2:
        raise ProofError("a consistency proof needs 0 < size1 <= size2")
    proof: list[bytes] = []
    start, end, whole = 0, size2, True
    while end != size1:
        split = start + _split(end - start)
        if size1 <= split:
            proof.append(subtree_root(split, end, nodes))
            end = split
        else:
            proof.append(subtree_root(start, split, nodes))
            start, whole = split, False
    if not whole:
        proof.append(subtree_root(start, end, nodes))
    proof.reverse()
    return proof


def verify_inclusion(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that a leaf stands at an index of the tree with this root (2.1.3.2).

    Args:
        index: Position of the leaf.
        size: Number of leaves of the tree.
        leaf: Leaf hash, 32 bytes.
        proof: Audit path, from the leaf upwards.
        root: Root of the tree, 32 bytes.

    Raises:
        ProofError: Anything is out of bounds, too long or too short, or does not hash.
    """
    _check_hashes([leaf, root, *proof])
    if not 0 <= index < size:
        raise ProofError("the index is outside the tree")
    inner = (index ^ (size - 1)).bit_length()
    border = (index >> inner).bit_count()
    if len(proof) != inner + border:
        raise ProofError("the proof has a wrong number of hashes")
    acc = leaf
    for level, sibling in enumerate(proof[:inner]):
        right = index >> level & 1
        acc = node_hash(sibling, acc) if right else node_hash(acc, sibling)
    for sibling in proof[inner:]:
        acc = node_hash(sibling, acc)
    if not compare_digest(acc, root):
        raise ProofError("the proof does not lead to the root")


def verify_consistency(
    size1: int, size2: int, proof: Sequence[bytes], root1: bytes, root2: bytes
) -> None:
    """Check that an older tree is a prefix of a newer one (RFC 9162 section 2.1.4.2).

    Args:
        size1: The older size; 0 is refused, because every tree extends the empty one.
        size2: The newer size.
        proof: The consistency proof.
        root1: Root of the older tree.
        root2: Root of the newer tree.

    Raises:
        ProofError: The proof does not show it.
    """
    if not 0 < size1 <= size2:
        raise ProofError("a consistency proof needs 0 < size1 <= size2")
    if size1 == size2:
        # Nothing is hashed here: equal is equal, whatever the callers hold as roots.
        if proof or not compare_digest(root1, root2):
            raise ProofError("trees of one size must be equal and need no proof")
        return
    _check_hashes([root1, root2, *proof])
    old, new = _fold_consistency(size1, size2, proof, root1)
    if not (compare_digest(old, root1) and compare_digest(new, root2)):
        raise ProofError("the proof does not lead to both roots")


def _fold_consistency(
    size1: int, size2: int, proof: Sequence[bytes], root1: bytes
) -> tuple[bytes, bytes]:
    """Fold a consistency proof into the two roots that it claims."""
    # The older tree of a power of two is itself a node of the newer one and is left out.
    path = list(proof) if size1 & (size1 - 1) else [root1, *proof]
    if not proof:
        raise ProofError("the proof is empty")
    node, last = size1 - 1, size2 - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofError("the proof has hashes left over")
        if node & 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise ProofError("the proof has too few hashes")
    return old, new


def _split(width: int) -> int:
    """Give the largest power of two below a width of at least 2."""
    return 1 << (width - 1).bit_length() - 1


def _check_hashes(hashes: Sequence[bytes]) -> None:
    if any(len(item) != HASH_BYTES for item in hashes):
        raise ProofError("a hash must have 32 bytes")
    if len(hashes) > MAX_PROOF_HASHES + 2:
        raise ProofError("the proof is too long")
