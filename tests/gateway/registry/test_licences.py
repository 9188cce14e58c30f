from dataclasses import replace

import pytest

from gateway.domain.errors import ConflictError, InvalidRequestError, NotFoundError
from gateway.domain.vocabulary import LicenceKind, Status, SubjectKind
from gateway.identity.keyfiles import new_document_key
from gateway.registry import licences, parties
from gateway.registry.documents import (
    CONSENT_TYPE,
    LICENCE_TYPE,
    BadDocumentError,
    BadSignatureError,
    key_id,
    sign,
)
from tests.simulator import NOW, uscc

CATALOGUE = {"legal_entity_base": frozenset({"uscc", "name"})}


def activate(world, document, **words):
    return world.run(
        lambda tx: licences.activate(
            tx, document, world.act, authority_key=world.authority_key, **words
        )
    )


def test_a_signed_licence_is_in_force_and_logged(world) -> None:
    party = world.party(1)
    licence = activate(world, world.licence_document(party), catalogue=CATALOGUE)
    assert world.registry.view().licence_for(party.party_id, "legal_entity_base") == licence
    assert licence.kind is LicenceKind.ENTERPRISE_CREDIT_FILING
    assert licence.subject_kinds == {SubjectKind.LEGAL_ENTITY}
    assert licence.signer == key_id(world.authority.public_key())
    assert licence.index == licence.status_index
    entry = world.entries()[licence.index]
    assert (entry["kind"], entry["licence"], entry["serial"]) == ("licence_activated", "L-1", 1)


def test_a_tampered_licence_is_refused_and_nothing_changes(world) -> None:
    party = world.party(1)
    document = world.licence_document(party)
    more = world.licence_claims(party, grants={"legal_entity_base": {"fields": ["contact_phone"]}})
    forged = sign(more, new_document_key(), LICENCE_TYPE)
    head, _, signature = document.split(".")
    spliced = f"{head}.{forged.split('.')[1]}.{signature}"
    before = len(world.entries())
    for bad in (forged, spliced, document[:-8] + "AAAAAAAA"):
        with pytest.raises(BadSignatureError):
            activate(world, bad)
    assert len(world.entries()) == before
    assert world.registry.view().licence("L-1") is None


def test_a_document_of_another_type_is_no_licence(world) -> None:
    claims = world.licence_claims(world.party(1))
    with pytest.raises(BadDocumentError):
        activate(world, sign(claims, world.authority, CONSENT_TYPE))


@pytest.mark.parametrize(
    "words",
    [
        {"not_before": NOW + 10, "not_after": NOW + 10},
        {"not_before": NOW - 10, "not_after": NOW},
        {"agreement": {"agreement_id": "A", "not_before": 5, "not_after": 5}},
        {"agreement": {"agreement_id": "A", "not_before": 5, "not_after": NOW}},
    ],
)
def test_terms_that_are_empty_or_over_are_refused(world, words) -> None:
    with pytest.raises(BadDocumentError):
        activate(world, world.licence_document(world.party(1), **words))


@pytest.mark.parametrize(
    "words",
    [
        {"kind": "ROYAL_WARRANT"},
        {"serial": 0},
        {"serial": True},
        {"v": 2},
        {"grants": {}},
        {"grants": {"legal_entity_base": {"fields": []}}},
        {"grants": {"legal_entity_base": {"fields": ["uscc"], "raw": True}}},
        {"subject_kinds": ["MARTIAN"]},
        {"destinations": ["China"]},
        {"not_after": "2030-01-01"},
        {"quotas": {"calls_per_second": 0}},
        {"unknown": 1},
    ],
)
def test_claims_of_the_wrong_shape_are_refused(world, words) -> None:
    party = world.party(1)
    with pytest.raises(BadDocumentError) as caught:
        world.licence_document(party, **words)
    assert caught.value.code == "BAD_DOCUMENT"


def test_a_malformed_party_in_a_licence_is_a_bad_id(world) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        world.licence_document(world.party(1), party_id="uscc:" + uscc(1)[:-1] + "*")
    assert caught.value.code == "BAD_ID"


def test_a_licence_for_a_stranger_is_refused(world) -> None:
    stranger = replace(world.party(1), party_id=f"uscc:{uscc(2)}")
    with pytest.raises(NotFoundError):
        activate(world, world.licence_document(stranger))


