"""Whether a subject's openings may be destroyed, and by whom (R83): checked, then done at once.

Refused before the retention of every entry concerned is over, while a hold stands, and without
the approvals of a system administrator and an audit administrator, each signed with a registered
document key of its own. A deployment in the `dev` profile needs only the roles it has registered.
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import Field

from audit.access import entry_source
from audit.commitment import subject_label
from audit.destruction import Order, destroy
from audit.journal import Transaction
from audit.openings import OpeningStore, who
from audit.reader import LogReader
from gateway.domain.approvals import check_role
from gateway.domain.errors import ConflictError, DeniedError, NotFoundError, Reason
from gateway.domain.vocabulary import Role, Status
from gateway.registry.act import Act
from gateway.registry.approvals import read_approval
from gateway.registry.consents import Subject
from gateway.registry.documents import BadDocumentError, Claims, parse_claims, sign
from gateway.registry.licences import Instant
from gateway.subjects import holds
from gateway.subjects.retention import kept_until, retention_months

DESTRUCTION_TYPE: Final = "xinguan-destruction+jwt"
APPROVERS: Final = (Role.SYSTEM_ADMIN, Role.AUDIT_ADMIN)
APPROVAL_LIFE_S: Final = 14 * 86_400


class DestructionClaims(Claims):
    """What an administrator signs: whose openings, of entries before when, on which ground."""

    v: Literal[1] = 1
    subject: Subject
    until: Instant
    basis: str = Field(min_length=1, max_length=200)
    nonce: str = Field(pattern=r"^[0-9a-f]{32}$")  # so that nothing of it can be guessed
    expires_at: Instant


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be forgotten.

    Args:
        subject: The subject's identifier.
        until: Entries before this time, unix seconds.
        basis: On which ground.
        approvals: Signed approvals, compact JWS.
        both_roles: Whether both roles must approve even where they are not registered.
    """

    subject: str
    until: int
    basis: str
    approvals: Sequence[str] = ()
    both_roles: bool = True


def approve(wish: Wish, key: Ed25519PrivateKey, now: int) -> str:
    """Return an approval of exactly this wish, signed; it can be made on any machine.

    Raises:
        BadDocumentError: `BAD_DOCUMENT`, naming what is malformed.
    """
    stated = {
        "subject": wish.subject,
        "until": wish.until,
        "basis": wish.basis,
        "nonce": secrets.token_hex(16),
        "expires_at": now + APPROVAL_LIFE_S,
    }
    claims = parse_claims(json.dumps(stated).encode(), DestructionClaims)
    return sign(claims, key, DESTRUCTION_TYPE)


def forget(
    tx: Transaction,
    wish: Wish,
    act: Act,
    *,
    reader: LogReader,
    openings: OpeningStore,
    index_key: bytes,
) -> int:
    """Check that it may be, destroy, and log it; return the log index.

    Args:
        tx: The transaction, under the lease of the index.
        wish: What is to be forgotten.
        act: The circumstances.
        reader: The published log.
        openings: The openings.
        index_key: Key of the sealed index.

    Raises:
        NotFoundError: `NOT_FOUND` when no entry before the time concerns the subject.
        DeniedError: `RETENTION`, `ON_HOLD` or `APPROVALS_MISSING`.
        BadDocumentError, BadSignatureError: An approval is malformed or not signed as it is.
        ConflictError: `CONFLICT` when an approval is of something else, or is over.
    """
    label = subject_label(index_key, wish.subject)
    read = entry_source(tx, reader)
    times = {index: int(read(index)["time"]) for index in who(tx, label)}
    concerned = sorted(index for index, time in times.items() if time < wish.until)
    if not concerned:
        raise NotFoundError("NOT_FOUND", "no entry before this time concerns the subject")
    months = retention_months()
    if kept_until(max(times[index] for index in concerned), months) > act.now:
        raise DeniedError(
            "RETENTION",
            f"entries of this range are kept for {months} months",
            reasons=(Reason("R83", "RETENTION"),),
        )
    if holds.standing(tx, label):
        raise DeniedError(
            "ON_HOLD", "a hold stands on this subject", reasons=(Reason("R83", "ON_HOLD"),)
        )
    approvals = tuple(_approval(tx, each, wish, act.now) for each in wish.approvals)
    _require_roles(tx, {role for role, _, _ in approvals}, wish)
    signed = tuple((party, key) for _, party, key in approvals)
    order = Order(label, wish.until, act.actor, wish.basis, signed)
    return destroy(tx, openings, order, concerned, now=act.now, node=act.node)


def _approval(tx: Transaction, document: str, wish: Wish, now: int) -> tuple[str, str, str]:
    """Return role, party and key of who signed an approval of exactly this wish."""
    verified, party = read_approval(tx, document, DESTRUCTION_TYPE, DestructionClaims)
    claims = verified.claims
    if (claims.subject, claims.until, claims.basis) != (wish.subject, wish.until, wish.basis):
        raise ConflictError("CONFLICT", "an approval is of something else than what is asked for")
    if claims.expires_at <= now:
        raise BadDocumentError("the approval is over")
    check_role(party, "a destruction", APPROVERS)
    return party.role.value, party.party_id, verified.signer


def _require_roles(tx: Transaction, given: set[str], wish: Wish) -> None:
    registered = {
        row[0]
        for row in tx.execute(
            "SELECT DISTINCT role FROM parties WHERE status = ?", (Status.ACTIVE.value,)
        ).fetchall()
    }
    missing = [
        role.value
        for role in APPROVERS
        if (wish.both_roles or role.value in registered) and role.value not in given
    ]
    if missing:
        raise DeniedError(
            "APPROVALS_MISSING",
            f"the approval of {' and '.join(missing)} is missing",
            reasons=(Reason("R83", "APPROVALS_MISSING"),),
        )
