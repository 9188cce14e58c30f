"""Selective disclosure (RFC 9901): digests in a signed payload and the claims that they stand for.

What is disclosed must be what was signed, once and in its place: a disclosure that no digest
names, a digest that stands twice, a claim that is there already, or a name that the format keeps
for itself is a refusal (section 7.1). Digests without a disclosure are dropped: their claims were
withheld, or never existed.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.inbound.errors import ForeignDocumentError
from gateway.inbound.jose import MAX_NESTING, Json, decode, encode, strict_json

MAX_DISCLOSURES = 256
MAX_DISCLOSURE_BYTES = 16 << 10
MAX_DIGESTS = 2_048
DIGESTS, ELEMENT, ALGORITHM = "_sd", "...", "_sd_alg"
SHA256 = "sha-256"
_ELEMENT_PARTS, _CLAIM_PARTS = 2, 3


@dataclass(slots=True)
class _Walk:
    """What was met on the way through a payload."""

    disclosed: Mapping[str, Sequence[object]]
    used: set[str] = field(default_factory=set)
    digests: set[str] = field(default_factory=set)


def disclose(payload: Json, disclosures: Sequence[str]) -> dict[str, object]:
    """Return the claims of a payload with the disclosed ones in their places.

    Args:
        payload: The signed payload.
        disclosures: The disclosures as they were presented.

    Raises:
        ForeignDocumentError: `FOREIGN_DISCLOSURE` or `FOREIGN_MALFORMED`.
    """
    if payload.get(ALGORITHM, SHA256) != SHA256:
        raise _bad("digests are of another algorithm than sha-256")
    if len(disclosures) > MAX_DISCLOSURES:
        raise _bad("too many disclosures")
    disclosed = {_digest(text): _parsed(text) for text in disclosures}
    if len(disclosed) != len(disclosures):
        raise _bad("a disclosure was presented twice")
    walk = _Walk(disclosed)
    plain = {name: value for name, value in payload.items() if name != ALGORITHM}
    claims = _object(plain, walk, MAX_NESTING)
    if walk.used != disclosed.keys():
        raise _bad("a disclosure belongs to no digest of the document")
    return claims


def _object(value: Mapping[str, object], walk: _Walk, left: int) -> dict[str, object]:
    if left < 0:
        raise _bad("disclosures are nested too deep")
    if ALGORITHM in value or ELEMENT in value:
        raise _bad("a name that the format keeps for itself stands among the claims")
    claims = {name: _value(item, walk, left - 1) for name, item in value.items() if name != DIGESTS}
    for digest in _digests(value):
        parts = _take(digest, walk)
        if parts is None:
            continue
        if len(parts) != _CLAIM_PARTS:
            raise _bad("an element of a list was disclosed as a claim")
        name = parts[1]
        if not isinstance(name, str) or name in {DIGESTS, ELEMENT, ALGORITHM}:
            raise _bad("a disclosed claim has no name that it may have")
        if name in claims:
            raise _bad("a disclosed claim stands in the document already")
        claims[name] = _value(parts[2], walk, left - 1)
    return claims


def _value(value: object, walk: _Walk, left: int) -> object:
    if isinstance(value, dict):
        return _object(value, walk, left)
    if not isinstance(value, list):
        return value
    items = []
    for item in value:
        if not isinstance(item, dict) or ELEMENT not in item:
            items.append(_value(item, walk, left - 1))
            continue
        digest = item[ELEMENT]
        if len(item) != 1 or not isinstance(digest, str):
            raise _bad("a withheld element of a list is not one digest")
        parts = _take(digest, walk)
        if parts is None:
            continue
        if len(parts) != _ELEMENT_PARTS:
            raise _bad("a claim was disclosed as an element of a list")
        items.append(_value(parts[1], walk, left - 1))
    return items


def _digests(value: Mapping[str, object]) -> list[str]:
    stated = value.get(DIGESTS, [])
    if not isinstance(stated, list):
        raise _bad("digests stand in a list of texts")
    digests = [item for item in stated if isinstance(item, str)]
    if len(digests) != len(stated):
        raise _bad("digests stand in a list of texts")
    return digests


def _take(digest: str, walk: _Walk) -> Sequence[object] | None:
    """Return the disclosure of a digest, or None for one that was withheld."""
    if digest in walk.digests or len(walk.digests) >= MAX_DIGESTS:
        raise _bad("a digest stands twice, or there are too many")
    walk.digests.add(digest)
    parts = walk.disclosed.get(digest)
    if parts is not None:
        walk.used.add(digest)
    return parts


def _digest(disclosure: str) -> str:
    if len(disclosure) > MAX_DISCLOSURE_BYTES or not disclosure.isascii():
        raise _bad("a disclosure is too large or not ASCII")
    return encode(hashlib.sha256(disclosure.encode()).digest())


def _parsed(disclosure: str) -> Sequence[object]:
    parts = strict_json(decode(disclosure))
    if not isinstance(parts, list) or len(parts) not in {_ELEMENT_PARTS, _CLAIM_PARTS}:
        raise _bad("a disclosure is not a list of salt, name and value")
    if not isinstance(parts[0], str):
        raise _bad("a disclosure has no salt")
    return parts


def _bad(message: str) -> ForeignDocumentError:
    return ForeignDocumentError("FOREIGN_DISCLOSURE", message)
