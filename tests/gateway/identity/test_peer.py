from dataclasses import dataclass, field, replace

import pytest

from gateway.domain.errors import UnauthenticatedError
from gateway.domain.party import Caller, Certificate, Party
from gateway.domain.vocabulary import Role, Status
from gateway.identity.certificates import CertificateAuthority, read_certificate
from gateway.identity.keyfiles import new_tls_key
from gateway.identity.peer import identify
from tests.simulator import NOW, uscc

DAYS = 30
PARTY = Party(f"uscc:{uscc(1)}", "x", Role.AGENCY, "CN", Status.ACTIVE, 1)


@dataclass
class Directory:
    callers: dict[str, Caller] = field(default_factory=dict)

    def caller(self, fingerprint: str) -> Caller | None:
        return self.callers.get(fingerprint)


@pytest.fixture(scope="module")
def authority() -> CertificateAuthority:
    return CertificateAuthority.create(new_tls_key(), "test", NOW)


@pytest.fixture
def pem(authority) -> bytes:
    return authority.issue_party(PARTY.party_id, new_tls_key().public_key(), NOW, DAYS)


def pinned(pem: bytes, party: Party = PARTY, **words) -> Directory:
    peer = read_certificate(pem)
    certificate = Certificate(
        peer.fingerprint, party.party_id, peer.not_before, peer.not_after, Status.ACTIVE, 2
    )
    return Directory({peer.fingerprint: Caller(party, replace(certificate, **words))})


def refused(pem: bytes, directory: Directory, now: int = NOW) -> str:
    with pytest.raises(UnauthenticatedError) as caught:
        identify(pem, directory, now)
    assert caught.value.grpc_code == "UNAUTHENTICATED"
    return caught.value.code


def test_a_pinned_certificate_identifies_its_party(pem) -> None:
    directory = pinned(pem)
    for _ in range(2):
        assert identify(pem, directory, NOW).party == PARTY


def test_a_certificate_that_was_never_pinned_is_unknown(pem) -> None:
    assert refused(pem, Directory()) == "UNKNOWN_CERTIFICATE"
    assert refused(b"rubbish", pinned(pem)) == "UNKNOWN_CERTIFICATE"


def test_a_pinned_key_in_another_partys_certificate_is_unknown(authority) -> None:
    key = new_tls_key().public_key()
    mine = authority.issue_party(PARTY.party_id, key, NOW, DAYS)
    theirs = authority.issue_party(f"uscc:{uscc(2)}", key, NOW, DAYS)
    directory = pinned(mine)
    assert refused(theirs, directory) == "UNKNOWN_CERTIFICATE"
    nameless = authority.issue_server(["localhost"], key, NOW, DAYS)
    assert refused(nameless, directory) == "UNKNOWN_CERTIFICATE"


def test_a_foreign_authoritys_certificate_for_the_same_party_is_unknown(pem) -> None:
    foreign = CertificateAuthority.create(new_tls_key(), "foreign", NOW)
    forged = foreign.issue_party(PARTY.party_id, new_tls_key().public_key(), NOW, DAYS)
    assert refused(forged, pinned(pem)) == "UNKNOWN_CERTIFICATE"


def test_a_revoked_certificate_is_refused(pem) -> None:
    assert refused(pem, pinned(pem, status=Status.REVOKED)) == "CERTIFICATE_REVOKED"


def test_validity_is_the_certificates_and_the_pins(pem) -> None:
    peer = read_certificate(pem)
    directory = pinned(pem)
    assert identify(pem, directory, peer.not_before)
    assert identify(pem, directory, peer.not_after)
    for now in (peer.not_before - 1, peer.not_after + 1):
        assert refused(pem, directory, now) == "CERTIFICATE_EXPIRED"
    assert refused(pem, pinned(pem, not_after=NOW - 1)) == "CERTIFICATE_EXPIRED"
    assert refused(pem, pinned(pem, not_before=NOW + 1)) == "CERTIFICATE_EXPIRED"


def test_an_old_certificate_of_a_renewed_key_still_expires(authority) -> None:
    key = new_tls_key().public_key()
    old = authority.issue_party(PARTY.party_id, key, NOW, 1)
    new = authority.issue_party(PARTY.party_id, key, NOW, 60)
    later = NOW + 30 * 86_400
    assert identify(new, pinned(new), later).party == PARTY
    assert refused(old, pinned(new), later) == "CERTIFICATE_EXPIRED"


def test_a_suspended_party_is_refused(pem) -> None:
    suspended = replace(PARTY, status=Status.SUSPENDED)
    assert refused(pem, pinned(pem, suspended)) == "PARTY_SUSPENDED"


def test_refusals_teach_and_hold_no_identifier(pem) -> None:
    with pytest.raises(UnauthenticatedError) as caught:
        identify(pem, Directory(), NOW)
    told = caught.value.message + " ".join(caught.value.hints)
    assert caught.value.hints
    assert uscc(1) not in told
