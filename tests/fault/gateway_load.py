"""Callers over real mutual TLS that remember every message they got, however the call ended."""

import asyncio
import contextlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.demo.cast import AGENCY, COMPANY_FIELDS
from gateway.demo.stage import Stage
from xinguan.client import Client, RefusedError, TransportError
from xinguan.v1 import exchange_pb2

CALLERS = 12
_LONGEST_S = 200.0
SUBJECTS = 120
_BATCHES, _LONG = 100, 8  # of all answers, and of one of them
QUERY = {
    "purpose": "CREDIT_REPORT",
    "scenario": "ENTERPRISE_REPORT",
    "operator": "fault-operator",
    "case_reference": "fault-case",
}


@dataclass
class Seen:
    """One call as its caller saw it.

    Attributes:
        messages: Every message that arrived, in order.
        ending: `answered`, `refused`, or `cut` when the gateway died under it.
    """

    messages: list[exchange_pb2.QueryResponse] = field(default_factory=list)
    ending: str = "cut"


class Load:
    """Callers that ask until they are told to stop or the gateway is gone."""

    def __init__(self, stage: Stage, address: str, dice: random.Random) -> None:
        companies = stage.loaded["legal_entity_base"].snapshot.batch(0).rows.column("uscc")
        self._subjects: Sequence[str] = companies.to_pylist()[:SUBJECTS]
        self._client = Client(address, stage.identity(AGENCY))
        self._dice = dice
        self._stop = asyncio.Event()
        self.seen: list[Seen] = []
        self.first_answer = asyncio.Event()
        self.enough = asyncio.Event()  # of each kind of call, whatever the machine does besides

    async def run(self) -> None:
        """Ask with all callers; returns when each has met the end."""
        try:
            await asyncio.gather(*(self._ask_on() for _ in range(CALLERS)))
        finally:
            await self._client.close()

    def stop(self) -> None:
        """Let each caller finish the call it is in."""
        self._stop.set()

    async def _ask_on(self) -> None:
        while not self._stop.is_set():
            seen = Seen()
            self.seen.append(seen)
            try:
                async for message in self._client.stream(self._query()):
                    seen.messages.append(message)
                seen.ending = "answered"
                self.first_answer.set()
                self._note()
            except TransportError:
                return
            except RefusedError as error:
                # A gateway that is going down may still tell that it can't log: that is no data.
                seen.ending = "refused"
                if error.status == "UNAVAILABLE":
                    return
                self._note()

    def _note(self) -> None:
        """Take note when long answers and refusals have both been seen."""
        batches = sum(len(seen.messages) for seen in self.seen if seen.ending == "answered")
        refused = any(seen.ending == "refused" for seen in self.seen)
        long = any(len(seen.messages) > _LONG for seen in self.seen if seen.ending == "answered")
        if batches > _BATCHES and refused and long:
            self.enough.set()

    def _query(self) -> exchange_pb2.QueryRequest:
        kind = self._dice.random()
        words = QUERY | ({"purpose": "PRE_EMPLOYMENT"} if kind > 0.95 else {})
        several = list(self._subjects) if kind < 0.25 else [self._dice.choice(self._subjects)]
        return self._client.build_query(
            "legal_entity_base",
            COMPANY_FIELDS,
            subjects=several,
            encoding="ROWS" if 0.25 <= kind < 0.45 else "ARROW_IPC",
            **words,
        )


async def load_until(load: Load, seconds: float, then: object, *, enough: bool = False) -> None:
    """Run a load; some seconds after its first answer do what ends it, and wait for the end.

    With `enough` it is not ended before calls of each kind have been seen.
    """
    running = asyncio.create_task(load.run())
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(load.first_answer.wait(), _LONGEST_S)
    await asyncio.sleep(seconds)
    if enough:
        await asyncio.wait_for(load.enough.wait(), _LONGEST_S)
    then()  # type: ignore[operator]  # a plain callable
    await asyncio.wait_for(running, _LONGEST_S)
