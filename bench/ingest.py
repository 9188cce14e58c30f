"""Bringing data in: the import of a published register, and synthetic records by the million.

    python -m bench.ingest [--data FILE] [--rows 1000000] [--json]

Budgets: the register of 7,312 rows under 3 s; 1 M synthetic records under 60 s and 2 GiB on two
cores. Each runs in a process of its own, so that its peak memory is its own; the time is
that of the call, without the start of Python. Beside the synthetic records stands the time to
read them back through the file adapter, whole and for one subject.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from adapters.files import FileSource
from adapters.predicate import Compare, Operator
from bench.machine import machine
from gateway.ingest.enterprises import import_enterprises
from gateway.ingest.synth import synthesise

IMPORT_BUDGET_S = 3.0
SYNTH_BUDGET_S = 60.0
SYNTH_BUDGET_BYTES = 2 << 30
BATCH_BYTES = 4 << 20
PRODUCT = "admin_penalty"  # the schema whose records cost most


def measure_import(data: Path) -> dict[str, Any]:
    """Return how long the import of the file took and what became of its rows."""
    with tempfile.TemporaryDirectory() as directory:
        began = time.perf_counter()
        report = import_enterprises(data, Path(directory), now=0)
        seconds = time.perf_counter() - began
    return {
        "rows": report.rows,
        "imported": report.imported,
        "quarantined": report.quarantined,
        "seconds": round(seconds, 3),
        "peak_bytes": peak(),
        "within_budget": seconds < IMPORT_BUDGET_S,
    }


def measure_synth(rows: int) -> dict[str, Any]:
    """Return how long the records took to make and to read."""
    with tempfile.TemporaryDirectory() as directory:
        began = time.perf_counter()
        report = synthesise(
            Path(directory),
            companies=max(rows // 10, 10),
            seed=1,
            products=[PRODUCT],
            rows_per_product=rows,
        )
        seconds = time.perf_counter() - began
        made = peak()
        file = report.files[PRODUCT]
        source = FileSource(str(file.path))
        began = time.perf_counter()
        read = sum(batch.num_rows for batch in source.scan(None, None, BATCH_BYTES))
        scanned = time.perf_counter() - began
        began = time.perf_counter()
        one = Compare("uscc", Operator.EQ, report.penalised)
        found = sum(batch.num_rows for batch in source.scan(None, one, BATCH_BYTES))
        looked_up = time.perf_counter() - began
    if read != rows or found < 1:
        raise RuntimeError("what was read is not what was made")
    return {
        "rows": rows,
        "seconds": round(seconds, 3),
        "rows_per_s": round(rows / seconds),
        "peak_bytes": made,
        "file_bytes": file.size,
        "scan_seconds": round(scanned, 3),
        "one_subject_scan_seconds": round(looked_up, 3),
        "within_budget": seconds < SYNTH_BUDGET_S * max(rows / 1e6, 1)
        and made < SYNTH_BUDGET_BYTES,
    }


def peak() -> int:
    """Return the greatest resident size of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def apart(*arguments: str) -> dict[str, Any]:
    """Run one measurement in a process of its own and return its result."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.ingest", *arguments],
        check=True,
        capture_output=True,
        cwd=Path(__file__).resolve().parents[1],
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="the published register; left out without it")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", choices=["import", "synth"], help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.only == "import":
        print(json.dumps(measure_import(settings.data)))
        return
    if settings.only == "synth":
        print(json.dumps(measure_synth(settings.rows)))
        return
    results: dict[str, Any] = {}
    if settings.data is not None:
        results["import"] = apart("--only", "import", "--data", str(settings.data.resolve()))
    results["synth"] = apart("--only", "synth", "--rows", str(settings.rows))
    if settings.json:
        print(json.dumps({"bench": "ingest", "machine": machine(), "results": results}))
        return
    print(f"bringing data in ({machine()['text']})")
    for name, values in results.items():
        print(f"\n{name}")
        for key, value in values.items():
            shown = ("yes" if value else "no") if isinstance(value, bool) else f"{value:,}"
            print(f"  {key:26} {shown:>14}")


if __name__ == "__main__":
    main()
