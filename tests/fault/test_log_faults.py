"""The harness can fail; a process killed at each step of a pass loses nothing; steps keep order."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from audit.errors import LeaseHeldError, LeaseLostError
from audit.integrator import LEASE_S
from audit.reader import LogReader
from audit.tiles import tile_path
from audit.verify import verify_log
from tests.audit.log_home import VKEY, LogHome, body
from tests.fault import log_writer
from tests.fault.ledger import Ledger
from tests.fault.log_check import check_log
from tests.fault.log_matrix import faults, warm_up
from tests.fault.tracing import CALLS, Fault

ROOT = Path(__file__).parents[2]


@pytest.fixture
def written(tmp_path):
    """A log and the ledger of its undisturbed writer."""
    ledger = Ledger()
    log_writer.run(tmp_path, ledger, "none", 0)
    records = ledger.read()
    ledger.close()
    assert records[-1] == {"kind": "end"}
    return tmp_path, records


class TestTheHarnessCanFail:
    def test_it_finds_nothing_where_nothing_is_wrong(self, written):
        assert check_log(*written).all() == []

    def test_it_finds_a_lost_entry(self, written):
        root, records = written
        found = check_log(root, [*records, {"kind": "entry", "index": 500, "leaf": "00"}])
        assert (found.corruptions, len(found.losses)) == ([], 1)

    def test_it_finds_an_entry_that_is_another(self, written):
        root, records = written
        found = check_log(root, [*records, {"kind": "entry", "index": 3, "leaf": "00" * 32}])
        assert found.losses == ["the acknowledged entry 3 is not in the log"]

    def test_it_finds_a_corrupt_tile(self, written):
        root, records = written
        tile = root / "log" / tile_path(0, 0, 18)
        tile.write_bytes(bytes(18 * 32))
        assert check_log(root, records).corruptions

    def test_it_finds_a_checkpoint_taken_back(self, written):
        root, records = written
        notes = [each["note"] for each in records if each["kind"] == "checkpoint"]
        (root / "log" / "checkpoint").write_text(notes[0])
        assert check_log(root, records).corruptions

    def test_it_finds_a_log_that_is_gone(self, written):
        root, records = written
        shutil.rmtree(root / "log")
        found = check_log(root, records)
        assert found.losses == ["a published checkpoint is gone"]
        assert len(found.defects) == 1

    def test_it_finds_an_error_that_nobody_explains(self, written):
        root, records = written
        odd = {"kind": "defect", "what": "append", "error": "OSError()", "cause": "None"}
        assert len(check_log(root, [*records, odd]).defects) == 1

    def test_the_matrix_has_every_call_every_occurrence_and_every_kind(self):
        counted = dict.fromkeys(CALLS, 2)
        made = list(faults(counted, 1, ""))
        assert len(set(made)) == len(made) > 2 * 2 * len(CALLS)
        assert {each.call for each in made} == set(CALLS)
        assert Fault("fsync", 2, "KILL").option() == "inject=fsync:signal=KILL:when=2"

    def test_the_matrix_warms_up_without_a_finding(self, tmp_path):
        warm_up(tmp_path)
        assert check_log(tmp_path / "warm", []).all() == []


def test_a_process_killed_before_each_call_of_a_pass_loses_and_corrupts_nothing():
    """`kill -9` of real processes, at every call of the file system; see `step_kills`."""
    command = [sys.executable, "-m", "tests.fault.step_kills"]
    done = subprocess.run(
        command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=280
    )
    told = json.loads(done.stdout)
    assert told["problems"] == []
    assert told["points"] > 60
    assert done.returncode == 0


# --- the order on the disk -------------------------------------------------------------------


def test_bundles_tiles_tree_state_and_checkpoint_reach_the_disk_in_this_order(
    tmp_path, monkeypatch
):
    """Recorded where they happen: names given to files, and directories synced."""
    home = LogHome(tmp_path / "home")
    integrator = home.integrator()
    home.append(200)
    integrator.integrate_once()
    home.append(400, 200)
    events = record_names(monkeypatch, home.directory)
    integrator.integrate_once()
    home.journal.close()
    named = [each.removeprefix("name ") for each in events if each.startswith("name ")]
    bundles = [each for each in named if "/entries/" in each]
    tiles = [each for each in named if each.startswith("tile/") and "/entries/" not in each]
    assert named == [*bundles, *tiles, ".state/treeState", "checkpoint"]
    assert bundles == ["tile/entries/000", "tile/entries/001", "tile/entries/002.p/88"]
    assert tiles == ["tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2"]
    # What is named becomes durable, with its directory, before the next kind gets a name;
    # the head is signed into the database in the transaction around the tree state.
    for kind, following in itertools.pairwise(
        (bundles, tiles, [".state/treeState"], ["checkpoint"])
    ):
        last = events.index(f"name {kind[-1]}")
        between = events[last : events.index(f"name {following[0]}")]
        folders = {f"sync {Path(each).parent}" for each in kind}
        assert folders <= set(between), kind
    assert events[-1] == "sync ."
    # Every file's bytes are synced before it gets its name.
    for place, event in enumerate(events):
        if event.startswith("name "):
            assert events[place - 1] == "sync bytes", event


def record_names(monkeypatch, directory: Path) -> list[str]:
    """Record names that files get under a directory, and what is synced, in order."""
    events: list[str] = []
    link, replace, fsync = os.link, Path.replace, os.fsync

    def short(path):
        return str(Path(path).relative_to(directory))

    def on_link(source, target):
        link(source, target)
        events.append(f"name {short(target)}")

    def on_replace(source, target):
        result = replace(source, target)
        events.append(f"name {short(target)}")
        return result

    def on_fsync(descriptor):
        fsync(descriptor)
        target = Path(f"/proc/self/fd/{descriptor}").readlink()
        events.append(f"sync {short(target)}" if target.is_dir() else "sync bytes")

    monkeypatch.setattr(os, "link", on_link)
    monkeypatch.setattr(Path, "replace", on_replace)
    monkeypatch.setattr(os, "fsync", on_fsync)
    return events


def test_partial_tiles_go_only_when_the_full_ones_are_published(tmp_path, monkeypatch):
    home = LogHome(tmp_path / "home")
    integrator = home.integrator()
    home.append(255)
    integrator.integrate_once()
    partial = home.directory / tile_path(0, 0, 255)
    home.append(1, 255)
    sizes = []
    drop = integrator._drop_partials

    def watched(before, after):
        sizes.append(LogReader(home.directory, VKEY).checkpoint().size)
        assert partial.exists()
        drop(before, after)

    monkeypatch.setattr(integrator, "_drop_partials", watched)
    integrator.integrate_once()
    assert sizes == [256]
    assert not partial.exists()
    # A reader that holds the older checkpoint still gets its tiles, cut from the full ones.
    reader = LogReader(home.directory, VKEY)
    assert reader.tile(0, 0, 255) == reader.tile(0, 0, 256)[:255]
    assert reader.bundle(0, 255) == [body(number) for number in range(255)]
    home.journal.close()


# --- two processes, one of them asleep -------------------------------------------------------

SLEEPER = """
import sys
from pathlib import Path
from audit.errors import AuditError
from tests.audit.log_home import LogHome

