"""Computed features as rows of their contract: what is admitted, like records of any product."""

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import rfc8785

from gateway.domain.period import DAY_S, SHANGHAI_OFFSET_S
from gateway.ingest.content_hash import content_hashes
from gateway.ingest.synth_draws import uuid7_texts
from gateway.portfolio.compute import KINDS, Computed
from gateway.portfolio.definitions import Definitions
from gateway.registry.arrow_schema import TIME_ZONE, arrow_schema
from gateway.snapshot.admission import NEVER
from gateway.snapshot.calendar_columns import NO_DAY, dates_from
from gateway.snapshot.snapshot import Snapshot

pc: Any = pyarrow.compute  # the published stubs lag behind pyarrow and are wrong in places
_arrow: Any = pa
ITEM_PREFIX, ITEM_VERSION = "SYN-", "2024"
_RANDOM_BYTES = 10
_TAG = "xinguan/features/v1"


class FeatureRows:
    """Rows of a feature product in memory; meets admission's `RecordSource`.

    Args:
        rows: One batch with the contract's columns.
        version: What they were computed from.
    """

    def __init__(self, rows: Any, version: str) -> None:
        self._rows = rows
        self._version = version

    def schema(self) -> Any:
        """Return the contract's Arrow schema."""
        return self._rows.schema

    def scan(
        self,
        columns: Sequence[str] | None,
        predicate: Any,  # noqa: ARG002 - the port's signature; admission scans without one
        batch_bytes: int,
    ) -> Iterator[Any]:
        """Yield the rows, in slices of about `batch_bytes` bytes."""
        size = max(1, self._rows.nbytes // max(batch_bytes, 1))
        step = max(1, -(-self._rows.num_rows // size))
        chosen = self._rows if columns is None else self._rows.select(list(columns))
        for first in range(0, chosen.num_rows, step):
            yield chosen.slice(first, step)

    def version(self) -> str:
        """Return the digest of what the rows were computed from."""
        return self._version


def version_of(definitions: Definitions, snapshots: Mapping[str, Snapshot], now: int) -> str:
    """Return the digest of what features are computed from: definitions, snapshots, moment."""
    plain: dict[str, Any] = {
        "v": 1,
        "tag": _TAG,
        "product": definitions.product.name,
        "definitions": definitions.digest,
        "snapshots": {name: found.snapshot_id for name, found in snapshots.items()},
        "computed_at": now,
    }
    return hashlib.sha256(rfc8785.dumps(plain)).hexdigest()


def rows_of(definitions: Definitions, computed: Computed, unit_name: str, now: int) -> Any:
    """Return the rows of the observations of whose subject anything was known.

    Args:
        definitions: Whose contract the rows meet.
        computed: The features.
        unit_name: Name of the unit that manages the product.
        now: When the computation began, unix seconds; a repair at this second or later makes
            the row out of date.
    """
    hits: Any = _arrow.array(np.flatnonzero(computed.hit))
    count = len(hits)
    product = definitions.product
    schema = arrow_schema(product)
    no = pa.array(np.zeros(count, np.bool_))
    moment = pa.array(np.full(count, now)).cast(pa.timestamp("s", TIME_ZONE))
    names = [f"{name} {reason}" for name, reason in sorted(computed.unavailable.items())]
    drawn = np.frombuffer(secrets.token_bytes(count * _RANDOM_BYTES), np.uint8)
    ids = uuid7_texts(np.full(count, now * 1000), drawn.reshape(count, _RANDOM_BYTES))
    columns: dict[str, Any] = {
        name: column.take(hits) for name, column in computed.features.items()
    } | {
        "uscc": computed.portfolio.subjects.take(hits),
        "observed_on": dates_from(computed.portfolio.observed).take(hits),
        "unavailable_sources": _lists(names, count),
        "valid_to": dates_from(_last_days(computed.expiry)).take(hits),
        "record_id": ids,
        "source_record_id": ids,
        "subject_type": _arrow.array(KINDS).take(_arrow.array(computed.kinds[computed.hit])),
        "catalogue_item_id": _constant(ITEM_PREFIX + product.name, count),
        "catalogue_version": _constant(ITEM_VERSION, count),
        "source_unit": _constant(unit_name, count),
        "source_unit_uscc": _constant(product.manager_uscc, count),
        "source_version": pa.array(np.full(count, now)),
        "source_updated_at": moment,
        "ingested_at": moment,
        "is_adverse": no,
        "severity": _constant("NONE", count),
        "publicity_state": _constant("NOT_PUBLIC", count),
        "share_state": _constant("ACTIVE", count),
        "dispute_flag": pa.array(computed.disputed[computed.hit]),
    }
    rows = pa.RecordBatch.from_arrays(
        [columns.get(f.name, pa.nulls(count, f.type)).cast(f.type) for f in schema], schema=schema
    )
    place = schema.get_field_index("content_hash")
    return rows.set_column(place, schema.field(place), content_hashes(rows))


def _last_days(expiry: Any) -> Any:
    """Return the last day that ends no later than each end, `NO_DAY` where there is none."""
    return np.where(expiry >= _LONG_AFTER, NO_DAY, (expiry + SHANGHAI_OFFSET_S) // DAY_S - 1)


# Admission's rules and the snapshot's files write "no end" in different ways, both above this.
_LONG_AFTER = NEVER >> 1


def _constant(text: str, count: int) -> Any:
    return pa.repeat(pa.scalar(text, pa.string()), count)


def _lists(names: Sequence[str], count: int) -> Any:
    """Return the same list of texts for every row."""
    ends = np.arange(count + 1, dtype=np.int32) * np.int32(len(names))
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(list(names) * count, pa.string()))
