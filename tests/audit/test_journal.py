"""The journal: what is acknowledged is durable, indexes are contiguous, failures are told."""

import asyncio
import contextlib
import itertools
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from audit.canonical import canonical
from audit.errors import AuditError, AuditUnavailableError, EntryError, StatementError
from audit.journal import Journal
from audit.merkle import leaf_hash
from audit.sequence import next_index, read_bodies
from audit.transaction import Posting, Row, Transaction
from tests.stores import Place

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.sqlite3"


@pytest.fixture
def journal(place):
    journal = place.journal()
    yield journal
    journal.close()


def entry(number):
    return {"v": 1, "kind": "test", "time": 1, "node": "n", "number": number}


def stored(place):
    with contextlib.closing(place.store().connect()) as reader:
        return read_bodies(reader, 0, 1 << 40)


def numbers(place):
    return [(index, body) for index, _, body in stored(place)]


async def test_append_gives_index_hash_and_the_bytes_that_are_stored(journal, place):
    appended = await journal.append(entry(7))
    assert appended.index == 0
    assert appended.body == canonical(entry(7))
    assert appended.leaf_hash == leaf_hash(appended.body)
    assert numbers(place) == [(0, appended.body)]


async def test_many_callers_get_contiguous_indexes_in_order_of_submission(journal, place):
    results = await asyncio.gather(*[journal.append(entry(i)) for i in range(1000)])
    assert [r.index for r in results] == list(range(1000))
    assert numbers(place) == [(i, canonical(entry(i))) for i in range(1000)]


async def test_jobs_and_appends_keep_their_order(journal):
    results = await asyncio.gather(
        journal.append(entry(0)),
        journal.submit(lambda tx: (tx.append(entry(1)), tx.append(entry(2)))[1]),
        journal.append(entry(3)),
    )
    assert [r.index for r in results] == [0, 2, 3]


class Queueing:
    """A store whose writer, once it has its turn, lets a test put more into the queue."""

    def __init__(self, store):
        self.store = store
        self.turns = []
        self.reached, self.go = threading.Event(), threading.Event()

    def connect(self):
        return self.store.connect()

    def writer(self):
        self.inner = self.store.writer()
        return self

    @contextlib.contextmanager
    def transaction(self, *, acts):
        self.turns.append(acts)
        with self.inner.transaction(acts=acts) as session:
            self.reached.set()
            assert self.go.wait(60)
            yield session

    def close(self):
        self.inner.close()


async def test_who_comes_while_a_group_waits_for_its_turn_shares_its_commit(place):
    store = Queueing(place.store())
    with contextlib.closing(Journal(store)) as journal:
        tasks = [asyncio.create_task(journal.append(entry(0)))]
        await asyncio.to_thread(store.reached.wait, 60)
        tasks += [asyncio.create_task(journal.append(entry(n))) for n in (1, 2)]
        await asyncio.sleep(0)  # all of them are in the queue
        store.go.set()
        results = await asyncio.gather(*tasks)
    assert [result.index for result in results] == [0, 1, 2]
    assert numbers(place) == [(n, canonical(entry(n))) for n in range(3)]
    assert store.turns == [False]


def recorded(journal, number):
    """Begin to record an entry as requests do."""

    def alone(tx):
        return tx.append(entry(number))

    return asyncio.create_task(journal.record(entry(number), lambda _: (), alone, lambda it: it))


async def test_beside_a_busy_loop_a_group_waits_for_others_and_whoever_has_no_time_ends_that(
    place, monkeypatch
):
    monkeypatch.setattr("audit.journal._PAUSE_S", (0.0, 600.0))
    store = Queueing(place.store())
    store.go.set()
    with contextlib.closing(Journal(store)) as journal:
        journal._lag_s = 200.0
        tasks = [recorded(journal, number) for number in range(3)]
        await asyncio.sleep(0)
        job = await journal.submit(lambda tx: tx.append(entry(3)))
        results = await asyncio.gather(*tasks)
        assert [result.index for result in (*results, job)] == [0, 1, 2, 3]
        assert store.turns == [True]
        tasks = [recorded(journal, 4)]
        await asyncio.sleep(0)
    assert [(await task).index for task in tasks] == [4]  # closing ended the wait


async def test_jobs_that_are_done_do_not_hurry_later_groups(place, monkeypatch):
    monkeypatch.setattr("audit.journal._PAUSE_S", (0.0, 600.0))
    store = Queueing(place.store())
    store.go.set()
    with contextlib.closing(Journal(store)) as journal:
        for _ in range(5):
            await journal.submit(lambda tx: None)
        await recorded(journal, 0)  # it begins at once: the loop isn't busy
        store.turns.clear()
        journal._lag_s = 200.0
        tasks = []
        for number in (1, 2):
            tasks.append(recorded(journal, number))
            await asyncio.sleep(0.1)
        await journal.submit(lambda tx: None)
        assert [(await task).index for task in tasks] == [1, 2]
        assert store.turns == [True]


