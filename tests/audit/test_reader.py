"""A reader kept while its log grows: what it remembers of tiles is never of another tree."""

import random

from audit.merkle import leaf_hash, root_of, verify_consistency, verify_inclusion
from audit.reader import LogReader
from audit.verify import check_proof
from tests.audit.log_home import VKEY, body

STEPS = (1, 2, 61, 190, 1, 1, 255, 256, 300, 57)


def test_one_reader_gives_receipts_and_proofs_of_every_tree_while_the_log_grows(home):
    dice = random.Random(3)  # noqa: S311 - places, no secrets
    integrator = home.integrator()
    reader = None
    sizes: list[int] = []
    leaves: list[bytes] = []
    for step in STEPS:
        home.append(step, len(leaves))
        leaves += [leaf_hash(body(len(leaves) + number)) for number in range(step)]
        size = integrator.integrate_once().size
        sizes.append(size)
        reader = reader or LogReader(home.directory, VKEY)
        for index in {0, size - 1, dice.randrange(size), dice.randrange(size)}:
            check_proof(reader.receipt(index), body(index), VKEY)
        for older in sizes:
            proof = reader.consistency_proof(older, size)
            verify_consistency(older, size, proof, root_of(leaves[:older]), root_of(leaves))
    # Trees of the past too, although their partial tiles are gone or are cut from full ones.
    for older in sizes:
        root = root_of(leaves[:older])
        for index in {0, older - 1, dice.randrange(older)}:
            verify_inclusion(
                index, older, leaves[index], reader.inclusion_proof(index, older), root
            )


def test_upper_tiles_are_read_once_however_many_proofs_are_made(home, monkeypatch):
    home.append_quickly(70_000)
    home.integrator().integrate_all()
    reader = LogReader(home.directory, VKEY)
    read = []
    original = reader._tile_bytes

    def counted(level, number, width):
        read.append((level, number))
        return original(level, number, width)

    monkeypatch.setattr(reader, "_tile_bytes", counted)
    for index in range(0, 70_000, 1_009):
        reader.receipt(index)
    upper = [each for each in read if each[0] > 0]
    assert sorted(upper) == [(1, 0), (1, 1), (2, 0)]
    # Of the lowest level each proof reads the one tile that it crosses, and the edge once.
    assert len(read) - len(upper) <= len(range(0, 70_000, 1_009)) + 1
