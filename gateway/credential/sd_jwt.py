"""Selective disclosure for JWT (RFC 9901): hiding claims, showing some, and reading them back.

    <issuer-signed JWT>~<disclosure>~...~[<key-binding JWT>]

Pure functions. Reading follows section 7.1 step by step; what it doesn't understand, it refuses.
What is disclosed must be what was signed, once and in its place. Digests without a disclosure are
dropped: their claims were withheld, or never existed. The same for what we issued and for what
strangers did.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from gateway.credential.encoding import (
    MOST_NESTED,
    Object,
    decode,
    encode,
    encode_json,
    from_json,
)
from gateway.credential.errors import CredentialError, DisclosureRulesError, malformed
from gateway.credential.jws import LONGEST_TOKEN

SALT_BYTES = 16  # 128 bits, RFC 9901 section 9.3
DIGESTS, ALGORITHM, ELEMENT = "_sd", "_sd_alg", "..."
SHA_256 = "sha-256"
_FEWEST, _MOST = 2, 3  # parts of a disclosure of an element, of a member
_MOST_DISCLOSURES, _LONGEST_DISCLOSURE, _MOST_DIGESTS = 256, 16 << 10, 2_048
# SD-JWT VC: these rule a document, so a holder may not keep them back, and neither may they come
# as disclosures.
_NEVER_HIDDEN = ("iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "status")

Salts = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One claim that its holder may show or keep.

    Args:
        name: Name of the claim, or None for an element of an array.
        value: Its value.
        text: The disclosure as it travels.
        digest: Its digest as the signed part holds it.
    """

    name: str | None
    value: Any  # a JSON value
    text: str
    digest: str


@dataclass(frozen=True, slots=True)
class Presented:
    """An SD-JWT taken apart.

    Args:
        jwt: The issuer-signed JWT.
        disclosures: Disclosures as they came.
        key_binding: The key-binding JWT, or empty.
    """

    jwt: str
    disclosures: tuple[str, ...]
    key_binding: str

    @property
    def bound(self) -> str:
        """What a key-binding JWT is about: everything before it."""
        return combine(self.jwt, self.disclosures)


def conceal(
    claims: Mapping[str, object], *, decoys: int = 0, salts: Salts = secrets.token_bytes
) -> tuple[list[str], list[Disclosure]]:
    """Hide each claim by itself.

    Args:
        claims: Name to value.
        decoys: Digests of nothing, so that the number of claims isn't told.
        salts: Draws random bytes.

    Returns:
        The digests in their own order, which tells nothing, and the disclosures.
    """
    # One draw for all of them: each is a call of the system.
    drawn = salts(SALT_BYTES * len(claims) + sha256().digest_size * decoys)
    disclosures = []
    for at, (name, value) in enumerate(claims.items()):
        salt = drawn[at * SALT_BYTES : (at + 1) * SALT_BYTES]
        text = encode_json([encode(salt), name, value])
        disclosures.append(Disclosure(name, value, text, digest_of(text)))
    digests = [one.digest for one in disclosures]
    rest = drawn[len(claims) * SALT_BYTES :]
    digests += [encode(sha256(rest[at : at + 32]).digest()) for at in range(0, len(rest), 32)]
    return sorted(digests), disclosures


def digest_of(text: str) -> str:
    """Return the SHA-256 of a token or a disclosure as it travels, base64url."""
    return encode(sha256(text.encode("ascii")).digest())


def combine(jwt: str, disclosures: Sequence[str], key_binding: str = "") -> str:
    """Return the form in which an SD-JWT travels."""
    return "~".join((jwt, *disclosures, key_binding))


def split(text: str) -> Presented:
    """Take an SD-JWT apart; nothing is verified.

    Raises:
        CredentialError: `BAD_CREDENTIAL`.
    """
    jwt, *rest = text.split("~")
    if len(text) > LONGEST_TOKEN or not text.isascii():
        raise malformed("it is too large or not ASCII")
    if not rest or not jwt or not all(rest[:-1]):
        raise malformed()
    return Presented(jwt, tuple(rest[:-1]), rest[-1])


def select(text: str, names: Sequence[str]) -> str:
    """Return an SD-JWT that shows only some of its claims, without key binding.

    Raises:
        CredentialError: `BAD_CREDENTIAL` when it doesn't hold one of them.
    """
    presented = split(text)
    by_name = {read_disclosure(one).name: one for one in presented.disclosures}
    if not set(names) <= by_name.keys():
        raise CredentialError("BAD_CREDENTIAL", "the credential has no claim of this name to show")
    kept = [one for name, one in by_name.items() if name in names]
    return combine(presented.jwt, kept)