def test_how_busy_the_loop_is_shows_in_how_late_it_hears_of_a_group(journal):
    for _ in range(50):
        journal._settle_all([], time.monotonic() - 1)
    busy = journal._lag_s
    for _ in range(50):
        journal._settle_all([], time.monotonic())
    assert busy > 0.9
    assert journal._lag_s < busy / 2


async def test_a_job_that_comes_late_has_a_turn_of_its_own_in_its_order(place):
    """A transaction says at its start whether others must be told of what it changes."""
    store = Queueing(place.store())
    with contextlib.closing(Journal(store)) as journal:
        tasks = [asyncio.create_task(journal.append(entry(0)))]
        await asyncio.to_thread(store.reached.wait, 60)
        tasks += [
            asyncio.create_task(journal.append(entry(1))),
            asyncio.create_task(journal.submit(lambda tx: tx.append(entry(2)))),
            asyncio.create_task(journal.append(entry(3))),
        ]
        await asyncio.sleep(0)
        closing = asyncio.create_task(asyncio.to_thread(journal.close))
        store.go.set()
        results = await asyncio.gather(*tasks)
        await closing
    assert [result.index for result in results] == [0, 1, 2, 3]
    assert numbers(place) == [(n, canonical(entry(n))) for n in range(4)]
    assert store.turns == [False, True]


async def test_a_job_that_raises_takes_back_only_its_own_changes(journal, place):
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
    assert [body for _, body in numbers(place)] == [canonical(entry(i)) for i in range(3)]


async def test_a_job_that_passes_over_a_refused_statement_harms_nobody_else(journal):
    """SQLite lets it go on; PostgreSQL takes the whole job back. Its neighbours stand on both."""
    journal.run(lambda tx: tx.execute("CREATE TABLE t (x INTEGER UNIQUE)"))

    def careless(tx):
        tx.execute("INSERT INTO t VALUES (1)")
        with contextlib.suppress(StatementError):
            tx.execute("INSERT INTO t VALUES (1)")

    results = await asyncio.gather(
        journal.append(entry(0)),
        journal.submit(careless),
        journal.append(entry(1)),
        return_exceptions=True,
    )
    assert results[1] is None or isinstance(results[1], StatementError)
    assert [results[i].index for i in (0, 2)] == [0, 1]


async def test_values_come_back_as_they_went_in(journal):
    """Booleans are integers, sums are integers, text is in the order of its bytes."""
    given = [(1, "é", b"\0\xff", True), (2, "Z", b"", False), (1 << 62, "a'?\"--$1", b"x", None)]

    def write(tx):
        tx.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, w TEXT, b BLOB, f INTEGER) STRICT")
        for row in given:
            tx.execute("INSERT INTO t (n, w, b, f) VALUES (?, ?, ?, ?)", row)

    await journal.submit(write)
    with contextlib.closing(journal.connect()) as reader:
        rows = reader.execute("SELECT n, w, b, f FROM t ORDER BY w").fetchall()
        assert rows == [
            (2, "Z", b"", 0),
            (1 << 62, "a'?\"--$1", b"x", None),
            (1, "é", b"\0\xff", 1),
        ]
        assert [type(value) for value in rows[0]] == [int, str, bytes, int]
        (total,) = reader.execute("SELECT sum(f) + count(*) FROM t WHERE w <> '?'").fetchone()
        assert (total, type(total)) == (4, int)
        assert reader.execute("SELECT n FROM t WHERE n = ?", (3,)).fetchone() is None


async def test_rows_go_with_their_entries_and_one_that_is_refused_goes_alone(journal):
    def tables(tx):
        tx.execute("CREATE TABLE keyed (k TEXT PRIMARY KEY, entry INTEGER NOT NULL)")
        tx.execute("CREATE TABLE counted (k TEXT PRIMARY KEY, n INTEGER NOT NULL)")

    journal.run(tables)
    add = "ON CONFLICT (k) DO UPDATE SET n = counted.n + excluded.n"

    def rows(key):
        return lambda index: [
            Row("INSERT INTO keyed (k, entry) VALUES", (key, index)),
            Row("INSERT INTO counted (k, n) VALUES", ("all", 2), add, adds=True),
        ]

    def alone(number, key):
        def job(tx):
            appended = tx.append(entry(number))
            for row in rows(key)(appended.index):
                marks = ",".join("?" * len(row.values))
                tx.execute(f"{row.into} ({marks}) {row.conflict}", row.values)
            return appended

        return job

    async def record(number, key):
        return await journal.record(
            entry(number), rows(key), alone(number, key), lambda appended: appended.index
        )

    assert await asyncio.gather(*[record(n, f"k{n}") for n in range(50)]) == list(range(50))
    mixed = await asyncio.gather(*[record(n, f"k{n}") for n in (50, 7, 51)], return_exceptions=True)
    assert isinstance(mixed[1], StatementError)
    assert [mixed[0], mixed[2]] == [50, 51]
    with contextlib.closing(journal.connect()) as reader:
        assert reader.execute("SELECT n FROM counted").fetchall() == [(104,)]
        assert reader.execute("SELECT count(*), max(entry) FROM keyed").fetchone() == (52, 51)
        assert next_index(reader) == 52


