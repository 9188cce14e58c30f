"""Trees of every size to 1,100; whatever is near a good proof, key, note or receipt is refused."""

import itertools
import random
from functools import cache
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import merkle
from audit.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from audit.edge import Edge, grow
from audit.errors import NoteError, ProofError
from audit.merkle import leaf_hash
from audit.note import Ed25519Signer, Verifier
from audit.proof import Receipt, check_receipt, format_receipt
from audit.tiles import TILE_HEIGHT, TILE_WIDTH

LARGEST = 1100
ENTRIES = [f"entry {number}".encode() for number in range(LARGEST)]
LEAVES = [leaf_hash(each) for each in ENTRIES]
LOG = Ed25519Signer("example.com/log", Ed25519PrivateKey.from_private_bytes(b"1" * 32))
KEY = Verifier.parse(LOG.verifier_key)


@cache
def mth(start: int, end: int) -> bytes:
    """MTH(D[start:end]) exactly as RFC 6962 section 2.1 defines it, written anew here."""
    if end - start == 1:
        return LEAVES[start]
    split = 1 << (end - start - 1).bit_length() - 1
    return sha256(b"\x01" + mth(start, start + split) + mth(start + split, end)).digest()


def nodes(height: int, offset: int) -> bytes:
    return mth(offset << height, (offset + 1) << height)


def test_every_size_to_1100_has_the_root_of_the_definition_by_each_way_to_compute_it():
    edge, tree = Edge(), merkle.CompactRange()
    for size in range(1, LARGEST + 1):
        edge = grow(edge, LEAVES[size - 1 : size], ENTRIES[size - 1 : size]).edge
        tree.push(LEAVES[size - 1])
        root = mth(0, size)
        assert tree.root() == root
        assert edge.root() == root
        if size % 7 == 0 or size & (size - 1) == 0:
            assert merkle.root_of(LEAVES[:size]) == root


