"""Where the segments of the sealed index lie: rows and tiles in the state database.

Tables: `index_segments`, `index_tiles` and `index_lease` of the gateway's migrations. A tile
holds 64 leaves, or 64 nodes above them, so that a proof reads one tile for each six levels of
the tree and hashes little beside what it needs.
"""

from dataclasses import dataclass
from typing import Any, Final

from audit.errors import LeaseHeldError, LeaseLostError, LogCorruptError
from audit.merkle import HASH_BYTES, NodeSource, inclusion_proof, node_hash, root_of
from audit.openings import Reading
from audit.segment import Leaf, Lookup, Segment, handle_of, leaf_hashes, path_of
from audit.store import Reader
from audit.transaction import Transaction

TILE: Final = 64
_TILE_HEIGHT: Final = 6
_COLUMNS: Final = "log_index, segment, first, past, level, leaves, root, salt, destruction, live"


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """A segment that the log commits to.

    Args:
        log_index: Index of its `index_root` entry.
        segment: Name of its tiles.
        first: First entry that it covers.
        past: One past the last.
        level: How often what it holds was merged.
        leaves: Number of leaves.
        root: Root of its tree.
        salt: Its salt; None once a destruction made it unknowable.
        destruction: Index of the entry of that destruction.
        live: Whether nothing newer covers its range.
    """

    log_index: int
    segment: str
    first: int
    past: int
    level: int
    leaves: int
    root: bytes
    salt: bytes | None
    destruction: int | None
    live: bool


@dataclass(frozen=True, slots=True)
class TileRow:
    """One tile as it is stored."""

    segment: str
    level: int
    number: int
    first_path: bytes
    paths: bytes
    hashes: bytes


def live_segments(connection: Reading) -> list[SegmentRow]:
    """Return the segments that together cover the log up to the last root, in order."""
    query = f"SELECT {_COLUMNS} FROM index_segments WHERE live = 1 ORDER BY first"
    return [_row(row) for row in connection.execute(query)]


def every_segment(connection: Reading) -> list[SegmentRow]:
    """Return every segment there ever was, in the order of the log."""
    query = f"SELECT {_COLUMNS} FROM index_segments ORDER BY log_index"
    return [_row(row) for row in connection.execute(query)]


def insert_segment(tx: Transaction, row: SegmentRow) -> None:
    """Write the row of a segment and take its range from those that covered it before."""
    tx.execute(
        "UPDATE index_segments SET live = 0 WHERE live = 1 AND first >= ? AND past <= ?",
        (row.first, row.past),
    )
    tx.execute(
        f"INSERT INTO index_segments ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
        (
            row.log_index,
            row.segment,
            row.first,
            row.past,
            row.level,
            row.leaves,
            row.root,
            row.salt,
            row.destruction,
        ),
    )


