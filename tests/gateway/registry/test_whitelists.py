from dataclasses import replace

import pytest

from gateway.domain.errors import (
    ConflictError,
    DeniedError,
    InvalidRequestError,
    NotFoundError,
)
from gateway.domain.vocabulary import Status
from gateway.identity.keyfiles import new_document_key
from gateway.registry import whitelists
from gateway.registry.act import Act
from gateway.registry.documents import (
    APPROVAL_TYPE,
    LICENCE_TYPE,
    BadDocumentError,
    BadSignatureError,
    sign,
)
from tests.simulator import NOW

PARTNER = "reg:SG:201912345K"
PRODUCT = "legal_entity_base"


@pytest.fixture
def partner(world):
    return world.party(0, "CROSS_BORDER_PARTNER", PARTNER)


def content(version=1, fields=("name", "uscc"), **words):
    stated = {"partner": PARTNER, "product": PRODUCT, "version": version, "fields": fields}
    return whitelists.content(**(stated | {"mechanism": "", "not_before": NOW} | words))


def propose(world, wanted, act=None):
    return world.run(lambda tx: whitelists.propose(tx, wanted, act or world.act))


def approve(world, wanted, approver):
    return world.run(lambda tx: whitelists.approve(tx, wanted, approver, world.act))


def approved(world, wanted, first, second):
    propose(world, wanted)
    approve(world, wanted, first)
    return approve(world, wanted, second)


def test_two_approvals_of_different_roles_put_it_in_effect(world, partner) -> None:
    security, authority = world.party(1, "SECURITY_ADMIN"), world.party(2, "AUTHORITY")
    propose(world, content())
    assert world.registry.view().whitelist(PARTNER, PRODUCT) is None
    approve(world, content(), security)
    assert world.registry.view().whitelist(PARTNER, PRODUCT) is None
    done = approve(world, content(), authority)
    found = world.registry.view().whitelist(PARTNER, PRODUCT)
    assert found == done.whitelist()
    assert found.fields == {"name", "uscc"}
    assert set(found.approvals) == {"SECURITY_ADMIN", "AUTHORITY"}
    kinds = [world.entries()[index]["kind"] for index in found.approvals.values()]
    assert kinds == ["whitelist_approved"] * 2
    assert found.index == max(found.approvals.values())


def test_one_role_or_one_person_is_never_enough(world, partner) -> None:
    first, second = world.party(1, "SECURITY_ADMIN"), world.party(2, "SECURITY_ADMIN")
    propose(world, content(), Act(NOW, "node-1", first.party_id))
    with pytest.raises(DeniedError):
        approve(world, content(), first)
    approve(world, content(), second)
    third = world.party(3, "SECURITY_ADMIN")
    with pytest.raises(ConflictError):
        approve(world, content(), third)
    assert world.registry.view().whitelist(PARTNER, PRODUCT) is None


@pytest.mark.parametrize("role", ["AGENCY", "SYSTEM_ADMIN", "AUDIT_ADMIN", "BANK"])
def test_other_roles_do_not_approve(world, partner, role) -> None:
    propose(world, content())
    with pytest.raises(DeniedError) as caught:
        approve(world, content(), world.party(1, role))
    assert caught.value.code == "ROLE_FORBIDDEN"


def test_a_suspended_approver_does_not_approve(world, partner) -> None:
    propose(world, content())
    suspended = replace(world.party(1, "AUTHORITY"), status=Status.SUSPENDED)
    with pytest.raises(DeniedError):
        approve(world, content(), suspended)


def test_what_is_approved_is_what_was_proposed(world, partner) -> None:
    propose(world, content())
    authority = world.party(1, "AUTHORITY")
    for other in (
        content(fields=("name", "uscc", "contact_phone")),
        content(mechanism="M-1"),
        content(not_before=NOW + 1),
    ):
        with pytest.raises(ConflictError):
            approve(world, other, authority)
    with pytest.raises(NotFoundError):
        approve(world, content(version=2), authority)


def test_signed_approvals_count_as_their_keys_owner(world, partner) -> None:
    propose(world, content())
    for number, role in ((1, "SECURITY_ADMIN"), (2, "REGULATOR_COMPETENT")):
        key = world.document_key(world.party(number, role))
        document = sign(content(), key, APPROVAL_TYPE)
        world.run(lambda tx, document=document: whitelists.approve_signed(tx, document, world.act))
    found = world.registry.view().whitelist(PARTNER, PRODUCT)
    assert set(found.approvals) == {"SECURITY_ADMIN", "REGULATOR_COMPETENT"}


def test_forged_approvals_do_not_count(world, partner) -> None:
    propose(world, content())
    key = world.document_key(world.party(1, "AUTHORITY"))
    for document, error in (
        (sign(content(), new_document_key(), APPROVAL_TYPE), BadSignatureError),
        (sign(content(), key, LICENCE_TYPE), BadDocumentError),
    ):
        with pytest.raises(error):
            world.run(lambda tx, d=document: whitelists.approve_signed(tx, d, world.act))


def test_the_newest_version_in_effect_speaks(world, partner) -> None:
    security, authority = world.party(1, "SECURITY_ADMIN"), world.party(2, "AUTHORITY")
    approved(world, content(), security, authority)
    approved(world, content(2, fields=("name",), not_before=NOW + 100), security, authority)
    view = world.registry.view()
    assert view.whitelist(PARTNER, PRODUCT, NOW).version == 1
    assert view.whitelist(PARTNER, PRODUCT, NOW + 100).version == 2
    assert view.whitelist(PARTNER, PRODUCT, NOW - 1) is None
    assert view.whitelist(PARTNER, PRODUCT).version == 2


def test_a_withdrawn_version_is_not_replaced_by_an_older_one(world, partner) -> None:
    security, authority = world.party(1, "SECURITY_ADMIN"), world.party(2, "AUTHORITY")
    approved(world, content(), security, authority)
    approved(world, content(2), security, authority)
    world.run(lambda tx: whitelists.withdraw(tx, PARTNER, PRODUCT, 2, world.act))
    found = world.registry.view().whitelist(PARTNER, PRODUCT, NOW)
    assert (found.version, found.withdrawn_at) == (2, NOW)
    with pytest.raises(ConflictError):
        world.run(lambda tx: whitelists.withdraw(tx, PARTNER, PRODUCT, 2, world.act))


def test_a_withdrawn_proposal_is_not_approved_any_more(world, partner) -> None:
    propose(world, content())
    world.run(lambda tx: whitelists.withdraw(tx, PARTNER, PRODUCT, 1, world.act))
    with pytest.raises(ConflictError):
        approve(world, content(), world.party(1, "AUTHORITY"))


def test_proposals_are_for_partners_and_in_order(world, partner) -> None:
    with pytest.raises(ConflictError):
        propose(world, content(version=2))
    bank = world.party(5, "BANK")
    with pytest.raises(InvalidRequestError):
        propose(world, content(partner=bank.party_id))
    with pytest.raises(NotFoundError):
        propose(world, content(partner="reg:SG:UNKNOWN"))
    with pytest.raises(BadDocumentError):
        content(fields=("Bad Field",))
    assert world.run(whitelists.every) == []
