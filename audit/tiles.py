"""Tiles and entry bundles (C2SP tlog-tiles): paths, encodings, which ones a tree has. Pure."""

from collections.abc import Iterator, Sequence
from typing import Final

from audit.errors import LogCorruptError
from audit.merkle import HASH_BYTES

TILE_WIDTH: Final = 256
TILE_HEIGHT: Final = 8
ENTRIES: Final = "entries"
_GROUP: Final = 1000


def tile_path(level: int | str, number: int, width: int = TILE_WIDTH) -> str:
    """Write the path of a tile or bundle under the log's prefix.

    Args:
        level: 0 to 7, or `entries` for a bundle.
        number: Position among the tiles of the level.
        width: Number of hashes or entries, 1 to 256; under 256 the tile is partial.
    """
    groups = [f"{number % _GROUP:03d}"]
    while number := number // _GROUP:
        groups.append(f"x{number % _GROUP:03d}")
    path = f"tile/{level}/{'/'.join(reversed(groups))}"
    return path if width == TILE_WIDTH else f"{path}.p/{width}"


def tile_counts(size: int, level: int) -> tuple[int, int]:
    """Tell how many tiles a level of a tree has.

    Args:
        size: Number of entries.
        level: From 0.

    Returns:
        Number of full tiles, and width of the partial one (0 when there is none).
    """
    return divmod(size >> (TILE_HEIGHT * level), TILE_WIDTH)


def tile_width(size: int, level: int, number: int) -> int:
    """Tell how many hashes a tile has in a tree of this size; 0 when it has no such tile."""
    full, partial = tile_counts(size, level)
    if number < full:
        return TILE_WIDTH
    return partial if number == full else 0


def levels(size: int) -> Iterator[int]:
    """Go through the levels that a tree of this size has, from 0."""
    level = 0
    while size >> (TILE_HEIGHT * level):
        yield level
        level += 1


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Write an entry bundle: each entry behind its length of two bytes, big-endian.

    Args:
        entries: At most 256, each at most 65,535 bytes.
    """
    return b"".join(part for entry in entries for part in (len(entry).to_bytes(2, "big"), entry))


def decode_bundle(data: bytes, count: int, first: int = 0) -> list[bytes]:
    """Read an entry bundle.

    Args:
        data: The file.
        count: Number of entries that it must hold.
        first: Index of its first entry, for errors.

    Raises:
        LogCorruptError: It is too short or too long; it names the entry where that shows.
    """
    entries: list[bytes] = []
    position = 0
    for number in range(count):
        start = position + 2
        position = start + int.from_bytes(data[position:start], "big")
        if start > len(data) or position > len(data):
            raise LogCorruptError("the bundle ends inside the entry", first + number)
        entries.append(data[start:position])
    if position != len(data):
        raise LogCorruptError("the bundle goes on behind the entry", first + count - 1)
    return entries


def split_hashes(data: bytes, width: int) -> list[bytes]:
    """Read a tile.

    Args:
        data: The file.
        width: Number of hashes that it must hold.

    Raises:
        LogCorruptError: It has another length.
    """
    if len(data) != width * HASH_BYTES:
        raise LogCorruptError("a tile has a wrong length")
    return [data[start : start + HASH_BYTES] for start in range(0, len(data), HASH_BYTES)]
