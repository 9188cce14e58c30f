"""A receiver of records watches for recalls, purges what it is told to, and acknowledges.

    python examples/recipient_recall.py --target localhost:8443 --cert client.pem --key client.key \
        --ca ca.pem --store received.parquet --subject 91460099MA1KB25D0C --fetch
    python examples/recipient_recall.py ... --store received.parquet --once

`--fetch` asks for penalties of a subject and keeps them with the place that each row came in: the
request, the batch, the position. A notice names exactly these. Without it the program watches,
takes the named rows out of the store, signs what it did, and goes on; `--once` ends it after the
first notice. The cursor is kept beside the store, so that nothing is missed over a restart.
"""

import argparse
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from xinguan.client import Identity, Notice, RefusedError, SyncClient

FIELDS = ("uscc", "decision_no", "violation_type", "penalty_type", "decided_on")


def main() -> int:
    """Fetch, or watch and purge."""
    words = _arguments()
    identity = Identity.load(words.cert, words.key, words.ca)
    with SyncClient(words.target, identity) as gateway:
        try:
            if words.fetch:
                fetch(gateway, words)
            else:
                watch(gateway, words)
        except RefusedError as refusal:
            print(f"refused: {refusal.code}: {refusal.message}")
            return 1
    return 0


def fetch(gateway: SyncClient, words: argparse.Namespace) -> None:
    """Ask for records and keep each with its place."""
    answer = gateway.query(
        "admin_penalty",
        FIELDS,
        subjects=words.subject,
        purpose=words.purpose,
        scenario=words.scenario,
        operator="u-17",
        case_reference="case-0001",
    )
    request = answer.decision.request_id
    table = answer.table()
    batches = [batch.sequence for batch in answer.batches for _ in range(batch.rows)]
    positions = [place for batch in answer.batches for place in range(batch.rows)]
    kept = (
        table.append_column("request", pa.array([request] * table.num_rows, pa.string()))
        .append_column("batch", pa.array(batches, pa.int64()))
        .append_column("position", pa.array(positions, pa.int64()))
    )
    pq.write_table(kept, words.store)
    print(f"received {kept.num_rows} row(s) in request {request}")


def watch(gateway: SyncClient, words: argparse.Namespace) -> None:
    """Deal with notices as they come, those of the past first."""
    marker = words.store.with_suffix(".cursor")
    cursor = int(marker.read_text()) if marker.exists() else 0
    for notice in gateway.watch(cursor):
        print(f"{notice.kind} {notice.product}: {notice.reason}, {notice.rows} row(s)")
        answer_to(gateway, notice, words.store)
        marker.write_text(str(notice.cursor))
        if words.once:
            return


def answer_to(gateway: SyncClient, notice: Notice, store: Path) -> None:
    """Do what a notice says and sign that it was done."""
    if notice.kind == "RESUME_USE" or notice.status in ("ACKNOWLEDGED", "SUPERSEDED"):
        return  # nothing to acknowledge
    purged = purge(notice, store)
    # A suspension would be kept apart instead; this example has no such place and purges.
    done = gateway.acknowledge(notice, "PURGED" if purged else "NOT_HELD", rows=purged)
    print(f"purged {purged} row(s); acknowledged in entry {done.entry.index}: {done.status}")


def purge(notice: Notice, store: Path) -> int:
    """Take the rows that a notice names out of the store; return how many there were."""
    table = pq.read_table(store)
    keep = pa.array([True] * table.num_rows)
    for row in notice.named:
        same = pc.and_(
            pc.equal(table["request"], row.request),
            pc.and_(pc.equal(table["batch"], row.batch), pc.equal(table["position"], row.position)),
        )
        keep = pc.and_(keep, pc.invert(same))
    pq.write_table(table.filter(keep), store)
    return table.num_rows - pc.sum(keep.cast(pa.int64())).as_py() if table.num_rows else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--target", required=True, help="host:port of the gateway")
    parser.add_argument("--cert", required=True, type=Path, help="certificate, PEM")
    parser.add_argument("--key", required=True, type=Path, help="its private key, PEM")
    parser.add_argument("--ca", required=True, type=Path, help="the gateway's authority, PEM")
    parser.add_argument("--store", required=True, type=Path, help="Parquet file of what was got")
    parser.add_argument("--subject", action="append", default=[], help="for --fetch; repeatable")
    parser.add_argument("--purpose", default="CREDIT_REPORT")
    parser.add_argument("--scenario", default="ENTERPRISE_REPORT")
    parser.add_argument("--fetch", action="store_true", help="ask for records first")
    parser.add_argument("--once", action="store_true", help="end after the first notice")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
