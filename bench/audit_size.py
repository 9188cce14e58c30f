"""The audit log when it is large: verification, proofs and appends at 10,000 entries and at N.

    python -m bench.audit_size [--entries N] [--bytes B] [--json] [--directory DIR]

Both logs hold entries of the sizes of an ordinary query's intent and outcome. All but their
last part is seeded: the same tiles and rows as the integrator and the journal write, but without
a sync for each; the integrator then has to recover from them and goes on. Nothing is pruned, so
that the sequencer's table is as long as the log. Baselines of the same run: SHA-256 over the
same bytes without anything else, and the same operation on the small log.
"""

import argparse
import contextlib
import json
import random
import resource
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.canonical import encode_entry
from audit.checkpoint import sign_checkpoint
from audit.edge import Edge, grow
from audit.entries import outcome
from audit.integrator import MAX_ENTRIES, Integrator
from audit.journal import Journal
from audit.merkle import leaf_hash
from audit.note import Ed25519Signer
from audit.reader import LogReader
from audit.tiles import ENTRIES, TILE_WIDTH, encode_bundle, tile_counts, tile_path
from audit.verify import check_proof, prove, verify_log
from bench.audit_log import DIGEST, ORIGIN, entry
from bench.machine import machine
from bench.table import Row, print_rows

Bodies = Callable[[int, int], Iterator[bytes]]
"""(first number, count) to entries."""

SMALL = 10_000
LARGE = 1_000_000
GROWN = 40_000
PROOFS = 3_000
APPENDS = 1_500
PUBLISHED = 30


def short_bodies(size: int) -> Bodies:
    """Give entries of so many bytes: what is measured of tens of millions needs no more."""

    def bodies(start: int, count: int) -> Iterator[bytes]:
        return (
            b"%d" % number + b" " * (size - len(str(number)))
            for number in range(start, start + count)
        )

    return bodies


def query_bodies(start: int, count: int) -> Iterator[bytes]:
    """Give the entries of ordinary queries: an intent, then its outcome, and so on."""
    first = encode_entry(entry(0))
    second = encode_entry(
        outcome(
            time=1_800_000_000, node="node-1", intent=0, status="delivered", rows=1, size=1_888,
            content=DIGEST, field_root=DIGEST, delivered=DIGEST,
        )
    )  # fmt: skip
    intent_mark, outcome_mark = b'"request":"%026d"' % 0, b'"intent":0'
    for number in range(start, start + count):
        if number % 2:
            yield second.replace(outcome_mark, b'"intent":%d' % (number - 1))
        else:
            yield first.replace(intent_mark, b'"request":"%026d"' % number)


def seed_log(root: Path, size: int, bodies: Bodies, signer: Ed25519Signer) -> None:
    """Write a log's files and rows as its own code does, but sync nothing before the end.

    Args:
        root: Where `state.sqlite3` and `log/` go.
        size: Number of entries, a multiple of 256.
        bodies: Gives them.
        signer: Signs the checkpoint.
    """
    Journal(root / "state.sqlite3").close()
    if not size:
        return
    edge = Edge()
    with contextlib.closing(sqlite3.connect(root / "state.sqlite3")) as table, table:
        table.execute("PRAGMA synchronous=OFF")
        while edge.size < size:
            part = list(bodies(edge.size, min(MAX_ENTRIES, size - edge.size)))
            leaves = [leaf_hash(each) for each in part]
            table.executemany(
                "INSERT INTO audit_entry (leaf_hash, body) VALUES (?, ?)",
                zip(leaves, part, strict=True),
            )
            growth = grow(edge, leaves, part)
            for number, entries in growth.bundles.items():
                put(root / "log" / tile_path(ENTRIES, number, len(entries)), encode_bundle(entries))
            for (level, number), hashes in growth.tiles.items():
                if len(hashes) == TILE_WIDTH:
                    put(root / "log" / tile_path(level, number), b"".join(hashes))
            edge = growth.edge
        for level, hashes in enumerate(edge.partial):
            if hashes:
                number = tile_counts(size, level)[0]
                put(root / "log" / tile_path(level, number, len(hashes)), b"".join(hashes))
        note = sign_checkpoint(ORIGIN, edge.size, edge.root(), [signer]).note
        table.execute(
            "INSERT INTO audit_head (one, size, root, checkpoint) VALUES (1, ?, ?, ?)",
            (edge.size, edge.root(), note),
        )
    put(root / "log" / "checkpoint", note)


