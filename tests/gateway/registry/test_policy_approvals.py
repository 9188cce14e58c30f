import pytest

from gateway.domain.errors import ConflictError, DeniedError
from gateway.registry import policy_approvals
from gateway.registry.documents import LICENCE_TYPE, BadDocumentError, BadSignatureError, sign
from gateway.registry.policy_approvals import APPROVAL_TYPE, PolicyApprovalClaims

BUNDLE = "ab" * 32


def approve(world, key, bundle=BUNDLE, typ=APPROVAL_TYPE):
    document = sign(PolicyApprovalClaims(bundle=bundle), key, typ)
    return world.run(lambda tx: policy_approvals.approve_signed(tx, document, world.act))


def test_an_approval_is_an_entry_that_names_bundle_role_and_document(world):
    authority = world.party(1, "AUTHORITY")
    key = world.document_key(authority)
    bundle, role, index = approve(world, key)
    entry = world.entries()[index]
    assert (bundle, role.value) == (BUNDLE, "AUTHORITY")
    assert (entry["kind"], entry["actor"]) == ("policy_approved", authority.party_id)
    assert world.run(lambda tx: policy_approvals.given(tx, BUNDLE)) == [index]
    assert world.run(lambda tx: policy_approvals.given(tx, "cd" * 32)) == []


def test_each_role_approves_once_and_two_roles_both_count(world):
    roles = ("AUTHORITY", "SECURITY_ADMIN")
    keys = [world.document_key(world.party(n, role)) for n, role in enumerate(roles)]
    first, second = [approve(world, key)[2] for key in keys]
    with pytest.raises(ConflictError):
        approve(world, keys[0])
    assert world.run(lambda tx: policy_approvals.given(tx, BUNDLE)) == [first, second]


@pytest.mark.parametrize("role", ["AGENCY", "AUDITOR"])
def test_who_asks_for_data_or_audits_approves_no_policy(world, role):
    key = world.document_key(world.party(1, role))
    with pytest.raises(DeniedError) as caught:
        approve(world, key)
    assert caught.value.code == "ROLE_FORBIDDEN"


def test_another_type_or_an_unknown_key_approves_nothing(world):
    from gateway.identity.keyfiles import new_document_key

    key = world.document_key(world.party(1, "AUTHORITY"))
    with pytest.raises(BadDocumentError):
        approve(world, key, typ=LICENCE_TYPE)
    with pytest.raises(BadSignatureError):
        approve(world, new_document_key())
    assert not any(entry["kind"] == "policy_approved" for entry in world.entries())
