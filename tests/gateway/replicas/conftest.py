"""A state that several processes of a test share, each with a gate of its own."""

import asyncio
from pathlib import Path

import pytest

from gateway.release.gate import Gate
from gateway.replicas.changes import Change, Noted, note_changes
from gateway.replicas.membership import Membership
from gateway.replicas.node_name import NodeName, take_name
from gateway.replicas.rounds import Rounds
from gateway.store.state import State

TERM_MS = 400


class Clock:
    """Seconds as the holder of a lease counts them; a test moves them."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Effect:
    """Notes what it was asked to bring into effect."""

    def __init__(self) -> None:
        self.flipped: list[int] = []
        self.started_over = 0
        self.failing = False

    def products(self, changes: list[Change]) -> set[str]:
        return {change.product for change in changes}

    def flip(self, changes: list[Change]) -> None:
        if self.failing:
            raise OSError
        self.flipped += [change.number for change in changes]

    def start_over(self) -> None:
        self.started_over += 1


class Process:
    """One serving process, as far as leases and rounds go."""

    def __init__(self, home: Path, name: str, *, clock=None) -> None:
        self.home = home
        self.name: NodeName = take_name(home, name)
        self.state = State.open(home / "state.sqlite3")
        self.effect = Effect()
        words = {} if clock is None else {"clock": clock}
        self.membership = Membership(self.state, self.name, term_ms=TERM_MS, **words)
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
