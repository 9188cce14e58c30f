"""The right edge of a tree in tiles: all that growing it needs. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audit.merkle import CompactRange, root_of
from audit.tiles import TILE_HEIGHT, TILE_WIDTH

Tiles = Mapping[tuple[int, int], Sequence[bytes]]
"""(level, number) to the hashes of the tile."""


@dataclass(frozen=True, slots=True)
class Edge:
    """The partial tile of each level, and the entries of the partial bundle.

    Args:
        size: Number of entries of the tree.
        partial: For each level from 0, under 256 hashes.
        entries: Under 256 entries, whose hashes are the partial tile of level 0.
    """

    size: int = 0
    partial: tuple[tuple[bytes, ...], ...] = ()
    entries: tuple[bytes, ...] = ()

    def range(self) -> CompactRange:
        """Give the perfect subtrees that cover the tree."""
        tree = CompactRange()
        for level in reversed(range(len(self.partial))):
            for node in self.partial[level]:
                tree.push(node, level * TILE_HEIGHT)
        return tree

    def root(self) -> bytes:
        """Compute the root of the tree."""
        return self.range().root()


@dataclass(frozen=True, slots=True)
class Growth:
    """What is to be written when a tree grows.

    Args:
        edge: The edge afterwards.
        tiles: Tiles that are new or wider than before.
        bundles: Number of the bundle to its entries, where new or wider.
    """

    edge: Edge
    tiles: Tiles
    bundles: Mapping[int, Sequence[bytes]]


def grow(edge: Edge, leaves: Sequence[bytes], entries: Sequence[bytes]) -> Growth:
    """Append entries to a tree.

    Args:
        edge: The edge before.
        leaves: Leaf hashes of the new entries.
        entries: The new entries.
    """
    tiles: dict[tuple[int, int], Sequence[bytes]] = {}
    partial: list[tuple[bytes, ...]] = []
    nodes: Sequence[bytes] = leaves
    level = 0
    while nodes or level < len(edge.partial):
        before = edge.partial[level] if level < len(edge.partial) else ()
        first = (edge.size >> (TILE_HEIGHT * level)) // TILE_WIDTH
        cut = _cut([*before, *nodes])
        rest = cut[-1] if cut and len(cut[-1]) < TILE_WIDTH else ()
        if nodes:
            tiles.update({(level, first + i): tile for i, tile in enumerate(cut)})
        partial.append(tuple(rest))
        nodes = [root_of(tile) for tile in cut if len(tile) == TILE_WIDTH]
        level += 1
    bundles = _cut([*edge.entries, *entries])
    last = bundles[-1] if bundles and len(bundles[-1]) < TILE_WIDTH else ()
    first = edge.size // TILE_WIDTH
    after = Edge(edge.size + len(leaves), tuple(partial), tuple(last))
    return Growth(after, tiles, {first + i: bundle for i, bundle in enumerate(bundles)})


def _cut(items: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [items[start : start + TILE_WIDTH] for start in range(0, len(items), TILE_WIDTH)]
