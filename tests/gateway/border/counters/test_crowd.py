"""Crowds around each threshold, by two processes, one of them killed: nobody too many or lost."""

import asyncio

import pytest

from gateway.border.counters_law import Ceilings, CountClass, CountLaw
from gateway.border.counters_reconcile import open_exports, settle_open
from gateway.registry.act import Act
from tests.fault.crowds import (
    ASSESSMENT,
    CONTRACT,
    NOTHING,
    THRESHOLDS,
    Replayed,
    crowd_at,
)
from tests.gateway.border.counters.conftest import LAW, NOW, SENSITIVE, Books
from tests.gateway.border.counters.crowd import Crowd, needed
from tests.stores import Place

ATTEMPTS = 400  # 20,000 in `make fault`


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("kind", "threshold", "has"),
    THRESHOLDS,
    ids=[f"{kind.value}-{threshold}" for kind, threshold, _ in THRESHOLDS],
)
async def test_two_processes_stop_one_below_and_lose_nobody_when_one_is_killed(
    place, kind, threshold, has
) -> None:
    found = await crowd_at(place, kind, threshold, has, ATTEMPTS)
    assert found.problems == []
    assert found.highest == threshold - 1
    assert found.told.get("denied", 0) > 0
    if threshold > 1:
        assert found.told["passed"] >= ATTEMPTS // 2
        assert found.told["released"] > 0


def test_every_threshold_of_the_law_has_its_crowd() -> None:
    thresholds = {(kind, number) for kind in CountClass for number in LAW.thresholds(kind)}
    assert thresholds == {(kind, number) for kind, number, _ in THRESHOLDS}


async def test_without_ceilings_a_crowd_overruns(tmp_path, monkeypatch) -> None:
    """What holds a crowd back is the ceiling of its reservations, and a crowd can show it."""
    monkeypatch.setattr(CountLaw, "ceilings", lambda *_: Ceilings())
    place = Place("sqlite", tmp_path / "state.sqlite3")
    books = Books(place, place.state())
    books.fill(SENSITIVE, 9_990)
    crowd = Crowd(books.state, SENSITIVE, CONTRACT)
    await crowd.run(range(60))
    assert books.totals()[1] > 9_999
    assert len(crowd.passed) > 9
    crowd.close()
    books.close()


@pytest.mark.parametrize(
    ("entries", "count", "highest", "open_intents"),
    [
        (["intent 1", "intent 2", "sent 1 0", "released 2 1"], 11, 12, 0),
        (["intent 1", "released 1 0", "intent 2"], 11, 11, 1),
        (["intent 1", "intent 1", "released 1 0"], 11, 11, 1),  # the other one holds
        (["intent 1", "sent 1 0", "intent 1", "released 1 2"], 11, 11, 0),  # sent before
        (["intent 1", "intent 2", "intent 3"], 13, 13, 3),
    ],
)
def test_the_log_alone_tells_the_count(entries, count, highest, open_intents) -> None:
    log = Replayed(10)
    log.read(enumerate(entries))
    assert (log.count, log.highest, len(log.held)) == (count, highest, open_intents)
    assert len(log.persons) == count - 10


@pytest.mark.parametrize(
    ("ordinary", "sensitive", "mechanisms"),
    [
        (99_999, 0, NOTHING),
        (100_000, 0, {"SCC", "CERT", "ASSESSMENT"}),
        (999_999, 0, {"SCC", "CERT", "ASSESSMENT"}),
        (1_000_000, 0, ASSESSMENT),
        (50_000, 0, NOTHING),
        (0, 1, {"SCC", "CERT", "ASSESSMENT"}),
        (0, 9_999, {"SCC", "CERT", "ASSESSMENT"}),
        (0, 10_000, ASSESSMENT),
    ],
)
def test_the_crowd_knows_the_vectors(ordinary, sensitive, mechanisms) -> None:
    assert needed(ordinary, sensitive) == mechanisms


async def test_a_threshold_moves_with_what_is_declared_meanwhile(books) -> None:
    books.fill(SENSITIVE, 9_000)
    wanted = books.reservation(["p"], ceilings=LAW.ceilings(0, 9_001, ()))
    books.state.run(lambda tx: tx.execute("UPDATE export_counts SET declared = 1000"))
    outcome = await asyncio.gather(books.post(wanted), return_exceptions=True)
    assert "XB_COUNT_MOVED" in [getattr(each, "code", "") for each in outcome]


def test_what_is_no_export_is_passed_over(books) -> None:
    settled = books.state.run(lambda tx: settle_open(tx, [0, 1, 2], Act(NOW, "n")))
    assert (settled.released, settled.sent) == ((), ())
    assert books.state.run(open_exports) == []
    assert books.rows("SELECT count(*) FROM audit_entry") == [(0,)]