def test_every_leaf_of_every_size_is_proved_from_tiles():
    """Sampled at the places where trees of tiles bend, and at random."""
    dice = random.Random(1)  # noqa: S311 - places, no secrets
    tiles: dict[tuple[int, int], list[bytes]] = {}

    @cache  # a perfect subtree stays as it is while the tree grows
    def node(height: int, offset: int) -> bytes:
        level, rest = divmod(height, TILE_HEIGHT)
        number, position = divmod(offset << rest, TILE_WIDTH)
        return merkle.root_of(tiles[level, number][position : position + (1 << rest)])

    edge = Edge()
    for size in range(1, LARGEST + 1):
        growth = grow(edge, LEAVES[size - 1 : size], ENTRIES[size - 1 : size])
        edge = growth.edge
        tiles.update({place: list(hashes) for place, hashes in growth.tiles.items()})
        root = mth(0, size)
        places = {0, size - 1, size // 2, size // TILE_WIDTH * TILE_WIDTH, dice.randrange(size)}
        for index in places & set(range(size)):
            proof = merkle.inclusion_proof(index, size, node)
            assert proof == merkle.inclusion_proof(index, size, nodes)
            merkle.verify_inclusion(index, size, LEAVES[index], proof, root)
        for older in {1, size, max(size - 1, 1), 1 << size.bit_length() - 1, dice.randint(1, size)}:
            proof = merkle.consistency_proof(older, size, node)
            merkle.verify_consistency(older, size, proof, mth(0, older), root)


def mutated_proofs(proof: list[bytes], dice: random.Random) -> list[list[bytes]]:
    """Return what is near a proof and is none: of each hash a bit, and whole hashes."""
    bad = [
        proof[:-1],
        proof[1:],
        [*proof, LEAVES[0]],
        [LEAVES[0], *proof],
        [*proof, b""],
        [b"", *proof],
    ]
    for place, each in enumerate(proof):
        flipped = bytearray(each)
        flipped[dice.randrange(32)] ^= 1 << dice.randrange(8)
        wrongs = (bytes(flipped), each[:-1], each[1:], each + b"\0", bytes(32), each[::-1])
        bad += [[*proof[:place], wrong, *proof[place + 1 :]] for wrong in wrongs]
        bad.append([*proof[:place], *proof[place + 1 :]])
        bad.append([*proof[: place + 1], *proof[place:]])
        if place and proof[place - 1] != each:
            swapped = list(proof)
            swapped[place - 1], swapped[place] = each, proof[place - 1]
            bad.append(swapped)
    return [each for each in bad if each != proof]


SIZES = [2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 64, 100, 255, 256, 257, 300, 513, 1023, 1024, 1100]


@pytest.mark.parametrize("size", SIZES)
def test_nothing_near_an_inclusion_proof_is_one(size):
    dice = random.Random(size)  # noqa: S311 - places, no secrets
    root = mth(0, size)
    for index in sorted({0, 1, size // 2, size - 1, *(dice.randrange(size) for _ in range(4))}):
        proof = merkle.inclusion_proof(index, size, nodes)
        leaf = LEAVES[index]
        merkle.verify_inclusion(index, size, leaf, proof, root)
        for bad in mutated_proofs(proof, dice):
            refuse_inclusion(index, size, leaf, bad, root)
        for wrong in {index ^ 1, index ^ 2, index + 1, index - 1, -index, index + size} - {index}:
            refuse_inclusion(wrong, size, leaf, proof, root)
        # A root doesn't commit to its size; what must show is a size of another shape.
        for wrong in (size * 2, size * 4, 0, -size, 1, index):
            refuse_inclusion(index, wrong, leaf, proof, root)
        neighbour = LEAVES[index - 1]
        for wrong in (root, neighbour, bytes(32), leaf[:-1], leaf + b"\0", b"", ENTRIES[index]):
            refuse_inclusion(index, size, wrong, proof, root)
        for wrong in (
            leaf,
            mth(0, size - 1),
            bytes(32),
            root[:-1],
            root + b"\0",
            b"",
            merkle.EMPTY_ROOT,
        ):
            refuse_inclusion(index, size, leaf, proof, wrong)


def refuse_inclusion(*arguments):
    with pytest.raises(ProofError):
        merkle.verify_inclusion(*arguments)


@pytest.mark.parametrize("size", SIZES)
def test_nothing_near_a_consistency_proof_is_one(size):
    dice = random.Random(size)  # noqa: S311 - places, no secrets
    root = mth(0, size)
    olders = {1, 2, size // 2, size - 1, *(dice.randint(1, size - 1) for _ in range(4))}
    for older in sorted(olders & set(range(1, size))):
        proof = merkle.consistency_proof(older, size, nodes)
        before = mth(0, older)
        merkle.verify_consistency(older, size, proof, before, root)
        for bad in mutated_proofs(proof, dice):
            refuse_consistency(older, size, bad, before, root)
        refuse_consistency(older, size, proof, root, before)
        refuse_consistency(older, size, proof, root, root)
        refuse_consistency(older, size, proof, before, before)
        for wrong in (size * 2, older, older - 1, 0, -size):
            refuse_consistency(older, wrong, proof, before, root)
        for wrong in (0, -older, size, size + 1):
            refuse_consistency(wrong, size, proof, before, root)
        for wrong in (bytes(32), before[:-1], before + b"\0", b"", merkle.EMPTY_ROOT):
            refuse_consistency(older, size, proof, wrong, root)
        for wrong in (bytes(32), root[:-1], root + b"\0", b"", merkle.EMPTY_ROOT):
            refuse_consistency(older, size, proof, before, wrong)


def refuse_consistency(*arguments):
    with pytest.raises(ProofError):
        merkle.verify_consistency(*arguments)


def test_every_substring_of_a_key_is_refused():
    keys = ((LOG.verifier_key, Verifier.parse), (LOG.signer_key(), Ed25519Signer.parse))
    for key, parse in keys:
        parse(key)
        for start in range(len(key)):
            for end in range(start, len(key) + 1):
                if (start, end) != (0, len(key)):
                    with pytest.raises(NoteError):
                        parse(key[start:end])


def test_every_changed_inserted_or_doubled_character_of_a_key_is_refused():
    for key, parse in (
        (LOG.verifier_key, Verifier.parse),
        (LOG.signer_key(), Ed25519Signer.parse),
    ):
        for place, each in enumerate(key):
            for wrong in (
                chr(ord(each) + 1),
                chr(ord(each) - 1),
                each * 2,
                each.swapcase(),
                " ",
                "+",
            ):
                if wrong != each:
                    with pytest.raises(NoteError):
                        parse(key[:place] + wrong + key[place + 1 :])


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return sign_checkpoint(LOG.name, 300, mth(0, 300), [LOG])


def test_every_flipped_bit_of_a_checkpoint_is_refused(checkpoint):
    for bad in flipped(checkpoint.note):
        with pytest.raises(NoteError):
            open_checkpoint(bad, KEY)


def test_a_checkpoint_with_lines_lost_doubled_or_swapped_is_refused(checkpoint):
    for bad in rearranged(checkpoint.note):
        with pytest.raises(NoteError):
            open_checkpoint(bad, KEY)
    for wrong in (b"\r\n", b"\n\n", b" \n", b"\0\n"):
        with pytest.raises(NoteError):
            open_checkpoint(checkpoint.note.replace(b"\n", wrong), KEY)


def test_every_changed_byte_of_a_receipt_is_refused_whichever_its_bit(checkpoint):
    receipt = make_receipt(checkpoint, 17)
    check_receipt(receipt, ENTRIES[17], KEY)
    for bad in itertools.islice(flipped(receipt), 0, None, 7):
        with pytest.raises((ProofError, NoteError)):
            check_receipt(bad, ENTRIES[17], KEY)


def test_a_receipt_with_lines_lost_doubled_or_swapped_is_refused(checkpoint):
    receipt = make_receipt(checkpoint, 17)
    for bad in rearranged(receipt):
        with pytest.raises((ProofError, NoteError)):
            check_receipt(bad, ENTRIES[17], KEY)
    for end in range(len(receipt)):
        with pytest.raises((ProofError, NoteError)):
            check_receipt(receipt[:end], ENTRIES[17], KEY)


def test_a_receipt_proves_no_other_entry(checkpoint):
    receipt = make_receipt(checkpoint, 17)
    for wrong in (
        ENTRIES[16],
        ENTRIES[18],
        b"",
        ENTRIES[17] + b"\0",
        LEAVES[17],
        b"\0" + ENTRIES[17],
    ):
        with pytest.raises(ProofError):
            check_receipt(receipt, wrong, KEY)
    other = Ed25519Signer(LOG.name, Ed25519PrivateKey.from_private_bytes(b"2" * 32))
    with pytest.raises(NoteError):
        check_receipt(receipt, ENTRIES[17], Verifier.parse(other.verifier_key))


def make_receipt(checkpoint: Checkpoint, index: int) -> bytes:
    path = merkle.inclusion_proof(index, checkpoint.size, nodes)
    return format_receipt(Receipt(index, tuple(path), checkpoint.note))


def flipped(data: bytes):
    """Go through every bit."""
    for place in range(len(data)):
        for bit in range(8):
            bad = bytearray(data)
            bad[place] ^= 1 << bit
            yield bytes(bad)


def rearranged(data: bytes):
    """Lose, double and swap each line."""
    lines = data.split(b"\n")
    for place in range(len(lines) - 1):
        without = [*lines[:place], *lines[place + 1 :]]
        doubled = [*lines[: place + 1], *lines[place:]]
        swapped = list(lines)
        swapped[place], swapped[place + 1] = lines[place + 1], lines[place]
        for bad in (without, doubled, swapped):
            if bad != lines:
                yield b"\n".join(bad)
