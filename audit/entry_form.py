"""The form that all entries share, and how digests stand in them."""

from binascii import a2b_base64, b2a_base64
from functools import lru_cache
from typing import Final

from audit.errors import EntryError

Entry = dict[str, object]
Digest = bytes | str
"""32 bytes, or the same as 64 hexadecimal digits."""

VERSION: Final = 1
_DIGEST_BYTES: Final = 32
_REMEMBERED: Final = 4_096
_URLSAFE: Final = bytes.maketrans(b"+/", b"-_")
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")


def make_entry(kind: str, time: int, node: str, **members: object) -> Entry:
    """Make an entry with the members that every kind has.

    Args:
        kind: Name of the kind.
        time: Unix seconds.
        node: Name of the node that writes it.
        members: What the kind adds.
    """
    return {"v": VERSION, "kind": kind, "time": time, "node": node, **members}


def optional(**members: int | None) -> Entry:
    """Return the members that have something to say."""
    return {name: value for name, value in members.items() if value is not None}


def digest_text(value: Digest) -> str:
    """Write a digest as entries hold it.

    Args:
        value: 32 bytes or 64 hexadecimal digits.

    Returns:
        43 characters of base64url.

    Raises:
        EntryError: It is not 32 bytes.
    """
    return _of_hex(value) if isinstance(value, str) else _of_bytes(value)


def raw_digest(text: str) -> bytes:
    """Read a digest as entries hold it.

    Raises:
        EntryError: It is not 43 characters of base64url, as an encoder writes them.
    """
    try:
        raw = a2b_base64(text.encode("ascii").translate(_STANDARD) + b"=", strict_mode=True)
    except ValueError as error:
        raise EntryError("a digest must be 32 bytes") from error
    if _of_bytes(raw) != text:
        raise EntryError("a digest must be 32 bytes")
    return raw


@lru_cache(_REMEMBERED)
def _of_hex(value: str) -> str:
    """Do the same for hexadecimal digits: contracts, bundles and snapshots come again and again."""
    try:
        return _of_bytes(bytes.fromhex(value))
    except ValueError as error:
        raise EntryError("a digest must be 32 bytes") from error


def _of_bytes(raw: bytes) -> str:
    if len(raw) != _DIGEST_BYTES:
        raise EntryError("a digest must be 32 bytes")
    return b2a_base64(raw, newline=False).translate(_URLSAFE)[:-1].decode()
