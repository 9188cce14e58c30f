"""The sealed index of subjects: what an entry costs in it, and what a proof costs, as it grows.

    python -m bench.index [--labels N ...] [--json] [--directory DIR]

For each size, one entry concerns one subject of its own, the worst case. `seal` is the whole
work of sealing all of them in fresh segments of 4,096, merges included, shared among the
entries; `last` is what the last fresh segments cost when all the others are there. `lookup`
answers for one subject over all live segments with its proofs, half of the subjects asked for
being absent; `check` is the client's side. Baseline: the smallest size of the run.
"""

import argparse
import json
import random
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from audit.commitment import SubjectLabels
from audit.index_store import live_segments, look_up
from audit.indexer import BASE, Indexer
from audit.journal import Journal
from audit.segment import check_lookup
from bench.machine import machine
from gateway.store.migration import load, migrate

SIZES = (10_000, 1_000_000)
LOOKUPS = 200
_CHUNK = 100_000


def populate(journal: Journal, path: Path, first: int, past: int) -> None:
    """Write labels for a range of entries, as so many intents about one subject each would."""
    labels = SubjectLabels(b"k" * 32)
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        for start in range(first, past, _CHUNK):
            rows = [
                (labels.of(f"91460099MA{number:08d}"), number)
                for number in range(start, min(start + _CHUNK, past))
            ]
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO audit_label (label, entry) VALUES (?, ?)", rows)
            connection.execute("COMMIT")
    connection.close()
    # The sequencer's count, without the entries themselves: the index never reads them.
    journal.run(lambda tx: tx.execute("DELETE FROM sqlite_sequence WHERE name = 'audit_entry'"))
    journal.run(
        lambda tx: tx.execute("INSERT INTO sqlite_sequence VALUES ('audit_entry', ?)", (past,))
    )


def measure(directory: Path, count: int) -> dict[str, Any]:
    """Measure one size."""
    directory.mkdir(parents=True)
    path = directory / "state.sqlite3"
    journal = Journal(path)
    journal.run(lambda tx: migrate(tx, load()))
    indexer = Indexer(journal, "bench", lambda: int(time.time()))
    populate(journal, path, 0, count)
    began, cpu = time.perf_counter(), time.process_time()
    roots = len(indexer.seal())
    seal_s, seal_cpu = time.perf_counter() - began, time.process_time() - cpu
    more = 4 * BASE
    populate(journal, path, count + roots, count + roots + more)
    began, cpu = time.perf_counter(), time.process_time()
    indexer.seal()
    last_s, last_cpu = time.perf_counter() - began, time.process_time() - cpu
    labels = SubjectLabels(b"k" * 32)
    reader = sqlite3.connect(path)
    live = live_segments(reader)
    drawn = random.Random(7)
    lookup, lookup_cpu, check, size = [], [], [], []
    for number in range(LOOKUPS):
        there = number % 2 == 0
        code = drawn.randrange(count) if there else 90_000_000 + number
        label = labels.of(f"91460099MA{code:08d}")
        began, cpu = time.perf_counter(), time.process_time()
        found = [look_up(reader, row, label) for row in live]
        lookup.append(time.perf_counter() - began)
        lookup_cpu.append(time.process_time() - cpu)
        assert bool(sum(len(each.entries) for each in found)) == there
        began = time.perf_counter()
        for each, row in zip(found, live, strict=True):
            check_lookup(each, row.leaves, row.root)
        check.append(time.perf_counter() - began)
        size.append(sum(len(leaf.proof) + 2 for each in found for leaf in each.leaves) * 32)
    (tiles,) = reader.execute(
        "SELECT sum(length(paths) + length(hashes)) FROM index_tiles"
    ).fetchone()
    reader.close()
    indexer.close()
    journal.close()
    return {
        "labels": count,
        "seal_us": seal_s / count * 1e6,
        "seal_cpu_us": seal_cpu / count * 1e6,
        "last_us": last_s / more * 1e6,
        "last_cpu_us": last_cpu / more * 1e6,
        "segments": len(live),
        "lookup_ms": statistics.median(lookup) * 1e3,
        "lookup_cpu_ms": statistics.median(lookup_cpu) * 1e3,
        "check_ms": statistics.median(check) * 1e3,
        "proof_kib": statistics.mean(size) / 1024,
        "tile_bytes_per_label": tiles / (count + more),
    }


def show(results: list[dict[str, Any]]) -> None:
    """Print the results for people."""
    print(f"index of subjects ({machine()['text']})")
    base = results[0]
    for got in results:
        print(
            f"{got['labels']:>10,} labels, an entry: sealed in {got['seal_us']:6.1f} us"
            f" ({got['seal_cpu_us']:5.1f} CPU, {got['seal_cpu_us'] / base['seal_cpu_us']:.2f}),"
            f" the last in {got['last_us']:6.1f} us"
            f" ({got['last_cpu_us']:5.1f} CPU, {got['last_cpu_us'] / base['last_cpu_us']:.2f});"
            f" tiles {got['tile_bytes_per_label']:.0f} B"
        )
        print(
            f"{'':>10}  a proof: {got['segments']} segments in {got['lookup_ms']:.1f} ms"
            f" ({got['lookup_cpu_ms']:.1f} CPU), {got['proof_kib']:.1f} KiB,"
            f" checked in {got['check_ms']:.2f} ms"
        )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--labels", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--directory", type=Path, help="where to write (default: temporary)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.directory) as directory:
        results = [measure(Path(directory) / str(count), count) for count in chosen.labels]
    if chosen.json:
        print(json.dumps({"bench": "index", "machine": machine(), "results": results}))
    else:
        show(results)


if __name__ == "__main__":
    main()
