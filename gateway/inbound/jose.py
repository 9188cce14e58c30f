"""Signed tokens of strangers: compact JWS, opened with keys that the register names.

Sources: RFC 7515 (JWS), RFC 7517 (JWK), RFC 7518 section 3.4 (ES256), RFC 8037 and RFC 9864
(Ed25519), RFC 8725 (best current practice: an algorithm belongs to a key, a type to a kind of
token). A token has one encoding here: what decodes to the same bytes and is written otherwise is
refused, so that no byte of a document can be changed unseen. Nothing in a header leads to a key.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from gateway.inbound.errors import malformed, unsigned

MAX_TOKEN_BYTES = 256 << 10
MAX_NESTING = 8
_MAX_INTEGER = 2**53 - 1
_COORDINATE = 32
_PARTS = 3
# Members of a header that would choose the key, change what is signed, or must be understood.
_FORBIDDEN = frozenset({"crit", "b64", "zip", "jku", "jwk", "x5u"})
_PRIVATE = frozenset({"d", "k", "p", "q", "dp", "dq", "qi", "oth"})
_ALGORITHMS = {"EC": frozenset({"ES256"}), "OKP": frozenset({"EdDSA", "Ed25519"})}

Json = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key with the algorithms that it may be used with, and no others.

    Args:
        key_id: Its `kid` in the issuer's key set; empty for a holder's own key.
        algorithms: Names of the algorithms.
        key: The key.
    """

    key_id: str
    algorithms: frozenset[str]
    key: ec.EllipticCurvePublicKey | Ed25519PublicKey

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Say whether the key signed exactly this."""
        try:
            if isinstance(self.key, Ed25519PublicKey):
                self.key.verify(signature, message)
            else:
                if len(signature) != 2 * _COORDINATE:
                    return False
                r = int.from_bytes(signature[:_COORDINATE], "big")
                s = int.from_bytes(signature[_COORDINATE:], "big")
                self.key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Opened:
    """A token whose signature holds.

    Args:
        payload: Its claims.
        key_id: The key that signed it.
    """

    payload: Json
    key_id: str


def read_key(jwk: Json, *, named: bool = True) -> VerificationKey:
    """Return a public key from its JWK: P-256 or Ed25519.

    Args:
        jwk: The key; private members are refused, since nobody but their owner should have them.
        named: Whether it must have a `kid`.

    Raises:
        ForeignDocumentError: `FOREIGN_MALFORMED`.
    """
    kid, kind, curve = jwk.get("kid", ""), jwk.get("kty"), jwk.get("crv")
    if not isinstance(kid, str) or (named and not kid) or _PRIVATE & jwk.keys():
        raise malformed("a key of the issuer has no `kid`, or is not a public key")
    if jwk.get("use", "sig") != "sig":
        raise malformed("a key of the issuer is not for signatures")
    try:
        if (kind, curve) == ("EC", "P-256"):
            numbers = ec.EllipticCurvePublicNumbers(
                int.from_bytes(_coordinate(jwk, "x"), "big"),
                int.from_bytes(_coordinate(jwk, "y"), "big"),
                ec.SECP256R1(),
            )
            return VerificationKey(kid, _allowed(jwk, "EC"), numbers.public_key())
        if (kind, curve) == ("OKP", "Ed25519"):
            key = Ed25519PublicKey.from_public_bytes(_coordinate(jwk, "x"))
            return VerificationKey(kid, _allowed(jwk, "OKP"), key)
    except ValueError:
        raise malformed("a key of the issuer is not a point of its curve") from None
    raise malformed("a key is of another kind than P-256 or Ed25519")


def read_keys(jwks: list[Json] | tuple[Json, ...]) -> Mapping[str, VerificationKey]:
    """Return a key set by key id.

    Raises:
        ForeignDocumentError: `FOREIGN_MALFORMED` for a bad key, or one id twice.
    """
    keys = [read_key(jwk) for jwk in jwks]
    found = {key.key_id: key for key in keys}
    if len(found) != len(keys):
        raise malformed("two keys of the issuer have one `kid`")
    return found


def open_token(
    text: str,
    keys: Mapping[str, VerificationKey],
    typ: str,
    *,
    max_bytes: int = MAX_TOKEN_BYTES,
) -> Opened:
    """Return the claims of a compact JWS after verifying type, algorithm and signature.

    Args:
        text: The token.
        keys: The keys that may have signed it, by `kid`.
        typ: The type that its header must state.
        max_bytes: Greatest length.

    Raises:
        ForeignDocumentError: `FOREIGN_MALFORMED` or `FOREIGN_SIGNATURE`.
    """
    header = header_of(text, typ, max_bytes=max_bytes)
    kid = header.get("kid")
    key = keys.get(kid) if isinstance(kid, str) else None
    if key is None:
        raise unsigned("its key is not among those that the register names for the issuer")
    return Opened(_verified(text, header, key), key.key_id)


def open_with(text: str, key: VerificationKey, typ: str) -> Json:
    """Return the claims of a token that one known key must have signed.

    Raises:
        ForeignDocumentError: As `open_token`.
    """
    return _verified(text, header_of(text, typ), key)


def header_of(text: str, typ: str, *, max_bytes: int = MAX_TOKEN_BYTES) -> Json:
    """Return the header of a compact JWS, refusing what may not stand in it.

    Raises:
        ForeignDocumentError: `FOREIGN_MALFORMED`.
    """
    if len(text) > max_bytes or not text.isascii() or text.count(".") != _PARTS - 1:
        raise malformed("not a JWS in compact form, or too large")
    header = strict_object(decode(text.partition(".")[0]))
    if _FORBIDDEN & header.keys():
        raise malformed("its header chooses the key or changes what is signed")
    stated = header.get("typ")
    # RFC 7515 section 4.1.9: `application/` may be left out, and case is not told apart.
    if not isinstance(stated, str) or stated.lower().removeprefix("application/") != typ:
        raise malformed("it is of another type than expected")
    return header


def decode(text: str) -> bytes:
    """Return what base64url without padding stands for, if it is written as an encoder would.

    Raises:
        ForeignDocumentError: `FOREIGN_MALFORMED`.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise malformed("not base64url") from None
    if encode(raw) != text:
        raise malformed("not the one base64url form of its bytes")
    return raw


