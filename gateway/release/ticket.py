"""Flight tickets: sealed plans, never authority.

A ticket is AES-256-GCM under the node's ticket key over a serialised request, bound to the
party, its key, the decision, the snapshot and an expiry. Whoever presents it is identified
and authorised anew; the seal only keeps the plan what it was.
"""

import os
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.domain.errors import InvalidRequestError

_VERSION = b"XT1"
_NONCE = 12
_HEAD = struct.Struct(">QII")


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a ticket seals.

    Args:
        request: Serialised `xinguan.v1.QueryRequest`.
        snapshot_id: The snapshot that the content is pinned to, hex.
        input_digest: The decision it was made under, hex.
        first_batch: First batch of this endpoint, numbered on the snapshot's rows.
        last_batch: One past the last batch of this endpoint.
        expires_at: Unix seconds, exclusive.
    """

    request: bytes
    snapshot_id: str
    input_digest: str
    first_batch: int
    last_batch: int
    expires_at: int


def seal(ticket: Ticket, key: bytes, holder: str) -> bytes:
    """Return the opaque bytes of a ticket.

    Args:
        ticket: The plan.
        key: 32 bytes, the node's ticket key.
        holder: Party id and key fingerprint that may use it; authenticated, not stored.
    """
    head = _HEAD.pack(ticket.expires_at, ticket.first_batch, ticket.last_batch)
    body = bytes.fromhex(ticket.snapshot_id) + bytes.fromhex(ticket.input_digest)
    nonce = os.urandom(_NONCE)
    sealed = AESGCM(key).encrypt(nonce, head + body + ticket.request, _binding(holder))
    return _VERSION + nonce + sealed


def unseal(blob: bytes, key: bytes, holder: str, now: int) -> Ticket:
    """Return the plan of a ticket.

    Raises:
        InvalidRequestError: `BAD_TICKET` when a byte was changed or another party or key
            presents it; `TICKET_EXPIRED` when it is too old.
    """
    if not blob.startswith(_VERSION) or len(blob) < len(_VERSION) + _NONCE + 16:
        raise InvalidRequestError("BAD_TICKET", "not a ticket of this gateway")
    nonce = blob[len(_VERSION) : len(_VERSION) + _NONCE]
    try:
        plain = AESGCM(key).decrypt(nonce, blob[len(_VERSION) + _NONCE :], _binding(holder))
    except InvalidTag:
        raise InvalidRequestError("BAD_TICKET", "the ticket was altered or is not yours") from None
    expires_at, first, last = _HEAD.unpack_from(plain)
    if now >= expires_at:
        raise InvalidRequestError("TICKET_EXPIRED", "the ticket is too old")
    body = plain[_HEAD.size :]
    return Ticket(body[64:], body[:32].hex(), body[32:64].hex(), first, last, expires_at)


def _binding(holder: str) -> bytes:
    return b"xinguan/ticket/v1\n" + holder.encode()
