"""The audit log: what a durable entry costs beside a bare database commit and a bare fsync.

    python -m bench.audit_log [--json] [--directory DIR]

Baselines of the same run: `fdatasync` (one file, one write and one `fdatasync` an entry: what the
disk gives one caller) and `bare` (one SQLite connection, WAL, `synchronous=FULL`, one row a
transaction). Ours: `append` (64 asyncio callers, each waiting until its entry is durable), `job`
(the same through a transaction with an opening and a label), `paced` (1,000 a second, for
latency), `publish` (from a durable entry to a signed checkpoint), the whole log verified, and
the two entries of one ordinary query, asked of a real gateway. Large logs: `bench.audit_size`.
"""

import argparse
import asyncio
import json
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.canonical import encode_entry
from audit.commitment import Opening
from audit.entries import Entry, Use, intent
from audit.integrator import Integrator
from audit.journal import Journal, Transaction
from audit.note import Ed25519Signer
from audit.openings import OpeningStore
from audit.reader import LogReader
from audit.verify import check_proof, prove, verify_log
from bench.machine import machine
from bench.query import FIELDS, QUERY
from bench.table import Row, print_rows
from gateway.demo.cast import AGENCY
from gateway.demo.stage import set_stage
from gateway.server import Gateway
from gateway.telemetry import configure_logging
from xinguan.client import Client

CALLERS = 64
APPENDS = 40_000
BARE = 3_000
PACED = 3_000
PACE_PER_S = 1_000
ORIGIN = "bench.example/log"
DIGEST = bytes(32)


def entry(number: int) -> Entry:
    """Return an intent as an ordinary query writes it, with 20 fields."""
    use = Use(
        request=f"{number:026d}",
        product="admin_penalty",
        managers=("11460000MB0000001A",),
        party="91460099MA00000016",
        certificate=DIGEST,
        operator=DIGEST,
        case=DIGEST,
        purpose="CREDIT_ASSESSMENT",
        scenario="PRE_LOAN",
        destination="CN",
        licence=7,
        contract=DIGEST,
        bundle=DIGEST,
        input=DIGEST,
        subject_count=1,
        subjects=DIGEST,
        idempotency=DIGEST,
    )
    fields = {f"field_name_{place:02d}": "allow" for place in range(20)}
    return intent(time=1_800_000_000, node="node-1", use=use, snapshot=DIGEST, fields=fields)


