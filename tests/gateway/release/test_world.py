"""Which snapshot answers: at home, abroad, or one that is computed for the portfolio."""

from types import SimpleNamespace

import pytest

from gateway.release.world import Memory, World


class Place:
    """A world that says where an answer would come from."""

    def __init__(self) -> None:
        self.computed = 0
        self.features = self

    def snapshot(self, facts, _prepared, pinned):
        return "abroad" if facts.border is not None else f"at home {pinned}"

    async def features_of(self, _product, _portfolio):
        self.computed += 1
        return SimpleNamespace(snapshot="computed")


def ask(*, observed=True, pinned=None, portfolio=True):
    dated = SimpleNamespace(observed=observed)
    return SimpleNamespace(
        portfolio=dated if portfolio else None, pinned_snapshot=pinned, memory=Memory()
    )


async def source(place: Place, wanted, *, crossing=False):
    facts = SimpleNamespace(
        border=object() if crossing else None, product=SimpleNamespace(name="p")
    )
    return await World.source_of(place, facts, None, wanted)


async def test_a_dated_portfolio_is_computed_once_for_all_its_parts():
    place, wanted = Place(), ask()
    assert [await source(place, wanted) for _ in range(3)] == ["computed"] * 3
    assert place.computed == 1


@pytest.mark.parametrize("observed", [True, False])
async def test_from_abroad_nothing_is_computed_from_domestic_records(observed):
    place = Place()
    assert await source(place, ask(observed=observed), crossing=True) == "abroad"
    assert place.computed == 0


@pytest.mark.parametrize(
    "wanted", [ask(pinned="S"), ask(observed=False, pinned="S"), ask(portfolio=False, pinned="S")]
)
async def test_a_ticket_and_a_plain_ask_read_what_is_admitted(wanted):
    place = Place()
    assert await source(place, wanted) == "at home S"
    assert place.computed == 0
