"""Many attempts at once around a threshold, each decided, refused or decided anew as on the road.

Whoever passes is delivered to: the outcome says that it was sent, or, of each tenth, that nothing
left, so that its place is free again.

Also a program: a process of its own that counts in a state which others use too, and tells what
was acknowledged to it before it goes on (`tests.fault.crowds` reads it).

    python -m tests.gateway.border.counters.crowd PATH URL CLASS FIRST STEP ATTEMPTS KINDS \
        CALLERS STOP_AFTER
"""

import asyncio
import signal
import sys
from dataclasses import dataclass, field

from audit import acts
from audit.journal import Posting
from gateway.border.counters import ExportCounters
from gateway.border.counters_items import CountMovedError, Reservation, Settlement, persons_of
from gateway.border.counters_law import CountClass, CountLaw
from gateway.border.counters_tags import Tagger
from gateway.store.state import State
from tests.stores import place_of

KEY = b"k" * 32
EXPORTER = "uscc:91460099MA00000016"
PARTY = "reg:SG:201912345K"
YEAR = 2026
AT = 1_795_500_000
LAW = CountLaw.load()
ATTEMPTED = {"passed", "denied", "moved"}  # words that end an attempt
MOVES = 4  # as `gateway.release.pipeline` has it
TENTH = 10


def needed(ordinary: int, sensitive: int) -> frozenset[str]:
    """Return the mechanisms that would do at these counts, as R64 says; empty for none needed."""
    contract, assessment = LAW.ordinary
    sensitive_contract, sensitive_assessment = LAW.sensitive
    if sensitive >= sensitive_assessment or ordinary >= assessment:
        return frozenset({"ASSESSMENT"})
    if sensitive >= sensitive_contract or ordinary >= contract:
        return frozenset({"ASSESSMENT", "SCC", "CERT"})
    return frozenset()


@dataclass
class Crowd:
    """Callers of one process, for one exporter that has some mechanisms."""

    state: State
    kind: CountClass
    has: frozenset[str]
    passed: list[int] = field(default_factory=list)
    denied: int = 0
    moved: int = 0

    def __post_init__(self) -> None:
        tagger = Tagger(KEY)
        self.tagger = tagger
        self.counts = ExportCounters(self.state.connect(), LAW, tagger, node="n")

    async def attempt(self, number: int) -> None:
        """Decide one person on the counts as they stand, and anew when they moved meanwhile."""
        person = f"p{number}"
        sensitive = self.kind is CountClass.SENSITIVE
        for _ in range(MOVES + 1):
            stand = self.counts.standing(EXPORTER, YEAR, (person,), sensitive=sensitive)
            need = needed(stand.persons, stand.sensitive_persons)
            if need and not need & self.has:
                self.denied += 1
                self.tell("denied", number)
                return
            ceilings = LAW.ceilings(stand.persons, stand.sensitive_persons, ())
            tag = self.tagger.tag(EXPORTER, YEAR, person)
            persons = persons_of(EXPORTER, YEAR, (self.kind,), (tag,))
            wanted = Reservation(EXPORTER, YEAR, persons, ceilings, AT, "n", PARTY)
            try:
                intent = await self._record(f"intent {number}", wanted)
            except CountMovedError:
                continue
            self.passed.append(number)
            self.tell("passed", number)
            await self._settle(number, intent, wanted)
            return
        self.moved += 1
        self.tell("moved", number)

    def tell(self, word: str, number: int) -> None:
        """Say what was acknowledged; a process of its own prints it."""

    async def _settle(self, number: int, intent: int, reservation: Reservation) -> None:
        sent = number // 2 % TENTH != 0  # of even and of odd numbers: each process gives back
        word = "sent" if sent else "released"
        await self._record(f"{word} {number} {intent}", Settlement(intent, reservation, sent))
        self.tell(word, number)

    async def _record(self, reason: str, item: Reservation | Settlement) -> int:
        entry = acts.node_stopped(time=AT, node="n", reason=reason)
        return await self.state.journal.record(
            entry,
            lambda _: [],
            lambda tx: tx.append(entry),
            lambda appended: appended.index,
            [Posting(self.counts.ledger, item)],
        )

    async def run(self, numbers: range, callers: int = 500) -> None:
        async def caller(first: int) -> None:
            for number in numbers[first::callers]:
                await self.attempt(number)

        await asyncio.gather(*[caller(first) for first in range(callers)])

    def close(self) -> None:
        self.counts.close()


@dataclass
class Telling(Crowd):
    """Prints what was acknowledged, so that another process knows what may not be lost.

    After so many attempts it stands still in the middle of everything else, so that it can be
    killed there however slowly its words are read; 0 goes on to the end.
    """

    stop_after: int = 0
    attempts: int = 0

    def tell(self, word: str, number: int) -> None:
        sys.stdout.write(f"{word} {number}\n")
        sys.stdout.flush()
        self.attempts += word in ATTEMPTED
        if self.attempts == self.stop_after:
            signal.pause()


def main() -> None:
    path, url, kind, first, step, attempts, has, callers, stop_after = sys.argv[1:]
    state = place_of(path, url).state()
    kinds = frozenset(filter(None, has.split(",")))
    crowd = Telling(state, CountClass(kind), kinds, stop_after=int(stop_after))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    asyncio.run(crowd.run(range(int(first), int(attempts), int(step)), int(callers)))
    crowd.close()
    state.close()


if __name__ == "__main__":
    main()
