"""Base64url and JSON as signed tokens hold them: one spelling for each meaning.

A verifier that takes several spellings takes altered bytes for the signed ones: the last character
of base64url has spare bits, and an object may name a member twice.
"""

import json
from base64 import urlsafe_b64encode
from binascii import a2b_base64
from typing import Any

from gateway.credential.errors import CredentialError

_STANDARD = bytes.maketrans(b"-_", b"+/")
_TO_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)

Object = dict[str, Any]  # Any: values of a JSON object


def encode(raw: bytes) -> str:
    """Return base64url without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Return the bytes of base64url as `encode` spells it.

    Raises:
        CredentialError: `BAD_CREDENTIAL` for any other spelling.
    """
    try:
        plain = text.encode("ascii").translate(_STANDARD)
        raw = a2b_base64(plain + b"=" * (-len(plain) % 4), strict_mode=True)
    except ValueError:
        raise malformed() from None
    if encode(raw) != text:
        raise malformed()
    return raw


def to_json(value: object) -> bytes:
    """Return compact JSON, UTF-8."""
    return _TO_JSON.encode(value).encode()


def encode_json(value: object) -> str:
    """Return compact JSON as base64url."""
    return encode(to_json(value))


def from_json(raw: bytes) -> Any:
    """Return a JSON value in which no object names a member twice.

    Raises:
        CredentialError: `BAD_CREDENTIAL`.
    """
    try:
        return json.loads(raw, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise malformed() from None


def object_from_json(raw: bytes) -> Object:
    """Return a JSON object.

    Raises:
        CredentialError: `BAD_CREDENTIAL`.
    """
    value = from_json(raw)
    if not isinstance(value, dict):
        raise malformed()
    return value


def malformed() -> CredentialError:
    """Return the refusal of what can't be read."""
    return CredentialError("BAD_CREDENTIAL", "this is not a credential that can be read")


def _once(pairs: list[tuple[str, Any]]) -> Object:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


def _no_constant(text: str) -> None:
    raise ValueError(text)
