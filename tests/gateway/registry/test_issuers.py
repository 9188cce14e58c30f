import dataclasses

import pytest

from gateway.domain.errors import ConflictError, DeniedError, NotFoundError
from gateway.domain.vocabulary import Status
from gateway.identity.keyfiles import new_document_key
from gateway.registry import document_keys, issuers
from gateway.registry.act import Act
from gateway.registry.documents import APPROVAL_TYPE, BadDocumentError, BadSignatureError, sign
from gateway.registry.issuer_claims import ISSUER_TYPE
from tests.gateway.inbound.abroad import BUREAU, DAY, Issuer
from tests.simulator import NOW

ABROAD = Issuer(now=NOW)


def propose(world, claims=None, act=None):
    return world.run(
        lambda tx: issuers.propose(tx, claims or ABROAD.registration(), act or world.act)
    )


def approve(world, approver, claims=None):
    said = claims or ABROAD.registration()
    return world.run(lambda tx: issuers.approve(tx, said, approver, world.act))


def seen(world, at=NOW):
    return world.registry.view().foreign_issuers(at)


def test_two_approvals_of_different_roles_put_it_in_force(world) -> None:
    security, authority = world.party(1, "SECURITY_ADMIN"), world.party(2, "AUTHORITY")
    propose(world)
    assert seen(world) == ()
    approve(world, security)
    assert seen(world) == ()
    done = approve(world, authority)
    (found,) = seen(world)
    assert found == done.issuer()
    assert found.in_force(NOW)
    assert (found.issuer, found.onward_use) == (BUREAU, "NO_ONWARD_USE")
    kinds = [entry["kind"] for entry in world.entries()]
    assert kinds[-3:] == ["issuer_proposed", "issuer_approved", "issuer_approved"]
    assert found.index == len(kinds) - 1


def test_one_role_or_one_person_is_never_enough(world) -> None:
    first, second = world.party(1, "SECURITY_ADMIN"), world.party(2, "SECURITY_ADMIN")
    propose(world, act=Act(NOW, "node-1", first.party_id))
    with pytest.raises(DeniedError):
        approve(world, first)
    approve(world, second)
    with pytest.raises(ConflictError):
        approve(world, second)
    with pytest.raises(DeniedError):
        approve(world, world.party(3, "AGENCY"))
    suspended = dataclasses.replace(world.party(4, "AUTHORITY"), status=Status.SUSPENDED)
    with pytest.raises(DeniedError):
        approve(world, suspended)
    assert seen(world) == ()


def test_what_is_approved_is_what_was_proposed(world) -> None:
    propose(world)
    other = ABROAD.registration(keys=[Issuer().public()])
    with pytest.raises(ConflictError):
        approve(world, world.party(1, "AUTHORITY"), other)
    with pytest.raises(NotFoundError):
        approve(world, world.party(2, "SECURITY_ADMIN"), ABROAD.registration(version=2))


def test_an_approval_is_signed_by_its_approver(world) -> None:
    security = world.party(1, "SECURITY_ADMIN")
    key = new_document_key()
    world.run(lambda tx: document_keys.register(tx, security.party_id, key.public_key(), world.act))
    propose(world)
    document = sign(ABROAD.registration(), key, APPROVAL_TYPE)
    done = world.run(lambda tx: issuers.approve_signed(tx, document, world.act))
    assert done.approvals.keys() == {"SECURITY_ADMIN"}
    stranger = sign(ABROAD.registration(), new_document_key(), APPROVAL_TYPE)
    with pytest.raises(BadSignatureError):
        world.run(lambda tx: issuers.approve_signed(tx, stranger, world.act))


def test_the_authority_s_own_document_is_enough(world) -> None:
    document = sign(ABROAD.registration(), world.authority, ISSUER_TYPE)

    def register(tx):
        return issuers.register_signed(tx, document, world.act, authority_key=world.authority_key)

    done = world.run(register)
    assert seen(world) == (done.issuer(),)
    entry = world.entries()[done.approved_index]
    assert (entry["role"], "document" in entry, "signer" in entry) == ("AUTHORITY", True, True)
    with pytest.raises(ConflictError):
        world.run(register)  # the same version again
    forged = sign(ABROAD.registration(version=2), new_document_key(), ISSUER_TYPE)
    with pytest.raises(BadSignatureError):
        world.run(
            lambda tx: issuers.register_signed(
                tx, forged, world.act, authority_key=world.authority_key
            )
        )
    typed = sign(ABROAD.registration(version=2), world.authority, APPROVAL_TYPE)
    with pytest.raises(BadDocumentError):
        world.run(
            lambda tx: issuers.register_signed(
                tx, typed, world.act, authority_key=world.authority_key
            )
        )


def signed_in(world, **changes):
    document = sign(ABROAD.registration(**changes), world.authority, ISSUER_TYPE)
    return world.run(
        lambda tx: issuers.register_signed(
            tx, document, world.act, authority_key=world.authority_key
        )
    )


def test_a_later_version_replaces_it_from_its_start(world) -> None:
    signed_in(world)
    signed_in(world, version=2, not_before=NOW + DAY, name="Renamed")
    now, later = seen(world), seen(world, NOW + DAY)
    assert [one.not_before for one in now] == [NOW - 60 * DAY]
    assert [one.not_before for one in later] == [NOW + DAY]
    connection = world.state.connect()
    assert issuers.in_effect(connection, BUREAU, NOW).content.version == 1
    assert issuers.in_effect(connection, BUREAU, NOW + DAY).content.version == 2
    assert issuers.in_effect(connection, BUREAU, 0) is None
    connection.close()


def test_an_older_version_approved_later_takes_no_newer_one_s_place(world) -> None:
    propose(world)
    signed_in(world, version=2, name="Renamed")
    approve(world, world.party(1, "SECURITY_ADMIN"))
    approve(world, world.party(2, "AUTHORITY"))
    connection = world.state.connect()
    newest = issuers.in_effect(connection, BUREAU, NOW)
    connection.close()
    assert newest.content.version == 2
    assert seen(world) == (newest.issuer(),)


def test_a_withdrawn_issuer_has_no_older_version(world) -> None:
    signed_in(world)
    signed_in(world, version=2)
    propose(world, ABROAD.registration(version=3))
    done = world.run(lambda tx: issuers.withdraw(tx, BUREAU, world.act))
    assert done.content.version == 3
    assert [one.in_force(NOW) for one in seen(world)] == [False]
    with pytest.raises(ConflictError):
        world.run(lambda tx: issuers.withdraw(tx, BUREAU, world.act))
    with pytest.raises(NotFoundError):
        world.run(lambda tx: issuers.withdraw(tx, "https://nobody.example", world.act))
    # A new version, approved anew, is the only way back.
    signed_in(world, version=4)
    assert [one.in_force(NOW) for one in seen(world)] == [True]


def test_a_party_once_a_bureau_stays_one(world) -> None:
    party = "reg:SG:202600000K"
    assert not world.registry.view().is_foreign_bureau(party)
    signed_in(world, party=party)
    assert world.registry.view().is_foreign_bureau(party)
    world.run(lambda tx: issuers.withdraw(tx, BUREAU, world.act))
    assert world.registry.view().is_foreign_bureau(party)
    signed_in(world, version=2, party="", kind="PARTNER")
    assert world.registry.view().is_foreign_bureau(party)
    assert len(world.run(issuers.every)) == 2