def put(path: Path, data: bytes) -> None:
    """Write a file and the folders on the way to it."""
    try:
        path.write_bytes(data)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


class Log:
    """A log of a given size, and what is measured on it."""

    def __init__(self, root: Path, entries: int, bodies: Bodies) -> None:
        root.mkdir()
        self.directory = root / "log"
        self._bodies = bodies
        self._signer = Ed25519Signer(ORIGIN, Ed25519PrivateKey.generate())
        self.size = max(entries - GROWN, 0) // TILE_WIDTH * TILE_WIDTH
        began = time.perf_counter()
        seed_log(root, self.size, bodies, self._signer)
        self.seed_s = time.perf_counter() - began
        seeded = self.size
        self.journal = Journal(root / "state.sqlite3")
        self.vkey = self._signer.verifier_key
        self.integrator = Integrator(
            self.journal, self.directory, ORIGIN, self._signer, lambda: int(time.time())
        )
        began = time.perf_counter()
        while self.size < entries:
            self._append(list(bodies(self.size, min(MAX_ENTRIES, entries - self.size))))
            self.integrator.integrate_once()
        self.grown_per_s = (self.size - seeded) / (time.perf_counter() - began)
        self.reader = LogReader(self.directory, self.vkey)

    def _append(self, given: list[bytes]) -> None:
        self.journal.run(lambda tx: [tx.append_body(each) for each in given])
        self.size += len(given)

    def append_one(self) -> float:
        """Return the seconds of one durable append."""
        (body,) = self._bodies(self.size, 1)
        began = time.perf_counter()
        self.journal.run(lambda tx: tx.append_body(body))
        self.size += 1
        return time.perf_counter() - began

    def publish_one(self) -> float:
        """Return the seconds from a durable entry to its signed checkpoint."""
        self.append_one()
        began = time.perf_counter()
        assert self.integrator.integrate_all().size == self.size
        return time.perf_counter() - began

    def prove_one(self, dice: random.Random) -> float:
        """Return the seconds in which a node writes the receipt of a random entry."""
        index = dice.randrange(self.size - 1)
        began = time.perf_counter()
        self.reader.receipt(index)
        return time.perf_counter() - began

    def prove_cold(self, dice: random.Random) -> float:
        """Return the seconds in which a stranger, who has no tile yet, does the same."""
        index = dice.randrange(self.size - 1)
        began = time.perf_counter()
        prove(self.directory, index)
        return time.perf_counter() - began

    def close(self) -> None:
        """Close what is open."""
        self.integrator.close()
        self.journal.close()


def side_by_side(
    small: Log, large: Log, measure: Callable[[Log], float], count: int
) -> dict[str, float]:
    """Measure both logs in turns, one operation each, so that the machine's moods meet both."""
    found: dict[str, list[float]] = {"small": [], "large": []}
    used: dict[str, list[float]] = {"small": [], "large": []}
    for _ in range(count):
        for name, log in (("small", small), ("large", large)):
            cpu = time.thread_time()
            found[name].append(measure(log))
            used[name].append(time.thread_time() - cpu)
    medians = {f"{name}_ms": statistics.median(each) * 1e3 for name, each in found.items()}
    busy = {f"{name}_cpu_ms": statistics.median(each) * 1e3 for name, each in used.items()}
    return medians | busy | {"ratio": medians["large_ms"] / medians["small_ms"]}


