import sqlite3
import threading
from pathlib import Path

import pytest

from audit.errors import AuditError, AuditUnavailableError
from gateway.store.migration import StateVersionError
from gateway.store.state import State


def test_a_change_and_its_entry_are_one_transaction(tmp_path: Path) -> None:
    state = State.open(tmp_path / "s.sqlite3")

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


async def test_the_servers_way_is_the_same_transaction(tmp_path: Path) -> None:
    state = State.open(tmp_path / "s.sqlite3")
    done = await state.submit(
        lambda tx: tx.append({"v": 1, "kind": "k", "time": 0, "node": "n"}).index
    )
    assert done == 0
    state.close()


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    state = State.open(tmp_path / "s.sqlite3")
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


def test_a_newer_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite3"
    State.open(path).close()
    raw = sqlite3.connect(path)
    raw.execute("INSERT INTO gateway_migrations VALUES (999, 'future', 'x')")
    raw.commit()
    raw.close()
    threads = threading.active_count()
    with pytest.raises(StateVersionError) as caught:
        State.open(path)
    assert caught.value.code == "STATE_VERSION"
    assert threading.active_count() == threads


def test_two_processes_may_make_it_at_once(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite3"
    states: list[State] = []
    threads = [threading.Thread(target=lambda: states.append(State.open(path))) for _ in range(4)]
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
