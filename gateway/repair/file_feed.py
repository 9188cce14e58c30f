"""A feed in a file, or in the files of a directory: one JSON object a line (JSON Lines).

    {"v": 1, "decision": "<compact JWS>"}
    {"v": 1, "assurance": "<compact JWS>"}

Files of a directory are read one after the other in the order of their names (`*.jsonl`); those
that were read to their end may be taken away, the newest is only ever appended to. A line is
complete with its line feed, so a torn last one waits for its rest; in a file after which
another one has begun nothing more will come, and its last line counts as it is.

The position names the file, how far it was read, and a digest of what stands right before, so
that a file that was cut, replaced or edited is noticed instead of read from the middle.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gateway.repair.feed import MAX_CONTENT_BYTES, FeedError, FeedItem, ItemKind, Page

_SUFFIX = ".jsonl"
_ANCHOR_BYTES = 256
_LINE_BYTES = MAX_CONTENT_BYTES + 256  # the longest document and what is around it
_CUT = " [cut]"


@dataclass(frozen=True, slots=True)
class _Position:
    """How far was read: file name, bytes, lines, digest of the bytes right before."""

    file: str = ""
    offset: int = 0
    line: int = 0
    anchor: str = ""

    @classmethod
    def parse(cls, text: str) -> "_Position":
        if not text:
            return cls()
        try:
            known = json.loads(text)
            return cls(known["file"], known["offset"], known["line"], known["anchor"])
        except (ValueError, KeyError, TypeError):
            raise FeedError("FEED_REWOUND", "the position is not one of a file feed") from None

    def text(self) -> str:
        return json.dumps(
            {"v": 1, "file": self.file, "offset": self.offset}
            | {"line": self.line, "anchor": self.anchor},
            sort_keys=True,
        )


class FileFeed:
    """Reads a file or a directory of files; see the module."""

    def __init__(self, path: Path) -> None:
        """Take where it is; nothing is opened between two reads."""
        self._path = path

    def read(self, position: str, limit: int) -> Page:
        """Return up to `limit` items after a position.

        Raises:
            FeedError: `FEED_UNREADABLE`, or `FEED_REWOUND` when a file was cut or changed.
        """
        at = _Position.parse(position)
        items: list[FeedItem] = []
        try:
            files = self._files()
            while len(items) < limit:
                following = _from(files, at.file)
                if not following:
                    return Page(tuple(items), at.text() if at.file else "", at_end=True)
                if at.file != following[0].name:
                    at = _Position(following[0].name)
                finished = len(following) > 1
                at, more = _read_file(following[0], at, items, limit, finished=finished)
                if not more:
                    if not finished:
                        return Page(tuple(items), at.text(), at_end=True)
                    at = _Position(following[1].name)
        except OSError:
            raise FeedError("FEED_UNREADABLE", "the feed's files can't be read") from None
        return Page(tuple(items), at.text(), at_end=False)

    def close(self) -> None:
        """Nothing is open."""

    def _files(self) -> list[Path]:
        if not self._path.is_dir():
            return [self._path] if self._path.exists() else []
        found = (path for path in self._path.iterdir() if path.suffix == _SUFFIX)
        return sorted(path for path in found if not path.name.startswith(".") and path.is_file())


def _from(files: list[Path], name: str) -> list[Path]:
    """Return the file of a position and those after it.

    Raises:
        FeedError: `FEED_REWOUND` when it is gone: what of it wasn't read would be lost.
    """
    if not name:
        return files
    following = [path for path in files if path.name >= name]
    if not following or following[0].name != name:
        raise FeedError("FEED_REWOUND", "the file that is being read is gone")
    return following


def _read_file(
    path: Path, at: _Position, items: list[FeedItem], limit: int, *, finished: bool
) -> tuple[_Position, bool]:
    """Append a file's next items; return the position and whether more is there already."""
    with path.open("rb") as file:
        _check_anchor(file, at)
        while len(items) < limit:
            raw = _line(file, finished=finished)
            if not raw:
                return at, False
            end = file.tell()
            at = _Position(at.file, end, at.line + 1, _anchor(file, end))
            if raw.strip():
                items.append(_item(f"{at.file}:{at.line}", raw, at.text()))
        return at, True


def _line(file: BinaryIO, *, finished: bool) -> bytes:
    """Return the next complete line, its end cut off when it is too long; empty at the end."""
    start = file.tell()
    raw = file.readline(_LINE_BYTES)
    kept = raw
    while raw and not raw.endswith(b"\n"):
        raw = file.readline(_LINE_BYTES)
        if not raw and not finished:
            file.seek(start)
            return b""
    return kept


def _item(place: str, raw: bytes, position: str) -> FeedItem:
    text = raw.decode("utf-8", "replace").strip()
    try:
        known = json.loads(text, object_pairs_hook=_once)
        if isinstance(known, dict) and known.pop("v", None) == 1 and len(known) == 1:
            ((word, document),) = known.items()
            if isinstance(document, str) and len(document.encode()) <= MAX_CONTENT_BYTES:
                return FeedItem(place, _KINDS[word], document, position)
    except (ValueError, KeyError, RecursionError):
        pass
    return FeedItem(place, ItemKind.BROKEN, _shortened(text), position)


_KINDS = {"decision": ItemKind.DECISION, "assurance": ItemKind.ASSURANCE}


def _shortened(text: str) -> str:
    if len(text.encode()) <= MAX_CONTENT_BYTES:
        return text
    return text.encode()[: MAX_CONTENT_BYTES - len(_CUT)].decode("utf-8", "ignore") + _CUT


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("repeated name")
    return dict(pairs)


def _check_anchor(file: BinaryIO, at: _Position) -> None:
    """Check that what was read stands there still, and go to where reading goes on."""
    if at.offset and _anchor(file, at.offset) != at.anchor:
        raise FeedError("FEED_REWOUND", "the file is not the one that was read before")
    file.seek(at.offset)


def _anchor(file: BinaryIO, offset: int) -> str:
    """Return the digest of what stands right before an offset; the file stays at the offset."""
    start = max(0, offset - _ANCHOR_BYTES)
    file.seek(start)
    return hashlib.sha256(file.read(offset - start)).hexdigest()
