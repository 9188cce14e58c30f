"""Signed documents: JWS in compact form, Ed25519, one type each, nothing in them unnamed.

Sources: RFC 7515 (JWS), RFC 8032 (Ed25519), RFC 9864 (the algorithm's name `Ed25519`; the older
`EdDSA` doesn't say which curve), RFC 8725 section 3.11 (a type per kind of document, so that
one can't pass for another). Errors name the claim at fault, never its value.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NoReturn, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc import jws
from joserfc.jwk import OKPKey
from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.domain.errors import InvalidRequestError
from gateway.identity.keyfiles import private_pem, public_pem

ALGORITHM = "Ed25519"
LICENCE_TYPE = "xinguan-licence+jwt"
CONSENT_TYPE = "xinguan-consent+jwt"
APPROVAL_TYPE = "xinguan-approval+jwt"
MAX_DOCUMENT_BYTES = 64 << 10
_HEADER_NAMES = frozenset({"alg", "kid", "typ"})
_MAX_FAULTS_NAMED = 5
_PLAIN_NAME = re.compile(r"[a-z][a-z_]{0,39}|[0-9]{1,5}")


class _Registry(jws.JWSRegistry):
    """One algorithm; sizes are limited by `verify`, whose limits differ by kind of document."""

    max_payload_length = 4 << 20


_JWS = _Registry(algorithms=[ALGORITHM])


class BadDocumentError(InvalidRequestError):
    """`BAD_DOCUMENT`: not a document of the expected type and shape."""

    def __init__(self, message: str, *, hints: tuple[str, ...] = ()) -> None:
        """Keep the one reason code."""
        super().__init__("BAD_DOCUMENT", message, hints=hints)


class BadSignatureError(InvalidRequestError):
    """`BAD_SIGNATURE`: no key that is registered for this signed the document as it stands."""

    def __init__(self, message: str = "no registered key signed this document as it is") -> None:
        """Keep the one reason code."""
        super().__init__("BAD_SIGNATURE", message)


class Claims(BaseModel):
    """Claims of a document: frozen, strictly typed, unknown ones refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


C = TypeVar("C", bound=Claims)


@dataclass(frozen=True, slots=True)
class Verified(Generic[C]):
    """A document whose signature and shape were verified.

    Args:
        claims: What it says.
        signer: Key id of the key that signed it.
        digest: SHA-256 of the compact form, hex.
        token: The compact form.
    """

    claims: C
    signer: str
    digest: str
    token: str


def key_id(key: Ed25519PublicKey) -> str:
    """Return a key's id: its JWK thumbprint (RFC 7638), base64url of SHA-256."""
    return OKPKey.import_key(public_pem(key)).thumbprint()


def sign(claims: Claims, key: Ed25519PrivateKey, typ: str) -> str:
    """Return a signed document in compact form.

    Args:
        claims: What it says.
        key: The signer's private key.
        typ: Type of document, of the constants above.
    """
    header = {"alg": ALGORITHM, "kid": key_id(key.public_key()), "typ": typ}
    payload = claims.model_dump_json(exclude_none=True).encode()
    signer = OKPKey.import_key(private_pem(key))
    return jws.serialize_compact(header, payload, signer, registry=_JWS)


def verify(
    token: str,
    find_key: Callable[[str], Ed25519PublicKey | None],
    typ: str,
    model: type[C],
    *,
    max_bytes: int = MAX_DOCUMENT_BYTES,
) -> Verified[C]:
    """Return a document's claims after verifying its type, its signature and its shape.

    Args:
        token: The compact form; surrounding white space is tolerated.
        find_key: Key id to the public key of one who may sign this kind, or None.
        typ: The type expected.
        model: The claims expected.
        max_bytes: Greatest length of the compact form, in bytes.

    Raises:
        BadDocumentError: too large, not a compact JWS, another type or algorithm, a repeated
            or unknown claim, a claim missing or of the wrong type.
        BadSignatureError: signed by no key that `find_key` knows, or changed afterwards.
    """
    text = token.strip()
    if len(text) > max_bytes or not text.isascii():
        raise BadDocumentError("the document is too large or not ASCII")
    header = _header(text, typ)
    key = find_key(header["kid"])
    if key is None:
        raise BadSignatureError("the document's key is not registered for this kind of document")
    # The header holds nothing but the one algorithm, the key and the type, so all that a JWS says
    # beyond it is its signature over its first two parts (RFC 7515, 5.2).
    signed, _, signature = text.rpartition(".")
    try:
        key.verify(_decoded(signature), signed.encode())
        payload = _decoded(signed.partition(".")[2])
    except (InvalidSignature, ValueError):
        raise BadSignatureError from None
    claims = parse_claims(payload, model)
    return Verified(claims, header["kid"], hashlib.sha256(text.encode()).hexdigest(), text)


def parse_claims(payload: bytes, model: type[C]) -> C:
    """Return claims from JSON bytes.

    Raises:
        BadDocumentError: not JSON, a repeated or unknown claim, one missing or mistyped.
    """
    try:
        _strict_object(payload)
        return model.model_validate_json(payload)
    except ValidationError as error:
        raise BadDocumentError(explain_faults(error)) from None


def explain_faults(error: ValidationError) -> str:
    """Return the faults of a document by claim, without any value."""
    faults = []
    for fault in error.errors(include_input=False, include_url=False, include_context=False):
        # A key is the document's own word and could be a subject; only plain names are repeated.
        place = ".".join(part for part in map(str, fault["loc"]) if _PLAIN_NAME.fullmatch(part))
        message = "unknown claim" if fault["type"] == "extra_forbidden" else fault["msg"]
        faults.append(f"{place or 'document'}: {message}")
    more = len(faults) - _MAX_FAULTS_NAMED
    shown = "; ".join(faults[:_MAX_FAULTS_NAMED])
    return f"{shown}; and {more} more" if more > 0 else shown


def _decoded(part: str) -> bytes:
    """Return what a part of a JWS encodes; there is one encoding of it (RFC 7515, section 2).

    Raises:
        ValueError: It is none, or not the one.
    """
    raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != part.encode():
        raise ValueError("not base64url without padding")
    return raw


def _header(text: str, typ: str) -> dict[str, str]:
    """Return the protected header after refusing everything that is not expected in it."""
    encoded, _, rest = text.partition(".")
    if rest.count(".") != 1:
        raise BadDocumentError("not a JWS in compact form")
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadDocumentError("not a JWS in compact form") from None
    header = _strict_object(raw)
    if header.keys() != _HEADER_NAMES or not all(isinstance(v, str) for v in header.values()):
        raise BadDocumentError("the header must hold exactly alg, kid and typ")
    if header["alg"] != ALGORITHM:
        raise BadDocumentError("the document must be signed with Ed25519 (RFC 9864)")
    if header["typ"] != typ:
        raise BadDocumentError("the document is of another type than expected")
    return {name: str(value) for name, value in header.items()}


def _strict_object(raw: bytes) -> dict[str, object]:
    """Return a JSON object in which no name is repeated (RFC 8725, section 2.4 by analogy)."""
    try:
        value = json.loads(raw, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, UnicodeDecodeError, RecursionError):
        raise BadDocumentError("not JSON, or a name in it is repeated") from None
    if not isinstance(value, dict):
        raise BadDocumentError("not a JSON object")
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("repeated name")
    return mapping


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
