"""A segment proves what it holds and what it doesn't, and nothing else passes."""

import hmac
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.errors import ProofError
from audit.merkle import inclusion_proof, root_of
from audit.segment import (
    SMALLEST,
    Leaf,
    Lookup,
    build,
    check_lookup,
    handle_of,
    leaf_hashes,
    path_of,
    value_of,
)

SALT = b"s" * 32


def label(number):
    return hmac.digest(b"k" * 32, number.to_bytes(4, "big"), "sha256")


def look_up(segment, wanted, entries=()):
    """The plain way, without tiles."""
    hashes = leaf_hashes(segment.paths, segment.values)
    paths = [segment.paths[at : at + 32] for at in range(0, len(segment.paths), 32)]
    values = [segment.values[at : at + 32] for at in range(0, len(segment.values), 32)]

    def leaf(position):
        proof = inclusion_proof(
            position, len(hashes), lambda h, o: root_of(hashes[o << h : (o + 1) << h])
        )
        return Leaf(position, paths[position], values[position], tuple(proof))

    handle = handle_of(SALT, wanted)
    path = path_of(handle)
    if path in paths:
        return Lookup(handle, tuple(entries), (leaf(paths.index(path)),))
    after = sum(each < path for each in paths)
    return Lookup(handle, (), (leaf(after - 1), leaf(after)))


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.integers(0, 400), st.sets(st.integers(0, 5000), min_size=1), max_size=90))
def test_every_label_is_proved_and_every_other_absent(lists):
    pairs = [(label(number), entry) for number, entries in lists.items() for entry in entries]
    segment = build(pairs, SALT)
    root = segment.root()
    assert segment.leaves >= SMALLEST
    assert segment.leaves & (segment.leaves - 1) == 0
    for number, entries in list(lists.items())[:5]:
        check_lookup(look_up(segment, label(number), sorted(entries)), segment.leaves, root)
    check_lookup(look_up(segment, label(999)), segment.leaves, root)


@pytest.fixture(scope="module")
def segment():
    return build([(label(number), entry) for number in range(80) for entry in (number, 500)], SALT)


def refused(lookup, segment):
    with pytest.raises(ProofError):
        check_lookup(lookup, segment.leaves, segment.root())


def test_a_list_that_lacks_or_adds_an_entry_is_refused(segment):
    good = look_up(segment, label(7), (7, 500))
    check_lookup(good, segment.leaves, segment.root())
    for entries in ((7,), (500,), (7, 8, 500), (500, 7), (7, 7, 500), (-1, 7, 500)):
        refused(replace(good, entries=entries), segment)


def test_a_present_label_cannot_be_called_absent(segment):
    present = look_up(segment, label(7), (7, 500))
    absent = look_up(segment, label(999))
    refused(replace(present, entries=()), segment)
    refused(replace(absent, handle=present.handle), segment)
    position = present.leaves[0].position
    for handle_path in (0, 1):
        shifted = look_up(segment, label(999)).leaves[handle_path]
        refused(Lookup(present.handle, (), (present.leaves[0], shifted)), segment)
    assert position > 0


def test_neighbours_that_are_not_adjacent_are_refused(segment):
    absent = look_up(segment, label(999))
    other = look_up(segment, label(7), (7, 500)).leaves[0]
    pairs = ((absent.leaves[0], other), (other, absent.leaves[1]), absent.leaves[::-1], ())
    for leaves in pairs:
        refused(replace(absent, leaves=tuple(leaves)), segment)


def test_every_changed_bit_of_a_leaf_is_refused(segment):
    good = look_up(segment, label(7), (7, 500))
    leaf = good.leaves[0]
    flipped = bytes([leaf.path[0] ^ 1]) + leaf.path[1:]
    refused(replace(good, leaves=(replace(leaf, path=flipped),)), segment)
    refused(replace(good, leaves=(replace(leaf, value=bytes(32)),)), segment)
    refused(replace(good, leaves=(replace(leaf, position=leaf.position ^ 1),)), segment)
    refused(replace(good, leaves=(replace(leaf, proof=leaf.proof[:-1]),)), segment)
    refused(replace(good, leaves=(replace(leaf, path=leaf.path + b"x"),)), segment)


def test_the_same_label_has_nothing_in_common_in_two_segments():
    one, two = (build([(label(1), 5)], salt) for salt in (b"a" * 32, b"b" * 32))
    cut = lambda s: {s.paths[at : at + 32] for at in range(32, len(s.paths) - 32, 32)}  # noqa: E731
    values = lambda s: {s.values[at : at + 32] for at in range(32, len(s.values) - 32, 32)}  # noqa: E731
    assert not cut(one) & cut(two)
    assert not values(one) & values(two)


def test_the_size_tells_no_more_than_a_power_of_two():
    sizes = {build([(label(n), n) for n in range(count)], SALT).leaves for count in range(63)}
    assert sizes == {64}
    assert build([(label(n), n) for n in range(63)], SALT).leaves == 128


def test_a_list_is_told_from_another_of_the_same_bytes():
    assert value_of(bytes(32), (1, 2)) != value_of(bytes(32), (2, 1))
