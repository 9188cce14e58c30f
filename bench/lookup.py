"""Point look-up: what one subject's rows cost, by index, by SQLite and by scanning Parquet.

    python -m bench.lookup [--rows 1000000 ...] [--json]

Baselines: `parquet` is what one would do without an index (pyarrow.dataset with a filter on a
file sorted by subject, so that row groups are skipped by their statistics); `sqlite` is an
embedded store with an index over the same columns; `sqlite-rows` keeps only subject to row
number in SQLite and takes the rows from the snapshot, as we do. Every way gives one subject's
rows with 20 columns as an Arrow batch; the subjects are drawn at random, warm, one thread.
"""

import argparse
import json
import resource
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from bench.machine import machine
from gateway.domain.product import Product
from gateway.snapshot.admission import admit
from gateway.snapshot.snapshot import Snapshot

ROWS_PER_SUBJECT = 3
BATCH = 50_000
TEXTS, NUMBERS = 9, 9
SCHEMA = pa.schema(
    [pa.field("uscc", pa.string()), pa.field("record_id", pa.string())]
    + [pa.field(f"text{n}", pa.string()) for n in range(TEXTS)]
    + [pa.field(f"number{n}", pa.int64()) for n in range(NUMBERS)]
)
PRODUCT = Product(
    "bench", "1", "", "", {}, "uscc", "record_id", frozenset(), False, "PUBLIC", "RECORD", "", "",
    0, "0" * 64,
)  # fmt: skip


