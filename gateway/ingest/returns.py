"""Records that go back to their source: it declares a later end of publicity than the law allows.

Nothing of the record is rewritten (M19: 内容相同、期限一致). It is withheld after the lawful end
(`gateway.snapshot.admission_rules`), an alarm stands in the log, and this list goes back to the
source, which mends its own record (domain-rules 4.2 as corrected by 13).
"""

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from gateway.domain.product import Product
from gateway.registry.periods import lawful_periods
from gateway.snapshot.admission_rules import lawful_end_days, overrunning
from gateway.snapshot.snapshot import Snapshot

_arrow: Any = pa  # the published stubs lag behind pyarrow and are wrong in places
SCHEMA: pa.Schema = _arrow.schema(
    [("record_id", pa.string()), ("publicity_end", pa.date32()), ("lawful_end", pa.date32())]
)


def records_to_return(snapshot: Snapshot, product: Product) -> pa.Table:
    """Return every record whose declared end lies after its lawful one, with both ends.

    Args:
        snapshot: What was admitted.
        product: Its contract; only adverse records have a lawful end.
    """
    table = lawful_periods()
    parts = []
    for number in range(snapshot.batch_count):
        batch = snapshot.batch(number).rows
        mask = pa.array(overrunning(batch, product, table))
        if not mask.true_count:
            continue
        lawful = pa.array(lawful_end_days(batch, product, table).astype("int32"), pa.date32())
        columns = [batch.column(product.record_key), batch.column("publicity_end"), lawful]
        part = pa.Table.from_arrays(
            [column.cast(f.type) for column, f in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
        )
        parts.append(part.filter(mask))
    return pa.concat_tables(parts) if parts else SCHEMA.empty_table()


def write_returns(table: pa.Table, path: Path) -> None:
    """Write the list as CSV, for its owner alone to read.

    Args:
        table: Of `records_to_return`.
        path: Where it goes; its folder is made when missing.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as sink:
        pyarrow.csv.write_csv(table, sink)
