"""Labels of dispute that were opened since a snapshot was admitted (R14)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from gateway.snapshot.bitmap import Rows

_arrow: Any = pa  # the published stubs lag behind pyarrow and are wrong in places

Disputes = Mapping[int, str]  # row number to the number of the dispute
DISPUTE_FLAG, DISPUTE_ID = "dispute_flag", "dispute_id"


def with_disputes(batch: pa.RecordBatch, rows: Rows, disputes: Mapping[int, str]) -> pa.RecordBatch:
    """Return a batch with the label of dispute on the rows that have one.

    A label is only ever added: what the source itself calls disputed stays so until its next
    snapshot says otherwise.

    Args:
        batch: The rows, with any columns.
        rows: Their row numbers.
        disputes: Row number to the number of its dispute.
    """
    hit = np.fromiter((int(row) in disputes for row in rows), np.bool_, len(rows))
    if not hit.any():
        return batch
    numbers = pa.array([disputes.get(int(row)) for row in rows], pa.string())
    columns: dict[str, Any] = dict(zip(batch.schema.names, batch.columns, strict=True))
    mask = pa.array(hit)
    if DISPUTE_FLAG in columns:
        columns[DISPUTE_FLAG] = _arrow.compute.or_kleene(columns[DISPUTE_FLAG], mask)
    if DISPUTE_ID in columns:
        kind = batch.schema.field(DISPUTE_ID).type
        columns[DISPUTE_ID] = _arrow.compute.if_else(mask, numbers.cast(kind), columns[DISPUTE_ID])
    labelled: pa.RecordBatch = _arrow.record_batch(list(columns.values()), schema=batch.schema)
    return labelled
