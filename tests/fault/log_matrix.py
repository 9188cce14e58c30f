"""The kill and injection matrix of the audit log: every system call, every occurrence.

    python -m tests.fault.log_matrix [--json] [--every N] [--only CALL]

A writer appends, integrates and publishes, first on an empty directory, then on a log whose
next entries complete a tile. It runs once undisturbed, to count its system calls; then once
per call, occurrence and kind of fault, each on a fresh copy: the call fails with EIO, the disk
is full from that call on (ENOSPC), or the process is killed there (KILL). After each,
`log_check` holds what lies on the disk against what the writer had been told.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from audit.checkpoint import Checkpoint
from tests.audit.log_home import LogHome
from tests.fault import log_writer
from tests.fault.ledger import Ledger
from tests.fault.log_check import Findings, check_log
from tests.fault.scratch import scratch_disk
from tests.fault.tracing import CALLS, NEED_ROOM, Fault, Ran, run_traced

_FULL_TILE = 250
_FINDINGS = ("corruptions", "losses", "defects")


class Scene:
    """A state to start from, and the thread in which faults come."""

    def __init__(self, scratch: Path, start: int, thread: str) -> None:
        self.name = f"{'new log' if start == 0 else f'log of {start}'}, {thread} thread"
        self._scratch = scratch
        self._start = start
        self._thread = thread
        self._template = scratch / f"template-{start}-{thread}"
        self.known: Checkpoint | None = None
        if start == 0:
            self._template.mkdir()
            return
        home = LogHome(self._template, now=log_writer.NOW - 1000)
        home.append(start)
        integrator = home.integrator()
        self.known = integrator.integrate_once()
        integrator.close()
        home.journal.close()

    def run(self, fault: Fault | None) -> tuple[Ran, Findings]:
        """Run the writer on a fresh copy and check what it leaves."""
        root = self._scratch / "case"
        shutil.copytree(self._template, root)
        try:
            victim = partial(_victim, root, self._thread, self._start)
            ran = run_traced(victim, self._scratch, fault)
            return ran, check_log(root, ran.records, known=self.known)
        finally:
            shutil.rmtree(root)


def _victim(root: Path, thread: str, start: int, ledger: Ledger) -> None:
    log_writer.run(root, ledger, thread, start)


def faults(counted: Counter[str], every: int, only: str) -> Iterator[Fault]:
    """Go through every call, every occurrence and every kind of fault that it can have."""
    for call in CALLS:
        if only and call != only:
            continue
        for at in range(1, counted[call] + 1, every):
            yield Fault(call, at, "EIO")
            yield Fault(call, at, "KILL")
            if call in NEED_ROOM:
                yield Fault(call, at, "ENOSPC")


def run_scene(scene: Scene, every: int, only: str) -> dict[str, Any]:
    """Try every fault in one scene; return what was tried and what was found."""
    recorded, found = scene.run(None)
    if found.all() or recorded.records[-1]["kind"] != "end":
        raise SystemExit(
            f"{scene.name}: undisturbed it does not hold: {found} {recorded.records[-3:]}"
        )
    counted = recorded.counted()
    tried: Counter[str] = Counter()
    result: dict[str, Any] = {
        "scene": scene.name, "calls": dict(counted), "points": 0, "missed": 0,
        "killed": 0, "refused": 0,
        "corruptions": [], "losses": [], "defects": [],
    }  # fmt: skip
    for fault in faults(counted, every, only):
        ran, found = scene.run(fault)
        if not ran.fired:
            # The run took another way than the recorded one; told, since it tried nothing.
            result["missed"] += 1
            continue
        tried[f"{fault.call} {fault.kind}"] += 1
        result["points"] += 1
        result["killed"] += ran.killed
        result["refused"] += any(each["kind"] == "refused" for each in ran.records)
        found.defects += ["the writer hung"] if ran.hung else []
        for kind in _FINDINGS:
            result[kind] += [
                f"{fault.call}#{fault.at} {fault.kind}: {what}" for what in getattr(found, kind)
            ]
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{scene.name}: {result['points']} points ")
    result["tried"] = dict(tried)
    return result


def warm_up(scratch: Path) -> None:
    """Do everything once, so that no case loads a module under fault."""
    root = scratch / "warm"
    root.mkdir()
    ledger = Ledger()
    log_writer.run(root, ledger, "none", 1)
    check_log(root, ledger.read())
    ledger.close()


def main(arguments: list[str] | None = None) -> int:
    """Run the matrix; 1 when anything was corrupted, lost or went unexplained."""
    parser = argparse.ArgumentParser(prog="log_matrix", description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--every", type=int, default=1, help="try each N-th occurrence only")
    parser.add_argument("--only", default="", help="try one system call only")
    given = parser.parse_args(arguments)
    if shutil.which("strace") is None:
        sys.stderr.write("the matrix needs strace (Debian: apt-get install strace)\n")
        return 1
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=scratch_disk()) as name:
        scratch = Path(name)
        warm_up(scratch)
        scenes = [
            Scene(scratch, start, thread)
            for start in (0, _FULL_TILE)
            for thread in ("main", "journal")
        ]
        results = [run_scene(scene, given.every, given.only) for scene in scenes]
    total: dict[str, Any] = {
        name: sum(each[name] for each in results) for name in ("points", "missed", "killed")
    }
    total |= {name: sum(len(each[name]) for each in results) for name in _FINDINGS}
    total["seconds"] = round(time.monotonic() - began, 1)
    document = {"fault": "log_matrix", "total": total, "scenes": results}
    print(json.dumps(document) if given.json else _table(total, results))  # noqa: T201 - its output
    return 1 if not total["points"] or any(total[name] for name in _FINDINGS) else 0


def _table(total: dict[str, Any], results: list[dict[str, Any]]) -> str:
    lines = ["audit log: every system call failed, or the process killed there"]
    for each in results:
        lines.append(
            "  {scene}: {points} points, {killed} of them kills; "
            "the writer was refused something in {refused}".format(**each)
        )
        by_call = (f"{name} {count}" for name, count in sorted(each["tried"].items()))
        lines.append(f"    {'  '.join(by_call)}")
        lines += [f"    ! {what}" for kind in _FINDINGS for what in each[kind]]
    lines.append(
        "points {points} (kills {killed}, not reached {missed}), corruptions {corruptions}, "
        "losses {losses}, defects {defects}, {seconds} s".format(**total)
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
