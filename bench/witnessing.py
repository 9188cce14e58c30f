"""What witnesses cost: from a durable entry to a published checkpoint, without and with them.

    python -m bench.witnessing [--json] [--directory DIR]

Baseline `alone`: the log publishes a checkpoint over one new entry, unwitnessed. Ours:
`witnessed`, the same with three witnesses in processes of their own on the loopback, all of
which must cosign (each with its own fsync before it answers). The target is that of the issue
for a published checkpoint: 1.5 s. `cosign` is one witness's own work on one request.
"""

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.cosignature import CosignatureSigner
from audit.integrator import Integrator
from audit.journal import Journal
from audit.note import Ed25519Signer, Verifier
from audit.reader import LogReader
from audit.trust_policy import parse_policy
from audit.witness import Witness, make_memory
from audit.witness_client import WitnessClient
from audit.witness_protocol import format_request
from audit.witnessing import Witnessing
from bench.machine import machine

ORIGIN = "bench.example/log"
ROUNDS = 60
WITNESSES = 3
BODY = b'{"kind":"bench","v":1}'
LOG = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"l" * 32))


def now() -> int:
    """Return unix seconds."""
    return int(time.time())


def witness_signer(number: int) -> CosignatureSigner:
    """Return the key of a witness; everybody may know it."""
    key = Ed25519PrivateKey.from_private_bytes(bytes([number + 1]) * 32)
    return CosignatureSigner(f"bench.example/w{number}", key)


def serve(path: str, number: int, told: Any) -> None:
    """Run a witness until it is terminated; tell its URL first."""
    import asyncio

    from audit.http_site import serve_http
    from audit.witness_http import witness_app

    make_memory(Path(path))
    witness = Witness(Path(path), witness_signer(number), now)
    witness.add_log(LOG.verifier_key)

    async def run() -> None:
        async with serve_http(witness_app(witness), "127.0.0.1:0") as url:
            told.put((number, url))
            await asyncio.Event().wait()

    asyncio.run(run())


def publish(directory: Path, urls: list[str]) -> dict[str, float]:
    """Return how long publishing one entry takes, with these witnesses."""
    directory.mkdir()
    journal = Journal(directory / "state.sqlite3")
    witnesses = None
    if urls:
        lines = "".join(
            f"witness w{number} {witness_signer(number).verifier_key} {url}\n"
            for number, url in enumerate(urls)
        )
        names = " ".join(f"w{number}" for number in range(len(urls)))
        policy = parse_policy(
            f"{lines}group all-of-them all {names}\nquorum all-of-them\n".encode()
        )
        client = WitnessClient(policy.witnesses.values(), now, 5)
        log = Verifier.parse(LOG.verifier_key)
        witnesses = Witnessing(policy, client, log, directory / "log", now)
    integrator = Integrator(journal, directory / "log", ORIGIN, LOG, now, witnesses=witnesses)
    journal.run(lambda tx: [tx.append_body(BODY) for _ in range(10_000)])
    integrator.integrate_all()
    spans = []
    for _ in range(ROUNDS):
        journal.run(lambda tx: tx.append_body(BODY))
        began = time.perf_counter()
        integrator.integrate_once()
        spans.append((time.perf_counter() - began) * 1e3)
    if urls:
        assert LogReader(directory / "log").witnessed() == LogReader(directory / "log").checkpoint()
    integrator.close()
    journal.close()
    return summary(spans)


def cosign(directory: Path) -> dict[str, float]:
    """Return how long one witness takes for one request, without HTTP."""
    make_memory(directory / "alone.sqlite3")
    witness = Witness(directory / "alone.sqlite3", witness_signer(0), now)
    witness.add_log(LOG.verifier_key)
    reader = LogReader(directory / "alone" / "log")
    note = reader.checkpoint()
    assert witness.add_checkpoint(format_request(0, [], note.note)).status == 200
    again = format_request(note.size, [], note.note)
    spans = timed(lambda: witness.add_checkpoint(again), 200)
    witness.close()
    return summary(spans)


def timed(work: Callable[[], object], times: int) -> list[float]:
    """Return milliseconds of each call."""
    spans = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        spans.append((time.perf_counter() - began) * 1e3)
    return spans


def summary(spans: list[float]) -> dict[str, float]:
    """Return the median and the 99th percentile."""
    return {"p50_ms": statistics.median(spans), "p99_ms": sorted(spans)[int(len(spans) * 0.99) - 1]}


def measure(directory: Path) -> dict[str, Any]:
    """Run everything in a directory."""
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    runs = [
        context.Process(target=serve, args=(str(directory / f"w{number}.sqlite3"), number, told))
        for number in range(WITNESSES)
    ]
    for run in runs:
        run.start()
    try:
        urls = [url for _, url in sorted(told.get(timeout=60) for _ in runs)]
        alone = publish(directory / "alone", [])
        witnessed = publish(directory / "witnessed", urls)
    finally:
        for run in runs:
            run.terminate()
            run.join()
    return {
        "alone": alone,
        "witnessed": witnessed,
        "ratio": witnessed["p50_ms"] / alone["p50_ms"],
        "cosign": cosign(directory),
    }


def show(results: dict[str, Any]) -> None:
    """Print the results for people."""
    print(f"witnesses ({machine()['text']})")
    for name, said in (
        ("alone", "publish one entry, unwitnessed"),
        ("witnessed", f"the same, {WITNESSES} witnesses, all cosign"),
        ("cosign", "one witness, one request"),
    ):
        got = results[name]
        print(f"{said:<38} p50 {got['p50_ms']:>7.1f} ms, p99 {got['p99_ms']:>7.1f} ms")
    print(f"witnessed to alone: {results['ratio']:.1f}; target of a published checkpoint 1,500 ms")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--directory", type=Path, help="where to write (default: temporary)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.directory) as directory:
        results = measure(Path(directory))
    if chosen.json:
        print(json.dumps({"bench": "witnessing", "machine": machine(), "results": results}))
    else:
        show(results)


if __name__ == "__main__":
    main()
