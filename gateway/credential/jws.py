"""Compact JWS with two algorithms, ES256 and EdDSA (Ed25519), and their keys as JWK.

Signatures are `cryptography`'s; here is only how a token is put together and taken apart. The
algorithm comes from the key, never from the token alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

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
    malformed,
    object_from_json,
    to_json,
)
from gateway.credential.errors import CredentialError

ES256, EDDSA = "ES256", "EdDSA"
_COORDINATE_BYTES = 32
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
class Token:
    """A compact JWS taken apart and not verified yet."""

    header: Object
    payload: Object
    signed: bytes
    signature: bytes

    def check(self, jwk: Mapping[str, object]) -> None:
        """Check the signature with a key, by the algorithm that belongs to the key.

        Raises:
            CredentialError: `CREDENTIAL_FORGED`.
        """
        key = from_jwk(jwk)
        algorithm = EDDSA if isinstance(key, Ed25519PublicKey) else ES256
        if self.header.get("alg") != algorithm or jwk.get("alg", algorithm) != algorithm:
            raise _forged()
        try:
            _verify(key, self.signature, self.signed)
        except InvalidSignature:
            raise _forged() from None


def parse(text: str, kind: str) -> Token:
    """Take a compact JWS apart.

    Args:
        text: The token.
        kind: The `typ` that it must have.

    Raises:
        CredentialError: `BAD_CREDENTIAL`; also for extensions that this program doesn't know.
    """
    head, dot, rest = text.partition(".")
    body, second, signature = rest.partition(".")
    if not dot or not second:
        raise malformed()
    header = object_from_json(decode(head))
    if header.get("typ") != kind or "crit" in header:
        raise malformed()
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
    raise malformed()


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


def _forged() -> CredentialError:
    return CredentialError("CREDENTIAL_FORGED", "the signature is not the issuer's over this")
