import pytest

from gateway.domain.errors import ConflictError, InvalidRequestError, NotFoundError
from gateway.domain.vocabulary import Role, Status
from gateway.registry import parties
from tests.simulator import uscc


def test_an_organisation_is_registered_and_logged(world) -> None:
    party = world.party(1)
    assert world.registry.view().party(party.party_id) == party
    entry = world.entries()[party.index]
    assert entry["kind"] == "party_registered"
    assert entry["party"] == party.party_id
    assert entry["actor"] == "console"


@pytest.mark.parametrize(
    "party_id",
    [
        "uscc:" + uscc(1)[:-1] + ("0" if uscc(1)[-1] != "0" else "1"),
        "uscc:" + uscc(1)[:-1],
        "uscc:" + uscc(1).replace("9", "I", 1),
        "lei:5493001KJTIIGC8Y1R13",
        "reg:Singapore",
        "name:somebody",
        "",
    ],
)
def test_a_malformed_id_is_refused_without_being_repeated(party_id: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parties.registration(party_id, "x", "AGENCY", "CN")
    assert caught.value.code == "BAD_ID"
    assert not party_id or party_id not in caught.value.message


@pytest.mark.parametrize(
    ("party_id", "name", "role", "jurisdiction"),
    [
        (f"uscc:{uscc(1)}", "x", "KING", ""),
        (f"uscc:{uscc(1)}", "", "AGENCY", ""),
        (f"uscc:{uscc(1)}", "x" * 201, "AGENCY", ""),
        (f"uscc:{uscc(1)}", "a\x1b[31m", "AGENCY", ""),
        (f"uscc:{uscc(1)}", "x", "CROSS_BORDER_PARTNER", ""),
        (f"uscc:{uscc(1)}", "x", "AGENCY", "CHN"),
        ("reg:SG:201912345K", "x", "REGIONAL_PARTNER", ""),
        ("lei:5493001KJTIIGC8Y1R12", "x", "BANK", ""),
    ],
)
def test_what_does_not_fit_is_refused(party_id, name, role, jurisdiction) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parties.registration(party_id, name, role, jurisdiction)
    assert caught.value.code == "BAD_REQUEST"


def test_the_id_implies_the_jurisdiction() -> None:
    assert parties.registration(f"uscc:{uscc(1)}", "x", "BANK").jurisdiction == "CN"
    assert parties.registration("reg:sg:1234", "x", "CROSS_BORDER_PARTNER").jurisdiction == "SG"
    hong_kong = parties.registration(f"uscc:{uscc(1)}", "x", "CROSS_BORDER_PARTNER", "hk")
    assert (hong_kong.jurisdiction, hong_kong.role) == ("HK", Role.CROSS_BORDER_PARTNER)


def test_a_second_registration_changes_nothing(world) -> None:
    world.party(1)
    before = len(world.entries())
    with pytest.raises(ConflictError):
        world.party(1)
    assert len(world.entries()) == before


def test_suspension_and_its_end_are_seen_and_logged(world) -> None:
    party = world.party(1)
    suspended = world.run(lambda tx: parties.suspend(tx, party.party_id, world.act))
    assert world.registry.view().party(party.party_id).status is Status.SUSPENDED
    assert world.entries()[suspended.index]["status"] == "SUSPENDED"
    with pytest.raises(ConflictError):
        world.run(lambda tx: parties.suspend(tx, party.party_id, world.act))
    world.run(lambda tx: parties.resume(tx, party.party_id, world.act))
    assert world.registry.view().party(party.party_id).status is Status.ACTIVE


def test_nobody_unregistered_can_be_suspended(world) -> None:
    with pytest.raises(NotFoundError):
        world.run(lambda tx: parties.suspend(tx, f"uscc:{uscc(9)}", world.act))
