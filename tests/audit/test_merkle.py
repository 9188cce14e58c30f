"""Merkle proofs: the public vectors, every small tree, and a reference by definition."""

import json
from base64 import b64decode
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import merkle
from audit.errors import ProofError

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors" / "merkle"
LEAVES = [merkle.leaf_hash(f"entry {i}".encode()) for i in range(1100)]

needs_shared = [
    pytest.mark.shared,
    pytest.mark.skipif(not VECTORS.is_dir(), reason="../shared/vectors is not here"),
]


@cache
def mth(start, end):
    """MTH(D[start:end]) exactly as RFC 6962 section 2.1 defines it."""
    if end - start == 1:
        return LEAVES[start]
    split = 1
    while split * 2 < end - start:
        split *= 2
    left, right = mth(start, start + split), mth(start + split, end)
    return sha256(b"\x01" + left + right).digest()


def nodes(height, offset):
    return mth(offset << height, (offset + 1) << height)


def vectors(kind):
    return sorted((VECTORS / kind).rglob("*.json")) if VECTORS.is_dir() else []


def hashes(values):
    return [b64decode(value) for value in values or []]


class TestVectors:
    pytestmark = needs_shared

    def test_all_are_here(self):
        assert (len(vectors("inclusion")), len(vectors("consistency"))) == (98, 98)

    @pytest.mark.parametrize(
        "path", vectors("inclusion"), ids=lambda p: f"{p.parent.name}/{p.stem}"
    )
    def test_inclusion(self, path):
        case = json.loads(path.read_text())
        arguments = (
            case["leafIdx"],
            case["treeSize"],
            b64decode(case["leafHash"] or ""),
            hashes(case["proof"]),
            b64decode(case["root"] or ""),
        )
        if case["wantErr"]:
            with pytest.raises(ProofError):
                merkle.verify_inclusion(*arguments)
        else:
            merkle.verify_inclusion(*arguments)

    @pytest.mark.parametrize(
        "path", vectors("consistency"), ids=lambda p: f"{p.parent.name}/{p.stem}"
    )
    def test_consistency(self, path):
        case = json.loads(path.read_text())
        arguments = (
            case["size1"],
            case["size2"],
            hashes(case["proof"]),
            b64decode(case["root1"] or ""),
            b64decode(case["root2"] or ""),
        )
        if case["wantErr"]:
            with pytest.raises(ProofError):
                merkle.verify_consistency(*arguments)
        else:
            merkle.verify_consistency(*arguments)


def test_constants_of_rfc_6962():
    assert merkle.EMPTY_ROOT.hex().startswith("e3b0c44298fc1c14")
    assert merkle.leaf_hash(b"").hex() == (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    )
    assert merkle.root_of([]) == merkle.EMPTY_ROOT


def test_the_root_of_every_size_to_1100_is_that_of_the_definition():
    tree = merkle.CompactRange()
    for size in range(1, 1101):
        tree.push(LEAVES[size - 1])
        assert tree.size == size
        assert tree.root() == mth(0, size)
        if size <= 300 or size > 1090:
            assert merkle.root_of(LEAVES[:size]) == mth(0, size)


@pytest.mark.parametrize("size", [*range(1, 66), 127, 128, 129, 255, 256, 257, 300])
def test_every_inclusion_proof_of_a_tree_verifies_and_no_neighbour_does(size):
    root = mth(0, size)
    for index in range(size):
        proof = merkle.inclusion_proof(index, size, nodes)
        merkle.verify_inclusion(index, size, LEAVES[index], proof, root)
        for wrong in (index - 1, index + 1):
            with pytest.raises(ProofError):
                merkle.verify_inclusion(wrong, size, LEAVES[index], proof, root)


def test_every_consistency_proof_of_trees_to_130_verifies():
    for size2 in range(1, 131):
        for size1 in range(1, size2 + 1):
            proof = merkle.consistency_proof(size1, size2, nodes)
            merkle.verify_consistency(size1, size2, proof, mth(0, size1), mth(0, size2))


@given(st.data())
def test_proofs_of_trees_to_1100_and_their_mutations(data):
    size2 = data.draw(st.integers(2, 1100))
    size1 = data.draw(st.integers(1, size2 - 1))
    index = data.draw(st.integers(0, size2 - 1))
    root1, root2 = mth(0, size1), mth(0, size2)
    inclusion = merkle.inclusion_proof(index, size2, nodes)
    consistency = merkle.consistency_proof(size1, size2, nodes)
    merkle.verify_inclusion(index, size2, LEAVES[index], inclusion, root2)
    merkle.verify_consistency(size1, size2, consistency, root1, root2)
    for bad in mutations(inclusion, data):
        with pytest.raises(ProofError):
            merkle.verify_inclusion(index, size2, LEAVES[index], bad, root2)
    for bad in mutations(consistency, data):
        with pytest.raises(ProofError):
            merkle.verify_consistency(size1, size2, bad, root1, root2)
    with pytest.raises(ProofError):
        merkle.verify_consistency(size1, size2, consistency, root2, root1)


def mutations(proof, data):
    place = data.draw(st.integers(0, len(proof) - 1))
    bit = data.draw(st.integers(0, 255))
    flipped = bytearray(proof[place])
    flipped[bit // 8] ^= 1 << bit % 8
    yield [*proof[:place], bytes(flipped), *proof[place + 1 :]]
    yield [*proof[:place], proof[place][:-1], *proof[place + 1 :]]
    yield [*proof[:place], proof[place] + b"\0", *proof[place + 1 :]]
    yield proof[:-1]
    yield [*proof, proof[-1]]
    yield [proof[0], *proof]


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_no_proof_of_an_index_outside_the_tree(index, size):
    with pytest.raises(ProofError):
        merkle.inclusion_proof(index, size, nodes)
    with pytest.raises(ProofError):
        merkle.verify_inclusion(index, size, LEAVES[0], [], LEAVES[0])


@pytest.mark.parametrize(("size1", "size2"), [(0, 3), (4, 3), (-1, 3)])
def test_no_consistency_proof_of_sizes_out_of_order(size1, size2):
    with pytest.raises(ProofError):
        merkle.consistency_proof(size1, size2, nodes)
    with pytest.raises(ProofError):
        merkle.verify_consistency(size1, size2, [], LEAVES[0], LEAVES[0])


def test_a_compact_range_takes_subtrees_largest_first_and_whole_hashes_only():
    tree = merkle.CompactRange()
    tree.push(mth(0, 4), 2)
    tree.push(LEAVES[4])
    assert (tree.size, tree.root()) == (5, mth(0, 5))
    with pytest.raises(ProofError):
        tree.push(LEAVES[5], 1)
    with pytest.raises(ProofError):
        tree.push(b"short")


def test_a_proof_of_endless_length_is_refused():
    with pytest.raises(ProofError):
        merkle.verify_inclusion(0, 2, LEAVES[0], [LEAVES[1]] * 70, mth(0, 2))
