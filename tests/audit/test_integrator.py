"""The integrator: the foreign log byte for byte, and every way to break in the middle."""

import itertools
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from audit.durable import locked
from audit.errors import (
    AuditUnavailableError,
    LeaseHeldError,
    LeaseLostError,
    LogCorruptError,
    LogMismatchError,
    NoteError,
)
from audit.integrator import LEASE_S, MAX_ENTRIES, Integrator
from audit.merkle import leaf_hash, root_of
from audit.note import Ed25519Signer
from audit.reader import LogReader
from audit.sequence import read_bodies
from audit.verify import verify_log
from tests.audit.log_home import ORIGIN, SIGNER, VKEY, LogHome, body

TESSERA = Path(__file__).parents[2].parent / "shared" / "vectors" / "tessera-log"
TESSERA_KEY = (
    "PRIVATE+KEY+example.com/log/testdata+33d7b496+AeymY/SZAX0jZcJ8enZ5FY1Dz+wTML2yWSkK+9DSF3eg"
)
WORDS = "one two three four five six seven eit nain ten ileven twelf threeten fourten fivten"


@pytest.mark.shared
@pytest.mark.skipif(not TESSERA.is_dir(), reason="../shared/vectors is not here")
def test_tesseras_log_is_rebuilt_byte_for_byte(home):
    signer = Ed25519Signer.parse(TESSERA_KEY)
    integrator = Integrator(home.journal, home.directory, signer.name, signer, lambda: home.now)
    home.readers.append(integrator._connection)
    checkpoints = [integrator.integrate_once().note]
    for word in WORDS.split():
        home.journal.run(lambda tx, word=word: tx.append_body(word.encode()))
        checkpoints.append(integrator.integrate_once().note)
    assert checkpoints == [(TESSERA / f"checkpoint.{size}").read_bytes() for size in range(16)]
    theirs = {
        path.relative_to(TESSERA): path.read_bytes()
        for path in TESSERA.rglob("*")
        if path.is_file() and not path.name.startswith("checkpoint.")
    }
    ours = {name: (home.directory / name).read_bytes() for name in theirs}
    assert len(theirs) == 31
    assert ours == theirs
    assert verify_log(TESSERA, signer.verifier_key).problems == ()


def test_an_empty_log_has_a_checkpoint(home):
    assert home.integrator().integrate_once().size == 0
    assert verify_log(home.directory, VKEY).problems == ()


@pytest.mark.parametrize("steps", [[1] * 5, [255, 1, 1], [256, 256], [300, 500, 1000], [257, 0, 3]])
def test_any_steps_give_the_tree_of_the_definition(home, steps):
    integrator = home.integrator()
    total = 0
    for step in steps:
        home.append(step, total) if step else None
        total += step
        checkpoint = integrator.integrate_once()
        assert checkpoint.size == total
        assert checkpoint.root == root_of([leaf_hash(body(i)) for i in range(total)])
        assert verify_log(home.directory, VKEY).problems == ()


def test_two_levels_of_full_tiles_and_a_restart_between(home):
    sizes = [65_535, 1, 600]
    for start, count in zip(itertools.accumulate([0, *sizes]), sizes, strict=False):
        home.append_quickly(count, start)
        integrator = home.integrator()
        checkpoint = integrator.integrate_all()
        integrator.close()
    assert checkpoint.size == sum(sizes)
    assert (home.directory / "tile/1/000").stat().st_size == 8192
    assert (home.directory / "tile/2/000.p/1").stat().st_size == 32
    assert not (home.directory / "tile/1/000.p").exists()
    assert verify_log(home.directory, VKEY).problems == ()


def test_one_pass_is_bounded_and_all_passes_reach_the_end(home):
    home.append_quickly(MAX_ENTRIES + 10)
    integrator = home.integrator()
    assert integrator.integrate_once().size == MAX_ENTRIES
    assert integrator.integrate_all().size == MAX_ENTRIES + 10


def test_nothing_new_gives_the_same_checkpoint(home):
    integrator = home.integrator()
    home.append(3)
    first = integrator.integrate_once()
    assert integrator.integrate_once() == first