def read_disclosure(text: str) -> Disclosure:
    """Return a disclosure.

    Raises:
        CredentialError: `BAD_CREDENTIAL`.
    """
    if len(text) > _LONGEST_DISCLOSURE or not text.isascii():
        raise malformed("a disclosure is too large or not ASCII")
    parts = from_json(decode(text))
    if not isinstance(parts, list) or not _FEWEST <= len(parts) <= _MOST:
        raise malformed("a disclosure is not a list of salt, name and value")
    name = parts[1] if len(parts) == _MOST else None
    if not isinstance(parts[0], str) or not isinstance(name, str | None):
        raise malformed("a disclosure has no salt, or no name")
    if len(parts) == _MOST and name in (DIGESTS, ELEMENT, ALGORITHM, None):
        raise malformed("a disclosed claim has a name that the format keeps for itself")
    return Disclosure(name, parts[-1], text, digest_of(text))


def reveal(payload: Object, disclosures: Sequence[str]) -> Object:
    """Return what the verified payload says together with the claims that are shown.

    Args:
        payload: The payload of the issuer-signed JWT, its signature checked.
        disclosures: The disclosures that came with it.

    Raises:
        CredentialError: `DISCLOSURE_ALTERED` for a disclosure that the payload doesn't call for,
            `BAD_CREDENTIAL` for a payload that breaks the rules.
    """
    if payload.get(ALGORITHM, SHA_256) != SHA_256:
        raise DisclosureRulesError("digests are of another algorithm than sha-256")
    if len(disclosures) > _MOST_DISCLOSURES:
        raise _altered("there are too many disclosures")
    shown = {}
    for text in disclosures:
        try:
            one = read_disclosure(text)
        except CredentialError as error:
            raise _altered(error.message) from None
        shown[one.digest] = one
    if len(shown) != len(disclosures):
        raise _altered("a disclosure was presented twice")
    reading = _Reading(shown)
    revealed = reading.members({k: v for k, v in payload.items() if k != ALGORITHM}, MOST_NESTED)
    if reading.used != shown.keys():
        raise _altered("a disclosure is not one that the issuer signed")
    return revealed


def check_open(payload: Object, revealed: Object) -> None:
    """Check that nothing which rules a document was hidden in it (SD-JWT VC).

    Args:
        payload: The payload of the issuer-signed JWT.
        revealed: What `reveal` made of it.

    Raises:
        CredentialError: `BAD_CREDENTIAL`.
    """
    for name in _NEVER_HIDDEN:
        if name in revealed and name not in payload:
            raise DisclosureRulesError(f"the claim {name} may not be selectively disclosed")


class _Reading:
    """One walk through a payload; each digest may be met once."""

    def __init__(self, shown: Mapping[str, Disclosure]) -> None:
        self._shown = shown
        self._met: set[str] = set()
        self.used: set[str] = set()

    def members(self, source: Object, left: int) -> Object:
        """Put the disclosed members of an object beside those in the clear."""
        if left < 0:
            raise DisclosureRulesError("disclosures are nested too deep")
        if ALGORITHM in source or ELEMENT in source:
            raise DisclosureRulesError(
                "a name that the format keeps for itself stands among the claims"
            )
        found = {k: self._value(v, left - 1) for k, v in source.items() if k != DIGESTS}
        digests = source.get(DIGESTS, [])
        if not isinstance(digests, list):
            raise DisclosureRulesError("digests stand in a list of texts")
        for digest in digests:
            one = self._take(digest)
            if one is None:
                continue
            if one.name is None:
                raise DisclosureRulesError("an element of a list was disclosed as a claim")
            if one.name in found:
                raise DisclosureRulesError("a disclosed claim stands in the document already")
            found[one.name] = self._value(one.value, left - 1)
        return found

    def _elements(self, source: list[Any], left: int) -> list[Any]:
        found = []
        for element in source:
            if not (isinstance(element, dict) and ELEMENT in element):
                found.append(self._value(element, left - 1))
                continue
            if len(element) != 1:
                raise DisclosureRulesError("a withheld element of a list is not one digest")
            one = self._take(element[ELEMENT])
            if one is not None:
                if one.name is not None:
                    raise DisclosureRulesError("a claim was disclosed as an element of a list")
                found.append(self._value(one.value, left - 1))
        return found

    def _value(self, value: Any, left: int) -> Any:
        if isinstance(value, dict):
            return self.members(value, left)
        return self._elements(value, left) if isinstance(value, list) else value

    def _take(self, digest: object) -> Disclosure | None:
        """Return the disclosure of a digest, or None for one that was withheld."""
        if not isinstance(digest, str) or digest in self._met or len(self._met) >= _MOST_DIGESTS:
            raise DisclosureRulesError("a digest is no text or stands twice, or there are too many")
        self._met.add(digest)
        one = self._shown.get(digest)
        if one is not None:
            self.used.add(digest)
        return one


def _altered(message: str) -> CredentialError:
    return CredentialError("DISCLOSURE_ALTERED", message)
