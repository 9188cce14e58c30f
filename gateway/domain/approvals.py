"""Two approvals of different roles: how what was proposed takes effect (R68).

Who may approve, and when it is enough, is the same for whitelists, the border's registers, issuers
abroad and documents of recognition; it stands here once.
"""

from collections.abc import Collection, Mapping
from typing import Final

from gateway.domain.errors import ConflictError, DeniedError
from gateway.domain.party import Party
from gateway.domain.vocabulary import Role, Status

APPROVERS: Final = frozenset({Role.SECURITY_ADMIN, Role.AUTHORITY, Role.REGULATOR_COMPETENT})
APPROVALS_NEEDED: Final = 2
Approvals = Mapping[str, tuple[str, int]]  # role to the approver and the entry of its approval


def check_role(approver: Party, what: str, roles: Collection[Role] = APPROVERS) -> None:
    """Refuse who doesn't approve such a thing at all.

    Args:
        approver: Who approves, authenticated.
        what: What is approved, in the plural, for the error.
        roles: Who may.

    Raises:
        DeniedError: `ROLE_FORBIDDEN` for another role, or a suspended approver.
    """
    if approver.role not in roles or approver.status is not Status.ACTIVE:
        raise DeniedError("ROLE_FORBIDDEN", f"this role does not approve {what}")


def check_approver(
    approver: Party,
    what: str,
    *,
    proposer: str,
    given: Approvals,
    roles: Collection[Role] = APPROVERS,
) -> None:
    """Refuse who may not give the next approval of a proposal.

    Args:
        approver: Who approves, authenticated.
        what: What is approved, in the plural, for the error.
        proposer: Party id of who proposed it.
        given: The approvals that it has.
        roles: Who may.

    Raises:
        DeniedError: `ROLE_FORBIDDEN` as `check_role`, or for the proposer.
        ConflictError: `CONFLICT` when the role has approved it already.
    """
    check_role(approver, what, roles)
    if approver.party_id == proposer:
        raise DeniedError("ROLE_FORBIDDEN", "who proposed it does not approve it")
    if approver.role.value in given:
        raise ConflictError("CONFLICT", "this role has approved it already")


def added(given: Approvals, approver: Party, index: int) -> dict[str, tuple[str, int]]:
    """Return the approvals with one more, whose entry has this index in the log."""
    return {**given, approver.role.value: (approver.party_id, index)}


def is_enough(given: Approvals) -> bool:
    """Say whether these approvals put a proposal in effect; roles are distinct by their key."""
    return len(given) >= APPROVALS_NEEDED


def indexes(given: Approvals) -> list[int]:
    """Return the entries of the approvals, ascending, as later entries cite them."""
    return sorted(index for _, index in given.values())
