"""Overdue notices: escalated, then a suspension is proposed, which a person signs or dismisses.

Nothing here suspends by itself (R28 with domain-rules 13). The person's decision is a document
signed with a registered key of the operator or of its security administration; the receiver may
object by then, with reasons that the person reads. Suspensions are lifted as any other is:
`xinguan licence resume`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import Field

from audit import entries
from audit.journal import Transaction
from gateway.domain.errors import (
    ConflictError,
    DeniedError,
    InvalidRequestError,
    NotFoundError,
    Reason,
)
from gateway.domain.vocabulary import Role, Status
from gateway.registry import document_keys, licences, parties
from gateway.registry.act import Act
from gateway.registry.documents import Claims, verify
from gateway.store.migration import Statements

SUSPENSION_TYPE = "xinguan-suspension+jwt"
_SIGNERS = frozenset({Role.OPERATOR, Role.SECURITY_ADMIN})
_AT_ONCE = 500
_NAMED = 100  # recalls in the proposal's entry
_OVERDUE = "status IN ('ESCALATED', 'OBJECTED')"


class Ruling(StrEnum):
    """What a person decides on a proposal."""

    SIGN = "SIGN"
    DISMISS = "DISMISS"  # the receiver gets a new deadline
    WAIVE = "WAIVE"  # its objection is right, or the matter is settled otherwise


_CLOSED = {Ruling.SIGN: "SIGNED", Ruling.DISMISS: "DISMISSED", Ruling.WAIVE: "DISMISSED"}


class RulingClaims(Claims):
    """A person's decision.

    Args:
        v: Version of this structure.
        proposal: Log index of the proposal.
        party: The organisation that it is about, so that no index alone suspends anybody.
        ruling: The decision.
        person: Who decided, as the operator names its people; it stays out of the log.
        reason: Why; it stays out of the log as well.
        due_days: With DISMISS: days until the receiver has to acknowledge.
        decided_at: Unix seconds.
    """

    v: Literal[1] = 1
    proposal: Annotated[int, Field(ge=0)]
    party: Annotated[str, Field(max_length=64)]
    ruling: Annotated[Ruling, Field(strict=False)]
    person: Annotated[str, Field(min_length=1, max_length=100)]
    reason: Annotated[str, Field(max_length=500)] = ""
    due_days: Annotated[int, Field(ge=1, le=90)] = 3
    decided_at: int


@dataclass(frozen=True, slots=True)
class Ruled:
    """What a decision did.

    Args:
        proposal: Log index of the proposal.
        party_id: The organisation.
        decision: SIGNED or DISMISSED.
        index: Log index of its entry.
        suspended: Licences that were suspended.
    """

    proposal: int
    party_id: str
    decision: str
    index: int
    suspended: tuple[str, ...]


def escalate(tx: Transaction, *, node: str, now: int) -> int:
    """Log notices whose deadline has passed without an answer; return how many."""
    rows = tx.execute(
        "SELECT notice, party_id FROM recall_notices WHERE status = 'OPEN' AND due_at <= ?"
        " ORDER BY notice LIMIT ?",
        (now, _AT_ONCE),
    ).fetchall()
    for notice, party_id in rows:
        tx.append(entries.recall_escalated(time=now, node=node, recall=notice, party=party_id))
        tx.execute("UPDATE recall_notices SET status = 'ESCALATED' WHERE notice = ?", (notice,))
    return len(rows)


def propose(tx: Transaction, *, node: str, now: int, wait_s: int) -> int:
    """Propose the suspension of receivers that are overdue for long; return how many.

    An organisation has one open proposal at most. An objection is no acknowledgement: it goes to
    the person who decides.
    """
    rows = tx.execute(
        f"SELECT DISTINCT party_id FROM recall_notices AS n WHERE {_OVERDUE} AND due_at <= ?"
        " AND NOT EXISTS (SELECT 1 FROM suspension_proposals AS p WHERE p.party_id = n.party_id"
        "  AND p.status = 'OPEN') ORDER BY party_id LIMIT ?",
        (now - wait_s, _AT_ONCE),
    ).fetchall()
    for (party_id,) in rows:
        notices = tx.execute(
            f"SELECT notice FROM recall_notices WHERE party_id = ? AND {_OVERDUE} AND due_at <= ?"
            " ORDER BY notice",
            (party_id, now - wait_s),
        ).fetchall()
        named = [notice for (notice,) in notices[:_NAMED]]
        appended = tx.append(
            entries.suspension_proposed(time=now, node=node, party=party_id, recalls=named)
        )
        tx.execute(
            "INSERT INTO suspension_proposals (proposal, party_id, notices, proposed_at, status)"
            " VALUES (?, ?, ?, ?, 'OPEN')",
            (appended.index, party_id, len(notices), now),
        )
        tx.execute(
            f"UPDATE recall_notices SET status = 'PROPOSED', proposal = ? WHERE party_id = ?"
            f" AND {_OVERDUE} AND due_at <= ?",
            (appended.index, party_id, now - wait_s),
        )
    return len(rows)


def open_proposal(state: Statements, proposal: int) -> str:
    """Return the organisation of a proposal that awaits a decision.

    Raises:
        NotFoundError: `NOT_FOUND`.
        ConflictError: `CONFLICT` when it is decided already.
    """
    row = state.execute(
        "SELECT party_id, status FROM suspension_proposals WHERE proposal = ?", (proposal,)
    ).fetchone()
    if row is None:
        raise NotFoundError("NOT_FOUND", "no suspension was proposed under this number")
    if row[1] != "OPEN":
        raise ConflictError("CONFLICT", "this proposal is closed already")
    return str(row[0])


def rule(
    tx: Transaction, document: str, act: Act, *, proposal: int, rulings: Collection[Ruling]
) -> Ruled:
    """Put a person's signed decision into effect.

    Args:
        tx: The transaction.
        document: The decision.
        act: The circumstances.
        proposal: The proposal that it must be about.
        rulings: What it may say.

    Raises:
        InvalidRequestError: `BAD_DOCUMENT`, `BAD_SIGNATURE`, or `BAD_REQUEST` when it decides
            something else.
        DeniedError: `ROLE_FORBIDDEN`: the key is not of one who may decide.
        NotFoundError: `NOT_FOUND`.
        ConflictError: `CONFLICT`: the proposal is closed already.
    """
    verified = verify(
        document,
        lambda identity: document_keys.active_public_key(tx, identity),
        SUSPENSION_TYPE,
        RulingClaims,
    )
    claims = verified.claims
    signer = parties.find(tx, document_keys.find(tx, verified.signer).party_id)
    if signer.role not in _SIGNERS or signer.status is not Status.ACTIVE:
        raise DeniedError("ROLE_FORBIDDEN", "the operator or its security administration decides")
    if claims.proposal != proposal or claims.ruling not in rulings:
        raise InvalidRequestError("BAD_REQUEST", "the document decides something else than asked")
    party_id = open_proposal(tx, claims.proposal)
    if claims.party != party_id:
        raise DeniedError(
            "NOT_YOUR_NOTICE",
            "the decision names another organisation than the proposal",
            reasons=[Reason("R28", "NOT_YOUR_NOTICE")],
        )
    suspended: list[str] = []
    if claims.ruling is Ruling.SIGN:
        suspended = _suspend_all(tx, party_id, act)
    elif claims.ruling is Ruling.DISMISS:
        tx.execute(
            "UPDATE recall_notices SET status = 'OPEN', proposal = NULL, due_at = ?"
            " WHERE proposal = ? AND status = 'PROPOSED'",
            (act.now + claims.due_days * 86_400, claims.proposal),
        )
    else:
        tx.execute(
            "UPDATE recall_notices SET status = 'WAIVED' WHERE proposal = ?"
            " AND status = 'PROPOSED'",
            (claims.proposal,),
        )
    decision = _CLOSED[claims.ruling]
    index = _close(
        tx,
        claims.proposal,
        party_id,
        decision,
        actor=signer.party_id,
        node=act.node,
        now=act.now,
        document=verified.token,
    )
    return Ruled(claims.proposal, party_id, decision, index, tuple(suspended))


def close_if_moot(tx: Transaction, party_id: str, *, node: str, now: int) -> None:
    """Close an open proposal over which nothing is unanswered any more; nobody has to decide."""
    rows = tx.execute(
        "SELECT proposal FROM suspension_proposals AS p WHERE party_id = ? AND status = 'OPEN'"
        " AND NOT EXISTS (SELECT 1 FROM recall_notices AS n WHERE n.proposal = p.proposal"
        "  AND n.status IN ('PROPOSED', 'OBJECTED'))",
        (party_id,),
    ).fetchall()
    for (proposal,) in rows:
        _close(tx, proposal, party_id, "MOOT", actor=party_id, node=node, now=now)


def _suspend_all(tx: Transaction, party_id: str, act: Act) -> list[str]:
    rows = tx.execute(
        "SELECT licence_id FROM licence_status WHERE party_id = ? AND status = ?"
        " ORDER BY licence_id",
        (party_id, Status.ACTIVE.value),
    ).fetchall()
    for (licence_id,) in rows:
        licences.suspend(tx, licence_id, act)
    return [str(licence_id) for (licence_id,) in rows]


def _close(
    tx: Transaction,
    proposal: int,
    party_id: str,
    decision: str,
    *,
    actor: str,
    node: str,
    now: int,
    document: str = "",
) -> int:
    appended = tx.append(
        entries.suspension_closed(
            time=now,
            node=node,
            actor=actor,
            proposal=proposal,
            party=party_id,
            decision=decision,
            document=sha256(document.encode()).digest() if document else None,
        )
    )
    tx.execute(
        "UPDATE suspension_proposals SET status = ?, closed_index = ?, document = ?"
        " WHERE proposal = ?",
        (decision, appended.index, document or None, proposal),
    )
    return appended.index
