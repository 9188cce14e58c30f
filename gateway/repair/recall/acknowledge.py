"""Acknowledgements: what a receiver did about a notice, signed by it, in the log.

Compact JWS of type `xinguan-recall-ack+jwt`: Ed25519 by a registered document key, or ES256 by
the key of the certificate that it calls with, the one that signs its requests. It is a statement
of the receiver, not a proof; see `gateway.repair.recall.probe`.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from pydantic import Field, model_validator

from audit import entries
from audit.journal import Appended, Transaction
from gateway.domain.errors import ConflictError, DeniedError, InvalidRequestError, Reason
from gateway.registry.documents import (
    BadDocumentError,
    BadSignatureError,
    Claims,
    Verified,
    parse_claims,
    verify,
)
from gateway.repair.consequences import RESUME_USE, STOP_USE, SUSPEND_USE
from gateway.repair.recall.suspension import close_if_moot

ACKNOWLEDGEMENT_TYPE = "xinguan-recall-ack+jwt"
MAX_BYTES = 8 << 10
_ES256 = {"alg": "ES256", "typ": ACKNOWLEDGEMENT_TYPE}


class Reply(StrEnum):
    """What a receiver says."""

    PURGED = "PURGED"
    SUSPENDED = "SUSPENDED"  # kept, and used no more until further notice
    NOT_HELD = "NOT_HELD"  # it never had it, or has it no more
    OBJECTED = "OBJECTED"


_FITTING = {
    STOP_USE: frozenset({Reply.PURGED, Reply.NOT_HELD, Reply.OBJECTED}),
    SUSPEND_USE: frozenset({Reply.SUSPENDED, Reply.PURGED, Reply.NOT_HELD, Reply.OBJECTED}),
    RESUME_USE: frozenset[Reply](),
}


class AcknowledgementClaims(Claims):
    """What a receiver says about one notice.

    Args:
        v: Version of this structure.
        notice_id: The notice.
        party: The receiver.
        reply: What it did.
        rows: How many rows it purged or suspended.
        reason: Why it objects; needed then.
        answered_at: Unix seconds.
    """

    v: Literal[1] = 1
    notice_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    party: Annotated[str, Field(max_length=64)]
    reply: Annotated[Reply, Field(strict=False)]
    rows: Annotated[int, Field(ge=0, le=2**53 - 1)] = 0
    reason: Annotated[str, Field(max_length=500)] = ""
    answered_at: Annotated[int, Field(ge=0, le=2**53 - 1)]

    @model_validator(mode="after")
    def _reasoned(self) -> "AcknowledgementClaims":
        if self.reply is Reply.OBJECTED and not self.reason.strip():
            raise ValueError("an objection has a reason")
        return self


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What an acknowledgement did.

    Args:
        appended: Its entry.
        status: Where the notice stands now.
        repeated: Whether this very acknowledgement was there before.
    """

    appended: Appended
    status: str
    repeated: bool


def read_acknowledgement(
    token: str,
    find_key: Callable[[str], Ed25519PublicKey | None],
    certificate_key: bytes,
) -> Verified[AcknowledgementClaims]:
    """Return an acknowledgement after verifying signature, type and shape.

    Args:
        token: The compact form.
        find_key: Key id to a registered document key of the caller, or None.
        certificate_key: Public key of the caller's certificate, PEM.

    Raises:
        InvalidRequestError: `BAD_DOCUMENT` or `BAD_SIGNATURE`.
    """
    text = token.strip()
    if len(text) > MAX_BYTES or not text.isascii():
        raise BadDocumentError("the document is too large or not ASCII")
    if _header(text) != _ES256:
        return verify(text, find_key, ACKNOWLEDGEMENT_TYPE, AcknowledgementClaims)
    try:
        key = ECKey.import_key(certificate_key)
        opened = jws.deserialize_compact(text, key, algorithms=["ES256"])
    except (JoseError, InvalidSignature, ValueError, TypeError):
        raise BadSignatureError from None
    claims = parse_claims(opened.payload or b"", AcknowledgementClaims)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Verified(claims, key.thumbprint(), digest, text)


def acknowledge(
    tx: Transaction, answer: Verified[AcknowledgementClaims], party_id: str, *, node: str, now: int
) -> Acknowledged:
    """Write what a receiver says about its notice, and log it.

    Raises:
        DeniedError: `NOT_YOUR_NOTICE`: no notice to this party has this id.
        InvalidRequestError: `BAD_REQUEST`: the reply doesn't fit the notice.
        ConflictError: `CONFLICT`: the notice was acknowledged before, or needs no answer any more.
    """
    claims = answer.claims
    row = tx.execute(
        "SELECT notice, kind, status, answer, answer_index, answer_leaf FROM recall_notices"
        " WHERE notice_id = ? AND party_id = ?",
        (claims.notice_id, party_id),
    ).fetchone()
    if row is None or claims.party != party_id:
        # One word for what isn't there and for what is another's.
        raise DeniedError(
            "NOT_YOUR_NOTICE",
            "no notice of yours has this id",
            reasons=[Reason("R28", "NOT_YOUR_NOTICE")],
        )
    notice, kind, status, known, known_index, known_leaf = row
    if known == answer.token:
        return Acknowledged(Appended(known_index, known_leaf, b""), status, True)
    if status in ("ACKNOWLEDGED", "SUPERSEDED", "WAIVED", "INFORMED"):
        raise ConflictError("CONFLICT", "this notice needs no answer any more")
    if claims.reply not in _FITTING[kind]:
        raise InvalidRequestError("BAD_REQUEST", "the reply doesn't fit this kind of notice")
    appended = tx.append(
        entries.recall_acknowledged(
            time=now,
            node=node,
            recall=notice,
            party=party_id,
            answer=claims.reply.value,
            signature=answer.digest,
        )
    )
    objected = claims.reply is Reply.OBJECTED
    # An objection to what is proposed already stays with the person who decides on it.
    after = ("PROPOSED" if status == "PROPOSED" else "OBJECTED") if objected else "ACKNOWLEDGED"
    tx.execute(
        "UPDATE recall_notices SET status = ?, reply = ?, answered_at = ?, answer = ?,"
        " answer_index = ?, answer_leaf = ? WHERE notice = ?",
        (
            after,
            claims.reply.value,
            now,
            answer.token,
            appended.index,
            appended.leaf_hash,
            notice,
        ),
    )
    close_if_moot(tx, party_id, node=node, now=now)
    return Acknowledged(appended, after, False)


def _header(text: str) -> object:
    """Return a compact document's header as it claims to be; None when it has none."""
    part = text.partition(".")[0]
    try:
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None
