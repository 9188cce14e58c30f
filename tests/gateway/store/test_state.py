import asyncio
import threading
import time
from pathlib import Path

import pytest

from audit.errors import AuditError, AuditUnavailableError
from gateway.store.migration import StateVersionError
from gateway.store.state import State
from tests.stores import Place


def test_a_change_and_its_entry_are_one_transaction(place: Place) -> None:
    state = place.state()

    def job(tx) -> None:
        tx.append({"v": 1, "kind": "k", "time": 0, "node": "n"})
        tx.execute("INSERT INTO feeds (product, as_of, changed) VALUES ('p', 1, 1)")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        state.run(job)
    reader = state.connect()
    assert reader.execute("SELECT count(*) FROM audit_entry").fetchone() == (0,)
    assert reader.execute("SELECT count(*) FROM feeds").fetchone() == (0,)
    reader.close()
    state.close()


async def test_the_servers_way_is_the_same_transaction(place: Place) -> None:
    state = place.state()
    done = await state.submit(
        lambda tx: tx.append({"v": 1, "kind": "k", "time": 0, "node": "n"}).index
    )
    assert done == 0
    state.close()


def test_a_reader_cannot_write(place: Place) -> None:
    state = place.state()
    reader = state.connect()
    with pytest.raises(AuditError):
        reader.execute("DELETE FROM parties")
    reader.close()
    state.close()


def test_a_hostile_path_is_a_path(tmp_path: Path) -> None:
    folder = tmp_path / "a?mode=rwc&b#c %20"
    folder.mkdir()
    state = State.open(folder / "s.sqlite3")
    reader = state.connect()
    assert reader.execute("SELECT version FROM registry_version").fetchone() == (0,)
    reader.close()
    state.close()


def test_a_newer_database_is_refused_and_left_alone(place: Place) -> None:
    state = place.state()
    state.run(lambda tx: tx.execute("INSERT INTO gateway_migrations VALUES (999, 'future', 'x')"))
    state.close()
    threads = threading.active_count()
    with pytest.raises(StateVersionError) as caught:
        place.state()
    assert caught.value.code == "STATE_VERSION"
    assert threading.active_count() == threads


def test_two_processes_may_make_it_at_once(place: Place) -> None:
    states: list[State] = []
    threads = [threading.Thread(target=lambda: states.append(place.state())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(states) == 4
    for state in states:
        state.close()


def test_what_is_no_database_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite3"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(AuditUnavailableError):
        State.open(path)


def test_a_migration_that_changed_afterwards_is_refused(place: Place) -> None:
    state = place.state()
    state.run(lambda tx: tx.execute("UPDATE gateway_migrations SET digest = 'x' WHERE number = 1"))
    state.close()
    with pytest.raises(StateVersionError):
        place.state()


def listening(place: Place, watching: State) -> None:
    """Wait until a handle's signal is raised by others: the number changes when it is."""
    before = watching.signal.read()
    deadline = time.monotonic() + (60 if place.kind == "postgres" else 0)
    while watching.signal.read() == before and time.monotonic() < deadline:
        time.sleep(0.001)


def test_an_act_of_another_handle_raises_the_signal(place: Place) -> None:
    """At once on one machine; on a server within the time of a notification."""
    watching, acting = place.state(), place.state()
    listening(place, watching)
    for _ in range(3):
        before = watching.signal.read()
        acting.run(lambda tx: tx.append({"v": 1, "kind": "k", "time": 0, "node": "n"}))
        deadline = time.monotonic() + (60 if place.kind == "postgres" else 0)
        while watching.signal.read() == before and time.monotonic() < deadline:
            time.sleep(0.001)
        assert watching.signal.read() != before
    quiet = watching.signal.read()
    time.sleep(0.05)
    assert watching.signal.read() == quiet
    acting.close()
    watching.close()


def test_an_entry_alone_raises_no_signal(place: Place) -> None:
    """The entries of requests change nothing that others watch, and come by the thousand."""
    watching, acting = place.state(), place.state()
    listening(place, watching)
    quiet = watching.signal.read()
    asyncio.run(acting.journal.append({"v": 1, "kind": "k", "time": 0, "node": "n"}))
    time.sleep(0.1)
    assert watching.signal.read() == quiet
    acting.close()
    watching.close()