def fdatasync(directory: Path) -> float:
    """Return appends per second of a bare file, each made durable by itself."""
    body = encode_entry(entry(0))
    descriptor = os.open(directory / "bare.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    began = time.perf_counter()
    for _ in range(BARE):
        os.write(descriptor, body)
        os.fdatasync(descriptor)
    rate = BARE / (time.perf_counter() - began)
    os.close(descriptor)
    return rate


def bare(directory: Path) -> float:
    """Return commits per second of the baseline."""
    connection = sqlite3.connect(directory / "bare.sqlite3", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE row (position INTEGER PRIMARY KEY, body BLOB)")
    bodies = [encode_entry(entry(number)) for number in range(BARE)]
    began = time.perf_counter()
    for body in bodies:
        connection.execute("INSERT INTO row (body) VALUES (?)", (body,))
    rate = BARE / (time.perf_counter() - began)
    connection.close()
    return rate


async def flood(call: Callable[[int], Awaitable[Any]]) -> dict[str, float]:
    """Return rate, latency and processor time of calls by 64 callers."""
    waits: list[float] = []

    async def caller(first: int) -> None:
        for number in range(first, APPENDS, CALLERS):
            began = time.perf_counter()
            await call(number)
            waits.append(time.perf_counter() - began)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*[caller(number) for number in range(CALLERS)])
    spent, used = time.perf_counter() - began, time.process_time() - cpu
    return {"per_s": APPENDS / spent, "cpu_us": used / APPENDS * 1e6, **quantiles(waits)}


async def paced(journal: Journal, made: list[Entry]) -> dict[str, float]:
    """Return the latency of appends that arrive at a steady pace, whoever still waits."""
    waits: list[float] = []

    async def one(number: int) -> None:
        began = time.perf_counter()
        await journal.append(made[number % len(made)])
        waits.append(time.perf_counter() - began)

    start = time.perf_counter()
    tasks = []
    for number in range(PACED):
        await asyncio.sleep(max(0.0, start + number / PACE_PER_S - time.perf_counter()))
        tasks.append(asyncio.create_task(one(number)))
    await asyncio.gather(*tasks)
    return quantiles(waits)


def quantiles(waits: list[float]) -> dict[str, float]:
    """Return the median and the 99th percentile in milliseconds."""
    cuts = statistics.quantiles(waits, n=100)
    return {"p50_ms": cuts[49] * 1e3, "p99_ms": cuts[98] * 1e3}


def published(journal: Journal, integrator: Integrator) -> float:
    """Return seconds from a durable entry to its signed checkpoint, the median of twenty."""
    rounds = []
    for number in range(20):
        began = time.perf_counter()
        index = journal.run(lambda tx, n=number: tx.append(entry(n)).index)  # type: ignore[misc]  # default binds it
        assert integrator.integrate_once().size == index + 1
        rounds.append(time.perf_counter() - began)
    return statistics.median(rounds)


async def ask(root: Path) -> tuple[int, float]:
    """Return what ten signed queries of 20 fields leave and wait for.

    Returns:
        Bytes of the two entries of one, and the longest time in seconds from an answer to its
        receipt under a published checkpoint.
    """
    stage = set_stage(root, int(time.time()))
    waits = []
    async with (
        Gateway(stage.deployment) as gateway,
        Client(gateway.address, stage.identity(AGENCY)) as client,
    ):
        for _ in range(10):
            answer = await client.query(
                "legal_entity_base", FIELDS, subjects=[stage.population.sample[3]], **QUERY
            )
            began = time.perf_counter()
            await client.receipt(answer.decision.request_id)
            waits.append(time.perf_counter() - began)
    assert answer.outcome is not None
    indexes = (answer.decision.intent.index, answer.outcome.entry.index)
    log = LogReader(stage.deployment.log_directory)
    return sum(len(log.entry(each)) for each in indexes), max(waits)


def sizes(log: Path) -> tuple[int, int]:
    """Return bytes of hash tiles and of entry bundles."""
    files = [path for path in (log / "tile").rglob("*") if path.is_file()]
    bundles = sum(path.stat().st_size for path in files if "entries" in path.parts)
    return sum(path.stat().st_size for path in files) - bundles, bundles


def measure(directory: Path) -> dict[str, Any]:
    """Run everything once."""
    synced, baseline = fdatasync(directory), bare(directory)
    # Made before the clock runs: what is measured is the append, its encoding included.
    made = [entry(number) for number in range(256)]
    journal = Journal(directory / "state.sqlite3")
    store = OpeningStore(os.urandom(32))
    openings = {name: Opening(name, b"value", DIGEST) for name in ("operator", "case", "subjects")}

    def job(number: int) -> Callable[[Transaction], int]:
        def run(tx: Transaction) -> int:
            index = tx.append(made[number % 256]).index
            store.record(tx, index, openings, [number.to_bytes(32, "big")])
            return index

        return run

    append = asyncio.run(flood(lambda number: journal.append(made[number % 256])))
    jobs = asyncio.run(flood(lambda number: journal.submit(job(number))))
    steady = asyncio.run(paced(journal, made))
    signer = Ed25519Signer(ORIGIN, Ed25519PrivateKey.generate())
    log = directory / "log"
    integrator = Integrator(journal, log, ORIGIN, signer, lambda: int(time.time()))
    began = time.perf_counter()
    count = integrator.integrate_all().size
    integrate = count / (time.perf_counter() - began)
    to_checkpoint = published(journal, integrator)
    tiles, _ = sizes(log)
    began = time.perf_counter()
    report = verify_log(log, signer.verifier_key)
    verify = report.entries / (time.perf_counter() - began)
    report.check()
    receipt, body = prove(log, 12_345), LogReader(log).entry(12_345)
    began = time.perf_counter()
    for _ in range(100):
        check_proof(receipt, body, signer.verifier_key)
    check_ms = (time.perf_counter() - began) * 10
    integrator.close()
    journal.close()
    entry_bytes, receipt_s = asyncio.run(ask(directory / "home"))
    return {
        "fdatasync_per_s": synced,
        "bare_per_s": baseline,
        "append": append,
        "append_ratio": append["per_s"] / baseline,
        "job": jobs,
        "job_ratio": jobs["per_s"] / baseline,
        "paced": steady,
        "integrate_per_s": integrate,
        "publish_s": to_checkpoint,
        "entries": report.entries,
        "tile_bytes_per_entry": tiles / report.entries,
        "verify_per_s": verify,
        "verify_million_s": 1e6 / verify,
        "receipt_bytes": len(receipt),
        "receipt_check_ms": check_ms,
        "query_entries_bytes": entry_bytes,
        "answer_to_receipt_s": receipt_s,
    }


def rows(got: dict[str, Any]) -> list[Row]:
    """Return what was measured beside its target."""
    append, job, steady = got["append"], got["job"], got["paced"]
    bare_is = f"{got['bare_per_s']:,.0f}/s one row a commit"
    synced = f"{got['fdatasync_per_s']:,.0f}/s bare fdatasync, {bare_is}"
    size = f"{got['receipt_bytes']:,} B"

    def detail(each: dict[str, float]) -> str:
        waits = f"p50 {each['p50_ms']:.1f} ms, p99 {each['p99_ms']:.1f} ms"
        return f"{waits}, {each['cpu_us']:.0f} us CPU"

    callers = f"{CALLERS} callers"
    return [
        Row(f"append, {callers}", append["per_s"], "/s", ">= 5,000", f"{synced}; {detail(append)}"),
        Row(f"job, {callers}", job["per_s"], "/s", "", f"{bare_is}; {detail(job)}"),
        Row(f"p99 at {PACE_PER_S:,}/s", steady["p99_ms"], "ms", "< 300"),
        Row("integrate", got["integrate_per_s"], "/s"),
        Row("publish one entry", got["publish_s"], "s", "< 1.5", "one pass, median of 20"),
        Row("answer to receipt", got["answer_to_receipt_s"], "s", "< 1.5", "gateway, worst of 10"),
        Row("hash tiles", got["tile_bytes_per_entry"], "B/entry", "<= 34", "the hash alone: 32 B"),
        Row("entries of a query", got["query_entries_bytes"], "B", "< 1,500", "intent and outcome"),
        Row("verify a million", got["verify_million_s"], "s", "< 30", "scaled; see audit_size"),
        Row("check a receipt", got["receipt_check_ms"], "ms", "< 5", size),
    ]


def show(results: dict[str, Any]) -> None:
    """Print the results for people."""
    print(f"audit log ({machine()['text']})")
    print_rows(rows(results))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--directory", type=Path, help="where to write (default: temporary)")
    chosen = parser.parse_args()
    configure_logging(json_lines=chosen.json)  # the gateway's own words go to standard error
    with tempfile.TemporaryDirectory(dir=chosen.directory) as directory:
        results = measure(Path(directory))
    if chosen.json:
        print(json.dumps({"bench": "audit_log", "machine": machine(), "results": results}))
    else:
        show(results)


if __name__ == "__main__":
    main()
