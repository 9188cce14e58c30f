"""R68: a version of a whitelist lies in the scope of the mechanism that it names."""

import pytest

from gateway.border import statements
from gateway.domain.border import Register
from gateway.domain.errors import InvalidRequestError
from gateway.registry import whitelists
from tests.gateway.border.conftest import DAY_S, PARTNER
from tests.simulator import NOW

MECHANISM = Register.MECHANISM


def listed(fields=("name", "uscc"), **words):
    stated = {"partner": PARTNER, "product": "legal_entity_base", "version": 1, "fields": fields}
    return whitelists.content(**(stated | {"mechanism": "SCC-1", "not_before": NOW} | words))


def propose(border, claims):
    return border.world.run(lambda tx: whitelists.propose(tx, claims, border.world.act))


def test_a_version_inside_the_scope_is_proposed_and_approved(border) -> None:
    border.signed(MECHANISM)
    propose(border, listed())
    for number, role in ((2, "SECURITY_ADMIN"), (3, "AUTHORITY")):
        approver = border.world.party(number, role)
        border.world.run(
            lambda tx, who=approver: whitelists.approve(tx, listed(), who, border.world.act)
        )
    assert border.world.registry.view().whitelist(PARTNER, "legal_entity_base") is not None


@pytest.mark.parametrize(
    ("mechanism", "whitelist"),
    [
        ({}, {"mechanism": "SCC-2"}),  # no such mechanism
        ({"fields": ["uscc"]}, {}),  # a field outside its scope
        ({"not_before": NOW + DAY_S}, {}),  # it begins after the list
    ],
)
def test_a_version_that_reaches_further_is_not_proposed(border, mechanism, whitelist) -> None:
    border.signed(MECHANISM, **mechanism)
    with pytest.raises(InvalidRequestError):
        propose(border, listed(**whitelist))


def test_a_mechanism_of_another_partner_binds_nothing(border) -> None:
    other = border.world.party(9, "CROSS_BORDER_PARTNER", "reg:HK:7654321")
    border.signed(MECHANISM, recipient=other.party_id)
    with pytest.raises(InvalidRequestError):
        propose(border, listed())


def test_the_list_may_begin_together_with_its_mechanism(border) -> None:
    border.signed(MECHANISM, not_before=NOW + DAY_S)
    propose(border, listed(not_before=NOW + DAY_S))
    (proposed,) = border.world.run(whitelists.every)
    assert proposed.content.not_before == NOW + DAY_S
    assert proposed.content.mechanism == "SCC-1"


def test_a_mechanism_withdrawn_meanwhile_stops_the_approval(border) -> None:
    border.signed(MECHANISM)
    propose(border, listed())
    border.change(statements.withdraw, MECHANISM, "SCC-1")
    authority = border.world.party(2, "AUTHORITY")
    with pytest.raises(InvalidRequestError):
        border.world.run(lambda tx: whitelists.approve(tx, listed(), authority, border.world.act))
