"""Reads a log from its directory: checkpoint, entries, tiles and proofs."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from audit.checkpoint import Checkpoint, open_checkpoint, parse_text
from audit.errors import LogCorruptError, NoteError, ProofError
from audit.merkle import (
    HASH_BYTES,
    NodeSource,
    consistency_proof,
    inclusion_proof,
    node_of_pair,
)
from audit.note import Verifier
from audit.proof import Receipt, format_receipt
from audit.tiles import (
    ENTRIES,
    TILE_HEIGHT,
    TILE_WIDTH,
    decode_bundle,
    split_hashes,
    tile_path,
    tile_width,
)

CHECKPOINT = "checkpoint"
# The newest checkpoint that the quorum of this node's policy has cosigned; not served.
WITNESSED = ".state/witnessed"
_CACHED_TILES = 1024
# A tile with all nodes above its hashes takes 16 KiB: these are 4 MiB, enough for every tile
# above the lowest level of a log of 16 million entries.
_CACHED_TREES = 256


class LogReader:
    """Reads one log. Several threads may use it; it never writes.

    Args:
        directory: The log's directory, in tlog-tiles layout.
        vkey: Verifier key of the log. Without it checkpoints are read but not verified,
            which is enough for the log's own node and for nobody else.
    """

    def __init__(self, directory: Path, vkey: str | None = None) -> None:
        self._directory = directory
        self._verifier = None if vkey is None else Verifier.parse(vkey)
        self._full_tile = lru_cache(_CACHED_TILES)(self._read_full_tile)
        self._kept_tree = lru_cache(_CACHED_TREES)(self._tree)

    def checkpoint(self) -> Checkpoint:
        """Read the newest checkpoint.

        Raises:
            NoteError: It is missing, malformed or not the log's.
        """
        try:
            note = (self._directory / CHECKPOINT).read_bytes()
        except OSError as error:
            raise NoteError("the log has no checkpoint") from error
        if self._verifier is not None:
            return open_checkpoint(note, self._verifier)
        return unverified_checkpoint(note)

    def witnessed(self) -> Checkpoint | None:
        """Read the newest checkpoint that the node's own quorum has cosigned, if there is one.

        Raises:
            NoteError: It is malformed or not the log's.
        """
        try:
            note = (self._directory / WITNESSED).read_bytes()
        except OSError:
            return None
        if self._verifier is not None:
            return open_checkpoint(note, self._verifier)
        return unverified_checkpoint(note)

    def tile(self, level: int, number: int, size: int) -> list[bytes]:
        """Read the hashes of a tile as a tree of this size has it.

        Raises:
            LogCorruptError: It is missing or has a wrong length.
        """
        width = tile_width(size, level, number)
        if width == TILE_WIDTH:
            return self._full_tile(level, number)
        return split_hashes(self._tile_bytes(level, number, width), width)

    def bundle(self, number: int, size: int) -> list[bytes]:
        """Read the entries of a bundle as a tree of this size has it.

        Raises:
            LogCorruptError: It is missing or malformed.
        """
        width = tile_width(size, 0, number)
        data, held = self.bundle_bytes(number, width)
        return decode_bundle(data, held, number * TILE_WIDTH)[:width]

    def bundle_bytes(self, number: int, width: int) -> tuple[bytes, int]:
        """Read the file of a bundle, or of the full one where the partial one is gone.

        Returns:
            The bytes, and how many entries they hold.

        Raises:
            LogCorruptError: It is missing.
        """
        for held in dict.fromkeys((width, TILE_WIDTH)):
            try:
                return (self._directory / tile_path(ENTRIES, number, held)).read_bytes(), held
            except FileNotFoundError:
                continue
        raise LogCorruptError("the bundle is missing", number * TILE_WIDTH)

    def entry(self, index: int) -> bytes:
        """Read one entry under the newest checkpoint.

        Raises:
            ProofError: It is not in the tree yet.
            LogCorruptError: Its bundle is missing or malformed.
        """
        return next(self.entries(index, index + 1))

    def entries(self, start: int, end: int) -> Iterator[bytes]:
        """Read entries under the newest checkpoint.

        Args:
            start: First index.
            end: One past the last.

        Raises:
            ProofError: The range is not in the tree.
            LogCorruptError: A bundle is missing or malformed.
        """
        size = self.checkpoint().size
        if not 0 <= start < end <= size:
            raise ProofError("these entries are not in the published tree")
        for number in range(start // TILE_WIDTH, (end - 1) // TILE_WIDTH + 1):
            first = number * TILE_WIDTH
            bundle = self.bundle(number, size)
            yield from bundle[max(start - first, 0) : end - first]

    def nodes(self, size: int) -> NodeSource:
        """Give the perfect subtrees of a tree of this size, from its tiles.

        A proof crosses one tile a level and the tiles of the right edge. Those above the lowest
        level serve every proof, so their inner nodes are kept; with them a proof costs nearly the
        same whatever the size of the log.
        """
        crossed: dict[tuple[int, int], list[bytes]] = {}

        def node(height: int, offset: int) -> bytes:
            level, rest = divmod(height, TILE_HEIGHT)
            number, position = divmod(offset << rest, TILE_WIDTH)
            tree = crossed.get((level, number))
            if tree is None:
                width = tile_width(size, level, number)
                find = self._tree if level == 0 and width == TILE_WIDTH else self._kept_tree
                tree = crossed[level, number] = find(level, number, width)
            at = (position >> rest) * HASH_BYTES
            return tree[rest][at : at + HASH_BYTES]

        return node

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """Make the audit path of an entry in a tree of this size.

        Raises:
            ProofError: The index is outside the tree.
            LogCorruptError: A tile is missing.
        """
        return inclusion_proof(index, size, self.nodes(size))

    def consistency_proof(self, size1: int, size2: int) -> list[bytes]:
        """Make the proof that one tree of this log extends another.

        Raises:
            ProofError: The sizes are out of order, or the older is 0.
            LogCorruptError: A tile is missing.
        """
        return consistency_proof(size1, size2, self.nodes(size2))

    def receipt(self, index: int) -> bytes:
        """Write the receipt (tlog-proof) of an entry, with the cosignatures that there are.

        It stands under the newest checkpoint that the quorum has cosigned, or, where that one
        does not reach the entry, under the newest of all.

        Raises:
            ProofError: The entry is not in the tree yet.
            LogCorruptError: A tile is missing.
        """
        witnessed = self.witnessed()
        covered = witnessed is not None and witnessed.size > index
        checkpoint = witnessed if witnessed is not None and covered else self.checkpoint()
        path = self.inclusion_proof(index, checkpoint.size)
        return format_receipt(Receipt(index, tuple(path), checkpoint.note))

    def _tree(self, level: int, number: int, width: int) -> list[bytes]:
        """Hash a tile upwards: row h joins its perfect subtrees of height h, from the left."""
        rows = [self._tile_bytes(level, number, width)]
        while len(rows[-1]) > HASH_BYTES:
            row = rows[-1]
            rows.append(b"".join(map(node_of_pair, _pairs(row))))
        return rows

    def _tile_bytes(self, level: int, number: int, width: int) -> bytes:
        for held in dict.fromkeys((width, TILE_WIDTH)):
            # A partial tile may be deleted once the full one is there.
            path = f"{self._directory}/{tile_path(level, number, held)}"
            try:
                with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - twice as quick
                    data = file.read()
            except FileNotFoundError:
                continue
            if len(data) != held * HASH_BYTES:
                raise LogCorruptError("a tile has a wrong length")
            return data[: width * HASH_BYTES]
        raise LogCorruptError("a tile is missing")

    def _read_full_tile(self, level: int, number: int) -> list[bytes]:
        return split_hashes(self._tile_bytes(level, number, TILE_WIDTH), TILE_WIDTH)


def _pairs(row: bytes) -> list[bytes]:
    """Cut joined hashes into pairs; an odd one at the end has no partner yet."""
    width = 2 * HASH_BYTES
    return [row[at : at + width] for at in range(0, len(row) - HASH_BYTES, width)]


def unverified_checkpoint(note: bytes) -> Checkpoint:
    """Read a checkpoint without looking at its signatures; for the log's own node.

    Raises:
        NoteError: It is malformed.
    """
    body, found, _ = note.rpartition(b"\n\n")
    try:
        text = body.decode() + "\n"
    except UnicodeDecodeError as error:
        raise NoteError("the checkpoint is not valid UTF-8") from error
    if not found:
        raise NoteError("the checkpoint has no signature")
    return Checkpoint(*parse_text(text), note)
