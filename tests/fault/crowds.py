"""Crowds around each threshold of persons counted for export, one of two processes killed in it.

    python -m tests.fault.crowds [--attempts N] [--store sqlite|postgres] [--json]

Two processes of one state, on SQLite and on PostgreSQL, decide and count N persons (20,000 by
default) around each threshold of the law, half of whom fit under it; each tenth delivery fails
before anything left, so that places become free again. In the middle, while places are left, one
process stands still and gets `kill -9`; another begins anew with the same persons. Then the log is
replayed: the count may never have reached the threshold, nobody who was acknowledged may be
missing, and the books must say what the log says. Exit code 1 when something of it doesn't hold.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gateway.border.counters_law import CountClass
from gateway.border.counters_tags import Tagger
from gateway.store.state import State
from tests.gateway.border.counters.crowd import ATTEMPTED, EXPORTER, KEY, YEAR, Crowd
from tests.postgres_server import PostgresServer
from tests.stores import Place

ATTEMPTS = 20_000
NOTHING, CONTRACT, ASSESSMENT = frozenset[str](), frozenset({"SCC"}), frozenset({"ASSESSMENT"})
# Each threshold, and with what an exporter stands below it.
THRESHOLDS = (
    (CountClass.ORDINARY, 100_000, NOTHING),
    (CountClass.ORDINARY, 1_000_000, CONTRACT),
    (CountClass.SENSITIVE, 1, NOTHING),
    (CountClass.SENSITIVE, 10_000, CONTRACT),
)
_AFTER = 50  # who pass once the exporter has what the count asks for
_PROGRAM = (sys.executable, "-m", "tests.gateway.border.counters.crowd")


@dataclass
class Found:
    """What a crowd did, and what did not hold.

    Args:
        store: Kind of the database.
        threshold: Class and number.
        attempts: Persons who were tried for.
        told: What both processes were acknowledged.
        highest: The highest count that the log ever shows.
        counted: The count at the end.
        unsettled: Intents that the killed process left without an outcome.
        killed_after: Attempts of the killed process before its end.
        seconds: From the start to the end of both.
        problems: What does not hold; empty when everything does.
    """

    store: str
    threshold: str
    attempts: int
    told: dict[str, int] = field(default_factory=dict)
    highest: int = 0
    counted: int = 0
    unsettled: int = 0
    killed_after: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


@dataclass
class Replayed:
    """Persons as the log alone tells of them, entry by entry."""

    start: int
    highest: int = 0
    sent: set[int] = field(default_factory=set)
    held: dict[int, int] = field(default_factory=dict)  # intent to person
    said: Counter[str] = field(default_factory=Counter)
    _holds: Counter[int] = field(default_factory=Counter)

    def read(self, entries: Iterable[tuple[int, str]]) -> None:
        """Go through index and words of each entry."""
        count = self.highest = self.start
        for index, text in entries:
            word, number, *rest = text.split()
            person = int(number)
            self.said[f"{word} {person}"] += 1
            before = self._counts(person)
            if word == "intent":
                self.held[index] = person
                self._holds[person] += 1
            else:
                self._holds[self.held.pop(int(rest[0]))] -= 1
                if word == "sent":
                    self.sent.add(person)
            count += self._counts(person) - before
            self.highest = max(self.highest, count)
        self.count = count

    def _counts(self, person: int) -> int:
        return int(person in self.sent or self._holds[person] > 0)

    @property
    def persons(self) -> set[int]:
        """Everybody who counts at the end."""
        return self.sent | set(self.held.values())


class Process:
    """One process of the crowd, and what it told."""

    def __init__(
        self, place: Place, kind: CountClass, part: range, has: frozenset[str], stop_after: int = 0
    ) -> None:
        numbers = map(str, (part.start, part.step, part.stop))
        # So few at a time that whoever is killed holds at most half of the places.
        callers = min(500, part.stop // 8)
        limits = map(str, (callers, stop_after))
        self._words = (*place.words, kind.value, *numbers, ",".join(sorted(has)), *limits)
        self._stop_after = stop_after
        self.told: list[str] = []

    async def start(self) -> None:
        """Start it, and wait until it is ready to count."""
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *_PROGRAM, *self._words, stdin=pipe, stdout=pipe
        )
        assert self._process.stdout is not None
        assert await self._process.stdout.readline() == b"ready\n"

    async def run(self) -> int:
        """Let it count to its end, or kill it where it stops; return its exit code."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(b"go\n")
        attempts = 0
        async for line in stdout:
            if not line.endswith(b"\n"):
                break  # it was killed while it wrote this
            self.told.append(line.decode().strip())
            attempts += line.decode().split()[0] in ATTEMPTED
            if attempts == self._stop_after:
                self._process.kill()
        stdin.close()
        return await self._process.wait()


