"""Counting: each person once, never over a ceiling, nobody lost; on both databases."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.border.counters_items import CountMovedError
from gateway.border.counters_law import Ceilings
from gateway.domain.errors import UnavailableError
from gateway.store.state import State
from tests.gateway.border.counters.conftest import (
    LAW,
    ORDINARY,
    PARTY,
    SENSITIVE,
    YEAR,
    Books,
)
from tests.stores import Place

THRESHOLDS = [
    (kind, threshold - 1 + step)
    for kind in (ORDINARY, SENSITIVE)
    for threshold in LAW.thresholds(kind)
    for step in (0, 1)
]


async def gather(*awaitables):
    return await asyncio.gather(*awaitables, return_exceptions=True)


async def test_the_same_person_three_times_counts_once(books) -> None:
    for _ in range(3):
        wanted = books.reservation(["p"])
        await books.end(await books.post(wanted), wanted, sent=True)
    await gather(*[books.post(books.reservation(["p"])) for _ in range(3)])
    assert books.totals() == (0, 1)
    assert books.standing(["p"]).sensitive_persons == 1
    assert books.standing(["p", "q"]).sensitive_persons == 2


async def test_a_person_sent_as_ordinary_and_as_sensitive_counts_in_both(books) -> None:
    await books.post(books.reservation(["p"], ORDINARY))
    assert books.totals() == (1, 0)
    await books.post(books.reservation(["p"], SENSITIVE))
    assert books.totals() == (1, 1)
    await books.post(books.reservation(["q"], ORDINARY, SENSITIVE))
    assert books.totals() == (2, 2)
    both = books.standing(["r"], sensitive=True, ordinary=True)
    assert (both.persons, both.sensitive_persons) == (3, 3)
    plain = books.standing(["r"], sensitive=False)
    assert (plain.persons, plain.sensitive_persons) == (3, 2)


async def test_partners_share_their_exporters_count_and_exporters_have_their_own(books) -> None:
    await books.post(books.reservation(["p"], party="reg:SG:A"))
    await books.post(books.reservation(["p"], party="reg:SG:B"))
    await books.post(books.reservation(["q"], party="reg:SG:B"))
    other = "uscc:91460099MA00000024"
    await books.post(books.reservation(["p"], exporter=other))
    assert books.totals() == (0, 2)
    assert books.totals(other) == (0, 1)


async def test_a_year_begins_at_nothing(books) -> None:
    await books.post(books.reservation(["p"]))
    await books.post(books.reservation(["p"], year=YEAR + 1))
    assert books.totals() == (0, 1)
    assert books.totals(year=YEAR + 1) == (0, 1)


async def test_what_nobody_else_holds_is_given_back(books) -> None:
    first, second = books.reservation(["p", "q"]), books.reservation(["q", "r"])
    one, two = await books.post(first), await books.post(second)
    assert books.totals() == (0, 3)
    await books.end(one, first, sent=False)
    assert books.totals() == (0, 2)  # q is held by the second
    await books.end(two, second, sent=True)
    third = books.reservation(["q", "r", "s"])
    await books.end(await books.post(third), third, sent=False)
    assert books.totals() == (0, 2)  # what was sent stays
    assert books.rows("SELECT * FROM export_holds") == []
    assert books.rows("SELECT persons FROM export_days") == [(2,)]


async def test_one_group_may_take_back_and_reserve_the_same_person(books) -> None:
    first = books.reservation(["p"])
    intent = await books.post(first)
    again = books.reservation(["p"])
    _, held = await gather(books.end(intent, first, sent=False), books.post(again))
    assert books.totals() == (0, 1)
    await books.end(held, again, sent=False)
    assert books.totals() == (0, 0)


async def test_a_delivery_that_was_taken_for_dead_counts_all_the_same(books) -> None:
    late = books.reservation(["p"])
    intent = await books.post(late)
    await books.end(intent, late, sent=False)
    assert books.totals() == (0, 0)
    await books.end(intent, late, sent=True)
    assert books.totals() == (0, 1)
    assert books.rows("SELECT sent FROM export_persons") == [(1,)]


async def test_a_refused_reservation_leaves_no_trace(books) -> None:
    books.fill(SENSITIVE, 9_999)
    before = books.rows("SELECT count(*) FROM audit_entry")
    with pytest.raises(CountMovedError):
        await books.post(books.reservation(["p"], ceilings=Ceilings(sensitive=10_000)))
    assert books.rows("SELECT count(*) FROM audit_entry") == before
    assert books.rows("SELECT * FROM export_persons") == []
    assert books.totals() == (0, 9_999)


async def test_whom_the_books_have_passes_at_the_ceiling_and_a_moved_band_does_not(books) -> None:
    ceilings = Ceilings(sensitive=2)
    await books.post(books.reservation(["p"], ceilings=ceilings))
    await books.post(books.reservation(["p"], ceilings=ceilings))
    await books.post(books.reservation(["q"], ceilings=Ceilings(sensitive=10)))
    with pytest.raises(CountMovedError):
        await books.post(books.reservation(["p"], ceilings=ceilings))


async def test_both_counts_together_keep_to_a_cap(books) -> None:
    ceilings = Ceilings(together=3)
    await books.post(books.reservation(["p"], ORDINARY, SENSITIVE, ceilings=ceilings))
    await books.post(books.reservation(["q"], ORDINARY, ceilings=ceilings))
    with pytest.raises(CountMovedError):
        await books.post(books.reservation(["q"], SENSITIVE, ceilings=ceilings))
    await books.post(books.reservation(["q"], ORDINARY, ceilings=ceilings))


@pytest.mark.parametrize(("kind", "start"), THRESHOLDS)
async def test_at_a_threshold_exactly_one_more_passes(books, kind, start) -> None:
    """From one below a threshold one passes under it; from it on, everyone until the next."""
    if start:
        books.fill(kind, start)
    names = {ORDINARY: "ordinary", SENSITIVE: "sensitive"}
    thresholds = LAW.thresholds(kind)
    nxt = min((t for t in thresholds if t > start), default=None)
    ceilings = Ceilings(**{names[kind]: nxt})
    tries = [books.post(books.reservation([f"p{n}"], kind, ceilings=ceilings)) for n in range(20)]
    passed = [each for each in await gather(*tries) if isinstance(each, int)]
    room = 20 if nxt is None else min(20, nxt - 1 - start)
    assert len(passed) == room
    assert books.totals()[0 if kind is ORDINARY else 1] == start + room


async def test_books_begun_with_another_key_are_refused(books) -> None:
    await books.post(books.reservation(["p"]))
    stranger = Books(books.place, books.state)
    stranger.ledger = type(stranger.ledger)(LAW, type(stranger.tagger)(b"x" * 32))
    with pytest.raises(UnavailableError) as caught:
        await stranger.post(books.reservation(["q"]))
    assert caught.value.code == "XB_COUNT_KEY"
    assert books.totals() == (0, 1)
    stranger.counts.close()


async def test_no_identifier_is_stored_and_one_person_looks_unlike_in_two_years(books) -> None:
    person = "460099199001011234"
    await books.post(books.reservation([person]))
    await books.post(books.reservation([person], year=YEAR + 1))
    tags = [bytes(tag) for (tag,) in books.rows("SELECT tag FROM export_persons")]
    assert len(set(tags)) == 2
    for table in ("export_persons", "export_holds", "export_counts", "audit_entry"):
        for row in books.rows(f"SELECT * FROM {table}"):
            assert person not in "".join(
                value.decode("latin-1") if isinstance(value, bytes) else str(value) for value in row
            )


async def test_the_annex_names_recipients_of_what_was_sent_only(books) -> None:
    sent, not_sent = books.reservation(["p"]), books.reservation(["q"], party="reg:SG:B")
    await books.end(await books.post(sent), sent, sent=True)
    await books.end(await books.post(not_sent), not_sent, sent=False)
    assert books.rows("SELECT party FROM export_recipients") == [(PARTY,)]


PERSONS = st.sampled_from("abcdefgh")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.sets(PERSONS, min_size=1, max_size=3), st.booleans()),
        st.tuples(st.just("end"), st.integers(0, 20), st.booleans()),
    ),
    max_size=30,
)


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS, ceiling=st.integers(1, 8))
def test_the_books_agree_with_plain_sets(tmp_path_factory, steps, ceiling) -> None:
    path = tmp_path_factory.mktemp("model") / "state.sqlite3"
    books = Books(Place("sqlite", path), State.open(path))
    held: dict[int, tuple[object, set[str]]] = {}
    sent: set[str] = set()
    try:
        for word, what, flag in steps:
            counted = sent.union(*[people for _, people in held.values()])
            if word == "reserve":
                ceilings = Ceilings(sensitive=ceiling) if flag else Ceilings()
                wanted = books.reservation(sorted(what), ceilings=ceilings)
                fits = not flag or len(counted | what) < ceiling
                if fits:
                    held[books.post_now(wanted)] = (wanted, what)
                else:
                    with pytest.raises(CountMovedError):
                        books.post_now(wanted)
            elif held:
                intent = sorted(held)[what % len(held)]
                reservation, people = held.pop(intent)
                asyncio.run(books.end(intent, reservation, sent=flag))
                sent |= people if flag else set()
            counted = sent.union(*[people for _, people in held.values()])
            assert books.totals() == (0, len(counted))
            assert books.standing("abcdefgh").sensitive_persons == 8
        days = books.rows("SELECT persons FROM export_days")
        assert sum(n for (n,) in days) == len(sent.union(*[people for _, people in held.values()]))
    finally:
        books.close()


def test_standing_names_the_newest_entry(books) -> None:
    assert books.standing().index == -1
    index = books.post_now(books.reservation(["p"]))
    assert books.standing().index == index
