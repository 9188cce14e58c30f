"""Tile paths, widths and bundles as tlog-tiles defines them; growth by any steps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.edge import Edge, grow
from audit.errors import LogCorruptError
from audit.merkle import leaf_hash, root_of
from audit.tiles import (
    ENTRIES,
    decode_bundle,
    encode_bundle,
    levels,
    split_hashes,
    tile_counts,
    tile_path,
    tile_width,
)


@pytest.mark.parametrize(
    ("level", "number", "width", "path"),
    [
        (0, 0, 256, "tile/0/000"),
        (0, 1_234_067, 256, "tile/0/x001/x234/067"),
        (1, 999, 17, "tile/1/999.p/17"),
        (2, 1000, 1, "tile/2/x001/000.p/1"),
        (ENTRIES, 273, 112, "tile/entries/273.p/112"),
    ],
)
def test_paths_of_the_specification(level, number, width, path):
    assert tile_path(level, number, width) == path


def test_the_tiles_of_the_specifications_example_of_70000():
    assert [tile_counts(70_000, level) for level in range(4)] == [
        (273, 112),
        (1, 17),
        (0, 1),
        (0, 0),
    ]
    assert list(levels(70_000)) == [0, 1, 2]
    assert list(levels(0)) == []
    assert [tile_width(70_000, 0, number) for number in (0, 272, 273, 274)] == [256, 256, 112, 0]


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_bundles_round_trip(entries):
    assert decode_bundle(encode_bundle(entries), len(entries)) == entries


def test_a_bundle_of_a_wrong_length_names_the_entry():
    data = encode_bundle([b"one", b"two"])
    for bad in (data[:-1], data[:6]):
        with pytest.raises(LogCorruptError) as caught:
            decode_bundle(bad, 2, 256)
        assert caught.value.index == 257
    with pytest.raises(LogCorruptError):
        decode_bundle(data + b"x", 2)
    with pytest.raises(LogCorruptError):
        decode_bundle(b"", 1)


def test_a_tile_of_a_wrong_length_is_refused():
    assert split_hashes(bytes(64), 2) == [bytes(32)] * 2
    with pytest.raises(LogCorruptError):
        split_hashes(bytes(65), 2)


@given(st.lists(st.integers(0, 400), max_size=6))
def test_growth_by_any_steps_is_the_tree_of_the_definition(steps):
    edge = Edge()
    entries = []
    tiles = {}
    for step in steps:
        new = [b"%d" % (len(entries) + each) for each in range(step)]
        growth = grow(edge, [leaf_hash(each) for each in new], new)
        entries += new
        tiles.update(growth.tiles)
        edge = growth.edge
        assert edge.size == len(entries)
        assert edge.root() == root_of([leaf_hash(each) for each in entries])
        assert list(edge.entries) == entries[len(entries) // 256 * 256 :]
    leaves = [hashed for (level, _), tile in sorted(tiles.items()) if level == 0 for hashed in tile]
    assert leaves == [leaf_hash(each) for each in entries]
