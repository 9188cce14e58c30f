"""The journal: what is acknowledged is durable, indexes are contiguous, failures are told."""

import asyncio
import contextlib
import itertools
import threading

import pytest

from audit.canonical import canonical
from audit.errors import AuditError, AuditUnavailableError, EntryError, StatementError
from audit.merkle import leaf_hash
from audit.sequence import next_index, read_bodies
from audit.transaction import Transaction
from tests.audit.journal_entries import entry, numbers


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


def test_transaction_is_what_jobs_get(journal):
    assert isinstance(journal.run(lambda tx: tx), Transaction)
