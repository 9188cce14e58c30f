from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.approvals import (
    APPROVERS,
    added,
    check_approver,
    check_role,
    indexes,
    is_enough,
)
from gateway.domain.errors import ConflictError, DeniedError
from gateway.domain.party import Party
from gateway.domain.vocabulary import Role, Status


def party(role, name):
    return Party(name, "Synthetic", role, "CN", Status.ACTIVE, 1)


ROLES = st.sampled_from(sorted(Role))


@given(st.lists(ROLES, max_size=6))
def test_a_proposal_is_in_effect_once_two_roles_that_may_have_approved_it(roles):
    approvals = {}
    for number, role in enumerate(roles):
        who = party(role, f"p-{number}")
        try:
            check_approver(who, "it", proposer="p-x", given=approvals)
        except (DeniedError, ConflictError):
            continue
        approvals = added(approvals, who, number)
    assert is_enough(approvals) == (len(set(roles) & APPROVERS) > 1)
    assert set(approvals) <= {role.value for role in APPROVERS}
    assert indexes(approvals) == sorted(index for _, index in approvals.values())


def test_the_proposer_is_refused_whatever_its_role():
    who = party(Role.AUTHORITY, "p-1")
    with pytest.raises(DeniedError, match="proposed"):
        check_approver(who, "it", proposer="p-1", given={})


@pytest.mark.parametrize("status", [s for s in Status if s is not Status.ACTIVE])
def test_who_is_not_active_is_refused(status):
    who = replace(party(Role.AUTHORITY, "p-1"), status=status)
    with pytest.raises(DeniedError, match="does not approve bundles"):
        check_role(who, "bundles")


def test_a_role_approves_once():
    first = party(Role.AUTHORITY, "p-1")
    second = party(Role.AUTHORITY, "p-2")
    with pytest.raises(ConflictError):
        check_approver(second, "it", proposer="p-3", given=added({}, first, 7))
