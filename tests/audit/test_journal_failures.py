"""The journal beside other processes, and when the store, the disk or the process fails."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from audit.errors import AuditUnavailableError
from audit.journal import Journal
from tests.audit.journal_entries import entry, numbers, stored
from tests.stores import Place

ROOT = Path(__file__).parents[2]


def test_a_database_of_another_version_is_refused(place):
    journal = place.journal()
    journal.run(lambda tx: tx.execute("UPDATE audit_schema SET version = 99"))
    journal.close()
    with pytest.raises(AuditUnavailableError):
        place.journal()


def test_a_file_that_is_no_database_is_refused(path):
    path.write_bytes(b"not a database, certainly not" * 200)
    with pytest.raises(AuditUnavailableError):
        Journal(path)
    with pytest.raises(AuditUnavailableError):
        Journal(path.parent / "missing" / "state.sqlite3")


async def test_full_store_fails_the_group_and_recovers_when_there_is_room(path):
    journal = Journal(path)
    pages = journal._writer.connection.execute("PRAGMA page_count").fetchone()[0]
    journal._writer.connection.execute(f"PRAGMA max_page_count={pages + 4}").fetchone()
    acknowledged = []

    async def fill():
        while True:
            big = entry(len(acknowledged)) | {"pad": "x" * 4000}
            acknowledged.append((await journal.append(big)).body)

    with pytest.raises(AuditUnavailableError):
        await fill()
    with pytest.raises(AuditUnavailableError):
        await journal.submit(lambda tx: tx.append(entry(0) | {"pad": "x" * 60_000}))
    journal._writer.connection.execute("PRAGMA max_page_count=100000").fetchone()
    last = await journal.append(entry(1))
    assert last.index == len(acknowledged)
    journal.close()
    assert [body for _, body in numbers(Place("sqlite", path))] == [*acknowledged, last.body]


async def test_another_process_holding_the_lock_too_long_is_an_error_not_a_hang(place):
    journal = place.journal(busy_timeout_ms=20)
    other = place.store().writer()
    with contextlib.suppress(KeyError), other.transaction(acts=False):
        with pytest.raises(AuditUnavailableError):
            await journal.append(entry(0))
        raise KeyError
    other.close()
    assert (await journal.append(entry(1))).index == 0
    journal.close()


def test_two_journals_opened_at_once_share_one_schema(place):
    journals = []
    threads = [threading.Thread(target=lambda: journals.append(place.journal())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    indexes = [j.run(lambda tx: tx.append(entry(0))).index for j in journals]
    assert indexes == [0, 1, 2, 3]
    for journal in journals:
        journal.close()


WRITER = """
import asyncio, sys
from tests.stores import place_of

async def main(path, url, name, count):
    journal = place_of(path, url).journal()
    async def one(number):
        appended = await journal.append({"v": 1, "who": name, "number": number})
        sys.stdout.write(f"{appended.index} {appended.leaf_hash.hex()}\\n")
        sys.stdout.flush()
    for start in range(0, count, 16):
        await asyncio.gather(*[one(start + i) for i in range(16)])
    journal.close()

asyncio.run(main(*sys.argv[1:4], int(sys.argv[4])))
"""


def start_writer(place, name, count):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, *place.words, name, str(count)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_two_processes_never_share_an_index_and_lose_nothing(place):
    place.journal().close()
    writers = [start_writer(place, name, 800) for name in ("a", "b")]
    told = [line.split() for w in writers for line in w.communicate(timeout=250)[0].splitlines()]
    assert [w.returncode for w in writers] == [0, 0]
    rows = stored(place)
    assert [index for index, _, _ in rows] == list(range(1600))
    assert {(int(i), h) for i, h in told} == {(index, leaf.hex()) for index, leaf, _ in rows}


@pytest.mark.parametrize("lines", [1, 50, 333])
def test_what_was_acknowledged_before_kill_9_is_there(place, lines):
    place.journal().close()
    writer = start_writer(place, "k", 1_000_000)
    told = [writer.stdout.readline().split() for _ in range(lines)]
    writer.send_signal(signal.SIGKILL)
    told += [line.split() for line in writer.communicate()[0].splitlines() if line.count(" ")]
    journal = place.journal()
    following = journal.run(lambda tx: tx.append(entry(0))).index
    journal.close()
    rows = stored(place)
    assert [index for index, _, _ in rows] == list(range(following + 1))
    kept = {index: leaf.hex() for index, leaf, _ in rows}
    complete = [pair for pair in told if len(pair) == 2 and len(pair[1]) == 64]
    assert len(complete) >= lines
    assert all(kept[int(index)] == leaf for index, leaf in complete)


NO_ROOM = """
import asyncio, resource, sys
from pathlib import Path
from audit.errors import AuditUnavailableError
from audit.journal import Journal

async def main(path):
    journal = Journal(Path(path))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    wal = Path(path + "-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (wal + 100_000, hard))
    acknowledged = 0
    try:
        while True:
            await journal.append({"v": 1, "pad": "x" * 2000, "number": acknowledged})
            acknowledged += 1
    except AuditUnavailableError:
        pass
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    try:
        await journal.append({"v": 1})
    except AuditUnavailableError:
        print(acknowledged)
    journal.close()

asyncio.run(main(sys.argv[1]))
"""


def test_a_failed_commit_latches_until_reopened_and_loses_nothing(path):
    """The file-size limit makes the write of the commit itself fail, as a full disk does."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    done = subprocess.run(
        [sys.executable, "-c", NO_ROOM, str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    acknowledged = int(done.stdout)
    assert acknowledged > 0
    journal = Journal(path)
    following = journal.run(lambda tx: tx.append(entry(0))).index
    journal.close()
    assert following >= acknowledged
    assert len(numbers(Place("sqlite", path))) == following + 1


def test_a_defect_in_the_writer_is_told_to_the_caller(journal, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("audit.journal.commit_group", broken)
    for _ in range(2):
        with pytest.raises(AuditUnavailableError):
            journal.run(lambda tx: None)
