"""PostgreSQL going away in the middle: nothing acknowledged is lost, nothing is there twice."""

import asyncio
import contextlib
import threading
import time

import psycopg
import pytest

from audit.errors import AuditUnavailableError, StoreFailedError
from audit.journal import Journal
from audit.merkle import leaf_hash
from audit.postgres_address import Address
from audit.postgres_connection import Connection, connect
from audit.postgres_store import PostgresReader, PostgresStore
from audit.sequence import next_index, read_bodies
from tests.postgres_server import PostgresServer, user_of


@pytest.fixture(scope="module")
def postgres():
    """A server of this module's own: it is killed and stopped, and others must not notice."""
    server = PostgresServer()
    yield server
    server.close()


DEADLINE_S = 60


@pytest.fixture
def address(postgres):
    return postgres.database(deadline_ms=DEADLINE_S * 1_000)


@pytest.fixture
def journal(address):
    journal = Journal(PostgresStore(address, lock_wait_ms=60_000))
    yield journal
    journal.close()


def entry(number):
    return {"v": 1, "kind": "test", "time": 1, "node": "n", "number": number}


def stored(address):
    with contextlib.closing(PostgresReader(address)) as reader:
        return read_bodies(reader, 0, 1 << 40), next_index(reader)


def check(address, acknowledged):
    """Check that the table has no gap, no double, and whatever was acknowledged at its index."""
    rows, following = stored(address)
    assert [index for index, _, _ in rows] == list(range(following))
    assert all(leaf_hash(body) == leaf for _, leaf, body in rows)
    assert len({body for _, _, body in rows}) == len(rows)
    held = {index: body for index, _, body in rows}
    assert acknowledged
    assert all(held[index] == body for index, body in acknowledged.items())


async def appended(journal, what):
    """Append to a database that is there again; attempts are made ten times a second only."""
    for _ in range(600):
        with contextlib.suppress(AuditUnavailableError):
            return await journal.append(what)
        await asyncio.sleep(0.1)
    raise AssertionError("it didn't recover without a restart")


async def append_through(journal, harm, rounds):
    """Append from 16 callers while the server is harmed; return what was acknowledged."""
    acknowledged, refused, numbers = {}, 0, iter(range(1 << 30))
    done = asyncio.Event()

    async def caller():
        nonlocal refused
        while not done.is_set():
            try:
                appended = await journal.append(entry(next(numbers)))
                acknowledged[appended.index] = appended.body
            except AuditUnavailableError:
                refused += 1
                await asyncio.sleep(0.02)

    callers = [asyncio.create_task(caller()) for _ in range(16)]
    for _ in range(rounds):
        await asyncio.sleep(0.3)
        before = len(acknowledged)
        await asyncio.to_thread(harm)
        for _ in range(1_200):
            if len(acknowledged) > before + 50:
                break
            await asyncio.sleep(0.05)
        assert len(acknowledged) > before + 50, "it didn't recover without a restart"
    done.set()
    await asyncio.gather(*callers)
    return acknowledged


async def test_sessions_killed_while_appending(postgres, address, journal):
    def kill():
        postgres.kill_backends(user_of(address))
        postgres.wait()

    acknowledged = await append_through(journal, kill, rounds=4)
    check(address, acknowledged)


async def test_the_server_stopped_at_once_and_started_again_while_appending(
    postgres, address, journal
):
    def restart():
        postgres.stop("immediate")
        time.sleep(0.3)
        postgres.start()

    acknowledged = await append_through(journal, restart, rounds=2)
    check(address, acknowledged)


@pytest.mark.parametrize("arrived", [True, False], ids=["answer-lost", "commit-lost"])
async def test_a_commit_that_nobody_answers_is_looked_for(address, journal, monkeypatch, arrived):
    """The connection breaks before the commit arrives, or after it and before its answer."""
    original = Connection.execute
    broken = threading.Event()

    def execute(self, text, *words, **more):
        if "COMMIT" not in str(text) or broken.is_set():
            return original(self, text, *words, **more)
        broken.set()
        if arrived:
            original(self, text, *words, **more)
        self.close()
        raise psycopg.OperationalError("cut")

    monkeypatch.setattr(Connection, "execute", execute)
    if arrived:
        assert (await journal.append(entry(0))).index == 0
    else:
        with pytest.raises(AuditUnavailableError):
            await journal.append(entry(0))
    assert broken.is_set()
    following = await journal.append(entry(1))
    assert following.index == int(arrived)
    check(address, {following.index: following.body})


