"""Many attempts at once around a threshold, each decided, refused or decided anew as on the road.

Also a program: a process of its own that counts in a state which others use too, and prints each
person that was acknowledged before it goes on.

    python -m tests.gateway.border.counters.crowd PATH URL CLASS FIRST STEP ATTEMPTS KINDS
"""

import asyncio
import sys
from dataclasses import dataclass, field

from audit import acts
from audit.journal import Posting
from gateway.border.counters import ExportCounters
from gateway.border.counters_items import CountMovedError, Reservation, persons_of
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
MOVES = 4  # as `gateway.release.pipeline` has it


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
                return
            ceilings = LAW.ceilings(stand.persons, stand.sensitive_persons, ())
            tag = self.tagger.tag(EXPORTER, YEAR, person)
            persons = persons_of(EXPORTER, YEAR, (self.kind,), (tag,))
            wanted = Reservation(EXPORTER, YEAR, persons, ceilings, AT, "n", PARTY)
            try:
                await self._record(number, wanted)
            except CountMovedError:
                continue
            self.passed.append(number)
            return
        self.moved += 1

    async def _record(self, number: int, wanted: Reservation) -> None:
        entry = acts.node_stopped(time=AT, node="n", reason=f"t{number}")
        await self.state.journal.record(
            entry,
            lambda _: [],
            lambda tx: tx.append(entry),
            lambda appended: appended.index,
            [Posting(self.counts.ledger, wanted)],
        )

    async def run(self, numbers: range, callers: int = 500) -> None:
        async def caller(first: int) -> None:
            for number in numbers[first::callers]:
                await self.attempt(number)

        await asyncio.gather(*[caller(first) for first in range(callers)])

    def close(self) -> None:
        self.counts.close()


class Telling(Crowd):
    """Prints what was acknowledged, so that another process knows what may not be lost."""

    async def _record(self, number: int, wanted: Reservation) -> None:
        await super()._record(number, wanted)
        _tell(number)


def _tell(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def main() -> None:
    path, url, kind, first, step, attempts, has = sys.argv[1:]
    state = place_of(path, url).state()
    crowd = Telling(state, CountClass(kind), frozenset(has.split(",")))
    _tell("ready")
    sys.stdin.readline()
    asyncio.run(crowd.run(range(int(first), int(attempts), int(step)), callers=64))
    _tell("denied", crowd.denied)
    _tell("moved", crowd.moved)
    crowd.close()
    state.close()


if __name__ == "__main__":
    main()