async def crowd_at(
    place: Place, kind: CountClass, threshold: int, has: frozenset[str], attempts: int
) -> Found:
    """Let a crowd try to pass a threshold, and look at what came of it.

    Args:
        place: An empty state database.
        kind: The count.
        threshold: A threshold of that count.
        has: The mechanisms that the exporter has; not what it needs from there on.
        attempts: Persons who are tried for.
    """
    start = max(0, threshold - 1 - attempts // 2)
    state = place.state()
    state.run(
        lambda tx: tx.execute(
            "INSERT INTO export_counts (exporter, year, class, own, declared, log_index)"
            " VALUES (?, ?, ?, ?, 0, 0)",
            (EXPORTER, YEAR, kind.value, start),
        )
    )
    found = Found(place.kind, f"{kind.value} {threshold:,}", attempts)
    found.killed_after = attempts // 8
    parts = [range(first, attempts, 2) for first in range(2)]
    doomed = Process(place, kind, parts[0], has, found.killed_after)
    other, again = Process(place, kind, parts[1], has), Process(place, kind, parts[0], has)
    await asyncio.gather(doomed.start(), other.start())
    began = time.perf_counter()

    async def killed_and_replaced() -> tuple[int, int]:
        code = await doomed.run()
        await again.start()
        return code, await again.run()

    (code, ended), ended_too = await asyncio.gather(killed_and_replaced(), other.run())
    found.seconds = round(time.perf_counter() - began, 2)
    if (code, ended, ended_too) != (-9, 0, 0):
        found.problems.append(f"processes ended with {code}, {ended}, {ended_too}")
    told = [*doomed.told, *other.told, *again.told]
    found.told = dict(Counter(line.split()[0] for line in told))
    _check(state, kind, threshold, start, told, found)
    await _next_ones_pass(state, kind, attempts, found)
    state.close()
    return found


def _check(
    state: State, kind: CountClass, threshold: int, start: int, told: list[str], found: Found
) -> None:
    reader = state.connect()
    try:
        rows = reader.execute("SELECT position, body FROM audit_entry ORDER BY position").fetchall()
        (own,) = reader.execute("SELECT own FROM export_counts").fetchone()
        tags = {bytes(tag) for (tag,) in reader.execute("SELECT tag FROM export_persons")}
        (holds,) = reader.execute("SELECT count(*) FROM export_holds").fetchone()
    finally:
        reader.close()
    bodies = [(position - 1, json.loads(bytes(body))) for position, body in rows]
    log = Replayed(start)
    log.read((index, body["reason"]) for index, body in bodies if "reason" in body)
    found.highest, found.counted, found.unsettled = log.highest, own, len(log.held)
    tagger = Tagger(KEY)
    said = Counter(line.replace("passed", "intent") for line in told if _durable(line))
    for holds_true, problem in (
        (log.highest < max(threshold, start + 1), "the count overran the threshold"),
        (log.highest == threshold - 1, "not every place under the threshold was given"),
        (said <= log.said, "something acknowledged is not in the log"),
        (log.count == own, "the books' count is not the log's"),
        (
            tags == {tagger.tag(EXPORTER, YEAR, f"p{person}") for person in log.persons},
            "the books' persons are not the log's",
        ),
        (holds == len(log.held), "what has no outcome is not what is held"),
        (
            {body["kind"] for _, body in bodies} <= {"node_stopped", "alarm"},
            "the log holds what nobody wrote",
        ),
    ):
        if not holds_true:
            found.problems.append(f"{kind.value} {threshold:,}: {problem}")


def _durable(line: str) -> bool:
    return line.split(maxsplit=1)[0] in {"passed", "sent", "released"}


async def _next_ones_pass(state: State, kind: CountClass, attempts: int, found: Found) -> None:
    """With what the count asks for from the threshold on, everybody passes."""
    after = Crowd(state, kind, ASSESSMENT)
    await after.run(range(attempts, attempts + _AFTER))
    after.close()
    if len(after.passed) != _AFTER:
        found.problems.append("an assessment did not let the next ones pass")


async def all_crowds(stores: Iterable[str], attempts: int) -> list[Found]:
    """Try each threshold on each store."""
    found = []
    for store in stores:
        server = PostgresServer() if store == "postgres" else None
        try:
            for kind, threshold, has in THRESHOLDS:
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / "state.sqlite3"
                    place = (
                        Place("sqlite", path)
                        if server is None
                        else Place("postgres", path, server.database())
                    )
                    each = await crowd_at(place, kind, threshold, has, attempts)
                sys.stderr.write(f"{store}, {each.threshold}: {each.seconds} s\n")
                found.append(each)
        finally:
            if server is not None:
                server.close()
    return found


def show(found: Iterable[Found]) -> None:
    """Print the results for people."""
    for each in found:
        told = each.told
        line = (
            f"{each.store:<9}{each.threshold:<19}{each.attempts:>7,} attempts"
            f"  passed {told.get('passed', 0):>6,}  refused {told.get('denied', 0):>6,}"
            f"  moved {told.get('moved', 0):>3,}  given back {told.get('released', 0):>5,}"
            f"  killed after {each.killed_after:>5,}, {each.unsettled:>3} without outcome"
            f"  highest {each.highest:>9,}  {each.seconds:>6.1f} s"
        )
        problems = [f"  DOES NOT HOLD: {problem}" for problem in each.problems]
        sys.stdout.write("\n".join([line, *problems]) + "\n")


def main() -> None:
    """Run everything once."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--attempts", type=int, default=ATTEMPTS)
    parser.add_argument("--store", choices=("sqlite", "postgres"), action="append")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    found = asyncio.run(all_crowds(given.store or ("sqlite", "postgres"), given.attempts))
    if given.json:
        told = {"fault": "crowds", "crowds": [asdict(each) for each in found]}
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        show(found)
    sys.exit(any(each.problems for each in found))


if __name__ == "__main__":
    main()
