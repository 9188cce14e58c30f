"""Token Status Lists (`statuslist+jwt`): whether a document still holds, by its issuer's word.

A list is good for as long as its issuer says (`exp`, `ttl`) and never longer than the register
allows for that issuer. A missing or stale list is a refusal: silence is not validity. Source: the
IETF's Token Status List; entries stand from the least significant bit of each byte upwards.
"""

import hashlib
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from gateway.credential.jws import LONGEST_LIST, parse
from gateway.inbound.errors import ForeignDocumentError, as_foreign, malformed
from gateway.inbound.jose import Json, Keys, decode, open_token
from gateway.inbound.presentation import LEEWAY_S, instant

STATUS_TYPE = "statuslist+jwt"
MAX_LIST_BYTES = 16 << 20
_WIDTHS = frozenset({1, 2, 4, 8})
_MAX_URI = 512


class Standing(IntEnum):
    """What an entry says; whatever else it says is not VALID."""

    VALID = 0
    INVALID = 1
    SUSPENDED = 2
    # Application-specific values: in mutual recognition, superseded by a fresh document.
    REFRESH = 3

    @classmethod
    def of(cls, value: int) -> Self:
        """Return the meaning of a value; an unknown one is INVALID."""
        try:
            return cls(value)
        except ValueError:
            return cls(cls.INVALID)


@dataclass(frozen=True, slots=True)
class StatusReference:
    """Where a document's status stands.

    Args:
        uri: The list.
        index: Its entry.
    """

    uri: str
    index: int


@dataclass(frozen=True, slots=True)
class StatusList:
    """A verified status list.

    Args:
        uri: Its own address.
        issued_at: When it was signed, unix seconds.
        fresh_until: From then on it says nothing any more, exclusive.
        bits: Bits of one entry.
        entries: The packed entries.
        digest: SHA-256 of the token.
    """

    uri: str
    issued_at: int
    fresh_until: int
    bits: int
    entries: bytes
    digest: bytes

    def at(self, index: int) -> Standing:
        """Return what an entry says.

        Raises:
            ForeignDocumentError: `FOREIGN_STATUS_MISSING` when there is no such entry.
        """
        per_byte = 8 // self.bits
        if not 0 <= index < len(self.entries) * per_byte:
            raise ForeignDocumentError(
                "FOREIGN_STATUS_MISSING", "the status list has no entry of this number"
            )
        byte = self.entries[index // per_byte]
        return Standing.of(byte >> (index % per_byte * self.bits) & ((1 << self.bits) - 1))


def reference_of(claims: Json) -> StatusReference:
    """Return where a document's status stands.

    Raises:
        ForeignDocumentError: `FOREIGN_STATUS_MISSING` when it has none, or `FOREIGN_MALFORMED`.
    """
    status = claims.get("status")
    if not isinstance(status, dict) or "status_list" not in status:
        raise ForeignDocumentError(
            "FOREIGN_STATUS_MISSING", "the document names no status list to ask"
        )
    entry = status["status_list"]
    if not isinstance(entry, dict):
        raise malformed("the document's status is not of the form of a status list")
    uri, index = entry.get("uri"), entry.get("idx")
    if not isinstance(uri, str) or not uri.startswith("https://") or len(uri) > _MAX_URI:
        raise malformed("the status list's address is not an https one")
    if isinstance(index, bool) or not isinstance(index, int) or index < 0:
        raise malformed("the number of the status entry is not a number")
    return StatusReference(uri, index)


def open_list(token: str, keys: Keys, now: int, *, max_age_s: int) -> StatusList:
    """Verify a status list token and return the list.

    Args:
        token: The token, compact.
        keys: The keys of its issuer, by `kid`.
        now: Unix seconds.
        max_age_s: Greatest age that the register allows, in seconds.

    Raises:
        ForeignDocumentError: `FOREIGN_STATUS_STALE` when it is too old or dated after now,
            `FOREIGN_SIGNATURE`, `FOREIGN_MALFORMED`.
    """
    payload = open_token(token, keys, STATUS_TYPE, longest=LONGEST_LIST).payload
    uri, issued, stated = payload.get("sub"), instant(payload, "iat"), payload.get("status_list")
    if not isinstance(uri, str) or issued is None or not isinstance(stated, dict):
        raise malformed("the status list lacks its address, its time or its entries")
    bits, packed = stated.get("bits"), stated.get("lst")
    if bits not in _WIDTHS or isinstance(bits, bool) or not isinstance(packed, str):
        raise malformed("the status list's entries are not of the form of a status list")
    ends = [issued + max_age_s]
    for name, base in (("ttl", issued), ("exp", 0)):
        limit = instant(payload, name)
        if limit is not None:
            ends.append(base + limit)
    fresh_until = min(ends)
    if now >= fresh_until or issued > now + LEEWAY_S:
        raise ForeignDocumentError("FOREIGN_STATUS_STALE", "the status list is too old to rest on")
    digest = hashlib.sha256(token.encode()).digest()
    return StatusList(uri, issued, fresh_until, int(str(bits)), _unpacked(packed), digest)


def stated_uri(token: str) -> str:
    """Return the address that a token claims for itself, before anything is verified.

    Raises:
        ForeignDocumentError: `FOREIGN_MALFORMED`.
    """
    with as_foreign():
        uri = parse(token, STATUS_TYPE, longest=LONGEST_LIST).payload.get("sub")
    if not isinstance(uri, str):
        raise malformed("the status list lacks its address")
    return uri


def _unpacked(packed: str) -> bytes:
    """Return the entries, however small a packet claims to hold however much."""
    inflater = zlib.decompressobj()
    try:
        entries = inflater.decompress(decode(packed), MAX_LIST_BYTES)
    except zlib.error:
        raise malformed("the status list's entries are not ZLIB") from None
    if not inflater.eof or inflater.unused_data:
        raise malformed("the status list's entries are cut short, or too many")
    return entries
