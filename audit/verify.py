"""Verification of a whole log, and of one receipt, by anybody who has the verifier key.

Three things must agree: what the entries hash to, what the tiles say, and what was signed.
Where two of them agree the third is named as the bad one, so that a changed byte in a bundle
is told from a changed byte in a tile, and the entry is named.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from audit.checkpoint import Checkpoint
from audit.cosignature import parse_witness_key
from audit.edge import Edge, grow
from audit.errors import LogCorruptError, NoteError, ProofError
from audit.merkle import CompactRange, leaf_hash, verify_consistency
from audit.note import Verifier
from audit.proof import Receipt, check_receipt
from audit.reader import LogReader
from audit.tiles import TILE_HEIGHT, TILE_WIDTH, decode_bundle, tile_width

MAX_PROBLEMS: Final = 100
# Small files on a cold disk wait for it one by one: several are read while others are hashed.
_READERS: Final = 4
_AHEAD: Final = 32


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that does not hold.

    Args:
        message: What, without values.
        index: First entry affected, or None where no entry can be named.
    """

    message: str
    index: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a verification found.

    Args:
        checkpoint: The verified checkpoint, or None when it does not hold.
        entries: Number of entries read and hashed.
        problems: What does not hold, at most 100; empty when everything does.
    """

    checkpoint: Checkpoint | None
    entries: int
    problems: tuple[Problem, ...]

    @property
    def first_bad(self) -> int | None:
        """The lowest index that a problem names."""
        return min((each.index for each in self.problems if each.index is not None), default=None)

    def check(self) -> None:
        """Raise unless everything holds.

        Raises:
            LogCorruptError: With the first problem, naming the first bad entry.
        """
        if self.problems:
            first = self.first_bad
            named = [each for each in self.problems if each.index == first]
            raise LogCorruptError((named or list(self.problems))[0].message, first)


def verify_log(
    directory: Path,
    vkey: str,
    *,
    known: Checkpoint | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Verify every entry, every tile and the checkpoint of a log.

    Args:
        directory: The log's directory, in tlog-tiles layout.
        vkey: Verifier key of the log.
        known: A checkpoint verified earlier; the log must extend it.
        progress: Told (entries done, entries in all) after each bundle.

    Returns:
        What was found; it is only as new as the checkpoint that was presented.

    Raises:
        NoteError: The verifier key is malformed.
    """
    reader = LogReader(directory, vkey)
    try:
        checkpoint = reader.checkpoint()
    except NoteError as error:
        return Report(None, 0, (Problem(str(error)),))
    walk = _Walk(reader, checkpoint, known)
    with ThreadPoolExecutor(_READERS) as pool:
        for number in range(-(-checkpoint.size // TILE_WIDTH)):
            if number % _AHEAD == 0:
                for later in range(number + _AHEAD, number + 2 * _AHEAD):
                    pool.submit(walk.bring, later)
            walk.bundle(number)
            if progress is not None:
                progress(walk.edge.size, checkpoint.size)
    walk.finish()
    return Report(checkpoint, walk.hashed, tuple(walk.problems[:MAX_PROBLEMS]))


def prove(directory: Path, index: int) -> bytes:
    """Write the receipt (tlog-proof) of an entry.

    Args:
        directory: The log's directory.
        index: Index of the entry.

    Raises:
        ProofError: The entry is not in the published tree.
        NoteError: The log has no checkpoint.
        LogCorruptError: A tile is missing.
    """
    return LogReader(directory).receipt(index)


def check_proof(
    receipt: bytes, entry: bytes, vkey: str, witnesses: Sequence[str] = ()
) -> tuple[Receipt, Checkpoint]:
    """Check that a receipt proves an entry.

    Args:
        receipt: The `.tlog-proof` file.
        entry: Bytes of the entry.
        vkey: Verifier key of the log.
        witnesses: Verifier keys of trusted witnesses.

    Returns:
        The receipt and its verified checkpoint.

    Raises:
        ProofError: The receipt is malformed or does not prove the entry.
        NoteError: A key is malformed or the checkpoint does not hold.
    """
    trusted = [parse_witness_key(each) for each in witnesses]
    return check_receipt(receipt, entry, Verifier.parse(vkey), trusted)


class _Walk:
    """Goes through the log once, building the tree from entries and from tiles side by side."""

    def __init__(self, reader: LogReader, signed: Checkpoint, known: Checkpoint | None) -> None:
        self._reader = reader
        self._signed = signed
        self._known = known
        # The tree that the tiles make; None as long as it is that of the entries.
        self._from_tiles: CompactRange | None = None
        self._suspects: list[int] = []
        self._wrong_tiles: list[Problem] = []
        self.problems: list[Problem] = []
        self.edge = Edge()
        self.hashed = 0

    def bring(self, number: int) -> None:
        """Read the files of a bundle, so that they are in memory when their turn comes."""
        if width := tile_width(self._signed.size, 0, number):
            # Whatever is wrong with them is found and told when their turn comes.
            with suppress(LogCorruptError, OSError):
                self._reader.bundle_bytes(number, width)
                self._reader.tile(0, number, self._signed.size)

    def bundle(self, number: int) -> None:
        """Compare one bundle with its tile, and add both to the trees."""
        first = number * TILE_WIDTH
        width = tile_width(self._signed.size, 0, number)
        tile = self._tile(0, number)
        data, held, leaves = b"", 0, list[bytes]()
        try:
            data, held = self._reader.bundle_bytes(number, width)
            leaves = [leaf_hash(each) for each in decode_bundle(data, held, first)[:width]]
            self.hashed += len(leaves)
        except LogCorruptError as error:
            bad = first + _first_bad(data, tile) if tile else error.index
            self.problems.append(Problem("the entry cannot be read", bad))
        if tile and leaves and leaves != tile:
            self._suspects.append(first + _first_bad(data, tile))
        if tile != leaves and self._from_tiles is None:
            self._from_tiles = self.edge.range()
        if self._from_tiles is not None:
            for leaf in tile or leaves:
                self._from_tiles.push(leaf)
        self._grow(leaves or tile)

    def finish(self) -> None:
        """Compare the trees with what was signed."""
        signed = (self._signed.size, self._signed.root)
        entries_hold = (self.edge.size, self.edge.root()) == signed
        from_tiles = self._from_tiles or self.edge.range()
        tiles_hold = (from_tiles.size, from_tiles.root()) == signed
        for suspect in self._suspects:
            if entries_hold:
                said = "the hash tile of level 0 does not hold the hash of this entry"
            elif tiles_hold:
                said = "the entry is not what was signed"
            else:
                said = "the entry and its hash tile differ"
            self.problems.append(Problem(said, suspect))
        if entries_hold:
            self.problems += self._wrong_tiles
        if not entries_hold and not tiles_hold:
            self.problems.append(Problem("the tree does not have the root that was signed"))
        self._compare_known()

    def _grow(self, leaves: Sequence[bytes]) -> None:
        """Grow the tree of the entries, and compare the tiles above that are complete now."""
        growth = grow(self.edge, leaves, ())
        self.edge = growth.edge
        for (level, number), hashes in growth.tiles.items():
            wanted = tile_width(self._signed.size, level, number)
            if level == 0 or len(hashes) != wanted:
                continue
            found = self._tile(level, number)
            if found and found != list(hashes):
                position = next(i for i, each in enumerate(hashes) if each != found[i])
                covered = (number * TILE_WIDTH + position) << (TILE_HEIGHT * level)
                self._wrong_tiles.append(Problem("a hash tile above this entry is wrong", covered))

    def _tile(self, level: int, number: int) -> list[bytes]:
        try:
            return self._reader.tile(level, number, self._signed.size)
        except LogCorruptError as error:
            covered = (number * TILE_WIDTH) << (TILE_HEIGHT * level)
            self.problems.append(Problem(f"hash tile of level {level}: {error}", covered))
            return []

    def _compare_known(self) -> None:
        known = self._known
        if known is None:
            return
        if known.origin != self._signed.origin or known.size > self._signed.size:
            self.problems.append(Problem("the log is older than a checkpoint known before"))
        elif known.size and not self.problems:
            try:
                proof = self._reader.consistency_proof(known.size, self._signed.size)
                verify_consistency(
                    known.size, self._signed.size, proof, known.root, self._signed.root
                )
            except ProofError:
                self.problems.append(Problem("the log does not extend a checkpoint known before"))


def _first_bad(data: bytes, tile: Sequence[bytes]) -> int:
    """Find the first entry of a bundle that does not hash to its place in the tile.

    A changed length shifts all that follows, so the bundle is walked entry by entry.
    """
    position = 0
    for offset, hashed in enumerate(tile):
        start = position + 2
        position = start + int.from_bytes(data[position:start], "big")
        if position > len(data) or leaf_hash(data[start:position]) != hashed:
            return offset
    return len(tile) - 1
