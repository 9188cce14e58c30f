"""A state that several processes of a test share, each with a gate of its own.

Time stands still unless a test moves it: no lease runs out because the machine does other work.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.release.gate import Gate
from gateway.replicas import lease_watch, rounds
from gateway.replicas.changes import Change, Noted, note_changes
from gateway.replicas.membership import Membership
from gateway.replicas.node_name import NodeName, take_name
from gateway.replicas.rounds import Rounds
from gateway.store.state import State

TERM_MS = 30_000


class Clock:
    """Seconds as holders of leases and those who wait for them count; a test moves them."""

    def __init__(self) -> None:
        self.now = time.monotonic()
        self.looks = 0

    def __call__(self) -> float:
        self.looks += 1
        return self.now


async def eventually(true: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came"
        await asyncio.sleep(0.005)


class Effect:
    """Notes what it was asked to bring into effect."""

    def __init__(self) -> None:
        self.flipped: list[int] = []
        self.started_over = 0
        self.failing = False
        self.failed = 0

    def products(self, changes: list[Change]) -> set[str]:
        return {change.product for change in changes}

    def flip(self, changes: list[Change]) -> None:
        if self.failing:
            self.failed += 1
            raise OSError
        self.flipped += [change.number for change in changes]

    def start_over(self) -> None:
        self.started_over += 1


class Process:
    """One serving process, as far as leases and rounds go."""

    clock: Clock

    def __init__(self, home: Path, name: str) -> None:
        self.home = home
        self.name: NodeName = take_name(home, name)
        self.state = State.open(home / "state.sqlite3")
        self.effect = Effect()
        self.membership = Membership(self.state, self.name, term_ms=TERM_MS, clock=self.clock)
        self.gate = Gate(unwind_s=0.2, sure=self.membership.check)
        self.tasks: list[asyncio.Task] = []

    async def join(self, *, keep: bool = True) -> "Process":
        await self.membership.outlive_namesake()
        self.rounds = Rounds(
            self.state,
            self.gate,
            self.effect,
            self.membership,
            directory=self.home,
            gate_wait_ms=50,
            shared_gate_wait_ms=50,
            term_ms=TERM_MS,
        )
        await self.membership.join(self.rounds)
        self.tasks = [asyncio.create_task(self.rounds.run())]
        if keep:
            self.tasks.append(asyncio.create_task(self.membership.keep()))
        return self

    async def change(self, record: str = "r", product: str = "p") -> int:
        """Commit a change and return its number."""
        return await self.state.submit(
            lambda tx: note_changes(tx, [Noted(product, record, "s", ended=False)])
        )

    async def freeze(self) -> None:
        """Do nothing any more, as a stopped process; its name stays taken."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks = []

    def thaw(self) -> None:
        self.membership.confirm_soon()  # its pause between two renewals was over meanwhile
        self.tasks = [
            asyncio.create_task(self.rounds.run()), asyncio.create_task(self.membership.keep())
        ]  # fmt: skip

    async def end(self) -> None:
        await self.freeze()
        self.rounds.close()
        self.state.close()
        self.name.release()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture(autouse=True)
def clock(monkeypatch) -> Clock:
    """The clock of every process of a test, and of whoever waits for one's lease to run out."""
    made = Clock()
    for module in (lease_watch, rounds):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=made))
    monkeypatch.setattr(Process, "clock", made, raising=False)
    return made
