"""Reconciliation: a million records compared with a publicity file, and differences applied.

    python -m bench.reconcile [--rows 1000000] [--json]

The snapshot is admitted by the real rules from synthetic penalties; the publicity file differs in
one record of a hundred. Measured are reading and digesting the file, comparing, and, as the
baseline, what the same comparison costs when each record is looked at in Python (on a hundredth,
scaled). The budget is held against processor time, so that other work on the machine doesn't count.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from adapters.files import FileSource
from bench.machine import machine
from gateway.ingest.synth import synthesise
from gateway.registry.arrow_schema import arrow_schema
from gateway.registry.catalogue import Catalogue
from gateway.repair.comparison import Difference, compare
from gateway.repair.precedence import precedences
from gateway.repair.publicity import SCHEMA, read_publicity
from gateway.snapshot.admission import admit
from gateway.snapshot.snapshot import Snapshot

BUDGET_S = 5.0
PRODUCT = "admin_penalty"


def build(home: Path, rows: int, now: int) -> Snapshot:
    """Admit synthetic penalties and return their snapshot."""
    made = synthesise(
        home, companies=max(rows // 10, 10), seed=1, products=[PRODUCT], rows_per_product=rows
    )
    product = Catalogue.load().product(PRODUCT)
    schema = arrow_schema(product)
    source = FileSource(str(made.files[PRODUCT].path), expected=schema)
    place = home / "snapshot"
    admit(source, product, schema, place, now=now, as_of=now, quarantined=0)
    return Snapshot.open(place)


def publicity_of(snapshot: Snapshot, file: Path) -> int:
    """Write what an authority would show, one record of a hundred with another content."""
    batches = [snapshot.batch(number).rows for number in range(snapshot.batch_count)]
    table = pa.Table.from_batches(batches).select(SCHEMA.names).cast(SCHEMA)
    table = table.filter(pc.equal(table.column("publicity_state"), "PUBLIC"))
    other = pa.array(np.arange(table.num_rows) % 100 == 0)
    hashes = pc.if_else(other, pa.scalar("0" * 64), table.column("content_hash"))
    pq.write_table(table.set_column(2, "content_hash", hashes), file)
    return int(np.count_nonzero(other))


def by_row(snapshot: Snapshot, table: pa.Table) -> int:
    """Compare one record after the other, as a loop would; return the differences."""
    shown = {row["record_id"]: row for row in table.to_pylist()}
    differences = 0
    for number in range(snapshot.batch_count):
        for row in snapshot.batch(number).rows.select(SCHEMA.names).to_pylist():
            if row["publicity_state"] == "PUBLIC":
                there = shown.get(row["record_id"])
                differences += there is None or there != row
    return differences


def measure(rows: int) -> dict[str, Any]:
    """Return the times and what was found."""
    now = int(time.time())
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        snapshot = build(home, rows, now)
        file = home / "shown.parquet"
        changed = publicity_of(snapshot, file)
        began, began_cpu = time.perf_counter(), time.process_time()
        read = read_publicity(file)
        read_s = time.perf_counter() - began
        began = time.perf_counter()
        found = compare(snapshot, read.table, precedences()[PRODUCT], "CREDIT_CHINA", now)
        compare_s = time.perf_counter() - began
        cpu_s = time.process_time() - began_cpu
        small = build(home / "small", max(rows // 100, 10), now)
        publicity_of(small, home / "small.parquet")
        shown = read_publicity(home / "small.parquet").table
        began = time.perf_counter()
        by_row(small, shown)
        row_s = (time.perf_counter() - began) * rows / small.rows
    other = found.counts().get(Difference.OTHER_HASH.name, 0)
    return {
        "rows": rows,
        "publicity_rows": read.table.num_rows,
        "compared": found.compared,
        "changed": changed,
        "other_hash": other,
        "read_s": round(read_s, 3),
        "compare_s": round(compare_s, 3),
        "cpu_s": round(cpu_s, 3),
        "records_per_s": round(rows / (read_s + compare_s)),
        "by_row_s_scaled": round(row_s, 2),
        "ratio": round(row_s / compare_s, 1),
        "within_budget": cpu_s < BUDGET_S * max(rows / 1e6, 1) and 0 < other <= changed,
    }


def main() -> int:
    """Measure and print; 1 when the budget is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    result = measure(given.rows)
    if given.json:
        print(json.dumps({"bench": "reconcile", "machine": machine(), "results": result}))
    else:
        print(f"reconciliation ({machine()['text']})")
        for key, value in result.items():
            shown = ("yes" if value else "no") if isinstance(value, bool) else f"{value:,}"
            print(f"  {key:26} {shown:>14}")
    return 0 if result["within_budget"] else 1


if __name__ == "__main__":
    sys.exit(main())
