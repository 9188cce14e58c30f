"""The register of issuers abroad: who may state what about foreign firms, and with which keys.

A version takes effect when two administrators of different roles have approved exactly its
content, or when the authority signed it. A later version in effect replaces it, and a withdrawn
one is never replaced by an older one: deny on doubt, as with whitelists.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit import entries
from audit.journal import Transaction
from gateway.domain.approvals import check_approver, indexes, is_enough
from gateway.domain.errors import ConflictError, NotFoundError
from gateway.domain.foreign import ForeignIssuer
from gateway.domain.party import Party
from gateway.domain.vocabulary import Role
from gateway.registry.act import Act, raise_version
from gateway.registry.approvals import read_approval
from gateway.registry.documents import APPROVAL_TYPE, verify
from gateway.registry.issuer_claims import ISSUER_TYPE, IssuerClaims, canonical, read_issuer
from gateway.store.migration import Statements
from gateway.store.upsert import upsert

COLUMNS = "issuer, version, content, proposer, approvals, approved_index, withdrawn_at, log_index"
IssuerRow = tuple[str, int, str, str, str, int | None, int | None, int]


@dataclass(frozen=True, slots=True)
class Registration:
    """One version of an issuer's registration with everything known about it.

    Args:
        content: What it says.
        proposer: Who proposed it, or handed in the authority's document.
        approvals: Role to the approver and the log index of the approval.
        approved_index: Log index of the approval that completed it, or None.
        withdrawn_at: Unix seconds, or None.
        index: Log index of the proposal.
    """

    content: IssuerClaims
    proposer: str
    approvals: dict[str, tuple[str, int]] = field(default_factory=dict)
    approved_index: int | None = None
    withdrawn_at: int | None = None
    index: int = -1

    def issuer(self) -> ForeignIssuer | None:
        """Return the version as the policy reads it, or None while it is not approved."""
        if self.approved_index is None:
            return None
        said, agreed = self.content, self.content.agreement
        return ForeignIssuer(
            issuer=said.issuer,
            version=said.version,
            kind=said.kind,
            party=said.party,
            jurisdiction=said.jurisdiction,
            not_before=said.not_before,
            withdrawn_at=self.withdrawn_at,
            agreement=agreed.agreement_id,
            agreement_from=agreed.not_before,
            agreement_until=agreed.not_after,
            onward_use=agreed.onward_use,
            onward_zh=agreed.onward_zh,
            onward_en=agreed.onward_en,
            index=self.approved_index,
        )


def propose(tx: Transaction, content: IssuerClaims, act: Act) -> Registration:
    """Record a new version that awaits its approvals, and log it.

    Raises:
        ConflictError: `CONFLICT` when the version is not the next one.
    """
    if content.version != next_version(tx, content.issuer):
        raise ConflictError("CONFLICT", "the version is not the one after the last")
    appended = tx.append(
        entries.issuer_proposed(
            time=act.now,
            node=act.node,
            actor=act.actor,
            issuer=content.issuer,
            version=content.version,
            issuer_kind=content.kind.value,
            jurisdiction=content.jurisdiction,
            agreement=content.agreement.agreement_id,
            content=hashlib.sha256(canonical(content).encode()).hexdigest(),
            not_before=content.not_before,
        )
    )
    return _store(tx, Registration(content, act.actor, index=appended.index))


def approve(tx: Transaction, content: IssuerClaims, approver: Party, act: Act) -> Registration:
    """Record the approval of exactly this content by an authenticated administrator.

    Raises:
        NotFoundError: `NOT_FOUND` when no such version was proposed.
        DeniedError: `ROLE_FORBIDDEN` for a role that doesn't approve, a suspended approver,
            or the proposer.
        ConflictError: `CONFLICT` when the content differs, the role has approved already, or
            the version was withdrawn.
    """
    found = find(tx, content.issuer, content.version)
    if canonical(found.content) != canonical(content):
        raise ConflictError("CONFLICT", "what is approved is not what was proposed")
    check_approver(approver, "issuers", proposer=found.proposer, given=found.approvals)
    if found.withdrawn_at is not None:
        raise ConflictError("CONFLICT", "this version was withdrawn")
    return _approved(tx, found, approver.role.value, approver.party_id, act)


def approve_signed(tx: Transaction, document: str, act: Act) -> Registration:
    """Record an approval that its approver signed with a registered document key.

    Raises:
        BadDocumentError: `BAD_DOCUMENT`.
        BadSignatureError: `BAD_SIGNATURE`.
        NotFoundError, DeniedError, ConflictError: as `approve`.
    """
    verified, approver = read_approval(tx, document, APPROVAL_TYPE, IssuerClaims)
    return approve(tx, verified.claims, approver, act)


def register_signed(
    tx: Transaction,
    document: str,
    act: Act,
    *,
    authority_key: Callable[[str], Ed25519PublicKey | None],
    check: Callable[[IssuerClaims], None] = lambda _: None,
) -> Registration:
    """Put a version in force that the authority signed, and log it.

    Args:
        tx: The transaction.
        document: The signed document.
        act: The circumstances.
        authority_key: Key id to the authority's public key, or None.
        check: Called with the verified content; what it raises leaves all as it was.

    Raises:
        BadDocumentError: `BAD_DOCUMENT`.
        BadSignatureError: `BAD_SIGNATURE`.
        ConflictError: `CONFLICT` when the version is not the next one.
    """
    verified = verify(document, authority_key, ISSUER_TYPE, IssuerClaims)
    check(verified.claims)
    proposed = propose(tx, verified.claims, act)
    return _approved(
        tx,
        proposed,
        Role.AUTHORITY.value,
        act.actor,
        act,
        signed=(verified.signer, verified.digest),
    )


def withdraw(tx: Transaction, issuer: str, act: Act) -> Registration:
    """End an issuer from now on, in the version that is newest, and log it.

    Raises:
        NotFoundError: `NOT_FOUND`.
        ConflictError: `CONFLICT` when it was withdrawn before.
    """
    found = find(tx, issuer, next_version(tx, issuer) - 1)
    if found.withdrawn_at is not None:
        raise ConflictError("CONFLICT", "this issuer was withdrawn before")
    # Every version ends: an approved one below a proposal must not go on speaking.
    for version in range(1, found.content.version):
        older = find(tx, issuer, version)
        if older.withdrawn_at is None:
            _store(tx, replace(older, withdrawn_at=act.now))
    tx.append(
        entries.issuer_withdrawn(
            time=act.now,
            node=act.node,
            actor=act.actor,
            issuer=issuer,
            version=found.content.version,
            reason=act.reason,
            proposal=found.index,
        )
    )
    return _store(tx, replace(found, withdrawn_at=act.now))


def in_effect(tx: Statements, issuer: str, at: int) -> Registration | None:
    """Return the newest approved version whose effect has begun, withdrawn or not, or None."""
    rows = tx.execute(
        f"SELECT {COLUMNS} FROM foreign_issuers WHERE issuer = ? ORDER BY version DESC", (issuer,)
    ).fetchall()
    for row in rows:
        found = from_row(row)
        if found.approved_index is not None and found.content.not_before <= at:
            return found
    return None


def next_version(tx: Statements, issuer: str) -> int:
    """Return the number that the next version must have."""
    sql = "SELECT max(version) FROM foreign_issuers WHERE issuer = ?"
    last: int | None = tx.execute(sql, (issuer,)).fetchone()[0]
    return 1 if last is None else last + 1


def find(tx: Statements, issuer: str, version: int) -> Registration:
    """Return one version.

    Raises:
        NotFoundError: `NOT_FOUND`.
    """
    row = tx.execute(
        f"SELECT {COLUMNS} FROM foreign_issuers WHERE issuer = ? AND version = ?",
        (issuer, version),
    ).fetchone()
    if row is None:
        raise NotFoundError("NOT_FOUND", "no such issuer is registered in this version")
    return from_row(row)


def every(tx: Statements) -> list[Registration]:
    """Return every version that was ever proposed."""
    sql = f"SELECT {COLUMNS} FROM foreign_issuers ORDER BY issuer, version"
    return [from_row(row) for row in tx.execute(sql).fetchall()]


def from_row(row: IssuerRow) -> Registration:
    """Return the version in a row of `COLUMNS`."""
    _, _, content, proposer, approvals, done, end, index = row
    given = {role: (who, at) for role, (who, at) in json.loads(approvals).items()}
    return Registration(read_issuer(content.encode()), proposer, given, done, end, index)


def _approved(
    tx: Transaction,
    found: Registration,
    role: str,
    approver: str,
    act: Act,
    *,
    signed: tuple[str, str] | None = None,
) -> Registration:
    """Log an approval and store it; one that the authority signed as a document is complete."""
    appended = tx.append(
        entries.issuer_approved(
            time=act.now,
            node=act.node,
            actor=approver,
            issuer=found.content.issuer,
            version=found.content.version,
            role=role,
            proposal=found.index,
            earlier=indexes(found.approvals),
            signer=signed[0] if signed else "",
            document=signed[1] if signed else "",
        )
    )
    approvals = {**found.approvals, role: (approver, appended.index)}
    complete = signed is not None or is_enough(approvals)
    done = found.approved_index
    if done is None and complete:
        done = appended.index
    return _store(tx, replace(found, approvals=approvals, approved_index=done))


def _store(tx: Transaction, found: Registration) -> Registration:
    content = found.content
    tx.execute(
        upsert("foreign_issuers", f"{COLUMNS}, changed", "issuer, version"),
        (
            content.issuer,
            content.version,
            canonical(content),
            found.proposer,
            json.dumps(found.approvals),
            found.approved_index,
            found.withdrawn_at,
            found.index,
            raise_version(tx),
        ),
    )
    return found
