"""The journal: what is acknowledged is durable, indexes are contiguous, failures are told."""

import asyncio
import contextlib
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from audit.canonical import canonical
from audit.errors import AuditUnavailableError, EntryError, StatementError
from audit.journal import Journal
from audit.merkle import leaf_hash
from audit.sequence import next_index, open_reader, read_bodies
from audit.transaction import Transaction

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.sqlite3"


@pytest.fixture
def journal(path):
    journal = Journal(path)
    yield journal
    journal.close()


def entry(number):
    return {"v": 1, "kind": "test", "time": 1, "node": "n", "number": number}


def numbers(path):
    reader = open_reader(path)
    with contextlib.closing(reader):
        return [(index, body) for index, _, body in read_bodies(reader, 0, 1 << 40)]


async def test_append_gives_index_hash_and_the_bytes_that_are_stored(journal, path):
    appended = await journal.append(entry(7))
    assert appended.index == 0
    assert appended.body == canonical(entry(7))
    assert appended.leaf_hash == leaf_hash(appended.body)
    assert numbers(path) == [(0, appended.body)]


async def test_many_callers_get_contiguous_indexes_in_order_of_submission(journal, path):
    results = await asyncio.gather(*[journal.append(entry(i)) for i in range(1000)])
    assert [r.index for r in results] == list(range(1000))
    assert numbers(path) == [(i, canonical(entry(i))) for i in range(1000)]


async def test_jobs_and_appends_keep_their_order(journal):
    results = await asyncio.gather(
        journal.append(entry(0)),
        journal.submit(lambda tx: (tx.append(entry(1)), tx.append(entry(2)))[1]),
        journal.append(entry(3)),
    )
    assert [r.index for r in results] == [0, 2, 3]


async def test_a_job_that_raises_takes_back_only_its_own_changes(journal, path):
    journal.run(lambda tx: tx.execute("CREATE TABLE t (x INTEGER UNIQUE)"))

    def bad(tx):
        tx.execute("INSERT INTO t VALUES (1)")
        tx.append(entry(99))
        raise KeyError("mine")

    results = await asyncio.gather(
        journal.append(entry(0)),
        journal.submit(bad),
        journal.submit(lambda tx: tx.execute("INSERT INTO t VALUES (1)") and tx.append(entry(1))),
        journal.submit(lambda tx: tx.execute("INSERT INTO t VALUES (1)") and None),
        journal.submit(lambda tx: next(iter(()))),
        journal.append(entry(2)),
        return_exceptions=True,
    )
    assert isinstance(results[1], KeyError)
    assert isinstance(results[3], StatementError)
    assert isinstance(results[4], RuntimeError)
    assert [results[i].index for i in (0, 2, 5)] == [0, 1, 2]
    assert [body for _, body in numbers(path)] == [canonical(entry(i)) for i in range(3)]


async def test_an_entry_without_canonical_form_never_reaches_the_log(journal, path):
    with pytest.raises(EntryError):
        await journal.append({"v": 1.5})
    with pytest.raises(EntryError):
        await journal.append({"v": "x" * 65_536})
    with pytest.raises(EntryError):
        journal.run(lambda tx: tx.append({"ключ": 1}))
    assert numbers(path) == []


@pytest.mark.parametrize(
    "sql", ["COMMIT", " begin", "ROLLBACK", "END", "PRAGMA synchronous=OFF", "ATTACH 'x' AS y"]
)
def test_a_job_cannot_end_the_transaction(journal, sql):
    with pytest.raises(ValueError):
        journal.run(lambda tx: tx.execute(sql))
    assert journal.run(lambda tx: tx.append(entry(0))).index == 0


async def test_a_cancelled_caller_leaves_its_entry_and_disturbs_nobody(journal):
    release = threading.Event()
    blocker = asyncio.create_task(journal.submit(lambda tx: release.wait(5)))
    await asyncio.sleep(0)
    gone = asyncio.create_task(journal.append(entry(0)))
    stays = asyncio.create_task(journal.append(entry(1)))
    await asyncio.sleep(0)
    gone.cancel()
    release.set()
    assert (await stays).index == 1
    assert await blocker
    with pytest.raises(asyncio.CancelledError):
        await gone


def test_a_job_cannot_wait_for_another_job(journal):
    with pytest.raises(RuntimeError):
        journal.run(lambda tx: journal.run(lambda tx2: None))