def encode(raw: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def strict_json(raw: bytes) -> object:
    """Return JSON in which no name is repeated, nothing is nested deep and no number is a fraction.

    Raises:
        ForeignDocumentError: `FOREIGN_MALFORMED`.
    """
    try:
        value: object = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse,
            parse_float=_refuse,
            parse_int=_integer,
        )
    except (ValueError, UnicodeDecodeError, RecursionError):
        raise malformed("not strict JSON: a repeated name, a fraction, or too deep") from None
    _check_depth(value, MAX_NESTING)
    return value


def strict_object(raw: bytes) -> dict[str, object]:
    """Return a JSON object, read as `strict_json` reads.

    Raises:
        ForeignDocumentError: `FOREIGN_MALFORMED`.
    """
    value = strict_json(raw)
    if not isinstance(value, dict):
        raise malformed("not a JSON object")
    return value


def _verified(text: str, header: Json, key: VerificationKey) -> Json:
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in key.algorithms:
        raise unsigned("its algorithm is not one of its key (ES256 with P-256, Ed25519)")
    message, _, signature = text.rpartition(".")
    if not key.verifies(decode(signature), message.encode()):
        raise unsigned("the signature is not its issuer's over this document as it stands")
    return strict_object(decode(message.partition(".")[2]))


def _allowed(jwk: Json, kind: str) -> frozenset[str]:
    """Return the algorithms of a key; a key set may narrow them, never widen."""
    stated = jwk.get("alg")
    allowed = _ALGORITHMS[kind] if stated is None else _ALGORITHMS[kind] & {stated}
    if not allowed:
        raise malformed("a key of the issuer states an algorithm of another kind of key")
    return frozenset(map(str, allowed))


def _coordinate(jwk: Json, name: str) -> bytes:
    stated = jwk.get(name)
    raw = decode(stated) if isinstance(stated, str) else b""
    if len(raw) != _COORDINATE:
        raise malformed("a coordinate of a key has the wrong length")
    return raw


def _check_depth(value: object, left: int) -> None:
    if left < 0:
        raise malformed("it is nested too deep")
    if isinstance(value, dict):
        for item in value.values():
            _check_depth(item, left - 1)
    elif isinstance(value, list):
        for item in value:
            _check_depth(item, left - 1)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("repeated name")
    return mapping


def _integer(text: str) -> int:
    # Checked before it is converted: converting a million digits is work for nothing.
    if len(text) > len(str(-_MAX_INTEGER)) or abs(int(text)) > _MAX_INTEGER:
        raise ValueError("out of range")
    return int(text)


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)
