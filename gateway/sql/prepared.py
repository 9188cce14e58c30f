"""Prepared statements without a state: the handle is the statement, sealed.

Any process of any replica can go on with it, and nothing has to be closed. As a ticket it is a
question and never authority: whoever shows it is identified and decided about anew.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.domain.errors import InvalidRequestError
from gateway.sql.literals import Kind, Literal

_VERSION = b"XS1"
_NONCE = 12
_TAG = 16


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a handle seals.

    Args:
        text: The statement.
        parameters: What is bound so far.
        expires_at: Unix seconds, exclusive.
    """

    text: str
    parameters: tuple[Literal, ...]
    expires_at: int


def seal(prepared: Prepared, key: bytes, holder: str) -> bytes:
    """Return the opaque bytes of a handle.

    Args:
        prepared: The statement.
        key: 32 bytes, the node's ticket key.
        holder: Party id and key fingerprint that may use it; authenticated, not stored.
    """
    values: Sequence[tuple[str, str]] = [(p.kind.value, p.text) for p in prepared.parameters]
    plain = json.dumps([prepared.expires_at, prepared.text, values]).encode()
    nonce = os.urandom(_NONCE)
    return _VERSION + nonce + AESGCM(key).encrypt(nonce, plain, _binding(holder))


def unseal(blob: bytes, key: bytes, holder: str, now: int) -> Prepared:
    """Return the statement of a handle.

    Raises:
        InvalidRequestError: `BAD_TICKET` when a byte was changed or another party or key shows
            it; `TICKET_EXPIRED` when it is too old.
    """
    if not blob.startswith(_VERSION) or len(blob) < len(_VERSION) + _NONCE + _TAG:
        raise InvalidRequestError("BAD_TICKET", "not a prepared statement of this gateway")
    nonce = blob[len(_VERSION) : len(_VERSION) + _NONCE]
    try:
        plain = AESGCM(key).decrypt(nonce, blob[len(_VERSION) + _NONCE :], _binding(holder))
    except InvalidTag:
        raise InvalidRequestError(
            "BAD_TICKET", "the prepared statement was altered or is not yours"
        ) from None
    expires_at, text, values = json.loads(plain)
    if now >= expires_at:
        raise InvalidRequestError("TICKET_EXPIRED", "the prepared statement is too old")
    return Prepared(text, tuple(Literal(Kind(kind), value) for kind, value in values), expires_at)


def _binding(holder: str) -> bytes:
    return b"xinguan/statement/v1\n" + holder.encode()
