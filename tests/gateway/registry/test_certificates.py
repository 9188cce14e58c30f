import pytest

from gateway.domain.errors import ConflictError, InvalidRequestError, NotFoundError
from gateway.domain.vocabulary import Status
from gateway.identity.keyfiles import new_tls_key
from gateway.registry import certificates
from tests.simulator import NOW

DAYS = 30


def issue(world, party, key=None, days=DAYS) -> bytes:
    public = (key or new_tls_key()).public_key()
    return world.ca.issue_party(party.party_id, public, NOW, days)


def pin(world, pem: bytes):
    return world.run(lambda tx: certificates.pin(tx, pem, world.act))


def test_a_pinned_certificate_is_seen_and_logged(world) -> None:
    party = world.party(1)
    pinned = pin(world, issue(world, party))
    caller = world.registry.view().caller(pinned.fingerprint)
    assert (caller.party, caller.certificate) == (party, pinned)
    assert world.entries()[pinned.index]["fingerprint"] == pinned.fingerprint


def test_a_party_may_hold_several(world) -> None:
    party = world.party(1)
    first, second = pin(world, issue(world, party)), pin(world, issue(world, party))
    view = world.registry.view()
    assert view.caller(first.fingerprint).party == view.caller(second.fingerprint).party


def test_the_same_key_in_a_newer_certificate_renews_the_pin(world) -> None:
    party, key = world.party(1), new_tls_key()
    old = pin(world, issue(world, party, key))
    new = pin(world, issue(world, party, key, days=2 * DAYS))
    assert new.fingerprint == old.fingerprint
    assert new.not_after > old.not_after
    assert world.registry.view().caller(old.fingerprint).certificate == new


def test_replacing_revokes_the_old_one_in_the_same_act(world) -> None:
    party = world.party(1)
    old = pin(world, issue(world, party))
    pem = issue(world, party)
    new = world.run(lambda tx: certificates.replace(tx, pem, old.fingerprint, world.act))
    view = world.registry.view()
    assert view.caller(old.fingerprint).certificate.status is Status.REVOKED
    assert view.caller(new.fingerprint).certificate.status is Status.ACTIVE


def test_replacing_another_partys_certificate_does_nothing_at_all(world) -> None:
    mine, other = world.party(1), world.party(2)
    theirs = pin(world, issue(world, other))
    before = len(world.entries())
    pem = issue(world, mine)
    with pytest.raises(ConflictError):
        world.run(lambda tx: certificates.replace(tx, pem, theirs.fingerprint, world.act))
    assert len(world.entries()) == before
    assert world.registry.view().caller(theirs.fingerprint).certificate.status is Status.ACTIVE


def test_a_revoked_key_never_comes_back(world) -> None:
    party, key = world.party(1), new_tls_key()
    pinned = pin(world, issue(world, party, key))
    world.run(lambda tx: certificates.revoke(tx, pinned.fingerprint, world.act))
    with pytest.raises(ConflictError):
        pin(world, issue(world, party, key))
    with pytest.raises(ConflictError):
        world.run(lambda tx: certificates.revoke(tx, pinned.fingerprint, world.act))


def test_a_key_belongs_to_one_party(world) -> None:
    key = new_tls_key()
    pin(world, issue(world, world.party(1), key))
    second = world.party(2)
    with pytest.raises(ConflictError):
        pin(world, issue(world, second, key))


def test_certificates_of_strangers_and_servers_are_refused(world) -> None:
    server = world.ca.issue_server(["localhost"], new_tls_key().public_key(), NOW, DAYS)
    with pytest.raises(InvalidRequestError) as caught:
        pin(world, server)
    assert caught.value.code == "BAD_CERTIFICATE"
    foreign = world.ca.issue_party("reg:SG:1", new_tls_key().public_key(), NOW, DAYS)
    with pytest.raises(NotFoundError):
        pin(world, foreign)


def test_an_expired_certificate_is_not_pinned(world) -> None:
    party = world.party(1)
    pem = world.ca.issue_party(party.party_id, new_tls_key().public_key(), NOW - 90 * 86_400, DAYS)
    with pytest.raises(InvalidRequestError) as caught:
        pin(world, pem)
    assert caught.value.code == "BAD_CERTIFICATE"
