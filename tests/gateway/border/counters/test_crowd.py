"""Crowds around each threshold: nobody too many, nobody lost; by two processes, and killed."""

import asyncio
import signal
import subprocess
import sys

import pytest

from gateway.border.counters_reconcile import open_exports, settle_open
from gateway.registry.act import Act
from tests.gateway.border.counters.conftest import (
    EXPORTER,
    LAW,
    NOW,
    ORDINARY,
    SENSITIVE,
    YEAR,
    Books,
)
from tests.gateway.border.counters.crowd import Crowd, needed
from tests.stores import Place

ATTEMPTS = 20_000
ROOM = 25  # how far below a threshold a crowd begins
NOTHING, CONTRACT, ASSESSMENT = frozenset(), frozenset({"SCC"}), frozenset({"ASSESSMENT"})


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("kind", "threshold", "has"),
    [
        (ORDINARY, 100_000, NOTHING),
        (ORDINARY, 1_000_000, CONTRACT),
        (SENSITIVE, 1, NOTHING),
        (SENSITIVE, 10_000, CONTRACT),
    ],
)
async def test_twenty_thousand_at_once_stop_one_below(tmp_path, kind, threshold, has) -> None:
    books = Books(Place("sqlite", tmp_path / "state.sqlite3"), _state(tmp_path))
    start = max(0, threshold - ROOM)
    books.fill(kind, start)
    crowd = Crowd(books.state, kind, has)
    await crowd.run(range(ATTEMPTS))
    assert len(crowd.passed) == threshold - 1 - start
    assert crowd.denied + crowd.moved == ATTEMPTS - len(crowd.passed)
    assert sum(books.totals()) == threshold - 1
    # With what the count asks for from here on, the next one passes.
    after = Crowd(books.state, kind, ASSESSMENT)
    await after.run(range(ATTEMPTS, ATTEMPTS + 50))
    assert len(after.passed) == 50
    assert sum(books.totals()) == threshold + 49
    crowd.close()
    after.close()
    books.close()


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


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_replicas_never_both_pass_the_9999th(postgres, tmp_path) -> None:
    place = Place("postgres", tmp_path / "unused", postgres.database())
    books = Books(place, place.state())
    books.fill(SENSITIVE, 10_000 - ROOM)
    replicas = [_process(place, SENSITIVE, first, 2, ATTEMPTS, "SCC") for first in range(2)]
    for replica in replicas:
        assert replica.stdout.readline() == "ready\n"
    for replica in replicas:
        replica.stdin.write("go\n")
        replica.stdin.flush()
    told = [replica.communicate(timeout=300)[0].split("\n") for replica in replicas]
    passed = [line for lines in told for line in lines if line.isdigit()]
    assert len(passed) == len(set(passed)) == ROOM - 1
    assert books.totals() == (0, 9_999)
    assert all(replica.returncode == 0 for replica in replicas)
    books.close()


def test_a_killed_process_loses_nobody_whom_it_acknowledged(place) -> None:
    books = Books(place, place.state())
    books.close()
    child = _process(place, SENSITIVE, 0, 1, ATTEMPTS, "SCC")
    assert child.stdout.readline() == "ready\n"
    child.stdin.write("go\n")
    child.stdin.flush()
    told = [child.stdout.readline().strip() for _ in range(300)]
    child.send_signal(signal.SIGKILL)
    told += child.stdout.read().split()
    child.wait()
    child.stdout.close()
    child.stdin.close()
    books = Books(place, place.state())
    acknowledged = [f"p{number}" for number in told if number.isdigit()]
    ordinary, sensitive = books.totals()
    tags = {bytes(tag) for (tag,) in books.rows("SELECT tag FROM export_persons")}
    assert ordinary == 0
    assert sensitive == len(tags) >= len(acknowledged) >= 300
    assert {books.tagger.tag(EXPORTER, YEAR, person) for person in acknowledged} <= tags
    # They count as sent until somebody reconciles; nothing of it is gone with the process.
    assert books.standing(acknowledged).sensitive_persons == sensitive
    assert len(books.rows("SELECT intent FROM export_holds")) == sensitive
    books.close()


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


def _process(place, kind, first, step, attempts, has) -> subprocess.Popen:
    words = [*place.words, kind.value, str(first), str(step), str(attempts), has]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.gateway.border.counters.crowd", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _state(tmp_path):
    return Place("sqlite", tmp_path / "state.sqlite3").state()