def test_close_finishes_what_is_queued_and_refuses_the_rest(path):
    journal = Journal(path)
    release = threading.Event()
    results = []

    def queue_up():
        results.append(journal.run(lambda tx: (release.wait(5), tx.append(entry(0)))[1]))

    first = threading.Thread(target=queue_up)
    first.start()
    closer = threading.Thread(target=journal.close)
    while not journal._thread.is_alive():
        pass
    release.set()
    first.join()
    closer.start()
    closer.join()
    assert results[0].index == 0
    with pytest.raises(AuditUnavailableError):
        journal.run(lambda tx: None)
    journal.close()


def test_indexes_go_on_after_reopening_and_after_pruning(path):
    journal = Journal(path)
    for number in range(3):
        journal.run(lambda tx, number=number: tx.append(entry(number)))
    journal.run(lambda tx: tx.execute("DELETE FROM audit_entry"))
    journal.close()
    journal = Journal(path)
    assert journal.run(lambda tx: tx.append(entry(3))).index == 3
    with contextlib.closing(open_reader(path)) as reader:
        assert next_index(reader) == 4
    journal.close()


def test_a_database_of_another_version_is_refused(path):
    Journal(path).close()
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE audit_schema SET version = 99")
    with pytest.raises(AuditUnavailableError):
        Journal(path)


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
    assert [body for _, body in numbers(path)] == [*acknowledged, last.body]


async def test_another_process_holding_the_lock_too_long_is_an_error_not_a_hang(path):
    journal = Journal(path, busy_timeout_ms=20)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(AuditUnavailableError):
            await journal.append(entry(0))
        other.execute("ROLLBACK")
    assert (await journal.append(entry(1))).index == 0
    journal.close()


def test_two_journals_opened_at_once_share_one_schema(path):
    journals = []
    threads = [threading.Thread(target=lambda: journals.append(Journal(path))) for _ in range(4)]
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
from pathlib import Path
from audit.journal import Journal

async def main(path, name, count):
    journal = Journal(Path(path))
    async def one(number):
        appended = await journal.append({"v": 1, "who": name, "number": number})
        sys.stdout.write(f"{appended.index} {appended.leaf_hash.hex()}\\n")
        sys.stdout.flush()
    for start in range(0, count, 16):
        await asyncio.gather(*[one(start + i) for i in range(16)])
    journal.close()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def start_writer(path, name, count):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(count)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_two_processes_never_share_an_index_and_lose_nothing(path):
    Journal(path).close()
    writers = [start_writer(path, name, 800) for name in ("a", "b")]
    told = [line.split() for w in writers for line in w.communicate(timeout=60)[0].splitlines()]
    assert [w.returncode for w in writers] == [0, 0]
    with contextlib.closing(open_reader(path)) as reader:
        rows = read_bodies(reader, 0, 1 << 40)
    assert [index for index, _, _ in rows] == list(range(1600))
    assert {(int(i), h) for i, h in told} == {(index, leaf.hex()) for index, leaf, _ in rows}


@pytest.mark.parametrize("lines", [1, 50, 333])
def test_what_was_acknowledged_before_kill_9_is_there(path, lines):
    Journal(path).close()
    writer = start_writer(path, "k", 1_000_000)
    told = [writer.stdout.readline().split() for _ in range(lines)]
    writer.send_signal(signal.SIGKILL)
    told += [line.split() for line in writer.communicate()[0].splitlines() if line.count(" ")]
    journal = Journal(path)
    following = journal.run(lambda tx: tx.append(entry(0))).index
    journal.close()
    with contextlib.closing(open_reader(path)) as reader:
        rows = read_bodies(reader, 0, 1 << 40)
    assert [index for index, _, _ in rows] == list(range(following + 1))
    stored = {index: leaf.hex() for index, leaf, _ in rows}
    complete = [pair for pair in told if len(pair) == 2 and len(pair[1]) == 64]
    assert len(complete) >= lines
    assert all(stored[int(index)] == leaf for index, leaf in complete)


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
    assert len(numbers(path)) == following + 1


def test_a_defect_in_the_writer_is_told_to_the_caller(journal, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("audit.journal.commit_group", broken)
    for _ in range(2):
        with pytest.raises(AuditUnavailableError):
            journal.run(lambda tx: None)


def test_transaction_is_what_jobs_get(journal):
    assert isinstance(journal.run(lambda tx: tx), Transaction)
