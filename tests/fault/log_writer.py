"""The program under fault: it appends through the journal, integrates, and tells its ledger.

It goes on after an error as a gateway does, because what it is told *after* a fault matters
most. Every error that is not one of the log's own is recorded as a defect.
"""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from audit.errors import AuditError
from audit.integrator import Integrator
from audit.journal import Journal
from tests.audit.log_home import ORIGIN, SIGNER, body
from tests.fault.copying import Copying, copy_often
from tests.fault.ledger import Ledger

ROUNDS = 3
NOW = 1_800_000_000
# Few pages, so that the copying of the write-ahead log into the database is under fault too.
_COPY_AFTER_PAGES = 6


def run(root: Path, ledger: Ledger, thread: str, first: int) -> None:
    """Write, with a stop at the place from which the harness lets faults come.

    Args:
        root: Holds `state.sqlite3` and `log/`; a log may be there already.
        ledger: Told everything that was acknowledged.
        thread: `main`: faults come from the opening on, in the thread that integrates.
            `journal`: they come after the opening, in the thread that commits.
        first: Number of the first entry, so that bodies differ from those already there.
    """
    if thread == "journal":
        copy_often(_COPY_AFTER_PAGES)
    if thread == "main":
        _stop(ledger, threading.get_native_id())
    journal = _attempt(ledger, "open", lambda: Journal(root / "state.sqlite3"))
    if journal is None:
        return
    if thread == "journal":
        if not Copying.changed:
            ledger.write("defect", what="open", error="nothing would be copied", cause="")
        _stop(ledger, journal._thread.native_id)
    integrator = _attempt(
        ledger, "integrator", lambda: Integrator(journal, root / "log", ORIGIN, SIGNER, lambda: NOW)
    )
    number = first
    for _ in range(ROUNDS):
        for _ in range(3):
            _append(ledger, journal, [number, number + 1])
            number += 2
        if integrator is not None:
            checkpoint = _attempt(ledger, "integrate", integrator.integrate_once)
            if checkpoint is not None:
                ledger.write("checkpoint", note=checkpoint.note.decode())
    if integrator is not None:
        _attempt(ledger, "prune", integrator.prune) if first % 2 else None
        _attempt(ledger, "close", integrator.close)
    _attempt(ledger, "close", journal.close)
    ledger.write("end")


def _append(ledger: Ledger, journal: Journal, numbers: list[int]) -> None:
    bodies = [body(number) for number in numbers]
    appended = _attempt(
        ledger, "append", lambda: journal.run(lambda tx: [tx.append_body(each) for each in bodies])
    )
    for each in appended or ():
        ledger.write("entry", index=each.index, leaf=each.leaf_hash.hex())


def _attempt(ledger: Ledger, what: str, act: Callable[[], Any]) -> Any:
    try:
        return act()
    except AuditError as error:
        ledger.write("refused", what=what, error=f"{type(error).__name__}: {error}")
    except Exception as error:  # noqa: BLE001 - this is what the harness looks for
        ledger.write("defect", what=what, error=repr(error), cause=repr(error.__cause__))
    return None


def _stop(ledger: Ledger, thread_id: int | None) -> None:
    ledger.write("ready", thread=thread_id)
    os.kill(os.getpid(), signal.SIGSTOP)