async def test_a_commit_whose_fate_cannot_be_learnt_is_refused(address, monkeypatch):
    """The server stays away: nothing is acknowledged, and later nothing is there twice."""
    journal = Journal(PostgresStore(address, lock_wait_ms=300))
    original, away = Connection.execute, threading.Event()

    def execute(self, text, *words, **more):
        if "COMMIT" in str(text):
            away.set()
            original(self, text, *words, **more)
        if away.is_set():
            self.close()
            raise psycopg.OperationalError("away")
        return original(self, text, *words, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "execute", execute)
        with pytest.raises(AuditUnavailableError):
            await journal.append(entry(0))
        with pytest.raises(AuditUnavailableError):
            await journal.append(entry(1))
    # It had been committed, as the log shows now; its caller was told nothing.
    assert (await appended(journal, entry(2))).index == 1
    journal.close()


async def test_a_session_that_hangs_is_given_up_within_the_deadline(postgres):
    address = postgres.database(deadline_ms=3_000)
    journal = Journal(PostgresStore(address, lock_wait_ms=3_000))  # which comes on top
    assert (await appended(journal, entry(0))).index == 0
    with contextlib.closing(PostgresReader(address)) as reader:
        with reader.moment():
            assert next_index(reader) == 1
            with postgres.hung(user_of(address)):
                with pytest.raises(StoreFailedError):
                    next_index(reader)
                # What hangs is dropped; another session of the server takes its place, while
                # the one that hangs still does.
                assert (await appended(journal, entry(1))).index == 1
        assert next_index(reader) == 2
    journal.close()


async def test_a_dead_server_is_refused_at_once_and_found_again(postgres, address, journal):
    reader = PostgresReader(address)
    await journal.append(entry(0))
    postgres.stop()
    try:
        for _ in range(3):
            began = time.monotonic()
            with pytest.raises(AuditUnavailableError):
                await journal.append(entry(1))
            with pytest.raises(StoreFailedError):
                reader.execute("SELECT 1")
            assert time.monotonic() - began < DEADLINE_S / 2
        with pytest.raises(AuditUnavailableError):
            PostgresStore(address).connect()
        with pytest.raises(AuditUnavailableError):
            PostgresStore(address).writer()
    finally:
        postgres.start()
    assert (await appended(journal, entry(2))).index == 1
    assert next_index(reader) == 2
    reader.close()


async def test_a_writer_that_sleeps_inside_a_transaction_holds_nobody_up(
    address, journal, monkeypatch
):
    monkeypatch.setattr("audit.postgres_connection._LONGEST_PAUSE_IN_TRANSACTION_MS", 300)
    sleeper = Journal(PostgresStore(address, lock_wait_ms=60_000))

    fell_asleep, wake = threading.Event(), threading.Event()

    def sleep(tx):
        tx.append(entry(0))
        fell_asleep.set()
        assert wake.wait(90)

    slept = asyncio.create_task(sleeper.submit(sleep))
    assert await asyncio.to_thread(fell_asleep.wait, 60)
    assert (await journal.append(entry(1))).index == 0  # while it still sleeps
    wake.set()
    with pytest.raises(AuditUnavailableError):
        await slept
    assert (await appended(sleeper, entry(2))).index == 1
    sleeper.close()


def test_a_user_without_durable_commits_gets_them(postgres, address):
    with postgres.admin() as admin:
        admin.execute(f"ALTER ROLE {user_of(address)} SET synchronous_commit = off")
    with contextlib.closing(connect(address, read_only=False)) as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)


def test_a_database_that_does_not_write_through_is_refused(address, monkeypatch):
    original = Connection.execute

    def execute(self, text, params=None, **more):
        if params == ("fsync",):
            return original(self, "SELECT 'off'")
        return original(self, text, params, **more)

    monkeypatch.setattr(Connection, "execute", execute)
    with pytest.raises(AuditUnavailableError, match="disk"):
        PostgresStore(address).writer()


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u@db.example/x",
        "postgresql://u@db.example/x?sslmode=require",
        "postgresql://u@192.0.2.1/x?sslmode=prefer",
        "postgresql://u@localhost,db.example/x",
        "postgresql://u@/x?host=/run/pg,db.example",
        "postgresql://u@localhost/x?hostaddr=192.0.2.1",
        "not an address",
    ],
)
def test_an_address_over_the_network_needs_a_verified_server(text, monkeypatch):
    monkeypatch.delenv("PGSSLMODE", raising=False)
    with pytest.raises(AuditUnavailableError):
        Address(text).check()


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u@db.example/x?sslmode=verify-full",
        "postgresql://u@127.0.0.1/x",
        "postgresql://u@[::1]/x",
        "postgresql://u@/x?host=/run/postgresql",
        "postgresql:///x",
    ],
)
def test_a_verified_server_a_socket_and_this_machine_are_fine(text, monkeypatch):
    monkeypatch.delenv("PGHOST", raising=False)
    Address(text).check()


def test_the_environment_cannot_lead_over_the_network_in_the_clear(monkeypatch):
    monkeypatch.setenv("PGHOST", "db.example")
    with pytest.raises(AuditUnavailableError):
        Address("postgresql:///x").check()


def test_an_address_shows_no_password(address):
    assert "secret" not in repr(Address(address.conninfo, "secret"))
