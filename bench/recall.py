"""Recall: from the evidence of deliveries to a signed notice for every receiver.

    python -m bench.recall [--deliveries 100000] [--others 400000] [--receivers 500] [--json]

Budget: a recall for 100,000 deliveries is computed in under 10 s. A delivery here is one answer
that held the record; beside them lie answers from the same snapshot that did not. Timed is
`Recaller.compute` whole: reading the evidence, naming the receivers, signing a notice for each,
writing notices and log entries durably. The baseline does only the first part, as one would write
it: decode every delivery's rows and look the row up, on the same store in the same run. Beside it
stand 1,000 recalls computed together, which share one pass over the evidence.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from audit import entries
from audit.journal import Transaction
from audit.openings import OpeningStore
from bench.machine import machine
from gateway.domain.product import Field, Product
from gateway.domain.vocabulary import BorderDefault, FieldClass, SubjectKind
from gateway.identity.keyfiles import new_document_key
from gateway.release.pseudonym import ConsumerKeys
from gateway.release.released_rows import decode_rows, encode_rows
from gateway.repair.recall.compute import NoticeKeys, Recaller
from gateway.repair.recall.rows import RecordPlaces
from gateway.snapshot.library import SnapshotLibrary
from gateway.snapshot.snapshot import Snapshot
from gateway.store.state import State

BUDGET_S = 10.0
PRODUCT = "penalty"
ROWS = 200_000
ROW = 77_777
TOGETHER = 1_000
_CHUNK = 5_000
_SCHEMA = pa.schema(
    [
        pa.field("record_id", pa.string(), nullable=False),
        pa.field("uscc", pa.string(), nullable=False),
        pa.field("content_hash", pa.string()),
    ]
)


class Records:
    """A source of records in memory, one to a subject, sorted."""

    def __init__(self) -> None:
        numbers = range(ROWS)
        self.table = pa.table(
            {
                "record_id": [f"record-{number:08d}" for number in numbers],
                "uscc": [f"subject-{number:08d}" for number in numbers],
                "content_hash": [f"{number:064x}" for number in numbers],
            },
            schema=_SCHEMA,
        )

    def schema(self) -> pa.Schema:
        """Return the schema."""
        return self.table.schema

    def scan(self, columns: Any, predicate: Any, batch_bytes: int) -> Any:
        """Yield all rows."""
        del predicate, batch_bytes
        yield from self.table.select(columns).to_batches(max_chunksize=32_768)

    def version(self) -> str:
        """Return a version."""
        return "v1"


def _always(batch: pa.RecordBatch, product: Product) -> Any:
    del product
    return pa.array([True] * batch.num_rows)


def _never(batch: pa.RecordBatch, product: Product) -> Any:
    del product
    return pa.array([4_000_000_000] * batch.num_rows, pa.int64())


def admitted(root: Path) -> Snapshot:
    """Return a snapshot of synthetic records."""
    product = Product(
        name=PRODUCT,
        version="1.0",
        title_zh="测",
        title_en="bench",
        fields={
            field.name: Field(
                field.name, "测", field.name, "string", FieldClass.P0, "u", BorderDefault.ALLOW
            )
            for field in _SCHEMA
        },
        subject_key="uscc",
        record_key="record_id",
        subject_kinds=frozenset({SubjectKind.LEGAL_ENTITY}),
        adverse=False,
        domain="PUBLIC",
        form="RECORD",
        registration_code="",
        manager_uscc="u",
        feed_limit_s=0,
        digest="c" * 64,
    )
    return SnapshotLibrary(root).admit_and_activate(
        Records(),
        product,
        _SCHEMA,
        now=1,
        as_of=1,
        quarantined=0,
        shareable=_always,
        expires_at=_never,
    )


def deliver(state: State, snapshot: Snapshot, hits: int, others: int, receivers: int) -> None:
    """Write evidence: `hits` answers with the record among others, the rest without it."""
    rng = np.random.default_rng(1)
    total = hits + others
    holds = np.zeros(total, dtype=np.bool_)
    holds[rng.permutation(total)[:hits]] = True
    for first in range(0, total, _CHUNK):
        part = holds[first : first + _CHUNK]

        def job(tx: Transaction, first: int = first, part: Any = part) -> None:
            for offset, held in enumerate(part):
                number = first + offset
                rows = rng.integers(0, ROWS, 8)
                rows = np.unique(rows[rows != ROW])
                if held:
                    rows = np.sort(np.append(rows, ROW))
                party = f"reg:CN:{number % receivers:06d}"
                intent = 1_000_000 + number
                tx.execute(
                    "INSERT INTO requests (request_id, party_id, intent, form)"
                    " VALUES (?, ?, ?, 'K')",
                    (f"request-{number:018d}", party, intent),
                )
                tx.execute(
                    "INSERT INTO deliveries (intent, sequence, snapshot_id, rows)"
                    " VALUES (?, 0, ?, ?)",
                    (intent, snapshot.snapshot_id, encode_rows(rows)),
                )

        state.run(job)


def repaired(state: State, rows: range) -> None:
    """Write what repairs leave to be recalled."""

    def job(tx: Transaction) -> None:
        for row in rows:
            index = tx.append(entries.node_stopped(time=1, node="n", reason="bench")).index
            tx.execute(
                "INSERT INTO recalls (repair, product, record_key, kind, reason, effective_at,"
                " gate_clear, recipients, deliveries)"
                " VALUES (?, ?, ?, 'STOP_USE', 'REPAIRED', 1, 1, 0, 0)",
                (index, PRODUCT, f"record-{row:08d}"),
            )

    state.run(job)


def naive(state: State, snapshot: Snapshot) -> tuple[int, float]:
    """Return how many deliveries held the row and how long the plain loop took to find them."""
    reader = state.connect()
    began = time.perf_counter()
    found = 0
    for intent, rows in reader.execute(
        "SELECT intent, rows FROM deliveries WHERE snapshot_id = ?", (snapshot.snapshot_id,)
    ):
        if ROW in set(decode_rows(rows).tolist()):
            reader.execute("SELECT party_id FROM requests WHERE intent = ?", (intent,)).fetchone()
            found += 1
    seconds = time.perf_counter() - began
    reader.close()
    return found, seconds


def measure(hits: int, others: int, receivers: int) -> dict[str, Any]:
    """Return times on one store."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        snapshot = admitted(root / "snapshots")
        state = State.open(root / "state.sqlite3")
        try:
            deliver(state, snapshot, hits, others, receivers)
            recaller = Recaller(
                state,
                RecordPlaces(root / "snapshots"),
                NoticeKeys(
                    issuer="bench.example/log",
                    signing=new_document_key(),
                    openings=OpeningStore(b"o" * 32),
                    consumer=lambda party: ConsumerKeys.derive(b"m" * 32, party),
                ),
                node="n",
                due_s=60,
                clock_s=lambda: 2_000,
            )
            held, plain = naive(state, snapshot)
            repaired(state, range(ROW, ROW + 1))
            began, worked = time.perf_counter(), time.process_time()
            recaller.compute()
            seconds, worked = time.perf_counter() - began, time.process_time() - worked
            reader = state.connect()
            told, counted = reader.execute("SELECT recipients, deliveries FROM recalls").fetchone()
            if counted != held or told != min(receivers, held):
                raise RuntimeError("the recall is not what the evidence says")
            repaired(state, range(TOGETHER))
            began = time.perf_counter()
            recaller.compute()
            together = time.perf_counter() - began
            notices = reader.execute("SELECT count(*) FROM recall_notices").fetchone()[0] - told
            reader.close()
        finally:
            state.close()
    return {
        "deliveries_with_the_record": held,
        "deliveries_read": hits + others,
        "receivers": told,
        "seconds": round(seconds, 3),
        "processor_seconds": round(worked, 3),
        "naive_look_up_alone_seconds": round(plain, 3),
        "ratio_to_naive": round(seconds / plain, 2),
        "recalls_together": TOGETHER,
        "together_notices": notices,
        "together_seconds": round(together, 3),
        "within_budget": seconds < BUDGET_S,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deliveries", type=int, default=100_000)
    parser.add_argument("--others", type=int, default=400_000)
    parser.add_argument("--receivers", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    results = measure(given.deliveries, given.others, given.receivers)
    if given.json:
        print(json.dumps({"bench": "recall", "machine": machine(), "results": results}))
        return
    print(f"recall ({machine()['text']})")
    for key, value in results.items():
        shown = ("yes" if value else "no") if isinstance(value, bool) else f"{value:,}"
        print(f"  {key:30} {shown:>12}")


if __name__ == "__main__":
    main()
