"""Signed tokens of strangers: opened with keys that the register names, and no others.

How a token is taken apart and verified is the same as for our own: `gateway.credential.jws`. Here
is whose key it has to be, and what a refusal is called.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.credential import encoding
from gateway.credential.jws import LONGEST_TOKEN, Token, VerificationKey, parse
from gateway.inbound.errors import as_foreign, malformed, unsigned

Json = Mapping[str, Any]  # Any: values of a JSON object
Keys = Mapping[str, VerificationKey]


def read_keys(jwks: Sequence[Json]) -> Keys:
    """Return a key set by key id.

    Raises:
        ForeignDocumentError: `FOREIGN_MALFORMED` for a bad key, or one id twice.
    """
    with as_foreign():
        keys = [VerificationKey.of(jwk) for jwk in jwks]
    found = {key.key_id: key for key in keys}
    if len(found) != len(keys) or "" in found:
        raise malformed("a key of the issuer has no `kid`, or two have one")
    return found


def key_for(token: Token, keys: Keys) -> VerificationKey:
    """Return the key that a token names.

    Raises:
        ForeignDocumentError: `FOREIGN_SIGNATURE` when it is none of these.
    """
    kid = token.header.get("kid")
    key = keys.get(kid) if isinstance(kid, str) else None
    if key is None:
        raise unsigned("its key is not among those that the register names for the issuer")
    return key


def open_token(text: str, keys: Keys, typ: str, *, longest: int = LONGEST_TOKEN) -> Token:
    """Return a compact JWS after verifying type, algorithm and signature.

    Args:
        text: The token.
        keys: The keys that may have signed it, by `kid`.
        typ: The type that its header must state.
        longest: Greatest length.

    Raises:
        ForeignDocumentError: `FOREIGN_MALFORMED` or `FOREIGN_SIGNATURE`.
    """
    with as_foreign():
        token = parse(text, typ, longest=longest)
        token.check(key_for(token, keys))
    return token


def decode(text: str) -> bytes:
    """Return what base64url without padding stands for, if it is written as an encoder would.

    Raises:
        ForeignDocumentError: `FOREIGN_MALFORMED`.
    """
    with as_foreign():
        return encoding.decode(text)


def strict_object(raw: bytes) -> Json:
    """Return a JSON object, read strictly.

    Raises:
        ForeignDocumentError: `FOREIGN_MALFORMED`.
    """
    with as_foreign():
        return encoding.object_from_json(raw)