home = LogHome(Path(sys.argv[1]), now=int(sys.argv[2]))
integrator = home.integrator()
step, original = sys.argv[3], getattr(integrator, sys.argv[3])

def pause(*arguments):
    print("here", flush=True)
    sys.stdin.readline()
    return original(*arguments)

integrator.integrate_once()
home.append(300, 10)
setattr(integrator, step, pause)
for _ in range(2):
    try:
        print(integrator.integrate_once().size, flush=True)
    except AuditError as error:
        print(type(error).__name__, flush=True)
"""


@pytest.mark.parametrize("step", ["_write", "_reread", "_publish", "_publish_note"])
def test_a_process_stopped_at_a_step_and_woken_late_is_fenced(tmp_path, step):
    """SIGSTOP within a pass; another process takes over; SIGCONT: it publishes nothing."""
    home = LogHome(tmp_path / "home")
    home.append(10)
    sleeper = subprocess.Popen(
        [sys.executable, "-c", SLEEPER, str(home.root), str(home.now), step],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert sleeper.stdout.readline() == "here\n"
        sleeper.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, sleeper.pid, os.WSTOPPED | os.WNOWAIT)
        with pytest.raises(LeaseHeldError):
            home.integrator().integrate_once()
        home.now += LEASE_S + 1
        home.append(7, 310)
        other = home.integrator()
        assert other.integrate_once().size == 317
        published = (home.directory / "checkpoint").read_bytes()
        sleeper.send_signal(signal.SIGCONT)
        told = sleeper.communicate("on\non\n", timeout=60)[0].split()
    finally:
        sleeper.kill()
        sleeper.wait()
    assert [each for each in told if each != "here"] == [
        LeaseLostError.__name__,
        LeaseHeldError.__name__,
    ]
    assert (home.directory / "checkpoint").read_bytes() == published
    report = verify_log(home.directory, VKEY)
    assert (report.problems, report.entries) == ((), 317)
    home.append(1, 317)
    assert other.integrate_once().size == 318
    home.journal.close()