def tile_segment(name: str, segment: Segment) -> tuple[list[TileRow], bytes]:
    """Cut a segment into tiles, the leaves first; return them and the root of the tree."""
    width = TILE * HASH_BYTES
    tiles: list[TileRow] = []
    roots: list[bytes] = []
    for number in range(-(-segment.leaves // TILE)):
        paths = segment.paths[number * width : (number + 1) * width]
        values = segment.values[number * width : (number + 1) * width]
        roots.append(root_of(leaf_hashes(paths, values)))
        tiles.append(TileRow(name, 0, number, paths[:HASH_BYTES], paths, values))
    level = 1
    while len(roots) > 1:
        parts = [roots[at : at + TILE] for at in range(0, len(roots), TILE)]
        for number, part in enumerate(parts):
            tiles.append(TileRow(name, level, number, b"", b"", b"".join(part)))
        roots = [root_of(part) for part in parts]
        level += 1
    return tiles, roots[0]


def insert_tiles(tx: Transaction, tiles: list[TileRow]) -> None:
    """Write tiles; nobody refers to them before the row of their segment."""
    for tile in tiles:
        tx.execute(
            "INSERT INTO index_tiles (segment, level, number, first_path, paths, hashes)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (tile.segment, tile.level, tile.number, tile.first_path, tile.paths, tile.hashes),
        )


def stale_segments(connection: Reading) -> list[str]:
    """Return the names of tiles to which no live segment refers, skipping along the index."""
    live = {
        row[0] for row in connection.execute("SELECT segment FROM index_segments WHERE live = 1")
    }
    stale: list[str] = []
    name = ""
    while True:
        row = connection.execute(
            "SELECT min(segment) FROM index_tiles WHERE segment > ?", (name,)
        ).fetchone()
        if row[0] is None:
            return stale
        name = row[0]
        if name not in live:
            stale.append(name)


def drop_tiles(tx: Transaction, segment: str, most: int) -> int:
    """Delete tiles of a segment; return how many, at most `most`.

    Only whoever holds the lease may call it, and not for tiles that await their row.
    """
    rows = tx.execute(
        "SELECT level, number FROM index_tiles WHERE segment = ? LIMIT ?", (segment, most)
    ).fetchall()
    for level, number in rows:
        tx.execute(
            "DELETE FROM index_tiles WHERE segment = ? AND level = ? AND number = ?",
            (segment, level, number),
        )
    return len(rows)


def look_up(connection: Reader, row: SegmentRow, label: bytes) -> Lookup:
    """Look a label up in a live segment, with its proof.

    Args:
        connection: Any connection to the state database.
        row: The segment; its salt must be known.
        label: As `audit.commitment` gives it.

    Raises:
        LogCorruptError: A tile is missing, or the salt is destroyed.
    """
    if row.salt is None:
        raise LogCorruptError("the index of this range waits to be sealed again")
    tiles = _Tiles(connection, row)
    handle = handle_of(row.salt, label)
    position, found = tiles.locate(path_of(handle))
    if found:
        entries = connection.execute(
            "SELECT entry FROM subject_labels WHERE label = ? AND entry >= ? AND entry < ?"
            " ORDER BY entry",
            (label, row.first, row.past),
        ).fetchall()
        return Lookup(handle, tuple(each[0] for each in entries), (tiles.leaf(position),))
    return Lookup(handle, (), (tiles.leaf(position), tiles.leaf(position + 1)))


class _Tiles:
    """Reads the tiles of one segment, each once."""

    def __init__(self, connection: Reader, row: SegmentRow) -> None:
        self._connection = connection
        self._row = row
        self._read: dict[tuple[int, int], tuple[bytes, bytes]] = {}
        self._layered: dict[tuple[int, int], list[list[bytes]]] = {}

    def locate(self, path: bytes) -> tuple[int, bool]:
        """Return the last position whose path is not above this one, and whether it is equal."""
        found = self._connection.execute(
            "SELECT number FROM index_tiles WHERE segment = ? AND level = 0 AND first_path <= ?"
            " ORDER BY first_path DESC LIMIT 1",
            (self._row.segment, path),
        ).fetchone()
        if found is None:
            raise LogCorruptError("a tile of the index is missing")
        number: int = found[0]
        paths, _ = self._tile(0, number)
        low, high = 0, len(paths) // HASH_BYTES
        while high - low > 1:
            middle = (low + high) // 2
            if paths[middle * HASH_BYTES : (middle + 1) * HASH_BYTES] <= path:
                low = middle
            else:
                high = middle
        at = paths[low * HASH_BYTES : (low + 1) * HASH_BYTES]
        return number * TILE + low, at == path

    def leaf(self, position: int) -> Leaf:
        """Return a leaf with its audit path."""
        number, at = divmod(position, TILE)
        paths, values = self._tile(0, number)
        cut = slice(at * HASH_BYTES, (at + 1) * HASH_BYTES)
        proof = inclusion_proof(position, self._row.leaves, self._nodes())
        return Leaf(position, paths[cut], values[cut], tuple(proof))

    def _nodes(self) -> NodeSource:
        def node(height: int, offset: int) -> bytes:
            level, rest = divmod(height, _TILE_HEIGHT)
            number, position = divmod(offset << rest, TILE)
            return self._layers(level, number)[rest][position >> rest]

        return node

    def _layers(self, level: int, number: int) -> list[list[bytes]]:
        """Return the nodes of a tile by height: its hashes, their parents, and so on."""
        if (level, number) not in self._layered:
            paths, hashes = self._tile(level, number)
            nodes = (
                leaf_hashes(paths, hashes)
                if level == 0
                else [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
            )
            layers = [nodes]
            while len(nodes) > 1:
                pairs = zip(nodes[::2], nodes[1::2], strict=True)
                nodes = [node_hash(left, right) for left, right in pairs]
                layers.append(nodes)
            self._layered[level, number] = layers
        return self._layered[level, number]

    def _tile(self, level: int, number: int) -> tuple[bytes, bytes]:
        if (level, number) not in self._read:
            row = self._connection.execute(
                "SELECT paths, hashes FROM index_tiles"
                " WHERE segment = ? AND level = ? AND number = ?",
                (self._row.segment, level, number),
            ).fetchone()
            if row is None:
                raise LogCorruptError("a tile of the index is missing")
            self._read[level, number] = (bytes(row[0]), bytes(row[1]))
        return self._read[level, number]


def take_index_lease(tx: Transaction, holder: str, now: int, term_s: int) -> int:
    """Take the lease of the index or prolong it; return its token.

    Raises:
        LeaseHeldError: Another process holds it.
    """
    token, owner, expires = tx.execute("SELECT token, holder, expires FROM index_lease").fetchone()
    if owner != holder:
        if expires > now:
            raise LeaseHeldError("another process seals the index")
        token += 1
    tx.execute(
        "UPDATE index_lease SET token = ?, holder = ?, expires = ?", (token, holder, now + term_s)
    )
    return int(token)


def drop_index_lease(tx: Transaction, holder: str) -> None:
    """Let the lease end now, if it is this holder's."""
    tx.execute("UPDATE index_lease SET expires = 0 WHERE holder = ?", (holder,))


def check_index_lease(tx: Transaction, token: int) -> None:
    """Check, inside the transaction of an effect, that the lease has not changed hands.

    Raises:
        LeaseLostError: It has.
    """
    if tx.execute("SELECT token FROM index_lease").fetchone()[0] != token:
        raise LeaseLostError("another process seals the index now")


def _row(row: tuple[Any, ...]) -> SegmentRow:  # Any: typed by the columns
    index, segment, first, past, level, leaves, root, salt, destruction, live = row
    return SegmentRow(
        index, segment, first, past, level, leaves, root, salt, destruction, live=bool(live)
    )
