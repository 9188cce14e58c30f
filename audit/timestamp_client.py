"""Asks a time-stamp authority (RFC 3161) to stamp a checkpoint."""

from hashlib import sha256
from pathlib import Path
from typing import Final

import aiohttp

from audit.errors import NoteError
from audit.reader import LogReader
from audit.timestamps import (
    FOLDER,
    MAX_RESPONSE_BYTES,
    REQUEST_TYPE,
    TimestampAuthority,
    keep_stamp,
    stamp_request,
)

_OK: Final = 200
_TIMEOUT_S: Final = 10.0


async def stamp_newest(directory: Path, url: str, authority: TimestampAuthority) -> str | None:
    """Have the newest checkpoint stamped, and keep the time-stamp beside the log.

    Args:
        directory: The log's directory.
        url: Of the authority.
        authority: Whose time-stamps are trusted; its answer is checked before it is kept.

    Returns:
        The name of the kept files, or None when this checkpoint has its time-stamp already.

    Raises:
        NoteError: There is no checkpoint, the authority did not answer, or its answer does not
            hold.
        AuditUnavailableError: The disk doesn't take it.
    """
    note = LogReader(directory).checkpoint().note
    request = stamp_request(note)
    if (directory / FOLDER / f"{sha256(note).hexdigest()}.tsr").exists():
        return None
    body = await _post(url, request.as_bytes())
    authority.check(body, note, request.nonce)
    return keep_stamp(directory, note, body)


async def _post(url: str, body: bytes) -> bytes:
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    headers = {"Content-Type": REQUEST_TYPE}
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.post(url, data=body, allow_redirects=False) as response,
        ):
            answer = bytearray()
            async for chunk in response.content.iter_chunked(MAX_RESPONSE_BYTES):
                answer += chunk
                if len(answer) > MAX_RESPONSE_BYTES:
                    raise NoteError("the answer of the time-stamp authority is too long")
            if response.status != _OK:
                raise NoteError("the time-stamp authority did not stamp")
            return bytes(answer)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise NoteError("the time-stamp authority can't be reached") from error