class Purse:
    """A ledger: a sum that may not pass ten; an entry beside each that was let in."""

    def check(self, tx, items):
        spent = tx.execute("SELECT n FROM purse").fetchone()[0]
        verdicts = []
        for amount in items:
            fits = spent + amount <= 10
            spent += amount if fits else 0
            verdicts.append(None if fits else OverflowError(amount))
        return verdicts

    def post(self, tx, items):
        tx.execute("UPDATE purse SET n = n + ?", (sum(amount for amount, _ in items),))
        for _, index in items:
            tx.execute("INSERT INTO spent (entry) VALUES (?)", (index,))


async def test_a_ledger_lets_in_what_fits_also_when_a_row_of_the_group_is_refused(journal):
    def tables(tx):
        tx.execute("CREATE TABLE purse (n INTEGER NOT NULL)")
        tx.execute("INSERT INTO purse (n) VALUES (0)")
        tx.execute("CREATE TABLE spent (entry INTEGER PRIMARY KEY)")
        tx.execute("CREATE TABLE keyed (k TEXT PRIMARY KEY)")

    journal.run(tables)
    purse = Purse()

    def spend(number, amount, key):
        def alone(tx):
            appended = tx.append(entry(number))
            tx.execute("INSERT INTO keyed (k) VALUES (?)", (key,))
            return appended

        return journal.record(
            entry(number),
            lambda _: [Row("INSERT INTO keyed (k) VALUES", (key,))],
            alone,
            lambda appended: appended.index,
            [Posting(purse, amount)],
        )

    async def outcomes(*calls):
        found = await asyncio.gather(*[spend(*call) for call in calls], return_exceptions=True)
        return [type(each) if isinstance(each, Exception) else each for each in found]

    first = await outcomes((0, 4, "a"), (1, 7, "b"), (2, 3, "c"))
    assert first == [0, OverflowError, 1]
    # The middle one is refused by its row; what it would have spent, the last may spend.
    second = await outcomes((3, 1, "d"), (4, 2, "a"), (5, 2, "e"), (6, 1, "f"))
    assert second == [2, StatementError, 3, OverflowError]
    with contextlib.closing(journal.connect()) as reader:
        assert reader.execute("SELECT n FROM purse").fetchone() == (10,)
        assert reader.execute("SELECT entry FROM spent ORDER BY entry").fetchall() == [
            (0,), (1,), (2,), (3,),
        ]  # fmt: skip
        assert next_index(reader) == 4


async def test_an_entry_and_the_one_behind_it_stand_or_fall_together(journal, place):
    def tables(tx):
        tx.execute("CREATE TABLE purse (n INTEGER NOT NULL)")
        tx.execute("INSERT INTO purse (n) VALUES (0)")
        tx.execute("CREATE TABLE spent (entry INTEGER PRIMARY KEY)")
        tx.execute("CREATE TABLE keyed (k TEXT PRIMARY KEY, entry INTEGER NOT NULL)")

    journal.run(tables)
    purse, other = Purse(), Purse()

    def spend(number, amounts, key):
        behind = canonical(entry(100 + number))

        def alone(tx):
            appended = tx.append(entry(number))
            tx.append_body(behind)
            tx.execute("INSERT INTO keyed (k, entry) VALUES (?, ?)", (key, appended.index + 1))
            return appended

        return journal.record(
            entry(number),
            lambda index: [Row("INSERT INTO keyed (k, entry) VALUES", (key, index + 1))],
            alone,
            lambda appended: appended.index,
            [Posting(*each) for each in zip((purse, other), amounts, strict=False)],
            behind,
        )

    async def outcomes(*calls):
        found = await asyncio.gather(*[spend(*call) for call in calls], return_exceptions=True)
        return [type(each) if isinstance(each, Exception) else each for each in found]

    # What either of its ledgers refuses isn't written, whatever the other says.
    first = await outcomes((0, (1,), "a"), (1, (11, 1), "b"), (2, (1, 11), "c"), (3, (2,), "d"))
    assert first == [0, OverflowError, OverflowError, 2]
    # And so where one of a group is refused by a row, and each is tried alone.
    assert await outcomes((4, (1,), "e"), (5, (1,), "a"), (6, (11,), "f"), (7, (), "g")) == [
        4, StatementError, OverflowError, 6,
    ]  # fmt: skip
    expected = [n for number in (0, 3, 4, 7) for n in (number, 100 + number)]
    assert numbers(place) == [(at, canonical(entry(n))) for at, n in enumerate(expected)]
    with contextlib.closing(journal.connect()) as reader:
        assert reader.execute("SELECT k, entry FROM keyed ORDER BY entry").fetchall() == [
            ("a", 1), ("d", 3), ("e", 5), ("g", 7),
        ]  # fmt: skip
        assert reader.execute("SELECT n FROM purse").fetchone() == (4,)


