"""Old published records without a class, marked so that they don't vanish (domain-rules 13).

R03 quarantines an adverse record without a severity. Applied to the records of before Order
36 it would make the firms concerned look clean, so a transitional rule marks those that are
public as UNLABELLED: they mirror the publicity state until their authority classes them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from adapters.predicate import Predicate
from adapters.source import Source
from gateway.domain.period import PeriodTable, Severity
from gateway.domain.product import Product
from gateway.ingest.arrow_text import TextColumn
from gateway.registry.periods import lawful_periods
from gateway.snapshot.calendar_columns import NO_DAY, days_of, ordinal


def label_old_records(
    batch: pa.RecordBatch, product: Product, periods: PeriodTable | None = None
) -> pa.RecordBatch:
    """Return the batch with UNLABELLED where an old public adverse record has no severity.

    Args:
        batch: Records of an adverse product; others come back as they are.
        product: Their contract.
        periods: Numbers of the law; by default those that ship with the policies.
    """
    needed = {"severity", "publicity_state", "determination_date"}
    if not product.adverse or not needed <= set(batch.schema.names):
        return batch
    limit = ordinal((periods or lawful_periods()).unlabelled_before)
    determined = days_of(batch.column("determination_date"))
    severity: TextColumn = batch.column("severity")
    public = pc.is_in(batch.column("publicity_state"), value_set=pa.array(["PUBLIC"]))
    chosen = (
        (determined != NO_DAY)
        & (determined < limit)
        & np.asarray(public.to_numpy(zero_copy_only=False))
        & np.asarray(severity.is_null().to_numpy(zero_copy_only=False))
    )
    label = pa.repeat(pa.scalar(Severity.UNLABELLED.value, pa.string()), batch.num_rows)
    place = batch.schema.get_field_index("severity")
    labelled: TextColumn = pc.if_else(pa.array(chosen), label, severity)
    return batch.set_column(place, batch.schema.field(place), labelled)


@dataclass(frozen=True, slots=True)
class LabellingSource:
    """A source whose old records are labelled as they are read.

    The predicate is pushed to the source below, so it sees the records before the labels;
    admission scans without one.

    Args:
        source: The source below.
        product: Contract of its records.
    """

    source: Source
    product: Product

    def schema(self) -> pa.Schema:
        """Return the schema of the source below."""
        return self.source.schema()

    def version(self) -> str:
        """Return the version of the source below; the labels follow from it alone."""
        return self.source.version()

    def scan(
        self, columns: Sequence[str] | None, predicate: Predicate | None, batch_bytes: int
    ) -> Iterator[pa.RecordBatch]:
        """Return the labelled batches of the source below."""
        batches = self.source.scan(columns, predicate, batch_bytes)
        return (label_old_records(batch, self.product) for batch in batches)
