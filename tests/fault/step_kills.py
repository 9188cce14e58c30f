"""A process is killed before each call of the file system in turn, without strace: the fast matrix.

    python -m tests.fault.step_kills

The writer kills itself with signal 9 before its n-th call that opens, writes, syncs, links,
makes a directory or renames, for each n until it comes to its end; prints a JSON line.
"""

import contextlib
import itertools
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.audit.log_home import LogHome
from tests.fault import log_writer
from tests.fault.ledger import Ledger
from tests.fault.log_check import check_log
from tests.fault.scratch import scratch_disk

_STEPS: tuple[tuple[Any, str], ...] = (
    (os, "open"), (os, "write"), (os, "fsync"), (os, "link"), (os, "mkdir"), (Path, "replace"),
)  # fmt: skip
_START = 250


def kill_at(count: int) -> None:
    """Let this process kill itself before its count-th call of the file system."""
    seen = itertools.count(1)

    def wrap(where: Any, name: str) -> None:
        original = getattr(where, name)

        def call(*arguments: Any, **named: Any) -> Any:
            if next(seen) == count:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **named)

        setattr(where, name, call)

    for where, name in _STEPS:
        wrap(where, name)


def one(template: Path, root: Path, known: Any, at: int) -> tuple[bool, list[str]]:
    """Kill one writer; return whether it was killed, and what does not hold."""
    shutil.copytree(template, root)
    ledger = Ledger()
    child = os.fork()
    if child == 0:
        kill_at(at)
        with contextlib.suppress(BaseException):
            log_writer.run(root, ledger, "none", _START)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    records = ledger.read()
    ledger.close()
    problems = check_log(root, records, known=known).all()
    shutil.rmtree(root)
    killed = os.WIFSIGNALED(status)
    if not killed and records[-1] != {"kind": "end"}:
        problems.append("the writer neither died nor came to its end")
    return killed, problems


def main() -> int:
    """Kill at each step; 1 when anything does not hold."""
    problems: list[str] = []
    with tempfile.TemporaryDirectory(dir=scratch_disk()) as name:
        scratch = Path(name)
        home = LogHome(scratch / "template", now=log_writer.NOW - 1000)
        home.append(_START)
        integrator = home.integrator()
        known = integrator.integrate_once()
        integrator.close()
        home.journal.close()
        for at in itertools.count(1):
            killed, found = one(home.root, scratch / "case", known, at)
            problems += [f"before call {at}: {each}" for each in found]
            if not killed:
                break
    told = {"fault": "step_kills", "points": at - 1, "problems": problems}
    print(json.dumps(told))  # noqa: T201 - its output
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
