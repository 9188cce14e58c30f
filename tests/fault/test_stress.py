"""The stress run in small, and the proof that its checker can fail."""

import asyncio

import pytest

from tests.fault.checker import IN_FLIGHT_S, Repair, apart, check
from tests.fault.nodes import GRADE, PENALTY, Delivery, Record, make_site
from tests.fault.stress import parse, stress

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ONE = Record("n1", "r1", "s1")
REPAIR = Repair(ONE, sent_at=10.0, index=100, acked_at=11.0)
LATER = Repair(Record("n2", "r2", "s2"), sent_at=12.0, index=200, acked_at=12.5)


def told(delivery: Delivery, pauses=()) -> list[str]:
    return [one.rule for one in check([REPAIR, LATER], [delivery], {"a": list(pauses)})]


@pytest.mark.parametrize(
    ("received", "index", "product", "key", "rules"),
    [
        (10.5, 90, PENALTY, "n1", []),  # before
        (11.5, 150, PENALTY, "n1", []),  # in flight
        (11.0 + IN_FLIGHT_S + 1, 150, PENALTY, "n1", ["arrival"]),
        (11.1, 201, PENALTY, "n1", ["order"]),
        (11.1, 201, PENALTY, "n3", []),
        (11.1, 201, GRADE, "s1", ["order"]),
        (99.0, 90, PENALTY, "n1", []),  # recorded before the repair; a slow network
    ],
)
def test_the_checkers_two_rules(received, index, product, key, rules):
    assert told(Delivery("a", received, index, product, (key,))) == rules


def test_bytes_of_a_stopped_process_are_in_flight_for_as_long_as_it_is_stopped():
    delivery = Delivery("a", 11.0 + IN_FLIGHT_S + 1, 150, PENALTY, ("n1",))
    assert told(delivery, [(11.0, 12.5)]) == []
    assert told(delivery, [(1.0, 2.5)]) == ["arrival"]


def test_time_that_two_pauses_cover_counts_once():
    assert apart([(5.0, 6.0), (1.0, 3.0), (2.0, 4.0), (2.5, 3.0)]) == [(1.0, 4.0), (5.0, 6.0)]
    delivery = Delivery("a", 11.0 + IN_FLIGHT_S + 1, 150, PENALTY, ("n1",))
    assert told(delivery, apart([(11.0, 11.6), (11.1, 11.7)])) == ["arrival"]


def run(tmp_path, *words: str):
    site = make_site(tmp_path / "home", companies=200, batch_rows=16)
    try:
        return asyncio.run(stress(site, parse(["--longest-s", "600", *words])))
    finally:
        site.desk.close()


def test_nothing_leaves_after_its_repair_was_acknowledged(tmp_path):
    words = ("--repairs", "120", "--deliveries", "5000", "--seed", "3", "--disturbances", "12")
    seen = run(tmp_path, *words)
    assert seen["violations"] == 0, seen
    assert seen["complete"], seen
    assert seen["repairs"] >= 120
    assert seen["deliveries"] >= 5_000
    assert seen["kills"] + seen["pauses"] + seen["restarts"] + seen["reloads"] == 12


def test_without_the_wait_the_checker_finds_what_leaves(tmp_path):
    words = ("--repairs", "120", "--deliveries", "1", "--seed", "3", "--no-disturb")
    seen = run(tmp_path, *words, "--mutant", "no_wait")
    assert seen["violations"] > 0