def test_pruned_rows_live_on_in_the_log(home):
    integrator = home.integrator()
    home.append(300)
    assert integrator.prune() == 300
    with_reader = home.journal.connect()
    assert read_bodies(with_reader, 0, 1000) == []
    with_reader.close()
    home.append(5, 300)
    integrator.close()
    assert home.integrator().integrate_once().size == 305
    assert list(LogReader(home.directory, VKEY).entries(0, 305)) == [body(i) for i in range(305)]


def test_a_second_integrator_waits_for_the_lease(home):
    first, second = home.integrator(), home.integrator()
    first.integrate_once()
    with pytest.raises(LeaseHeldError):
        second.integrate_once()
    first.close()
    assert second.integrate_once().size == 0


def test_one_that_slept_through_its_lease_and_wakes_late_publishes_nothing(beside, monkeypatch):
    """It is paused at each step of its pass in turn; another takes over and goes further."""
    for step in ("_write", "_reread", "_publish", "_publish_note"):
        fresh = beside(step)
        sleeper, other = fresh.integrator(), fresh.integrator()
        fresh.append(10)
        sleeper.integrate_once()
        fresh.append(300, 10)
        original = getattr(sleeper, step)

        def pause(*arguments, fresh=fresh, other=other, original=original):
            fresh.now += LEASE_S + 1
            fresh.append(7, 310)
            other.integrate_once()
            return original(*arguments)

        monkeypatch.setattr(sleeper, step, pause)
        with pytest.raises(LeaseLostError):
            sleeper.integrate_once()
        assert LogReader(fresh.directory, VKEY).checkpoint().size == 317
        assert verify_log(fresh.directory, VKEY).problems == ()
        with pytest.raises(LeaseHeldError):
            sleeper.integrate_once()
        fresh.journal.close()


def test_one_that_wakes_inside_its_fence_never_shows_an_older_tree(home):
    """A server frees the lock of a session that it takes for dead; the directory's lock holds."""
    sleeper, other = home.integrator(), home.integrator()
    home.append(5)
    sleeper.integrate_once()
    old = sleeper._head
    home.append(5, 5)
    home.now += LEASE_S + 1
    other.integrate_once()
    with pytest.raises(LeaseLostError):
        sleeper._show(old)
    assert LogReader(home.directory, VKEY).checkpoint().size == 10
    home.append(1, 10)
    with locked(home.directory / ".state/lock"), pytest.raises(AuditUnavailableError):
        other.integrate_once()
    assert LogReader(home.directory, VKEY).checkpoint().size == 10
    other.integrate_once()
    assert LogReader(home.directory, VKEY).checkpoint().size == 11
    assert verify_log(home.directory, VKEY).problems == ()


