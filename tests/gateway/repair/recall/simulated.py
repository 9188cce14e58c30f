"""Deliveries and recalls in miniature: a real state, real snapshots, evidence written by hand."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from audit import entries
from audit.openings import OpeningStore
from gateway.identity.keyfiles import new_document_key
from gateway.release.pseudonym import ConsumerKeys
from gateway.release.released_rows import encode_rows
from gateway.repair.recall.compute import NoticeKeys, Recaller
from gateway.repair.recall.rows import RecordPlaces
from gateway.snapshot.library import SnapshotLibrary
from gateway.snapshot.snapshot import Snapshot
from gateway.store.state import State
from tests.gateway.snapshot.population import RULES, SCHEMA, Rows, product, record
from tests.simulator import NOW, uscc

PRODUCT = "penalty"
KIND = product(PRODUCT)
WITH_HASH = SCHEMA.append(pa.field("content_hash", pa.string()))
DUE_S = 1_000
MASTER = b"m" * 32


def party(number: int) -> str:
    return f"uscc:{uscc(number)}"


@dataclass
class Simulated:
    """A store with deliveries, and the recaller of one process."""

    root: Path
    now: int = NOW
    opened: State | None = None
    state: State = field(init=False)
    library: SnapshotLibrary = field(init=False)

    def __post_init__(self) -> None:
        self.state = self.opened or State.open(self.root / "state.sqlite3")
        self.library = SnapshotLibrary(self.root / "snapshots")
        self.signing = new_document_key()

    def close(self) -> None:
        self.state.close()

    def admit(self, keys: Sequence[str], *, version: str = "v1") -> Snapshot:
        """Admit records, four to a subject; their digests name the version."""
        rows = [
            record(f"S{int(key[1:]) // 4:03d}", key) | {"content_hash": f"{version}-{key}"}
            for key in keys
        ]
        self.now += 1  # two admissions of the same content are two snapshots
        return self.library.admit_and_activate(
            Rows(rows, schema=WITH_HASH),
            KIND,
            WITH_HASH,
            now=self.now,
            as_of=self.now,
            quarantined=0,
            batch_rows=8,
            **RULES,
        )

    def deliver(
        self, who: str, snapshot: Snapshot | str, batches: Sequence[Sequence[int]], form: str = ""
    ) -> int:
        """Write the evidence of a delivery: the rows of each batch in the order they left."""
        snapshot_id = snapshot if isinstance(snapshot, str) else snapshot.snapshot_id

        def job(tx: Any) -> int:
            index = tx.append(entries.node_stopped(time=self.now, node="n", reason="x")).index
            request = f"01{os.urandom(12).hex().upper()}"
            tx.execute(
                "INSERT INTO requests (request_id, party_id, intent, form) VALUES (?, ?, ?, ?)",
                (request, who, index, form),
            )
            for number, rows in enumerate(batches):
                tx.execute(
                    "INSERT INTO deliveries (intent, sequence, snapshot_id, rows)"
                    " VALUES (?, ?, ?, ?)",
                    (index, number, snapshot_id, encode_rows(np.array(rows, dtype=np.int64))),
                )
            return int(index)

        return self.state.run(job)

    def repair(self, key: str, kind: str = "STOP_USE", *, clear: bool = True) -> int:
        """Write what a repair leaves to be recalled; the gate is clear unless it isn't."""
        reason = "REPAIRED" if kind == "STOP_USE" else "MASKED"

        def job(tx: Any) -> int:
            index = tx.append(entries.node_stopped(time=self.now, node="n", reason="x")).index
            tx.execute(
                "INSERT INTO recalls (repair, product, record_key, kind, reason, effective_at,"
                " gate_clear, recipients, deliveries) VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0)",
                (index, PRODUCT, key, kind, reason, self.now, int(clear)),
            )
            return int(index)

        return self.state.run(job)

    def recaller(self, **words: Any) -> Recaller:
        return Recaller(
            self.state,
            RecordPlaces(self.root / "snapshots"),
            NoticeKeys(
                issuer="test.example/log",
                signing=self.signing,
                openings=OpeningStore(b"o" * 32),
                consumer=lambda who: ConsumerKeys.derive(MASTER, who),
            ),
            node="n",
            due_s=DUE_S,
            clock_s=lambda: self.now,
            **words,
        )

    def rows(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        reader = self.state.connect()
        try:
            return reader.execute(sql, params).fetchall()
        finally:
            reader.close()

    def entries(self, kind: str) -> list[dict[str, Any]]:
        bodies = self.rows("SELECT body FROM audit_entry ORDER BY position")
        return [entry for (body,) in bodies if (entry := json.loads(body))["kind"] == kind]

    def notices(self) -> list[dict[str, Any]]:
        """Return all notices with what their documents say."""
        return [
            {"index": index, "repair": repair, "status": status, **claims_in(document)}
            for index, repair, status, document in self.rows(
                "SELECT notice, repair, status, document FROM recall_notices ORDER BY notice"
            )
        ]


def claims_in(document: str) -> dict[str, Any]:
    """Return what a compact document says."""
    import base64

    payload = document.split(".")[1]
    found: dict[str, Any] = json.loads(
        base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    )
    return found
