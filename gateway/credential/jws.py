"""Compact JWS with two algorithms, ES256 and EdDSA (Ed25519), and their keys as JWK.

Signatures are `cryptography`'s; here is only how a token is put together and taken apart, ours
and strangers'. Sources: RFC 7515 (JWS), RFC 7517 (JWK), RFC 7518 section 3.4 (ES256), RFC 8037
and RFC 9864 (Ed25519), RFC 8725 (best current practice). The algorithm comes from the key, never
from the token alone, a type belongs to a kind of token, and nothing in a header leads to a key.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.credential.encoding import (
    Object,
    decode,
    encode,
    encode_json,
    object_from_json,
    to_json,
)
from gateway.credential.errors import CredentialError, malformed

ES256, EDDSA = "ES256", "EdDSA"
LONGEST_TOKEN = 256 << 10
LONGEST_LIST = 8 << 20  # of a status list
# Members of a header that would choose the key, change what is signed, or must be understood.
_FORBIDDEN = frozenset({"crit", "b64", "zip", "jku", "jwk", "x5u"})
_PRIVATE = frozenset({"d", "k", "p", "q", "dp", "dq", "qi", "oth"})
_ALGORITHMS = {"EC": frozenset({ES256}), "OKP": frozenset({EDDSA, "Ed25519"})}
_COORDINATE_BYTES = 32
_PARTS = 3
_SIGNATURE_BYTES = 64
_ECDSA = ec.ECDSA(SHA256())

PrivateKey = ec.EllipticCurvePrivateKey | Ed25519PrivateKey
PublicKey = ec.EllipticCurvePublicKey | Ed25519PublicKey
Jwk = dict[str, str]


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key with what tokens say about it.

    Args:
        key: P-256 or Ed25519.
        algorithm: `ES256` or `EdDSA`.
        kid: RFC 7638 thumbprint of its public half.
    """

    key: PrivateKey = field(repr=False)
    algorithm: str
    kid: str

    @classmethod
    def of(cls, key: PrivateKey) -> "Signer":
        """Name a key by its thumbprint."""
        algorithm = EDDSA if isinstance(key, Ed25519PrivateKey) else ES256
        return cls(key, algorithm, thumbprint(to_jwk(key.public_key())))

    def sign(self, kind: str, payload: Mapping[str, object], **header: object) -> str:
        """Return a compact JWS.

        Args:
            kind: Its `typ`.
            payload: Its claims.
            header: What the header says besides `alg`, `typ` and `kid`.
        """
        head = {"alg": self.algorithm, "typ": kind, "kid": self.kid, **header}
        signed = f"{encode_json(head)}.{encode_json(payload)}"
        return f"{signed}.{encode(_sign(self.key, signed.encode()))}"


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key with the algorithms that it may be used with, and no others.

    Args:
        key_id: Its `kid`; empty for one that has none.
        algorithms: Names of the algorithms.
        key: The key.
    """

    key_id: str
    algorithms: frozenset[str]
    key: PublicKey

    @classmethod
    def of(cls, jwk: Mapping[str, object]) -> Self:
        """Return the key of a JWK; it may narrow the algorithms, never widen them.

        Raises:
            CredentialError: `BAD_CREDENTIAL`; also for private members, since nobody but their
                owner should have them, and for a key that isn't for signatures.
        """
        kid = jwk.get("kid", "")
        if not isinstance(kid, str) or _PRIVATE & jwk.keys():
            raise malformed("a key has no proper `kid`, or is not a public key")
        if jwk.get("use", "sig") != "sig":
            raise malformed("a key is not for signatures")
        key, stated = from_jwk(jwk), jwk.get("alg")
        known = _ALGORITHMS["OKP" if isinstance(key, Ed25519PublicKey) else "EC"]
        allowed = known if stated is None else known & {stated}
        if not allowed:
            raise malformed("a key states an algorithm of another kind of key")
        return cls(kid, frozenset(map(str, allowed)), key)


@dataclass(frozen=True, slots=True)
class Token:
    """A compact JWS taken apart and not verified yet."""

    header: Object
    payload: Object
    signed: bytes
    signature: bytes

    def check(self, key: VerificationKey | Mapping[str, object]) -> None:
        """Check the signature with a key, by an algorithm that belongs to the key.

        Raises:
            CredentialError: `CREDENTIAL_FORGED`, or `BAD_CREDENTIAL` for a JWK that is no key.
        """
        known = key if isinstance(key, VerificationKey) else VerificationKey.of(key)
        algorithm = self.header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in known.algorithms:
            raise _forged("its algorithm is not one of its key (ES256 with P-256, Ed25519)")
        try:
            _verify(known.key, self.signature, self.signed)
        except (InvalidSignature, ValueError):
            raise _forged("the signature is not the issuer's over this as it stands") from None


def parse(text: str, kind: str, *, longest: int = LONGEST_TOKEN) -> Token:
    """Take a compact JWS apart.

    Args:
        text: The token.
        kind: The `typ` that it must have.
        longest: Greatest number of characters.

    Raises:
        CredentialError: `BAD_CREDENTIAL`; also for extensions that this program doesn't know.
    """
    parts = text.split(".")
    if len(text) > longest or len(parts) != _PARTS:
        raise malformed("it is not a JWS in compact form, or too large")
    head, body, signature = parts
    header = object_from_json(decode(head))
    if _FORBIDDEN & header.keys():
        raise malformed("its header chooses the key or changes what is signed")
    stated = header.get("typ")
    # RFC 7515 section 4.1.9: `application/` may be left out, and case is not told apart.
    if not isinstance(stated, str) or stated.lower().removeprefix("application/") != kind:
        raise malformed("it is of another type than expected")
    return Token(
        header, object_from_json(decode(body)), f"{head}.{body}".encode(), decode(signature)
    )


def to_jwk(key: PublicKey) -> Jwk:
    """Return the members of a public JWK that its thumbprint covers."""
    if isinstance(key, Ed25519PublicKey):
        raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return {"crv": "Ed25519", "kty": "OKP", "x": encode(raw)}
    numbers = key.public_numbers()
    x, y = (encode(n.to_bytes(_COORDINATE_BYTES, "big")) for n in (numbers.x, numbers.y))
    return {"crv": "P-256", "kty": "EC", "x": x, "y": y}


def from_jwk(jwk: Mapping[str, object]) -> PublicKey:
    """Return the public key of a JWK.

    Raises:
        CredentialError: `BAD_CREDENTIAL` for another kind of key, or a point off the curve.
    """
    kind, curve = jwk.get("kty"), jwk.get("crv")
    x, y = (decode(str(jwk.get(name, ""))) for name in ("x", "y"))
    try:
        if (kind, curve) == ("OKP", "Ed25519"):
            return Ed25519PublicKey.from_public_bytes(x)
        if (kind, curve) == ("EC", "P-256") and len(x) == len(y) == _COORDINATE_BYTES:
            point = (int.from_bytes(x, "big"), int.from_bytes(y, "big"))
            return ec.EllipticCurvePublicNumbers(*point, ec.SECP256R1()).public_key()
    except ValueError:
        pass
    raise malformed("a key is not a point of P-256 or Ed25519")


def public_members(jwk: Mapping[str, object]) -> Jwk:
    """Return a public key that somebody sent, checked, without anything else that came with it.

    Raises:
        CredentialError: `BAD_CREDENTIAL`.
    """
    return to_jwk(from_jwk(jwk))


def thumbprint(jwk: Mapping[str, str]) -> str:
    """Return the RFC 7638 thumbprint of `to_jwk`'s members, whose order is already the lexical."""
    return encode(sha256(to_json(jwk)).digest())


def _sign(key: PrivateKey, message: bytes) -> bytes:
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(message)
    r, s = decode_dss_signature(key.sign(message, _ECDSA))
    return r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")


def _verify(key: PublicKey, signature: bytes, message: bytes) -> None:
    if len(signature) != _SIGNATURE_BYTES:
        raise InvalidSignature
    if isinstance(key, Ed25519PublicKey):
        key.verify(signature, message)
        return
    r, s = (int.from_bytes(signature[at : at + 32], "big") for at in (0, 32))
    key.verify(encode_dss_signature(r, s), message, _ECDSA)


def _forged(message: str) -> CredentialError:
    return CredentialError("CREDENTIAL_FORGED", message)
