"""R12: a local serious list entry without a receipt of its push to Credit China, in time (M19)."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from gateway.decision.tables import read_table
from gateway.domain.period import DAY_S, SHANGHAI_OFFSET_S
from gateway.registry.periods import POLICIES
from gateway.snapshot.snapshot import Snapshot

pc: Any = pyarrow.compute  # the published stubs lag behind pyarrow and are wrong in places


def overdue_receipts(snapshot: Snapshot, now: int) -> int:
    """Return how many local entries of a snapshot should have a push receipt and have none.

    Args:
        snapshot: A snapshot of any product; where no push is due it has none.
        now: Unix seconds.
    """
    rule = read_table(POLICIES / "data", "push_receipts").get(snapshot.product)
    if rule is None:
        return 0
    local, receipt, since = (str(rule[name]) for name in ("local", "receipt", "since"))
    days = int(str(rule["days"]))
    today = (now + SHANGHAI_OFFSET_S) // DAY_S
    overdue = 0
    for number in range(snapshot.batch_count):
        batch: Any = snapshot.batch(number).rows
        unpushed = pc.and_(
            pc.fill_null(batch.column(local), False),
            pc.fill_null(pc.equal(batch.column(receipt), ""), True),
        )
        listed = batch.column(since).cast(pa.int32())
        due = pc.fill_null(pc.less(pc.add(listed, days), pa.scalar(today, pa.int64())), True)
        alive = pa.array(~snapshot.expired(now)[_span(snapshot, number)])
        overdue += int(np.count_nonzero(pc.and_(pc.and_(unpushed, due), alive)))
    return overdue


def _span(snapshot: Snapshot, number: int) -> slice:
    first = number * snapshot.manifest.batch_rows
    return slice(first, min(first + snapshot.manifest.batch_rows, snapshot.rows))
