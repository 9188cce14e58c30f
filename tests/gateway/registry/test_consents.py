import hmac
import json

import pytest
from cryptography.exceptions import InvalidTag

from gateway.domain.errors import ConflictError, DeniedError, InvalidRequestError, NotFoundError
from gateway.identity.keyfiles import new_document_key
from gateway.registry import consents, document_keys, parties
from gateway.registry.consents import ConsentKeys, subject_label
from gateway.registry.documents import BadDocumentError, BadSignatureError, key_id
from tests.simulator import NOW, uscc

SUBJECT = uscc(900)


@pytest.fixture
def issuer(world):
    party = world.party(1, "CONSENT_ISSUER")
    return party, world.document_key(party)


def register(world, document):
    return world.run(lambda tx: consents.register(tx, document, world.act, world.keys))


def test_a_consent_is_matched_by_labels_and_logged_by_a_salted_digest(world, issuer) -> None:
    party, key = issuer
    bank = world.party(2, "BANK")
    consent = register(world, world.consent_document(key, bank))
    assert world.registry.view().consent("C-1") == consent
    assert (consent.issuer, consent.recipient) == (party.party_id, bank.party_id)
    assert subject_label(world.keys.label_key, SUBJECT) in consent.subjects
    assert subject_label(world.keys.label_key, "person-token-0001") in consent.subjects
    assert subject_label(world.keys.label_key, uscc(901)) not in consent.subjects
    entry = world.entries()[consent.index]
    assert (entry["kind"], entry["digest"]) == ("consent_registered", consent.digest)


def test_codes_match_whatever_their_case(world, issuer) -> None:
    bank = world.party(2, "BANK")
    document = world.consent_document(issuer[1], bank, subjects=[SUBJECT.lower()])
    assert register(world, document).subjects == {subject_label(world.keys.label_key, SUBJECT)}


def test_no_subject_stands_in_the_state_or_the_log(world, issuer) -> None:
    register(world, world.consent_document(issuer[1], world.party(2, "BANK")))
    connection = world.state.connect()
    dump = repr(connection.execute("SELECT * FROM consents").fetchall())
    connection.close()
    for text in (dump, json.dumps(world.entries())):
        assert SUBJECT not in text
        assert "person-token-0001" not in text
    assert SUBJECT.encode() not in world.stored()


def test_the_sealed_document_proves_the_logged_digest(world, issuer) -> None:
    document = world.consent_document(issuer[1], world.party(2, "BANK"))
    consent = register(world, document)
    salt, opened = world.run(lambda tx: consents.open_sealed(tx, "C-1", world.keys))
    assert opened == document
    tag = b"xinguan/consent-digest/v1\0" + document.encode()
    assert hmac.new(salt, tag, "sha256").hexdigest() == consent.digest
    other = ConsentKeys(world.keys.label_key, b"x" * 32)
    with pytest.raises(InvalidTag):
        world.run(lambda tx: consents.open_sealed(tx, "C-1", other))


def test_a_consent_id_is_used_once(world, issuer) -> None:
    document = world.consent_document(issuer[1], world.party(2, "BANK"))
    register(world, document)
    with pytest.raises(ConflictError):
        register(world, document)


def test_only_a_consent_issuers_key_counts(world, issuer) -> None:
    bank = world.party(2, "BANK")
    with pytest.raises(BadSignatureError):
        register(world, world.consent_document(new_document_key(), bank))
    with pytest.raises(DeniedError) as caught:
        register(world, world.consent_document(world.document_key(bank), bank))
    assert caught.value.code == "ROLE_FORBIDDEN"
    world.run(lambda tx: parties.suspend(tx, issuer[0].party_id, world.act))
    with pytest.raises(DeniedError):
        register(world, world.consent_document(issuer[1], bank))


def test_a_revoked_key_signs_nothing_more(world, issuer) -> None:
    bank = world.party(2, "BANK")
    identity = key_id(issuer[1].public_key())
    world.run(lambda tx: document_keys.revoke(tx, identity, world.act))
    with pytest.raises(BadSignatureError):
        register(world, world.consent_document(issuer[1], bank))
    with pytest.raises(ConflictError):
        world.run(lambda tx: document_keys.revoke(tx, identity, world.act))
    with pytest.raises(ConflictError):
        world.run(
            lambda tx: document_keys.register(tx, bank.party_id, issuer[1].public_key(), world.act)
        )


@pytest.mark.parametrize(
    "words",
    [{"given_at": NOW + 1}, {"expires_at": NOW}, {"given_at": NOW - 9, "expires_at": NOW - 8}],
)
def test_a_consent_must_hold_when_it_is_registered(world, issuer, words) -> None:
    with pytest.raises(BadDocumentError):
        register(world, world.consent_document(issuer[1], world.party(2, "BANK"), **words))


@pytest.mark.parametrize(
    "words",
    [
        {"mode": "BUNDLED"},
        {"subjects": []},
        {"subjects": ["短"]},
        {"evidence_hash": "x"},
        {"cross_border": {"recipient_name": "Bank"}},
    ],
)
def test_claims_of_the_wrong_shape_are_refused(world, issuer, words) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        world.consent_document(issuer[1], world.party(2, "BANK"), **words)
    assert caught.value.code == "BAD_DOCUMENT"


def test_a_consent_for_ten_thousand_subjects_fits(world, issuer) -> None:
    subjects = [f"person-token-{number:06d}" for number in range(10_000)]
    document = world.consent_document(issuer[1], world.party(2, "BANK"), subjects=subjects)
    assert len(register(world, document).subjects) == 10_000


def test_a_withdrawal_holds_and_is_final(world, issuer) -> None:
    consent = register(world, world.consent_document(issuer[1], world.party(2, "BANK")))
    done = world.run(lambda tx: consents.withdraw(tx, "C-1", world.act))
    assert world.registry.view().consent("C-1") == done.consent
    assert done.consent.withdrawn_at == NOW
    entry = world.entries()[done.index]
    assert (entry["kind"], entry["consent"]) == ("consent_withdrawn", consent.index)
    with pytest.raises(ConflictError):
        world.run(lambda tx: consents.withdraw(tx, "C-1", world.act))
    with pytest.raises(NotFoundError) as caught:
        world.run(lambda tx: consents.withdraw(tx, "C-2", world.act))
    assert caught.value.code == "CONSENT_UNKNOWN"