def raw_hashing(size: int, bodies: Bodies) -> float:
    """Return the seconds of hashing the same leaves and as many nodes, all in memory."""
    bundle = list(bodies(0, 256))
    began = time.perf_counter()
    for _ in range(size // 256):
        for body in bundle:
            sha256(b"\x00" + body).digest()
        for _ in range(255):
            sha256(DIGEST).digest()
    return time.perf_counter() - began


def tile_bytes(log: Log) -> float:
    """Return bytes of hash tiles for each entry."""
    total = 0
    for level in (log.directory / "tile").iterdir():
        if level.name != "entries":
            total += sum(each.stat().st_size for each in level.rglob("*") if each.is_file())
    return total / log.size


def measure(root: Path, entries: int, bodies: Bodies = query_bodies) -> dict[str, Any]:
    """Build both logs and measure them."""
    small, large = Log(root / "small", SMALL, bodies), Log(root / "large", entries, bodies)
    dice = random.Random(1)
    append = side_by_side(small, large, Log.append_one, APPENDS)
    published = side_by_side(small, large, Log.publish_one, PUBLISHED)
    proof = side_by_side(small, large, lambda log: log.prove_one(dice), PROOFS)
    cold = side_by_side(small, large, lambda log: log.prove_cold(dice), PROOFS // 4)
    began, cpu = time.perf_counter(), time.process_time()
    report = verify_log(large.directory, large.vkey)
    verify_s, verify_cpu = time.perf_counter() - began, time.process_time() - cpu
    report.check()
    index = large.size // 3
    receipt, body = prove(large.directory, index), large.reader.entry(index)
    began = time.perf_counter()
    for _ in range(200):
        check_proof(receipt, body, large.vkey)
    check_ms = (time.perf_counter() - began) * 5
    result: dict[str, Any] = {
        "entries": large.size,
        "seed_s": large.seed_s,
        "grown_per_s": large.grown_per_s,
        "verify_s": verify_s,
        "verify_cpu_s": verify_cpu,
        "verify_million_s": verify_s * 1e6 / report.entries,
        "raw_million_s": raw_hashing(large.size, bodies) * 1e6 / large.size,
        "tile_bytes_per_entry": tile_bytes(large),
        "receipt_bytes": len(receipt),
        "receipt_check_ms": check_ms,
        "append": append,
        "publish": published,
        "proof": proof,
        "proof_cold": cold,
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "disk_mib": sum(each.stat().st_size for each in root.rglob("*") if each.is_file()) / 2**20,
    }
    small.close()
    large.close()
    return result


def show(got: dict[str, Any]) -> None:
    """Print the results for people."""
    print(f"audit log of {got['entries']:,} entries beside one of {SMALL:,} ({machine()['text']})")

    def ratio(name: str, wanted: str = "<= 1.2") -> Row:
        each = got[name]
        beside = (
            f"{each['large_ms']:.3f} ms ({each['large_cpu_ms']:.3f} CPU), on the small log "
            f"{each['small_ms']:.3f} ms ({each['small_cpu_ms']:.3f} CPU)"
        )
        return Row(f"{name.replace('_', ' ')}, ratio", each["ratio"], "", wanted, beside)

    alone = f"SHA-256 alone {got['raw_million_s']:.2f} s a million"
    hashing = f"{got['verify_s']:.1f} s for all ({got['verify_cpu_s']:.1f} s CPU); {alone}"
    print_rows(
        [
            Row("append and integrate", got["grown_per_s"], "/s"),
            ratio("append"),
            ratio("proof"),
            ratio("proof_cold", ""),
            Row("publish one entry", got["publish"]["large_ms"] / 1e3, "s", "< 1.5"),
            Row("hash tiles", got["tile_bytes_per_entry"], "B/entry", "<= 34", "the hash: 32 B"),
            Row("verify all, a million", got["verify_million_s"], "s", "< 30", hashing),
            Row("check a receipt", got["receipt_check_ms"], "ms", "< 5"),
            Row("receipt", got["receipt_bytes"], "B"),
            Row("on the disk", got["disk_mib"], "MiB", "", "entries, table and tiles"),
            Row("peak memory", got["peak_memory_mib"], "MiB", "", "of the whole benchmark"),
        ]
    )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="bench.audit_size", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--entries", type=int, default=LARGE, help="size of the large log")
    parser.add_argument(
        "--bytes", type=int, default=0, help="size of an entry (default: a query's)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--directory", type=Path, help="where to write (default: temporary)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.directory) as scratch:
        bodies = short_bodies(chosen.bytes) if chosen.bytes else query_bodies
        results = measure(Path(scratch), chosen.entries, bodies)
    if chosen.json:
        print(json.dumps({"bench": "audit_size", "machine": machine(), "results": results}))
    else:
        show(results)


if __name__ == "__main__":
    main()
