"""Acts on the registers of the border: state, propose, approve, suspend, resume, withdraw.

Each act is one transaction with its entry in the log. A statement comes into effect by a signed
document at once, or by a proposal and two approvals of different roles. A newer version takes the
place of an older one when its term begins; an older one never comes back.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from audit import entries
from audit.journal import Transaction
from gateway.border.claims import (
    APPROVAL_TYPE,
    MODELS,
    BorderClaims,
    MechanismClaims,
    check_term,
    terms_of,
)
from gateway.border.kept import Kept, find, newest, next_version, store
from gateway.border.law import BorderLaw
from gateway.border.signers import APPROVERS, WAYS, AuthorityKey, verified_statement
from gateway.domain.approvals import added, check_approver, indexes, is_enough
from gateway.domain.border import Register
from gateway.domain.errors import ConflictError, DeniedError, InvalidRequestError, NotFoundError
from gateway.domain.party import Party
from gateway.domain.vocabulary import Role, Status
from gateway.registry import parties
from gateway.registry.act import Act
from gateway.registry.approvals import read_approval
from gateway.registry.documents import BadDocumentError


def register_signed(
    tx: Transaction,
    register: Register,
    document: str,
    act: Act,
    law: BorderLaw,
    *,
    authority_key: AuthorityKey,
) -> Kept:
    """Verify a signed statement, put it in effect and log it.

    Raises:
        BadDocumentError: `BAD_DOCUMENT`, also for a term that the law does not allow.
        BadSignatureError: `BAD_SIGNATURE`.
        DeniedError: `ROLE_FORBIDDEN` when the signer may not state this.
        NotFoundError: `NOT_FOUND` when a party in it is not registered.
        InvalidRequestError: `BAD_REQUEST` when its recipient is no cross-border partner.
        ConflictError: `CONFLICT` when the version is not the next one, or it changes whom an
            earlier version was about.
    """
    verified, _ = verified_statement(tx, register, document, authority_key)
    claims = verified.claims
    _check(tx, claims, act, law)
    appended = tx.append(
        entries.border_registered(
            time=act.now,
            node=act.node,
            actor=act.actor,
            register=claims.statement,
            name=claims.name,
            version=claims.version,
            terms=terms_of(claims),
            signer=verified.signer,
            document=verified.digest,
        )
    )
    at = appended.index
    return store(
        tx,
        Kept(claims, verified.token, act.actor, registered=at, status_index=at, index=at),
    )


def propose(tx: Transaction, claims: BorderClaims, act: Act, law: BorderLaw) -> Kept:
    """Record a statement that awaits its approvals, and log it.

    Raises:
        DeniedError: `ROLE_FORBIDDEN` when this register takes signed documents only.
        BadDocumentError, NotFoundError, InvalidRequestError, ConflictError: as
            `register_signed`.
    """
    if not WAYS[Register(claims.statement)].approvals:
        raise DeniedError(
            "ROLE_FORBIDDEN",
            "approvals don't put a statement into this register",
            hints=("hand in a document signed by who answers for it",),
        )
    _check(tx, claims, act, law)
    appended = tx.append(
        entries.border_proposed(
            time=act.now,
            node=act.node,
            actor=act.actor,
            register=claims.statement,
            name=claims.name,
            version=claims.version,
            terms=terms_of(claims),
        )
    )
    at = appended.index
    return store(tx, Kept(claims, "", act.actor, status_index=at, index=at))


def approve(tx: Transaction, claims: BorderClaims, approver: Party, act: Act) -> Kept:
    """Record the approval of exactly this content; the second one puts it in effect.

    Args:
        tx: The transaction.
        claims: What the approver saw; it must be what was proposed.
        approver: Who approves, authenticated.
        act: The circumstances.

    Raises:
        NotFoundError: `NOT_FOUND` when no such version was proposed.
        DeniedError: `ROLE_FORBIDDEN` for who may not approve.
        ConflictError: `CONFLICT` when the content differs, the role has approved already, or
            it is in effect or withdrawn.
    """
    kept = find(tx, Register(claims.statement), claims.name, claims.version)
    if terms_of(kept.claims) != terms_of(claims):
        raise ConflictError("CONFLICT", "what is approved is not what was proposed")
    check_approver(
        approver,
        "statements of the border",
        proposer=kept.proposer,
        given=kept.approvals,
        roles=APPROVERS,
    )
    if kept.status is not Status.ACTIVE:
        raise ConflictError("CONFLICT", "it was withdrawn")
    if kept.registered is not None:
        raise ConflictError("CONFLICT", "it is in effect already")
    appended = tx.append(
        entries.border_approved(
            time=act.now,
            node=act.node,
            actor=approver.party_id,
            register=claims.statement,
            name=claims.name,
            version=claims.version,
            role=approver.role.value,
            proposal=kept.index,
        )
    )
    kept = replace(kept, approvals=added(kept.approvals, approver, appended.index))
    if is_enough(kept.approvals):
        kept = _put_in_effect(tx, kept, approver, act)
    return store(tx, kept)


def approve_signed(tx: Transaction, register: Register, document: str, act: Act) -> Kept:
    """Record an approval that its approver signed with a registered document key.

    Raises:
        BadDocumentError: `BAD_DOCUMENT`.
        BadSignatureError: `BAD_SIGNATURE`.
        NotFoundError, DeniedError, ConflictError: as `approve`.
    """
    verified, approver = read_approval(tx, document, APPROVAL_TYPE, MODELS[register])
    return approve(tx, verified.claims, approver, act)


def suspend(tx: Transaction, register: Register, name: str, act: Act) -> Kept:
    """Let what stands under a name speak no more until it is resumed, and log it.

    Raises:
        NotFoundError: `NOT_FOUND`.
        ConflictError: `CONFLICT` unless it is in effect and active.
        DeniedError: `ROLE_FORBIDDEN` when only a newer statement may change this one.
    """
    alive = [v for v in _alive(tx, register, name, act.now) if v.registered is not None]
    return _set_status(tx, alive, {Status.ACTIVE}, Status.SUSPENDED, act)


def resume(tx: Transaction, register: Register, name: str, act: Act) -> Kept:
    """End a suspension, and log it.

    Raises:
        NotFoundError: `NOT_FOUND`.
        ConflictError: `CONFLICT` unless it is suspended.
    """
    alive = [v for v in _alive(tx, register, name, act.now) if v.registered is not None]
    return _set_status(tx, alive, {Status.SUSPENDED}, Status.ACTIVE, act)


def withdraw(tx: Transaction, register: Register, name: str, act: Act) -> Kept:
    """End what stands under a name for ever, what awaits approval included, and log it.

    Raises:
        NotFoundError: `NOT_FOUND`.
        ConflictError: `CONFLICT` when it was withdrawn before.
        DeniedError: `ROLE_FORBIDDEN` when only a newer statement may change this one.
    """
    alive = _alive(tx, register, name, act.now)
    return _set_status(tx, alive, {Status.ACTIVE, Status.SUSPENDED}, Status.REVOKED, act)


def _check(tx: Transaction, claims: BorderClaims, act: Act, law: BorderLaw) -> None:
    check_term(claims, act.now, law.latest_end(claims))
    for party_id in claims.parties:
        parties.find(tx, party_id)
    abroad = claims.recipient_abroad
    if abroad and parties.find(tx, abroad).role is not Role.CROSS_BORDER_PARTNER:
        raise InvalidRequestError("BAD_REQUEST", "the recipient is no cross-border partner (R67)")
    register = Register(claims.statement)
    if claims.version != next_version(tx, register, claims.name):
        raise ConflictError("CONFLICT", "the version is not the one after the last")
    if claims.version > 1:
        _check_renewal(newest(tx, register, claims.name), claims)


def _check_renewal(last: Kept, claims: BorderClaims) -> None:
    if last.claims.parties != claims.parties:
        raise ConflictError("CONFLICT", "this name stands for other parties")
    if isinstance(claims, MechanismClaims) and isinstance(last.claims, MechanismClaims):
        if claims.kind != last.claims.kind:
            raise ConflictError("CONFLICT", "this number stands for another kind of mechanism")
        if last.status is Status.REVOKED:
            raise ConflictError("CONFLICT", "it was withdrawn; a new mechanism has a new number")
    if last.registered is None and last.status is Status.ACTIVE:
        raise ConflictError("CONFLICT", "the last version still awaits its approvals")


def _put_in_effect(tx: Transaction, kept: Kept, approver: Party, act: Act) -> Kept:
    claims = kept.claims
    ends = claims.ends
    if ends is not None and ends <= act.now:
        raise BadDocumentError("not_after: the term is over already")
    appended = tx.append(
        entries.border_registered(
            time=act.now,
            node=act.node,
            actor=approver.party_id,
            register=claims.statement,
            name=claims.name,
            version=claims.version,
            terms=terms_of(claims),
            proposal=kept.index,
            approvals=indexes(kept.approvals),
        )
    )
    return replace(kept, registered=appended.index, status_index=appended.index)


def _alive(tx: Transaction, register: Register, name: str, now: int) -> list[Kept]:
    """Return the versions that speak, will speak or await approvals, ascending."""
    versions = [find(tx, register, name, n) for n in range(1, next_version(tx, register, name))]
    if not versions:
        raise NotFoundError("NOT_FOUND", "no such statement stands in this register")
    begun = [v for v in versions if v.registered is not None and v.claims.not_before <= now]
    first = begun[-1].claims.version if begun else 1
    return [version for version in versions if version.claims.version >= first]


def _set_status(
    tx: Transaction, versions: Sequence[Kept], from_: AbstractSet[Status], to: Status, act: Act
) -> Kept:
    """Change every version that is in one of the statuses; return the newest of them."""
    changed = [_write_status(tx, kept, to, act) for kept in versions if kept.status in from_]
    if not changed:
        raise ConflictError("CONFLICT", "its present status does not admit this")
    return changed[-1]


def _write_status(tx: Transaction, kept: Kept, status: Status, act: Act) -> Kept:
    claims = kept.claims
    if not WAYS[kept.register].withdrawable and kept.registered is not None:
        raise DeniedError(
            "ROLE_FORBIDDEN",
            "only a newer statement says something else in this register",
            hints=("hand in the next version",),
        )
    appended = tx.append(
        entries.border_status(
            time=act.now,
            node=act.node,
            actor=act.actor,
            register=claims.statement,
            name=claims.name,
            version=claims.version,
            status=status.value,
            registered=kept.registered,
            proposal=kept.index if kept.registered is None else None,
            reason=act.reason,
        )
    )
    return store(tx, replace(kept, status=status, status_index=appended.index))
