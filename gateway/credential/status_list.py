"""Token Status List: what became of each credential, as bits that tell nothing else.

Two bits an entry, the lowest bits of a byte first, compressed with zlib, in a signed token:

    VALID 0     as issued
    INVALID 1   issued in error or by fraud, and for no other reason
    2           never used: a firm under reorganisation is not suspended, it gets a fresh credential
    REFRESH 3   application-specific: superseded; a fresh credential can be fetched

Entries are drawn at random over all partners and subjects, so a place in the list says nothing.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from gateway.credential.encoding import decode, encode
from gateway.credential.errors import CredentialError
from gateway.credential.jws import LONGEST_LIST, Signer, parse
from gateway.credential_settings import MOST_ENTRIES

STATUS_LIST_TYPE = "statuslist+jwt"
BITS = 2
_PER_BYTE = 8 // BITS
_MASK = (1 << BITS) - 1
_LEVEL = 6  # level 9 takes fifteen times as long on sparse lists, for a tenth of the bytes
_KNOWN_BITS = (1, 2, 4, 8)
_GREATEST_BYTES = MOST_ENTRIES  # of a list that somebody else made, whatever its bits


class CredentialStatus(IntEnum):
    """What a list says of a credential."""

    VALID = 0
    INVALID = 1
    REFRESH = 3


@dataclass(frozen=True, slots=True)
class Times:
    """When a list was made, how long it may be kept, and when it ends.

    Args:
        at: Unix seconds.
        ttl_s: A copy that is older has to be fetched again.
        lifetime_s: Nobody may rely on it any longer.
    """

    at: int
    ttl_s: int
    lifetime_s: int


class StatusBits:
    """The bits of one list. Owner: whoever publishes it."""

    def __init__(self, entries: int) -> None:
        """Begin with every entry valid."""
        if entries % _PER_BYTE:
            raise ValueError("a list has whole bytes")
        self._bytes = bytearray(entries // _PER_BYTE)

    def put(self, changes: Iterable[tuple[int, int]]) -> None:
        """Set entries.

        Args:
            changes: Place and value.
        """
        held = self._bytes
        for place, value in changes:
            at, shift = place // _PER_BYTE, place % _PER_BYTE * BITS
            held[at] = held[at] & ~(_MASK << shift) | (value << shift)

    def compressed(self) -> str:
        """Return the `lst` of a token."""
        return encode(zlib.compress(self._bytes, _LEVEL))


def list_token(signer: Signer, uri: str, bits: StatusBits, times: Times) -> str:
    """Return a signed list.

    Args:
        signer: The issuer's key.
        uri: Where the list is, as credentials name it.
        bits: Its entries.
        times: Its times.
    """
    return signer.sign(
        STATUS_LIST_TYPE,
        {
            "sub": uri,
            "iat": times.at,
            "exp": times.at + times.lifetime_s,
            "ttl": times.ttl_s,
            "status_list": {"bits": BITS, "lst": bits.compressed()},
        },
    )


@dataclass(frozen=True, slots=True)
class ReadList:
    """A list whose signature was checked.

    Args:
        uri: Where it is.
        made_at: Unix seconds.
        ends_at: Unix seconds, or None.
        ttl_s: Seconds, or None.
        bits: Bits of an entry.
        packed: Its bytes.
    """

    uri: str
    made_at: int
    ends_at: int | None
    ttl_s: int | None
    bits: int
    packed: bytes

    @classmethod
    def of(cls, text: str, keys: Mapping[str, Mapping[str, object]]) -> Self:
        """Read a token.

        Args:
            text: The token.
            keys: Key id to JWK, of the issuer of the credential.

        Raises:
            CredentialError: `BAD_STATUS_LIST`.
        """
        try:
            token = parse(text.strip(), STATUS_LIST_TYPE, longest=LONGEST_LIST)
            token.check(keys[str(token.header.get("kid"))])
            said = token.payload
            content = said["status_list"]
            packed = unpack(content["lst"], content["bits"])
            uri, made_at = said["sub"], said["iat"]
            ends_at, ttl_s = said.get("exp"), said.get("ttl")
        except (CredentialError, KeyError, TypeError):
            raise bad_list() from None
        if not isinstance(uri, str) or type(made_at) is not int:
            raise bad_list()
        if any(one is not None and type(one) is not int for one in (ends_at, ttl_s)):
            raise bad_list()
        return cls(uri, made_at, ends_at, ttl_s, content["bits"], packed)

    def check_fresh(self, at: int, *, longest_age_s: int | None = None) -> None:
        """Check that the list may still be relied on.

        Args:
            at: Unix seconds.
            longest_age_s: Instead of its `ttl`; never beyond its end.

        Raises:
            CredentialError: `STALE_STATUS_LIST`.
        """
        age_s = self.ttl_s if longest_age_s is None else longest_age_s
        over = self.ends_at is not None and at >= self.ends_at
        if over or (age_s is not None and at > self.made_at + age_s):
            raise CredentialError(
                "STALE_STATUS_LIST", "the status list is older than it may be; fetch it again"
            )

    def status(self, place: int) -> int:
        """Return the value of an entry.

        Raises:
            CredentialError: `BAD_STATUS_LIST` for a place that the list doesn't have.
        """
        per_byte = 8 // self.bits
        if not 0 <= place < len(self.packed) * per_byte:
            raise bad_list()
        return self.packed[place // per_byte] >> place % per_byte * self.bits & (1 << self.bits) - 1


def unpack(lst: object, bits: object) -> bytes:
    """Return the bytes of a `lst`.

    Raises:
        CredentialError: `BAD_STATUS_LIST`; also when it would unpack to more than 16 MiB.
    """
    if type(bits) is not int or bits not in _KNOWN_BITS or not isinstance(lst, str):
        raise bad_list()
    engine = zlib.decompressobj()
    try:
        packed = engine.decompress(decode(lst), _GREATEST_BYTES)
    except (zlib.error, CredentialError):
        raise bad_list() from None
    if not engine.eof or engine.unused_data:
        raise bad_list()
    return packed


def bad_list() -> CredentialError:
    """Return the refusal of a list that can't be relied on."""
    return CredentialError(
        "BAD_STATUS_LIST", "this is not the status list of this credential, signed by its issuer"
    )
