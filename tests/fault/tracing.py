"""One system call of one thread is made to fail, by strace, at its i-th occurrence.

strace counts per thread. It is attached to exactly one stopped thread of the victim, so that
a case is exactly one fault, at a place that is the same each time.
"""

import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fault.ledger import Ledger

HANG_S = 90.0
CALLS = (
    "openat", "linkat", "link", "mkdirat", "mkdir", "renameat", "rename", "unlinkat", "unlink",
    "fsync", "fdatasync", "write", "pwrite64", "read", "pread64", "ftruncate", "fallocate", "close",
)  # fmt: skip
# What a full disk can refuse; the rest of the calls need no room.
NEED_ROOM = frozenset(
    {"openat", "linkat", "link", "mkdirat", "mkdir", "renameat", "rename", "fsync", "fdatasync",
     "write", "pwrite64", "ftruncate", "fallocate"}
)  # fmt: skip
_CALL = re.compile(r"^(?:\d+ +)?([a-z0-9_]+)\(")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: which call, which occurrence, what happens."""

    call: str
    at: int
    kind: str

    def option(self) -> str:
        """Return the argument of strace's `-e`."""
        effect = {
            "EIO": f"error=EIO:when={self.at}",
            # A disk that is full stays full.
            "ENOSPC": f"error=ENOSPC:when={self.at}+",
            "KILL": f"signal=KILL:when={self.at}",
        }[self.kind]
        return f"inject={self.call}:{effect}"


@dataclass
class Ran:
    """What became of a victim."""

    records: list[dict[str, Any]]
    lines: list[str] = field(default_factory=list)
    hung: bool = False
    killed: bool = False

    @property
    def fired(self) -> bool:
        """Whether the fault happened at all."""
        return self.killed or any("(INJECTED)" in line for line in self.lines)

    def counted(self) -> Counter[str]:
        """Return how often each call was made."""
        found = (_CALL.match(line) for line in self.lines)
        return Counter(match[1] for match in found if match)


def run_traced(victim: Callable[[Ledger], None], scratch: Path, fault: Fault | None) -> Ran:
    """Fork a victim, attach strace to the thread it names, and let it go on.

    Args:
        victim: Runs in the child; records `ready` with a thread id, then stops itself.
        scratch: Where strace's output is put.
        fault: What to inject; None only records.
    """
    ledger = Ledger()
    child = os.fork()
    if child == 0:
        try:
            victim(ledger)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, os.WUNTRACED)
    ready = [each["thread"] for each in ledger.read() if each["kind"] == "ready"]
    if not os.WIFSTOPPED(status) or not ready:
        ran = Ran(ledger.read())
        ledger.close()
        return ran
    output = scratch / "trace"
    injected = [] if fault is None else ["-e", fault.option()]
    command = [
        "strace",
        "-qq",
        "-y",
        "-s",
        "0",
        "-o",
        str(output),
        "-e",
        f"trace={','.join(CALLS)}",
    ]
    with subprocess.Popen(
        [*command, *injected, "-p", str(ready[0])], stderr=subprocess.PIPE
    ) as tracer:
        _wait_for_tracer(child, ready[0], tracer)
        os.kill(child, signal.SIGCONT)
        status, hung = _wait(child)
        tracer.wait(timeout=HANG_S)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL and not hung
    ran = Ran(ledger.read(), output.read_text(errors="replace").splitlines(), hung, killed)
    ledger.close()
    return ran


def _wait_for_tracer(child: int, thread: int, tracer: subprocess.Popen[bytes]) -> None:
    status = Path(f"/proc/{child}/task/{thread}/status")
    deadline = time.monotonic() + HANG_S
    while "TracerPid:\t0\n" in status.read_text():
        if tracer.poll() is not None or time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            told = tracer.stderr.read().decode() if tracer.stderr else ""
            raise RuntimeError(f"strace could not attach: {told}")
        time.sleep(0.001)


def _wait(child: int) -> tuple[int, bool]:
    deadline = time.monotonic() + HANG_S
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status, False
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1], True
