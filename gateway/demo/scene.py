"""What the steps of the demonstration share, and what each of them tells."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.demo.cast import Player
from gateway.demo.stage import Stage
from xinguan.client import Client

Row = dict[str, str]


class UnexpectedError(Exception):
    """A step did not come out as the demonstration promises."""


@dataclass(slots=True)
class Told:
    """What a step tells.

    Args:
        title: What was done, in one line.
        lines: What it shows, for people.
        rows: A table beside it.
        facts: The same for machines.
    """

    title: str
    lines: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Scene:
    """A running gateway with its stage.

    Args:
        stage: The deployment and what was loaded.
        address: Where the gateway listens.
        company: Code of the company that is asked about; real when a register was imported.
        portfolio: Codes of synthetic companies, for the bank.
        last_request: Request id of the agency's first answer.
    """

    stage: Stage
    address: str
    company: str
    portfolio: Sequence[str]
    last_request: str = ""

    def client(self, player: Player) -> Client:
        """Return a client of a player."""
        return Client(self.address, self.stage.identity(player))


Step = Callable[[Scene], Awaitable[Told]]


def expect(condition: object, promise: str) -> None:
    """Stop the demonstration when something is not as promised.

    Raises:
        UnexpectedError: With the promise that was not kept.
    """
    if not condition:
        raise UnexpectedError(promise)


def seconds() -> int:
    """Return unix seconds: the one clock of the demonstration."""
    return int(time.time())
