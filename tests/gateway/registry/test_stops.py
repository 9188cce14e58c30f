import pytest

from gateway.domain.errors import ConflictError, InvalidRequestError, NotFoundError
from gateway.registry import stops
from tests.simulator import uscc

PARTY = f"uscc:{uscc(1)}"


def order(world, scope):
    return world.run(lambda tx: stops.order(tx, scope, world.act))


@pytest.mark.parametrize("scope", ["all", f"org:{PARTY}", "product:admin_penalty"])
def test_a_stop_touches_exactly_its_scope_until_it_is_lifted(world, scope) -> None:
    stop = order(world, scope)
    view = world.registry.view()
    assert view.stop_orders(PARTY, "admin_penalty") == (stop,)
    untouched = view.stop_orders(f"uscc:{uscc(2)}", "legal_entity_base")
    assert untouched == ((stop,) if scope == "all" else ())
    assert world.entries()[stop.index]["scope"] == scope
    world.run(lambda tx: stops.lift(tx, scope, world.act))
    assert world.registry.view().stop_orders(PARTY, "admin_penalty") == ()
    assert [entry["kind"] for entry in world.entries()] == ["stop_ordered", "stop_lifted"]


def test_other_stops_still_hold_after_one_is_lifted(world) -> None:
    for scope in ("all", f"org:{PARTY}", "product:admin_penalty"):
        order(world, scope)
    assert len(world.registry.view().stop_orders(PARTY, "admin_penalty")) == 3
    world.run(lambda tx: stops.lift(tx, "all", world.act))
    assert len(world.registry.view().stop_orders(PARTY, "admin_penalty")) == 2


@pytest.mark.parametrize(
    "scope", ["", "everything", "all:", "org:", "org:nobody", "product:Bad Name", "product:", "x:y"]
)
def test_an_unclear_scope_is_refused(world, scope) -> None:
    with pytest.raises(InvalidRequestError):
        order(world, scope)
    assert world.entries() == []


def test_a_stop_is_neither_doubled_nor_lifted_twice(world) -> None:
    with pytest.raises(NotFoundError):
        world.run(lambda tx: stops.lift(tx, "all", world.act))
    order(world, "all")
    with pytest.raises(ConflictError):
        order(world, "all")
    world.run(lambda tx: stops.lift(tx, "all", world.act))
    order(world, "all")
    assert len(world.registry.view().stops) == 1
