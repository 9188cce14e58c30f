"""What the children of `test_journal_faults` do before they die, each in a process of its own.

    python -m tests.fault.children LEDGER ACT STATE [ERROR CALL...]

None of them closes anything: they end as a killed process does.
"""

import contextlib
import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from audit.errors import AuditUnavailableError
from audit.journal import Journal
from tests.audit.log_home import body
from tests.fault import seccomp
from tests.fault.copying import Copying, copy_often
from tests.fault.ledger import Ledger


def append(ledger: Ledger, journal: Journal, *numbers: int) -> None:
    """Append entries and record of each whether it was acknowledged or refused."""
    for number in numbers:
        try:
            appended = journal.run(lambda tx, number=number: tx.append_body(body(number)))  # type: ignore[misc]  # the default binds it
        except AuditUnavailableError as error:
            ledger.write("refused", number=number, why=str(error))
        else:
            ledger.write("entry", index=appended.index, leaf=appended.leaf_hash.hex())


def sync_the_root(ledger: Ledger, _path: Path, error: int, calls: list[str]) -> None:
    """Meet a refused call oneself."""
    seccomp.refuse(error, *calls)
    try:
        os.fsync(os.open("/", os.O_RDONLY))
    except OSError as refusal:
        ledger.write("refused", number=refusal.errno)


def append_then_fail(ledger: Ledger, path: Path, error: int, calls: list[str]) -> None:
    """Append ten, then four more while the disk refuses."""
    journal = Journal(path)
    append(ledger, journal, *range(10))
    seccomp.refuse(error, *calls)
    append(ledger, journal, *range(10, 14))


def open_on_a_broken_disk(ledger: Ledger, path: Path, error: int, calls: list[str]) -> None:
    """Open a journal while the disk refuses."""
    seccomp.refuse(error, *calls)
    try:
        Journal(path)
    except AuditUnavailableError as refusal:
        ledger.write("refused", why=str(refusal))


def append_while_copying_fails(ledger: Ledger, path: Path, error: int, calls: list[str]) -> None:
    """Append while only the database file itself can't be written."""
    copy_often(2)
    journal = Journal(path)
    assert Copying.changed
    append(ledger, journal, 0)
    seccomp.refuse(error, *calls, descriptor=_descriptor_of(path))
    append(ledger, journal, *range(1, 20))


def append_and_measure(ledger: Ledger, path: Path, _error: int, _calls: list[str]) -> None:
    """Append eight, telling after each how long the write-ahead log is."""
    journal = Journal(path)
    for number in range(8):
        append(ledger, journal, number)
        ledger.write("length", wal=_wal(path).stat().st_size)


def append_and_fail_to_sync(ledger: Ledger, path: Path, error: int, calls: list[str]) -> None:
    """Append five, and a sixth under a failing fsync; tell where its bytes stand."""
    journal = Journal(path)
    append(ledger, journal, *range(5))
    ledger.write("synced", wal=_wal(path).stat().st_size)
    seccomp.refuse(error, *calls)
    append(ledger, journal, 5)
    ledger.write("synced", wal=_wal(path).stat().st_size)


def append_three(ledger: Ledger, path: Path, _error: int, _calls: list[str]) -> None:
    """Append three more after whatever happened."""
    append(ledger, Journal(path), 6, 7, 8)


ACTS: dict[str, Callable[[Ledger, Path, int, list[str]], None]] = {
    each.__name__: each
    for each in (
        sync_the_root, append_then_fail, open_on_a_broken_disk, append_while_copying_fails,
        append_and_measure, append_and_fail_to_sync, append_three,
    )
}  # fmt: skip


def _wal(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _descriptor_of(path: Path) -> int:
    """Return the descriptor that this process has open on a file."""
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if each.readlink() == path:
                return int(each.name)
    raise AssertionError("the file is not open")


def main() -> None:
    """Do the act, record that it came to its end, and die."""
    ledger = Ledger(Path(sys.argv[1]))
    error = errno.__dict__[sys.argv[4]] if len(sys.argv) > 4 else 0
    try:
        ACTS[sys.argv[2]](ledger, Path(sys.argv[3]), error, sys.argv[5:])
        ledger.write("end")
    except BaseException as failure:  # noqa: BLE001 - it is shown by the parent
        ledger.write("failed", error=json.dumps(repr(failure)))
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