def test_a_moment_is_one_commit_and_a_reader_cannot_write(journal):
    journal.run(lambda tx: tx.append(entry(0)))
    with contextlib.closing(journal.connect()) as reader:
        with reader.moment():
            assert next_index(reader) == 1
            journal.run(lambda tx: tx.append(entry(1)))
            assert next_index(reader) == 1
            assert len(read_bodies(reader, 0, 9)) == 1
        assert next_index(reader) == 2
        with pytest.raises(AuditError):
            reader.execute("DELETE FROM audit_entry")
        assert len(read_bodies(reader, 0, 9)) == 2
    with pytest.raises(AuditError):
        reader.execute("SELECT 1")


async def test_an_entry_without_canonical_form_never_reaches_the_log(journal, place):
    with pytest.raises(EntryError):
        await journal.append({"v": 1.5})
    with pytest.raises(EntryError):
        await journal.append({"v": "x" * 65_536})
    with pytest.raises(EntryError):
        journal.run(lambda tx: tx.append({"ключ": 1}))
    assert numbers(place) == []


@pytest.mark.parametrize(
    "sql", ["COMMIT", " begin", "ROLLBACK", "END", "PRAGMA synchronous=OFF", "ATTACH 'x' AS y"]
)
def test_a_job_cannot_end_the_transaction(journal, sql):
    with pytest.raises(ValueError):
        journal.run(lambda tx: tx.execute(sql))
    assert journal.run(lambda tx: tx.append(entry(0))).index == 0


async def test_a_cancelled_caller_leaves_its_entry_and_disturbs_nobody(journal):
    release = threading.Event()
    blocker = asyncio.create_task(journal.submit(lambda tx: release.wait(60)))
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


def test_close_finishes_what_is_queued_and_refuses_the_rest(place):
    journal = place.journal()
    release = threading.Event()
    results = []

    def queue_up():
        results.append(journal.run(lambda tx: (release.wait(60), tx.append(entry(0)))[1]))

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


def test_indexes_go_on_after_reopening_and_after_pruning(place):
    journal = place.journal()
    for number in range(3):
        journal.run(lambda tx, number=number: tx.append(entry(number)))
    journal.run(lambda tx: tx.execute("DELETE FROM audit_entry"))
    journal.close()
    journal = place.journal()
    assert journal.run(lambda tx: tx.append(entry(3))).index == 3
    with contextlib.closing(journal.connect()) as reader:
        assert next_index(reader) == 4
    journal.close()


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


@pytest.mark.parametrize("blocks", list(itertools.product([True, False], repeat=4)))
def test_each_block_of_a_transaction_stands_or_falls_alone(place, blocks):
    writer = place.store().writer()
    with writer.transaction(acts=False) as session:
        for number, good in enumerate(blocks):
            body = canonical(entry(number))
            with contextlib.suppress(KeyError), session.savepoint():
                session.insert_bodies([(leaf_hash(body), body)])
                if not good:
                    raise KeyError("mine")
            assert session.intact()
    writer.close()
    kept = [canonical(entry(number)) for number, good in enumerate(blocks) if good]
    assert numbers(place) == list(enumerate(kept))


def test_what_was_done_before_a_block_outlives_its_failure(place):
    writer = place.store().writer()
    first, second = canonical(entry(1)), canonical(entry(2))
    with writer.transaction(acts=False) as session:
        session.insert_bodies([(leaf_hash(first), first)])
        with contextlib.suppress(KeyError), session.savepoint():
            session.insert_bodies([(leaf_hash(second), second)])
            raise KeyError("mine")
    writer.close()
    assert numbers(place) == [(0, first)]


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


def test_transaction_is_what_jobs_get(journal):
    assert isinstance(journal.run(lambda tx: tx), Transaction)
