"""Base64url and JSON as signed tokens hold them: one spelling for each meaning.

A verifier that takes several spellings takes altered bytes for the signed ones: the last character
of base64url has spare bits, and an object may name a member twice. Numbers that readers would
round, and nesting that would exhaust one, are refused too.
"""

import json
from base64 import urlsafe_b64encode
from binascii import a2b_base64
from typing import Any, NoReturn

from gateway.credential.errors import malformed

MOST_NESTED = 8
_GREATEST_INTEGER = 2**53 - 1
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
        raise malformed("it is not base64url") from None
    if encode(raw) != text:
        raise malformed("it is not the one base64url form of its bytes")
    return raw


def to_json(value: object) -> bytes:
    """Return compact JSON, UTF-8."""
    return _TO_JSON.encode(value).encode()


def encode_json(value: object) -> str:
    """Return compact JSON as base64url."""
    return encode(to_json(value))


def from_json(raw: bytes) -> Any:
    """Return JSON in which no name is repeated, nothing is nested deep and no number is a fraction.

    Raises:
        CredentialError: `BAD_CREDENTIAL`.
    """
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_once,
            parse_constant=_refuse,
            parse_float=_refuse,
            parse_int=_integer,
        )
    except (ValueError, RecursionError):
        raise malformed("it is not strict JSON: a repeated name, a fraction, or too deep") from None
    _check_depth(value, MOST_NESTED)
    return value


def object_from_json(raw: bytes) -> Object:
    """Return a JSON object, read as `from_json` reads.

    Raises:
        CredentialError: `BAD_CREDENTIAL`.
    """
    value = from_json(raw)
    if not isinstance(value, dict):
        raise malformed("it is not a JSON object")
    return value


def _check_depth(value: object, left: int) -> None:
    if left < 0:
        raise malformed("it is nested too deep")
    if isinstance(value, dict):
        for item in value.values():
            _check_depth(item, left - 1)
    elif isinstance(value, list):
        for item in value:
            _check_depth(item, left - 1)


def _once(pairs: list[tuple[str, Any]]) -> Object:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("repeated name")
    return members


def _integer(text: str) -> int:
    # Checked before it is converted: converting a million digits is work for nothing.
    if len(text) > len(str(-_GREATEST_INTEGER)) or abs(int(text)) > _GREATEST_INTEGER:
        raise ValueError("out of range")
    return int(text)


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)