def test_two_threads_of_one_integrator_take_turns(home):
    integrator = home.integrator()
    home.append(500)
    threads = [threading.Thread(target=integrator.integrate_once) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert integrator.integrate_once().size == 500


class KilledError(BaseException):
    """The process dies here: nothing after it runs."""


class Faults:
    """Lets the n-th call of the file system fail, or kills the process before or after it."""

    def __init__(self, monkeypatch, at, error, *, after):
        self.count = 0
        self.at = at
        for name in ("open", "write", "fsync", "link", "mkdir"):
            self.wrap(monkeypatch, os, name, error, after=after)
        self.wrap(monkeypatch, Path, "replace", error, after=after)

    def wrap(self, monkeypatch, where, name, error, *, after):
        original = getattr(where, name)

        def call(*arguments, **named):
            self.count += 1
            if self.count != self.at:
                return original(*arguments, **named)
            if after:
                original(*arguments, **named)
            raise error

        monkeypatch.setattr(where, name, call)


# Dying after a call is dying before the next one; an error may come before or after the effect.
@pytest.mark.parametrize(
    ("error", "after"),
    [(KilledError, False), (OSError, False), (OSError, True)],
    ids=["kill", "error-before", "error-after"],
)
def test_a_fault_at_every_call_of_the_file_system_corrupts_and_loses_nothing(
    sqlite_home, monkeypatch, error, after
):
    home = sqlite_home
    template = home.root / "template"
    first = LogHome(template)
    first.append(250)
    integrator = first.integrator()
    before = integrator.integrate_once()
    integrator.close()
    first.append(10, 250)
    first.journal.close()
    tried = 0
    for at in itertools.count(1):
        root = home.root / f"case-{at}"
        shutil.copytree(template, root)
        case = LogHome(root)
        with monkeypatch.context() as patch:
            victim = case.integrator()
            faults = Faults(patch, at, error, after=after)
            try:
                victim.integrate_once()
            except (KilledError, AuditUnavailableError):
                tried += 1
        case.journal.close()
        # What is on the disk at this moment must hold, whichever tree it shows.
        report = verify_log(case.directory, VKEY, known=before)
        assert report.problems == (), at
        case.now += LEASE_S + 1
        case.reopen()
        again = case.integrator()
        assert again.integrate_once().size == 260, at
        report = verify_log(case.directory, VKEY, known=report.checkpoint)
        assert (report.problems, report.entries) == ((), 260), at
        again.close()
        case.journal.close()
        shutil.rmtree(root)
        if faults.count < at:
            break
    # Some calls only clean up, and an error there is no error of the pass.
    assert tried >= 40


def test_after_a_failed_fsync_the_integrator_must_be_restarted(home, monkeypatch):
    integrator = home.integrator()
    home.append(3)

    def fail(_):
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr("audit.durable.os.fsync", fail)
        with pytest.raises(AuditUnavailableError):
            integrator.integrate_once()
    with pytest.raises(AuditUnavailableError):
        integrator.integrate_once()
    integrator.close()
    assert home.integrator().integrate_once().size == 3


@pytest.mark.parametrize("name", ["tile/entries/000.p/9", "tile/0/000.p/9"])
def test_a_torn_file_that_nobody_signed_is_written_anew(home, name):
    integrator = home.integrator()
    home.append(4)
    integrator.integrate_once()
    home.append(5, 4)
    torn = home.directory / name
    torn.parent.mkdir(parents=True, exist_ok=True)
    torn.write_bytes(b"torn")
    assert integrator.integrate_once().size == 9
    assert verify_log(home.directory, VKEY).problems == ()


@pytest.mark.parametrize(
    "harm",
    [
        lambda log: (log / "tile/entries/000.p/9").unlink(),
        lambda log: (log / "tile/0/000.p/9").write_bytes(bytes(9 * 32)),
        lambda log: (log / "tile/entries/000.p/9").write_bytes(b"torn"),
        shutil.rmtree,
        lambda log: (log / "checkpoint").write_bytes(b"rubbish"),
        lambda log: (log / "checkpoint").write_bytes(b"o\n9\nAAAA\n\nx\n"),
    ],
    ids=["bundle-gone", "tile-changed", "bundle-torn", "all-gone", "rubbish", "malformed"],
)
def test_a_directory_that_lost_what_was_signed_is_refused(home, harm):
    home.append(9)
    integrator = home.integrator()
    integrator.integrate_once()
    integrator.close()
    harm(home.directory)
    home.append(1, 9)
    with pytest.raises(LogMismatchError):
        home.integrator().integrate_once()


def test_a_database_restored_from_before_is_refused(sqlite_home):
    home = sqlite_home
    home.append(5)
    integrator = home.integrator()
    integrator.integrate_once()
    integrator.close()
    home.journal.close()
    backup = home.root / "backup"
    shutil.copy(home.place.path, backup)
    home.reopen()
    home.append(5, 5)
    integrator = home.integrator()
    integrator.integrate_once()
    integrator.close()
    home.journal.close()
    for path in home.root.glob("state.sqlite3*"):
        path.unlink()
    shutil.copy(backup, home.place.path)
    home.reopen()
    home.append(5, 100)
    with pytest.raises(LogMismatchError):
        home.integrator().integrate_once()
    assert LogReader(home.directory, VKEY).checkpoint().size == 10


def test_a_new_database_beside_an_old_directory_is_refused(home, beside):
    home.append(5)
    home.integrator().integrate_once()
    other = beside("other")
    shutil.copytree(home.directory, other.directory)
    with pytest.raises(LogMismatchError):
        other.integrator().integrate_once()
    other.journal.close()


def test_another_tree_of_the_same_size_is_refused(home, beside):
    other = beside("other")
    for each, start in ((home, 0), (other, 50)):
        each.append(5, start)
        integrator = each.integrator()
        integrator.integrate_once()
        integrator.close()
    shutil.copy(other.directory / "checkpoint", home.directory / "checkpoint")
    with pytest.raises(LogMismatchError):
        home.integrator().integrate_once()
    other.journal.close()


def test_a_database_with_fewer_entries_than_were_signed_is_refused(home):
    home.append(5)
    integrator = home.integrator()
    integrator.integrate_once()
    integrator.close()
    count = {
        "sqlite": "UPDATE sqlite_sequence SET seq = 3",
        "postgres": "UPDATE audit_sequence SET next = 3",
    }[home.place.kind]
    # Past the journal, which refuses what is of one database only.
    writer = home.place.store().writer()
    with writer.transaction(acts=False) as session:
        session._connection.execute(count)
    writer.close()
    with pytest.raises(LogMismatchError):
        home.integrator().integrate_once()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit_entry SET body = leaf_hash WHERE position = 3",
        "DELETE FROM audit_entry WHERE position = 3",
    ],
)
def test_an_entry_changed_or_lost_in_the_database_is_never_signed(home, sql):
    home.append(5)
    home.journal.run(lambda tx: tx.execute(sql))
    with pytest.raises(LogCorruptError) as caught:
        home.integrator().integrate_once()
    assert caught.value.index == 2
    assert not (home.directory / "checkpoint").exists()


