"""From admitted documents to the snapshot that is served: rows with provenance and an envelope.

The snapshot is made anew from the state each time, so it can be lost and comes back the same.
Rows whose status is no longer fresh are left out; those that are held are in it and sealed.
"""

import datetime as dt
from collections.abc import Iterator, Sequence

import pyarrow as pa

from adapters.predicate import Predicate
from adapters.source import GuardedSource
from gateway.domain.product import Product
from gateway.inbound.records import Stored
from gateway.ingest.content_hash import content_columns, content_hashes
from gateway.registry.arrow_schema import arrow_schema

CATALOGUE_ITEM, CATALOGUE_VERSION = "FOREIGN-CREDIT-REPORT", "2026"
_AT_ONCE = 8_192


class DocumentSource(GuardedSource):
    """The rows of admitted documents as a source that a product is loaded from.

    Args:
        product: The contract.
        stored: The documents.
        unit: Name of the unit that admits them.
    """

    def __init__(self, product: Product, stored: Sequence[Stored], unit: str) -> None:
        self._contract = arrow_schema(product)
        self._product = product
        self._stored = stored
        self._unit = unit

    def _schema(self) -> pa.Schema:
        return self._contract

    def _version(self) -> str:
        return f"foreign-records-{max((one.index for one in self._stored), default=-1)}"

    def _batches(
        self, columns: Sequence[str], predicate: Predicate | None
    ) -> Iterator[pa.RecordBatch]:
        if predicate is not None:  # admission scans without one
            raise ValueError("documents are read whole")
        for first in range(0, len(self._stored), _AT_ONCE):
            yield self._batch(self._stored[first : first + _AT_ONCE]).select(list(columns))

    def _batch(self, some: Sequence[Stored]) -> pa.RecordBatch:
        rows = [{**_envelope(one, self._product, self._unit), **_stated(one)} for one in some]
        arrays = [
            pa.array([row.get(field.name) for row in rows], field.type) for field in self._contract
        ]
        batch = pa.RecordBatch.from_arrays(arrays, schema=self._contract)
        digests = content_hashes(batch.select(list(content_columns(batch.schema.names))))
        place = batch.schema.get_field_index("content_hash")
        return batch.set_column(place, self._contract.field(place), digests)


def _stated(one: Stored) -> dict[str, object]:
    """Return what the document and its status say."""
    row: dict[str, object] = dict(one.content)
    if row.get("registered_on"):
        row["registered_on"] = dt.date.fromisoformat(str(row["registered_on"]))
    return row | {
        "foreign_id": one.subject,
        "issuer": one.issuer,
        "report_type": one.vct,
        "issued_at": one.issued_at,
        "status_as_of": one.status_as_of,
        "fresh_until": one.fresh_until,
    }


def _envelope(one: Stored, product: Product, unit: str) -> dict[str, object]:
    """Return where the record stands here; abroad is what it says of itself."""
    return {
        "record_id": one.key,
        "subject_type": "LEGAL_ENTITY",
        "catalogue_item_id": CATALOGUE_ITEM,
        "catalogue_version": CATALOGUE_VERSION,
        "source_unit": unit,
        "source_unit_uscc": product.manager_uscc,
        "source_record_id": one.digest[:32],
        "source_batch_no": None,
        "source_version": one.index,
        "source_updated_at": one.status_as_of,
        "ingested_at": one.admitted_at,
        "is_adverse": False,
        "severity": "NONE",
        "publicity_state": "NOT_PUBLIC",
        "share_state": "ACTIVE",
        "dispute_flag": False,
        # Filled over the whole batch once it is made.
        "content_hash": "",
    }
