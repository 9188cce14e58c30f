"""The table of statuses agrees with the law and with the contracts."""

import pytest

from gateway.decision.bundle import DEFAULT_POLICIES
from gateway.decision.tables import read_table
from gateway.domain.errors import InvalidRequestError
from gateway.recognition.statuses import status, statuses
from gateway.registry.catalogue import Catalogue


def test_every_status_is_told_by_a_status_field_of_the_law():
    lawful = read_table(DEFAULT_POLICIES / "data", "lists")["status_fields"]["values"]
    told = {f"{each.product}/{each.field}" for each in statuses().values()}
    assert told == set(lawful)


def test_every_status_holds_by_values_that_its_contract_has():
    products = Catalogue.load().products
    for each in statuses().values():
        field = products[each.product].fields[each.field]
        assert field.border == "A"
        values = set(field.type.removeprefix("enum(").removesuffix(")").split(","))
        assert each.holds
        if field.type.startswith("enum("):
            assert each.holds <= values, each.status_id


def test_a_status_is_shown_by_any_of_its_values():
    found = status("DEREGISTERED")
    assert found.shown(["ACTIVE", "CANCELLED"])
    assert not found.shown(["ACTIVE", None])
    assert not found.shown([])


def test_an_unknown_status_is_refused():
    with pytest.raises(InvalidRequestError):
        status("NO_SUCH")