class Generated:
    """A deterministic source, a batch at a time, in no order."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def schema(self) -> pa.Schema:
        """Return the benchmark's schema."""
        return SCHEMA

    def version(self) -> str:
        """Return what the content follows from."""
        return f"generated-{self.rows}"

    def scan(self, *_: Any) -> Iterator[pa.RecordBatch]:
        """Yield all columns in batches of `BATCH` rows."""
        for first in range(0, self.rows, BATCH):
            count = min(BATCH, self.rows - first)
            draw = np.random.default_rng(first)
            subjects = draw.integers(0, self.rows // ROWS_PER_SUBJECT + 1, count)
            columns_ = [
                pa.array(np.char.add("91460000", np.char.zfill(subjects.astype("U10"), 10))),
                pa.array(np.arange(first, first + count)).cast(pa.string()),
                *(pa.array(draw.integers(0, 10**9, count)).cast(pa.string()) for _ in range(TEXTS)),
                *(pa.array(draw.integers(0, 10**9, count)) for _ in range(NUMBERS)),
            ]
            yield pa.RecordBatch.from_arrays(columns_, schema=SCHEMA)


def each(ways: dict[str, Callable[[str], Any]], subjects: list[str]) -> dict[str, float]:
    """Return microseconds a call of each way: the median of five rounds, taken in turns.

    A way slower than a millisecond gets the first ten subjects only.
    """
    rounds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(5):
        for name, call in ways.items():
            began = time.perf_counter()
            call(subjects[0])
            few = time.perf_counter() - began > 1e-3
            asked = subjects[:10] if few else subjects
            began = time.perf_counter()
            for subject in asked:
                call(subject)
            rounds[name].append((time.perf_counter() - began) / len(asked) * 1e6)
    return {name: float(np.median(values)) for name, values in rounds.items()}


def fill_sqlite(path: Path, opened: Snapshot, *, whole: bool) -> sqlite3.Connection:
    """Put the snapshot's rows, or only subject to row number, into SQLite with an index."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=OFF")
    names = SCHEMA.names if whole else ["uscc", "row"]
    connection.execute(f"CREATE TABLE r ({', '.join(names)})")
    insert = f"INSERT INTO r VALUES ({', '.join('?' * len(names))})"
    for number in range(opened.batch_count):
        batch = opened.batch(number)
        columns = (
            [column.to_pylist() for column in batch.rows.columns]
            if whole
            else [batch.rows.column("uscc").to_pylist(), opened.batch_rows(number).tolist()]
        )
        connection.executemany(insert, zip(*columns, strict=True))
    connection.execute("CREATE INDEX by_subject ON r (uscc)")
    connection.commit()
    return connection


def admitted(rows: int, home: Path) -> dict[str, float]:
    """Admit generated rows and return what it took."""
    began = time.perf_counter()
    admit(
        Generated(rows), PRODUCT, SCHEMA, home / "s", now=0, as_of=0, quarantined=0,
        shareable=lambda batch, _: pa.array(np.ones(batch.num_rows, np.bool_)),
        expires_at=lambda batch, _: pa.nulls(batch.num_rows, pa.int64()),
    )  # fmt: skip
    took = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.perf_counter()
    Snapshot.open(home / "s")
    opening = time.perf_counter() - began
    files = ("subjects.bin", "starts.bin", "hashes.bin", "records.bin")
    return {
        "admit_s": round(took, 2),
        "admit_peak_mib": round(peak),
        "open_ms": round(opening * 1e3, 2),
        "index_bytes_per_row": round(sum((home / "s" / f).stat().st_size for f in files) / rows, 1),
    }


def ways_of(opened: Snapshot, home: Path) -> dict[str, Callable[[str], Any]]:
    """Return each way to get one subject's rows with all columns as a batch."""
    names = SCHEMA.names

    def snapshot(subject: str) -> Any:
        found = opened.locate([subject])
        return opened.take(found[opened.shareable(found, 1)], names)

    index = fill_sqlite(home / "index", opened, whole=False)

    def sqlite_rows(subject: str) -> Any:
        found = index.execute("SELECT row FROM r WHERE uscc=? ORDER BY row", (subject,)).fetchall()
        at = np.array([row for (row,) in found], dtype=np.int64)
        return opened.take(at[opened.shareable(at, 1)], names)

    with pq.ParquetWriter(home / "parquet", SCHEMA) as sink:
        for number in range(opened.batch_count):
            sink.write_batch(opened.batch(number).rows)
    scanned = ds.dataset(home / "parquet")
    ways: dict[str, Callable[[str], Any]] = {
        "snapshot": snapshot,
        "sqlite-rows": sqlite_rows,
        "parquet": lambda subject: scanned.to_table(filter=ds.field("uscc") == subject),
    }
    if opened.rows <= 1_000_000:
        store = fill_sqlite(home / "store", opened, whole=True)

        def sqlite(subject: str) -> Any:
            found = store.execute("SELECT * FROM r WHERE uscc=?", (subject,)).fetchall()
            columns = zip(*found, strict=True) if found else ([] for _ in names)
            return pa.record_batch(
                [pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
            )

        ways["sqlite"] = sqlite
    return ways


def measure(rows: int, home: Path) -> dict[str, Any]:
    """Return all ways' times for one number of rows."""
    facts = admitted(rows, home)
    opened = Snapshot.open(home / "s")
    draw = np.random.default_rng(7)
    ids = [f"91460000{n:010d}" for n in draw.integers(0, rows // ROWS_PER_SUBJECT, 10_000)]
    times = each(ways_of(opened, home), ids[:1000])
    index = sqlite3.connect(home / "index")
    ask = "SELECT row FROM r WHERE uscc=?"
    alone = each(
        {
            "locate_us": lambda subject: opened.locate([subject]),
            "sqlite_locate_us": lambda subject: index.execute(ask, (subject,)).fetchall(),
        },
        ids[:2000],
    )
    many = {}
    began = time.perf_counter()
    located = opened.locate(ids)
    many["locate_10000_ms"] = time.perf_counter() - began
    began = time.perf_counter()
    for subject in ids:
        index.execute(ask, (subject,)).fetchall()
    many["sqlite_locate_10000_ms"] = time.perf_counter() - began
    began = time.perf_counter()
    taken = opened.take(located, SCHEMA.names)
    many["take_10000_ms"] = time.perf_counter() - began
    index.close()
    return {
        "rows": rows,
        "us_per_subject": {name: round(value, 1) for name, value in times.items()},
        "times_snapshot": {n: round(value / times["snapshot"], 2) for n, value in times.items()},
        **{name: round(value, 1) for name, value in alone.items()},
        **{name: round(value * 1e3, 2) for name, value in many.items()},
        "rows_of_10000": taken.num_rows,
        **facts,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 1_000_000])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--directory", type=Path, help="where the files go; removed at the end")
    settings = parser.parse_args()
    results = []
    for rows in settings.rows:
        home = Path(tempfile.mkdtemp(dir=settings.directory))
        try:
            results.append(measure(rows, home))
        finally:
            shutil.rmtree(home)
    if settings.json:
        print(json.dumps({"bench": "lookup", "machine": machine(), "results": results}))
        return
    print(f"point look-up, one subject, 20 columns ({machine()['text']})")
    for result in results:
        print(f"\n{result['rows']:,} rows")
        for name, value in result["us_per_subject"].items():
            print(f"  {name:12} {value:10.1f} us  {result['times_snapshot'][name]:8.2f} x snapshot")
        for name, value in result.items():
            if isinstance(value, (int, float)) and name != "rows":
                print(f"  {name:24} {value:>10,}")


if __name__ == "__main__":
    main()
