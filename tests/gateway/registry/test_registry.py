import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gateway.domain.errors import UnavailableError
from gateway.registry import licences, parties, stops
from gateway.registry.registry import Registry
from gateway.store.state import State
from tests.simulator import uscc

ROOT = Path(__file__).parents[3]


def test_a_view_is_the_same_object_until_something_changes(world) -> None:
    before = world.registry.view()
    assert world.registry.view() is before
    world.party(1)
    after = world.registry.view()
    assert after is not before
    assert after.version == before.version + 1
    assert before.parties == {}


def test_a_refresh_keeps_what_did_not_change(world) -> None:
    party = world.party(1)
    document = world.licence_document(party)
    world.run(
        lambda tx: licences.activate(tx, document, world.act, authority_key=world.authority_key)
    )
    before = world.registry.view()
    world.run(lambda tx: stops.order(tx, "all", world.act))
    after = world.registry.view()
    assert after.licences is before.licences
    assert after.stops != before.stops


def test_a_new_reader_sees_what_an_old_one_sees(world) -> None:
    party = world.party(1)
    document = world.licence_document(party)
    world.run(
        lambda tx: licences.activate(tx, document, world.act, authority_key=world.authority_key)
    )
    world.run(lambda tx: stops.order(tx, "all", world.act))
    world.run(lambda tx: stops.lift(tx, "all", world.act))
    fresh = Registry(world.state)
    assert fresh.view() == world.registry.view()
    fresh.close()


def test_a_failed_act_changes_neither_view_nor_version(world) -> None:
    before = world.registry.view()

    def job(tx) -> None:
        wanted = parties.registration(f"uscc:{uscc(1)}", "x", "BANK")
        parties.register(tx, wanted, world.act)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        world.run(job)
    assert world.registry.view() is before
    assert world.entries() == []


def test_what_another_process_does_is_seen_at_once(world) -> None:
    """By the very next call on one machine, once it was notified over a network."""
    party = world.party(1)
    document = world.licence_document(party)
    world.run(
        lambda tx: licences.activate(tx, document, world.act, authority_key=world.authority_key)
    )
    assert world.registry.view().licence("L-1").status == "ACTIVE"
    script = (
        "import sys\n"
        "from gateway.registry import licences\n"
        "from gateway.registry.act import Act\n"
        "from tests.stores import place_of\n"
        "state = place_of(*sys.argv[1:3]).state()\n"
        "state.run(lambda tx: licences.suspend(tx, 'L-1', Act(5, 'node-2')))\n"
        "state.close()\n"
    )
    subprocess.run(
        [sys.executable, "-c", script, *world.place.words], check=True, cwd=ROOT, timeout=60
    )
    if world.place.kind == "postgres":
        deadline = time.monotonic() + 60
        while world.registry.view().licence("L-1").status == "ACTIVE":
            assert time.monotonic() < deadline, "it was never notified"
            time.sleep(0.01)
    assert world.registry.view().licence("L-1").status == "SUSPENDED"
    assert world.entries()[-1]["node"] == "node-2"


def test_two_writers_and_a_reader_lose_nothing(world) -> None:
    other = world.place.state()

    def register(state: State, first: int) -> None:
        for number in range(first, first + 20):
            wanted = parties.registration(f"uscc:{uscc(number)}", "x", "BANK")
            state.run(lambda tx, wanted=wanted: parties.register(tx, wanted, world.act))

    threads = [
        threading.Thread(target=register, args=(world.state, 100)),
        threading.Thread(target=register, args=(other, 200)),
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        view = world.registry.view()
        assert len(view.parties) == view.version
    for thread in threads:
        thread.join()
    other.close()
    view = world.registry.view()
    assert len(view.parties) == 40
    assert sorted(party.index for party in view.parties.values()) == list(range(40))


def test_a_state_that_cannot_be_read_gives_no_older_view(world) -> None:
    registry = Registry(world.state)
    registry.view()
    registry.close()
    with pytest.raises(UnavailableError) as caught:
        registry.view()
    assert caught.value.code == "AUDIT_UNAVAILABLE"