def test_grants_that_no_contract_has_are_refused(world) -> None:
    party = world.party(1)
    for catalogue, code in (
        ({}, "UNKNOWN_PRODUCT"),
        ({"legal_entity_base": frozenset({"uscc"})}, "UNKNOWN_FIELD"),
    ):
        with pytest.raises(InvalidRequestError) as caught:
            activate(world, world.licence_document(party), catalogue=catalogue)
        assert caught.value.code == code


def test_serials_rise_strictly(world) -> None:
    party = world.party(1)
    activate(world, world.licence_document(party, serial=2))
    for serial in (1, 2):
        with pytest.raises(ConflictError):
            activate(world, world.licence_document(party, serial=serial))
    renewed = activate(world, world.licence_document(party, serial=7, purposes=["LOAN"]))
    assert world.registry.view().licence("L-1") == renewed
    assert world.registry.view().licence_for(party.party_id, "legal_entity_base") == renewed


def test_a_renewal_moves_grants_between_products(world) -> None:
    party = world.party(1)
    activate(world, world.licence_document(party))
    moved = {"admin_penalty": {"fields": ["uscc"]}}
    activate(world, world.licence_document(party, serial=2, grants=moved))
    view = world.registry.view()
    assert view.licence_for(party.party_id, "legal_entity_base") is None
    assert view.licence_for(party.party_id, "admin_penalty").serial == 2


def test_a_renewal_cannot_change_hands_or_begin_later(world) -> None:
    mine, other = world.party(1), world.party(2)
    activate(world, world.licence_document(mine))
    with pytest.raises(ConflictError):
        activate(world, world.licence_document(other, serial=2))
    with pytest.raises(BadDocumentError):
        activate(world, world.licence_document(mine, serial=2, not_before=NOW + 1))


def test_a_suspension_outlives_a_renewal_and_a_revocation_is_final(world) -> None:
    party = world.party(1)
    activate(world, world.licence_document(party))
    suspended = world.run(lambda tx: licences.suspend(tx, "L-1", world.act))
    assert world.entries()[suspended.status_index]["status"] == "SUSPENDED"
    renewed = activate(world, world.licence_document(party, serial=2))
    assert renewed.status is Status.SUSPENDED
    assert renewed.status_index == suspended.status_index
    resumed = world.run(lambda tx: licences.resume(tx, "L-1", world.act))
    assert resumed.status is Status.ACTIVE
    world.run(lambda tx: licences.revoke(tx, "L-1", world.act))
    assert world.registry.view().licence("L-1").status is Status.REVOKED
    with pytest.raises(ConflictError):
        world.run(lambda tx: licences.resume(tx, "L-1", world.act))
    with pytest.raises(ConflictError):
        activate(world, world.licence_document(party, serial=3))


def test_an_active_licence_speaks_before_a_revoked_one(world) -> None:
    party = world.party(1)
    activate(world, world.licence_document(party, serial=9))
    activate(world, world.licence_document(party, licence_id="L-2"))
    world.run(lambda tx: licences.revoke(tx, "L-1", world.act))
    view = world.registry.view()
    assert view.licence_for(party.party_id, "legal_entity_base").licence_id == "L-2"
    world.run(lambda tx: licences.suspend(tx, "L-2", world.act))
    found = world.registry.view().licence_for(party.party_id, "legal_entity_base")
    assert (found.licence_id, found.status) == ("L-2", Status.SUSPENDED)


def test_a_licence_in_its_term_precedes_one_that_begins_later(world) -> None:
    party = world.party(1)
    activate(world, world.licence_document(party))
    later = {"not_before": NOW + 1_000, "not_after": NOW + 250 * 86_400}
    activate(world, world.licence_document(party, licence_id="L-2", **later))
    view = world.registry.view()
    assert view.licence_for(party.party_id, "legal_entity_base", NOW).licence_id == "L-1"
    assert view.licence_for(party.party_id, "legal_entity_base", NOW + 1_000).licence_id == "L-2"


def test_a_suspended_party_keeps_its_licence(world) -> None:
    party = world.party(1)
    activate(world, world.licence_document(party))
    world.run(lambda tx: parties.suspend(tx, party.party_id, world.act))
    assert world.registry.view().licence("L-1").status is Status.ACTIVE
