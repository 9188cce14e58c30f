"""Who approved a policy bundle: a signed statement of one role, cited by its activation."""

from typing import Annotated, Final, Literal

from pydantic import StringConstraints

from audit import entries
from audit.journal import Transaction
from gateway.domain.approvals import check_role
from gateway.domain.errors import ConflictError
from gateway.domain.vocabulary import Role
from gateway.registry.act import Act
from gateway.registry.approvals import read_approval
from gateway.registry.documents import Claims

APPROVAL_TYPE: Final = "xinguan-policy-approval+jwt"


class PolicyApprovalClaims(Claims):
    """What an approver signs: exactly one bundle, by the digest that the log cites."""

    v: Literal[1] = 1
    bundle: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


def approve_signed(tx: Transaction, document: str, act: Act) -> tuple[str, Role, int]:
    """Record the approval of a bundle that its approver signed with a registered document key.

    It is given before the bundle is activated: the activation's entry cites it.

    Returns:
        The bundle's digest (hex), the approver's role, the index of the entry.

    Raises:
        BadDocumentError: `BAD_DOCUMENT`.
        BadSignatureError: `BAD_SIGNATURE`.
        DeniedError: `ROLE_FORBIDDEN` for a role that doesn't approve, or a suspended approver.
        ConflictError: `CONFLICT` when the role has approved this bundle already.
    """
    verified, approver = read_approval(tx, document, APPROVAL_TYPE, PolicyApprovalClaims)
    check_role(approver, "policies")
    bundle = verified.claims.bundle
    known = tx.execute(
        "SELECT 1 FROM policy_approvals WHERE bundle = ? AND role = ?",
        (bundle, approver.role.value),
    ).fetchone()
    if known is not None:
        raise ConflictError("CONFLICT", "this role has approved this bundle already")
    index = tx.append(
        entries.policy_approved(
            time=act.now,
            node=act.node,
            actor=approver.party_id,
            role=approver.role.value,
            bundle=bundle,
            signer=verified.signer,
            document=verified.digest,
        )
    ).index
    tx.execute(
        "INSERT INTO policy_approvals (bundle, role, approver, document, log_index)"
        " VALUES (?, ?, ?, ?, ?)",
        (bundle, approver.role.value, approver.party_id, verified.token, index),
    )
    return bundle, approver.role, index


def given(tx: Transaction, bundle: str) -> list[int]:
    """Return the entries that approve a bundle, in order."""
    rows = tx.execute(
        "SELECT log_index FROM policy_approvals WHERE bundle = ? ORDER BY log_index", (bundle,)
    )
    return [int(row[0]) for row in rows.fetchall()]
