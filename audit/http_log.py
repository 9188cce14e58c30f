"""The log over HTTP (C2SP tlog-tiles), read-only: tiles and checkpoints to all.

    /checkpoint                        text, a short life in caches
    /tile/<L>/<N>[.p/<W>]              hashes, for ever the same
    /tile/entries/<N>[.p/<W>]          entries, to authorised readers only
    /timestamp, /timestamp/<hex>.tsr   time-stamps of checkpoints (this log's own addition)

No path of a request ever becomes a path of the file system: it is read into numbers, and what
an already published checkpoint does not imply is not there. A partial tile is cut from the
widest one, so that a file which a crash left behind is never shown.
"""

import asyncio
import gzip
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from aiohttp import ETag, web

from audit.errors import LogCorruptError, NoteError
from audit.reader import LogReader
from audit.tiles import ENTRIES, TILE_WIDTH, encode_bundle, tile_width
from audit.timestamps import FOLDER, stamp_names

_TILE: Final = re.compile(
    r"/tile/(?P<level>[0-9]|[1-5][0-9]|6[0-3]|entries)/"
    r"(?P<number>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)
_STAMP: Final = re.compile(r"/timestamp/([0-9a-f]{64})\.(tsr|checkpoint)", re.ASCII)
_FOR_EVER: Final = "public, max-age=31536000, immutable"
# Bundles must not be kept by a cache between the gateway and an authorised reader.
_FOR_THE_READER: Final = "private, max-age=31536000, immutable"
_SHORT: Final = "public, max-age=1"
_TEXT: Final = "text/plain; charset=utf-8"
_OCTETS: Final = "application/octet-stream"
_LEAST_GZIPPED: Final = 256


@dataclass(frozen=True, slots=True)
class TileName:
    """A tile or bundle that was asked for.

    Args:
        level: 0 to 63, or None for a bundle.
        number: Position among the tiles of its level.
        width: 1 to 256.
    """

    level: int | None
    number: int
    width: int


# Told the request and what it asks for, it lets the reader pass or raises an HTTP error.
Admit = Callable[[web.Request, TileName], Awaitable[None]]


async def admit_nobody(request: web.Request, bundle: TileName) -> None:  # noqa: ARG001 - see Admit
    """Show entries to nobody."""
    raise web.HTTPForbidden(text="entries are for authorised readers\n")


async def admit_all(request: web.Request, bundle: TileName) -> None:
    """Show entries to everybody who reaches this listener."""


def parse_tile(path: str) -> TileName | None:
    """Read the path of a tile or bundle; None when it has any other spelling than the one.

    Args:
        path: The path of the request, decoded.
    """
    match = _TILE.fullmatch(path)
    if match is None:
        return None
    groups = match["number"].split("/")
    if len(groups) > 1 and groups[0] == "x000":
        return None
    width = int(match["width"]) if match["width"] else TILE_WIDTH
    if match["width"] and width >= TILE_WIDTH:
        return None
    number = int("".join(group.removeprefix("x") for group in groups))
    level = None if match["level"] == ENTRIES else int(match["level"])
    return TileName(level, number, width)


class LogSite:
    """Answers requests about one log.

    Args:
        directory: The log's directory.
        admit: Who may read entries.
    """

    def __init__(self, directory: Path, admit: Admit = admit_nobody) -> None:
        self._directory = directory
        self._reader = LogReader(directory)
        self._admit = admit

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one GET or HEAD."""
        # A second spelling of a path (percent signs) would be a second name in caches.
        path = request.path if request.raw_path.partition("?")[0] == request.path else ""
        if path == "/checkpoint":
            return await self._checkpoint(request)
        if path == f"/{FOLDER}":
            names = await asyncio.to_thread(stamp_names, self._directory)
            return _reply(request, "".join(f"{name}\n" for name in names).encode(), _TEXT, _SHORT)
        if stamp := _STAMP.fullmatch(path):
            return await self._stamp(request, stamp[1], stamp[2])
        tile = parse_tile(path)
        if tile is None:
            raise web.HTTPNotFound
        return await self._tile(request, tile)

    async def _checkpoint(self, request: web.Request) -> web.Response:
        try:
            checkpoint = await asyncio.to_thread(self._reader.checkpoint)
        except NoteError:
            raise web.HTTPNotFound from None
        return _reply(request, checkpoint.note, _TEXT, _SHORT)

    async def _stamp(self, request: web.Request, digest: str, kind: str) -> web.Response:
        file = self._directory / FOLDER / f"{digest}.{kind}"
        try:
            data = await asyncio.to_thread(file.read_bytes)
        except OSError:
            raise web.HTTPNotFound from None
        media = "application/timestamp-reply" if kind == "tsr" else _TEXT
        return _reply(request, data, media, _FOR_EVER if kind == "checkpoint" else _SHORT)

    async def _tile(self, request: web.Request, tile: TileName) -> web.Response:
        if tile.level is None:
            # Whether a bundle exists can be told from the checkpoint, so the order hides nothing.
            await self._admit(request, tile)
        try:
            data = await asyncio.to_thread(self._read, tile)
        except (NoteError, LogCorruptError):
            raise web.HTTPNotFound from None
        if tile.level is None:
            return _reply(request, data, _OCTETS, _FOR_THE_READER, compress=True)
        return _reply(request, data, _OCTETS, _FOR_EVER)

    def _read(self, tile: TileName) -> bytes:
        """Read a tile as far as the published tree implies it.

        Raises:
            NoteError: There is no checkpoint.
            LogCorruptError: It is not implied, or missing.
        """
        size = self._reader.checkpoint().size
        if tile.width > tile_width(size, tile.level or 0, tile.number):
            raise LogCorruptError("no published checkpoint implies this tile")
        if tile.level is None:
            return encode_bundle(self._reader.bundle(tile.number, size)[: tile.width])
        return b"".join(self._reader.tile(tile.level, tile.number, size)[: tile.width])


def log_app(directory: Path, admit: Admit = admit_nobody) -> web.Application:
    """Make the application that serves a log.

    Args:
        directory: The log's directory.
        admit: Who may read entries.
    """
    app = web.Application(client_max_size=1)
    app.router.add_get("/{path:.*}", LogSite(directory, admit).answer)
    return app


def _reply(
    request: web.Request, data: bytes, media: str, cache: str, *, compress: bool = False
) -> web.Response:
    """Reply with bytes, or with nothing new for whoever has them already."""
    tag = sha256(data).hexdigest()[:32]
    headers = {"Cache-Control": cache, "X-Content-Type-Options": "nosniff"}
    if compress:
        headers["Vary"] = "Accept-Encoding"
        if len(data) >= _LEAST_GZIPPED and _takes_gzip(request):
            data, tag = gzip.compress(data, 6, mtime=0), f"{tag}-gzip"
            headers["Content-Encoding"] = "gzip"
    headers["ETag"] = f'"{tag}"'
    known = request.if_none_match or ()
    if any(each in (ETag("*"), ETag(tag)) or each.value == tag for each in known):
        headers.pop("Content-Encoding", None)
        return web.Response(status=304, headers=headers)
    return web.Response(body=data, headers=headers | {"Content-Type": media})


def _takes_gzip(request: web.Request) -> bool:
    """Tell whether a client accepts gzip; `gzip;q=0` is a refusal."""
    for part in request.headers.get("Accept-Encoding", "").split(","):
        name, _, weight = part.strip().lower().partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