def test_bytes_that_change_between_writing_and_reading_back_are_never_signed(home, monkeypatch):
    home.append(5)
    integrator = home.integrator()
    original = integrator._write

    def flip(growth):
        original(growth)
        bundle = home.directory / "tile/entries/000.p/5"
        data = bytearray(bundle.read_bytes())
        data[20] ^= 1
        bundle.write_bytes(data)

    monkeypatch.setattr(integrator, "_write", flip)
    with pytest.raises(LogCorruptError):
        integrator.integrate_once()
    assert not (home.directory / "checkpoint").exists()


def test_the_key_must_bear_the_logs_name(home):
    with pytest.raises(NoteError):
        Integrator(home.journal, home.directory, "example.com/other", SIGNER, lambda: 0)
    assert SIGNER.name == ORIGIN


def test_a_directory_that_cannot_be_made_is_an_error(home):
    (home.root / "log").write_bytes(b"a file")
    with pytest.raises(AuditUnavailableError):
        home.integrator()


PUBLISHER = """
import sys, time
from pathlib import Path
from tests.audit.log_home import LogHome, body
from tests.stores import place_of

home = LogHome(Path(sys.argv[1]), now=int(sys.argv[2]), place=place_of(*sys.argv[3:5]))
integrator = home.integrator()
number = 0
while True:
    home.append(37, number)
    number += 37
    print(integrator.integrate_once().size, flush=True)
"""


def start_publisher(home, now):
    return subprocess.Popen(
        [sys.executable, "-c", PUBLISHER, str(home.root), str(now), *home.place.words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def test_kill_9_while_publishing_and_a_second_process_beside_it(home):
    """Each round kills a publisher at another moment; a rival beside it never signs."""
    size = 0
    known = None
    for lines in (1, 2, 5, 9):
        home.now += LEASE_S + 1
        publisher = start_publisher(home, home.now)
        told = [int(publisher.stdout.readline()) for _ in range(lines)]
        with pytest.raises(LeaseHeldError):
            home.integrator().integrate_once()
        publisher.kill()
        told += [int(line) for line in publisher.communicate()[0].splitlines()]
        report = verify_log(home.directory, VKEY, known=known)
        assert report.problems == ()
        assert report.entries >= max(told) >= size + 37 * lines
        size, known = report.entries, report.checkpoint
    home.now += LEASE_S + 1
    home.integrator().integrate_all()
    assert verify_log(home.directory, VKEY, known=known).problems == ()
