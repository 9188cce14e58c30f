"""The register of issued reports as the road reads it: one moment of it, as if it were a snapshot.

So a confirmation takes the one road like everything else: decided, logged before and after, held
at the gate. The register is asked under the hold, so a repair that was acknowledged before is seen.
"""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from audit.recognition import REPORT_REGISTER
from audit.store import Reader
from gateway.domain.product import Product
from gateway.recognition.reports import SHA256, SM3, VALID, Standing, standing
from gateway.registry.arrow_schema import arrow_schema
from gateway.snapshot.admission import NEVER
from gateway.snapshot.bitmap import Flags, Rows
from gateway.snapshot.manifest import Manifest
from gateway.snapshot.snapshot import Snapshot, SnapshotBatch

PRODUCT = REPORT_REGISTER
_ONE = np.zeros(1, dtype=np.int64)


class ReportRegister:
    """Gives moments of the register. Thread-safe; its reading connection is its own."""

    def __init__(
        self,
        reader: Reader,
        product: Product,
        clock_s: Callable[[], int],
        current: Callable[[str], str | None],
    ) -> None:
        """Take what is read, and what tells the present snapshot of a product."""
        self._reader = reader
        self._product = product
        self._clock_s = clock_s
        self._current = current
        self._lock = threading.Lock()

    def moment(self) -> Snapshot:
        """Return the register as one request reads it."""
        return _Moment(self, self._product, self._clock_s())

    def standing(self, report_no: str, at: int) -> Standing | None:
        """Return where a report stands now, or None."""
        with self._lock:
            return standing(self._reader, report_no, at, self._current)

    def close(self) -> None:
        """Close the reading connection."""
        with self._lock:
            self._reader.close()


class _Moment(Snapshot):
    """Of the register, the one report that a request names.

    What was read first stays: when it is asked again and stands differently, it is withheld, so
    that no answer leaves that was true only before.
    """

    def __init__(self, register: ReportRegister, product: Product, now: int) -> None:
        # Nothing of the parent's is opened: there are no files behind it.
        self._register = register
        self.schema = arrow_schema(product)
        self.manifest = _manifest(product, self.schema, now)
        self.snapshot_id = self.manifest.snapshot_id
        self.product = product.name
        self.rows = 1
        self._report_no = ""
        self._read: Standing | None = None
        self._asked = False

    def locate(self, subjects: Sequence[str]) -> Rows:
        """Return the one row that there may be; whether it is there is asked under the hold."""
        self._report_no = subjects[0] if len(subjects) == 1 else ""
        return _ONE

    def shareable(self, rows: Rows, at: int) -> Flags:
        """Return whether the report is there, and stands as it stood when it was first asked."""
        found = self._register.standing(self._report_no, at)
        if not self._asked:
            self._asked, self._read = True, found
        there = found is not None and found == self._read
        return np.full(len(rows), there, dtype=np.bool_)

    def first_end(self, rows: Rows) -> int:
        """Return when VALID stops being true."""
        read = self._read
        return read.valid_until if len(rows) and read and read.status == VALID else NEVER

    def take(self, rows: Rows, columns: Sequence[str]) -> pa.RecordBatch:
        """Return the report's row with these columns."""
        fields = [self.schema.field(name) for name in columns]
        values = self._values() if len(rows) else None
        arrays = [
            pa.array([] if values is None else [values[field.name]], type=field.type)
            for field in fields
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))

    def whole_batch(self, rows: Rows, columns: Sequence[str]) -> SnapshotBatch | None:
        """Return None: nothing of it was admitted."""
        del rows, columns
        return None

    def _values(self) -> dict[str, object]:
        read = self._read
        if read is None:
            raise ValueError("a report that isn't there has no row")
        return {
            "report_no": self._report_no,
            "digest_sha256": read.tags[SHA256],
            "digest_sm3": read.tags[SM3],
            "status": read.status,
            "valid_until": datetime.fromtimestamp(read.valid_until, UTC),
        }


def _manifest(product: Product, schema: pa.Schema, now: int) -> Manifest:
    return Manifest(
        version=1,
        product=product.name,
        contract_version=product.version,
        contract_digest=product.digest,
        subject_key=product.subject_key,
        record_key=product.record_key,
        columns=tuple((field.name, str(field.type)) for field in schema),
        source_version="register",
        as_of=now,
        admitted_at=now,
        rows=1,
        subjects=1,
        shareable=1,
        quarantined=0,
        batch_rows=8,
        subject_width=32,
        record_width=32,
        files={},
        batches=(),
    )
