"""The journal on a disk that fails: what was acknowledged stays, what is unknown is refused.

The failures are the kernel's own (a seccomp filter in a child process, see `children`), so
that SQLite and the journal meet them as they would meet a broken disk.
"""

import contextlib
import errno
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from audit.journal import Journal
from audit.sequence import open_reader, read_bodies
from tests.audit.log_home import body
from tests.fault import seccomp
from tests.fault.ledger import Ledger

ROOT = Path(__file__).parents[2]
SYNC = ("fsync", "fdatasync")
WRITE = ("write", "pwrite64")
DISK_FULL = (*WRITE, "ftruncate", "fallocate", "openat", "mkdir", "mkdirat", "link", "linkat")
READ_ONLY = (*DISK_FULL, *SYNC, "rename", "renameat")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.sqlite3"


def wal_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def in_child(act: str, path: Path, error: str = "EIO", calls: tuple[str, ...] = ()) -> list[dict]:
    """Let a child do an act of `children` and die; return its records."""
    book = path.with_name("ledger")
    command = [sys.executable, "-m", "tests.fault.children", book, act, path, error, *calls]
    subprocess.run(command, cwd=ROOT, check=True, timeout=280)
    ledger = Ledger(book)
    records = ledger.read()
    ledger.close()
    book.unlink()
    assert records[-1] == {"kind": "end"}
    return records


def stored(path: Path) -> dict[int, str]:
    with contextlib.closing(open_reader(path)) as reader:
        return {index: leaf.hex() for index, leaf, _ in read_bodies(reader, 0, 1 << 40)}


def acknowledged(records: list[dict]) -> dict[int, str]:
    return {each["index"]: each["leaf"] for each in records if each["kind"] == "entry"}


def append(path: Path) -> int:
    """Open, append one entry and close; return its index."""
    journal = Journal(path)
    try:
        return journal.run(lambda tx: tx.append_body(body(99))).index
    finally:
        journal.close()


def test_this_machine_can_refuse_its_own_calls(path):
    """Everything below rests on it; on another kind of machine it must be extended, not skipped."""
    assert seccomp.supported()
    met = in_child("sync_the_root", path, "EIO", SYNC)
    assert met[0] == {"kind": "refused", "number": errno.EIO}


@pytest.mark.parametrize(
    ("error", "calls"),
    [("EIO", SYNC), ("EIO", WRITE), ("ENOSPC", DISK_FULL), ("EROFS", READ_ONLY), ("EDQUOT", WRITE)],
    ids=["fsync-fails", "write-fails", "disk-full", "read-only", "quota"],
)
def test_a_commit_that_fails_refuses_all_further_work_until_reopened(path, error, calls):
    records = in_child("append_then_fail", path, error, calls)
    kept = acknowledged(records)
    refused = [each for each in records if each["kind"] == "refused"]
    assert len(kept) == 10
    assert [each["number"] for each in refused] == [10, 11, 12, 13]
    assert "opened again" in refused[-1]["why"]
    # Whether the entry whose commit failed is there is what nobody could know; no other is.
    assert append(path) in (10, 11)
    assert kept.items() <= stored(path).items()


@pytest.mark.parametrize(("error", "calls"), [("EROFS", READ_ONLY), ("EIO", SYNC)])
def test_opening_on_a_broken_disk_is_refused_clearly(path, error, calls):
    refusal = in_child("open_on_a_broken_disk", path, error, calls)[0]
    assert refusal == {"kind": "refused", "why": "the state database cannot be opened"}
    assert append(path) == 0


@pytest.mark.parametrize("calls", [SYNC, ("pwrite64",), ("ftruncate",)])
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_copying_the_write_ahead_log_may_fail_and_nothing_acknowledged_depends_on_it(
    path, calls, error
):
    """The copy follows a durable commit, so its failure is none of the commit's."""
    kept = acknowledged(in_child("append_while_copying_fails", path, error, calls))
    assert len(kept) == 20
    assert append(path) == 20
    assert kept.items() <= stored(path).items()


def test_a_torn_last_write_loses_only_what_was_not_acknowledged(path, tmp_path):
    """The machine dies: the end of the write-ahead log is missing or torn, at any byte."""
    records = in_child("append_and_measure", path)
    kept = list(acknowledged(records).values())
    lengths = [each["wal"] for each in records if each["kind"] == "length"]
    whole = wal_of(path).read_bytes()
    assert len(whole) >= lengths[-1] > lengths[-2] > 0
    cuts = [*range(lengths[-2], lengths[-1], 379), lengths[-1] - 1]
    torn = tmp_path / "torn"
    for filler in (b"", b"\0", b"\xa5"):
        for cut in cuts:
            torn.mkdir()
            copy = shutil.copy(path, torn / path.name)
            wal_of(copy).write_bytes(whole[:cut] + filler * (len(whole) - cut))
            index = append(copy)
            found = list(stored(copy).values())
            assert index == len(found) - 1
            # The last entry may hang on frames after the cut; no earlier one may.
            assert found[:index] in (kept[:7], kept), cut
            shutil.rmtree(torn)


def test_after_a_failed_fsync_nothing_is_acknowledged_behind_what_the_disk_may_not_have(path):
    """The kernel keeps pages for clean whose fsync failed, and loses them with the power.

    The disk is played: what was written under the failing fsync is zeroed in the end, as far
    as nothing was written over it since. What the reopened journal acknowledged must be there.
    """
    first = in_child("append_and_fail_to_sync", path, "EIO", SYNC)
    start, end = (each["wal"] for each in first if each["kind"] == "synced")
    assert end > start, "nothing was written under the failing fsync"
    doubtful = wal_of(path).read_bytes()[start:end]
    second = in_child("append_three", path)
    data = bytearray(wal_of(path).read_bytes())
    for place, byte in enumerate(doubtful, start):
        if data[place] == byte:
            data[place] = 0
    wal_of(path).write_bytes(data)
    kept = acknowledged(first) | acknowledged(second)
    assert len(kept) == 8
    assert kept.items() <= stored(path).items()


def test_the_log_begins_again_behind_a_recovered_one(path):
    """Reopened after a crash, the write-ahead log has another salt: old frames are none of it."""

    def salt() -> tuple[int, ...]:
        return struct.unpack(">2I", wal_of(path).read_bytes()[16:24])

    in_child("append_three", path)
    before = salt()
    in_child("append_three", path)
    assert salt() != before
