"""Field whitelists for partners across the border (R68).

One administrator proposes a version; two others, of two different roles, approve exactly its
content; from then on, and from its `not_before`, it is in effect. Any later version that is
in effect replaces it. A withdrawn version is never replaced by an older one: deny on doubt.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from pydantic import Field

from audit import entries
from audit.journal import Transaction
from gateway.domain.approvals import added, check_approver, indexes, is_enough
from gateway.domain.border import Register, speaking
from gateway.domain.errors import ConflictError, InvalidRequestError, NotFoundError
from gateway.domain.facts import Mechanism, Whitelist
from gateway.domain.party import Party
from gateway.domain.vocabulary import Role
from gateway.registry import border, parties
from gateway.registry.act import Act, raise_version
from gateway.registry.approvals import read_approval
from gateway.registry.documents import APPROVAL_TYPE, Claims, parse_claims
from gateway.registry.licences import Identifier, Instant, Name, PartyId
from gateway.store.upsert import upsert

COLUMNS = (
    "partner, product, version, fields, mechanism, not_before, proposer, approvals,"
    " approved_index, withdrawn_at, log_index"
)
WhitelistRow = tuple[str, str, int, str, str, int, str, str, int | None, int | None, int]


class WhitelistClaims(Claims):
    """The content of one version, as it is proposed and as its approvers sign it."""

    v: Literal[1] = 1
    partner: PartyId
    product: Name
    version: int = Field(ge=1, le=2**31)
    fields: tuple[Name, ...] = Field(min_length=1, max_length=512)
    mechanism: Identifier | Literal[""] = ""
    not_before: Instant


@dataclass(frozen=True, slots=True)
class Proposal:
    """One version of a whitelist with everything known about it.

    Args:
        content: What it says.
        proposer: Who proposed it.
        approvals: Role to the approver and the log index of the approval.
        approved_index: Log index of the approval that completed it, or None.
        withdrawn_at: Unix seconds, or None.
        index: Log index of the proposal.
    """

    content: WhitelistClaims
    proposer: str
    approvals: dict[str, tuple[str, int]] = field(default_factory=dict)
    approved_index: int | None = None
    withdrawn_at: int | None = None
    index: int = -1

    def whitelist(self) -> Whitelist | None:
        """Return the version as the policy reads it, or None while it is not approved."""
        if self.approved_index is None:
            return None
        return Whitelist(
            version=self.content.version,
            fields=frozenset(self.content.fields),
            approvals={role: index for role, (_, index) in self.approvals.items()},
            mechanism=self.content.mechanism,
            index=self.approved_index,
            not_before=self.content.not_before,
            withdrawn_at=self.withdrawn_at,
        )


def content(
    *,
    partner: str,
    product: str,
    version: int,
    fields: Sequence[str],
    mechanism: str,
    not_before: int,
) -> WhitelistClaims:
    """Return the checked content of a version.

    Raises:
        BadDocumentError: `BAD_DOCUMENT`, naming what is malformed.
        InvalidRequestError: `BAD_ID` for the partner.
    """
    stated = {
        "partner": partner,
        "product": product,
        "version": version,
        "fields": sorted(set(fields)),
        "mechanism": mechanism,
        "not_before": not_before,
    }
    return parse_claims(json.dumps(stated).encode(), WhitelistClaims)


def propose(tx: Transaction, content: WhitelistClaims, act: Act) -> Proposal:
    """Record a new version that awaits its approvals, and log it.

    Raises:
        NotFoundError: `NOT_FOUND` when the partner is not registered.
        InvalidRequestError: `BAD_REQUEST` when it is no cross-border partner, or the mechanism
            that it names does not reach as far as its fields (R68).
        ConflictError: `CONFLICT` when the version is not the next one.
    """
    if parties.find(tx, content.partner).role is not Role.CROSS_BORDER_PARTNER:
        raise InvalidRequestError("BAD_REQUEST", "the partner is no cross-border partner (R67)")
    if content.version != next_version(tx, content.partner, content.product):
        raise ConflictError("CONFLICT", "the version is not the one after the last")
    _check_scope(tx, content, act.now)
    appended = tx.append(
        entries.whitelist_proposed(
            time=act.now,
            node=act.node,
            actor=act.actor,
            partner=content.partner,
            product=content.product,
            version=content.version,
            fields=sorted(set(content.fields)),
            mechanism=content.mechanism,
            not_before=content.not_before,
        )
    )
    return _store(tx, Proposal(content, act.actor, index=appended.index))


def approve(tx: Transaction, content: WhitelistClaims, approver: Party, act: Act) -> Proposal:
    """Record the approval of exactly this content by an authenticated administrator.

    Args:
        tx: The transaction.
        content: What the approver saw; it must be what was proposed.
        approver: Who approves: authenticated by certificate or by a signed approval.
        act: The circumstances.

    Raises:
        NotFoundError: `NOT_FOUND` when no such version was proposed.
        DeniedError: `ROLE_FORBIDDEN` for a role that doesn't approve, a suspended approver,
            or the proposer.
        ConflictError: `CONFLICT` when the content differs, the role has approved already, or
            the version was withdrawn.
        InvalidRequestError: `BAD_REQUEST` when the mechanism that it names no longer reaches as
            far as its fields (R68).
    """
    proposal = find(tx, content.partner, content.product, content.version)
    if _content(proposal.content) != _content(content):
        raise ConflictError("CONFLICT", "what is approved is not what was proposed")
    given = proposal.approvals
    check_approver(approver, "whitelists (R68)", proposer=proposal.proposer, given=given)
    if proposal.withdrawn_at is not None:
        raise ConflictError("CONFLICT", "this version was withdrawn")
    _check_scope(tx, content, act.now)
    appended = tx.append(
        entries.whitelist_approved(
            time=act.now,
            node=act.node,
            actor=approver.party_id,
            partner=content.partner,
            product=content.product,
            version=content.version,
            role=approver.role.value,
            proposal=proposal.index,
            earlier=indexes(given),
        )
    )
    approvals = added(given, approver, appended.index)
    done = proposal.approved_index
    if done is None and is_enough(approvals):
        done = appended.index
    return _store(tx, replace(proposal, approvals=approvals, approved_index=done))


def approve_signed(tx: Transaction, document: str, act: Act) -> Proposal:
    """Record an approval that its approver signed with a registered document key.

    Raises:
        BadDocumentError: `BAD_DOCUMENT`.
        BadSignatureError: `BAD_SIGNATURE`.
        NotFoundError, DeniedError, ConflictError: as `approve`.
    """
    verified, approver = read_approval(tx, document, APPROVAL_TYPE, WhitelistClaims)
    return approve(tx, verified.claims, approver, act)


def withdraw(tx: Transaction, partner: str, product: str, version: int, act: Act) -> Proposal:
    """End a version from now on, and log it.

    Raises:
        NotFoundError: `NOT_FOUND`.
        ConflictError: `CONFLICT` when it was withdrawn before.
    """
    proposal = find(tx, partner, product, version)
    if proposal.withdrawn_at is not None:
        raise ConflictError("CONFLICT", "this version was withdrawn before")
    tx.append(
        entries.whitelist_withdrawn(
            time=act.now,
            node=act.node,
            actor=act.actor,
            partner=partner,
            product=product,
            version=version,
            proposal=proposal.index,
        )
    )
    return _store(tx, replace(proposal, withdrawn_at=act.now))


def next_version(tx: Transaction, partner: str, product: str) -> int:
    """Return the number that the next version must have."""
    sql = "SELECT max(version) FROM whitelists WHERE partner = ? AND product = ?"
    last: int | None = tx.execute(sql, (partner, product)).fetchone()[0]
    return 1 if last is None else last + 1


def find(tx: Transaction, partner: str, product: str, version: int) -> Proposal:
    """Return one version.

    Raises:
        NotFoundError: `NOT_FOUND`.
    """
    row = tx.execute(
        f"SELECT {COLUMNS} FROM whitelists WHERE partner = ? AND product = ? AND version = ?",
        (partner, product, version),
    ).fetchone()
    if row is None:
        raise NotFoundError("NOT_FOUND", "no such whitelist version was proposed")
    return from_row(row)


def every(tx: Transaction) -> list[Proposal]:
    """Return every version that was ever proposed."""
    return [from_row(row) for row in tx.execute(f"SELECT {COLUMNS} FROM whitelists").fetchall()]


def from_row(row: WhitelistRow) -> Proposal:
    """Return the version in a row of `COLUMNS`."""
    partner, product, version, fields, mechanism, start, proposer, approvals, done, end, at = row
    content = WhitelistClaims(
        partner=partner,
        product=product,
        version=version,
        fields=tuple(json.loads(fields)),
        mechanism=mechanism,
        not_before=start,
    )
    given = {role: (who, index) for role, (who, index) in json.loads(approvals).items()}
    return Proposal(content, proposer, given, done, end, at)


def _check_scope(tx: Transaction, content: WhitelistClaims, now: int) -> None:
    """Refuse a version that reaches further than the mechanism it names (R68).

    The mechanism may begin together with the version. What happens to it afterwards is the
    policy's to judge, request by request.
    """
    if not content.mechanism:
        return
    rows = tx.execute(
        f"SELECT {border.COLUMNS} FROM border_statements"
        " WHERE register = ? AND name = ? ORDER BY version",
        (Register.MECHANISM.value, content.mechanism),
    ).fetchall()
    versions = [known for known in map(border.from_row, rows) if known is not None]
    spoken = speaking(versions, max(now, content.not_before))
    scope = None if spoken is None else spoken.content
    if not isinstance(scope, Mechanism) or scope.not_after <= now:
        raise InvalidRequestError(
            "BAD_REQUEST",
            "the mechanism that the whitelist names is not in force (R68)",
            hints=("register it first: xinguan border mechanism add",),
        )
    if scope.recipient != content.partner or not scope.fields >= set(content.fields):
        raise InvalidRequestError(
            "BAD_REQUEST",
            "the whitelist reaches further than its mechanism's scope (R68)",
            hints=("name fields of its scope and its recipient, or register its next version",),
        )


def _content(claims: WhitelistClaims) -> tuple[str, str, int, frozenset[str], str, int]:
    fields = frozenset(claims.fields)
    mechanism = claims.mechanism
    return (claims.partner, claims.product, claims.version, fields, mechanism, claims.not_before)


def _store(tx: Transaction, proposal: Proposal) -> Proposal:
    content = proposal.content
    tx.execute(
        upsert("whitelists", f"{COLUMNS}, changed", "partner, product, version"),
        (
            content.partner,
            content.product,
            content.version,
            json.dumps(sorted(set(content.fields))),
            content.mechanism,
            content.not_before,
            proposal.proposer,
            json.dumps(proposal.approvals),
            proposal.approved_index,
            proposal.withdrawn_at,
            proposal.index,
            raise_version(tx),
        ),
    )
    return proposal
