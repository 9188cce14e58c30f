"""Which jobs share a commit, and what becomes of a group when one of them is refused."""

import asyncio
import contextlib
import threading
import time

from audit.canonical import canonical
from audit.errors import StatementError
from audit.journal import Journal
from audit.sequence import next_index
from audit.transaction import Posting, Row
from tests.audit.journal_entries import entry, numbers


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
