"""An admitted snapshot, open for reading: rows, indexes and the bits that may still leave.

Everything but the live bits is mapped from files that never change. Opening costs no
scan; verification, when asked for, reads every byte once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from gateway.snapshot.admission import (
    EXPIRY,
    HASHES,
    NEVER,
    RECORDS,
    SHAREABLE,
    STARTS,
    SUBJECTS,
    columns_of,
)
from gateway.snapshot.bitmap import Bitmap, Flags, Rows
from gateway.snapshot.disputes import Disputes, with_disputes
from gateway.snapshot.errors import SnapshotDamagedError
from gateway.snapshot.files import MappedFiles, StoredFiles
from gateway.snapshot.gather import WORTHWHILE, ascend, empty, gather, is_run, widths_of
from gateway.snapshot.index import RecordIndex, RecordKeys, SubjectIndex
from gateway.snapshot.manifest import Manifest
from gateway.snapshot.record_rows import RecordRows

_arrow: Any = pa  # the published stubs lag behind pyarrow and are wrong in places
_REMEMBERED_SELECTIONS = 256
_REMEMBERED_DIGESTS = 65_536
_FEW = 64  # rows; below it, gathering single bits is quicker than unpacking a slice


@dataclass(frozen=True, slots=True)
class SnapshotBatch:
    """One batch of a snapshot, as admitted and without regard to shareability.

    Args:
        number: Its place, from 0; it never changes.
        first_row: Row number of its first row.
        rows: All columns, mapped, not copied.
        digest: SHA-256 of its Arrow IPC message, hex, computed at admission.
    """

    number: int
    first_row: int
    rows: pa.RecordBatch
    digest: str


class Snapshot:
    """A product's admitted records. Safe to read from many threads while bits are flipped.

    Row numbers count the sorted rows from 0 and never change, whatever is sealed.
    """

    def __init__(self, directory: Path, manifest: Manifest, files: StoredFiles) -> None:
        self.directory = directory
        self.manifest = manifest
        self.snapshot_id = manifest.snapshot_id
        self.product = manifest.product
        self.rows = manifest.rows
        stored = files.rows()
        self.schema: pa.Schema = stored.schema
        self._mapped_batch = stored.batch
        self._narrow: dict[tuple[int, tuple[str, ...]], Any] = {}
        self._widths: dict[int, dict[str, int]] = {}
        self._digests: dict[tuple[int, tuple[str, ...]], str] = {}
        self._halvings: dict[tuple[tuple[str, ...], int], int] = {}
        self._batch_rows = manifest.batch_rows
        keys = files.array(SUBJECTS, f"S{manifest.subject_width}")
        self.subjects = SubjectIndex(keys, files.array(STARTS, "<i8"))
        hashes, places = files.array(HASHES, "<u8"), files.array(RECORDS, "<i8")
        index = RecordIndex(hashes, places, manifest.record_width)
        self._records = RecordRows(index, manifest.record_width)
        self._expiry: Rows = files.array(EXPIRY, "<i8")
        self._bits = Bitmap(files.array(SHAREABLE, "u1"), manifest.rows)
        # Replaced, never changed, so that a reader sees all of it or nothing.
        self._disputes: Disputes = {}

    @classmethod
    def open(
        cls, directory: Path, *, verify: bool = False, files: StoredFiles | None = None
    ) -> Self:
        """Open a snapshot.

        Args:
            directory: Where `admit` put it.
            verify: Read every file and compare its digest, so that a flipped byte is found.
            files: How its files are read; mapped by default.

        Raises:
            SnapshotDamagedError: The manifest, or a file's size or digest, is not right.
        """
        stored = MappedFiles(directory) if files is None else files
        manifest = stored.manifest()
        stored.check(manifest, verify=verify)
        try:
            snapshot = cls(directory, manifest, stored)
        except (OSError, ValueError) as error:
            raise SnapshotDamagedError(
                "PRODUCT_UNAVAILABLE", "the snapshot's files can't be read"
            ) from error
        if columns_of(snapshot.schema) != manifest.columns:
            raise SnapshotDamagedError(
                "PRODUCT_UNAVAILABLE", "the snapshot's rows don't have the manifest's columns"
            )
        return snapshot

    def locate(self, subjects: Sequence[str]) -> Rows:
        """Return the row numbers of these subjects, ascending, without a scan.

        A subject that isn't there simply has no rows, and neither has a malformed one.
        """
        return self.subjects.locate(subjects)

    def runs(self, subjects: Any) -> tuple[Rows, Rows]:
        """Return first row and number of rows of each subject of an Arrow column, in its order."""
        return self.subjects.runs(subjects)

    def expiry_of(self, rows: Rows) -> Rows:
        """Return the unix second at which each row stops being shareable, `NEVER` for no end."""
        return np.asarray(self._expiry[rows])

    def shareable(self, rows: Rows, at: int) -> Flags:
        """Return for each row whether it may leave at `at`: its bit is set, it hasn't expired.

        Args:
            rows: Row numbers, ascending and distinct.
            at: Unix seconds.
        """
        count = len(rows)
        if count > _FEW and int(rows[-1]) - int(rows[0]) == count - 1:
            return self.shareable_slice(int(rows[0]), count, at)
        flags: Flags = self._bits.test(rows) & (self._expiry[rows] > at)
        return flags

    def shareable_slice(self, first: int, count: int, at: int) -> Flags:
        """Return `shareable` of `count` rows from row `first`, for streams.

        The expiry times are read only where a batch has one that has come.
        """
        flags = self._bits.test_slice(first, count)
        batches = self.manifest.batches
        touched = range(first // self._batch_rows, -(-(first + count) // self._batch_rows))
        if any(batches[number].first_expiry <= at for number in touched):
            flags &= self._expiry[first : first + count] > at
        return flags

    def ends_at(self, rows: Rows) -> int | None:
        """Return when the last of these rows stops being shareable; None when no date ends it."""
        latest = int(self._expiry[rows].max()) if len(rows) else NEVER
        return None if latest >= NEVER else latest

    def expired(self, at: int) -> Flags:
        """Return for every row whether its sharing has ended by date at `at`, unix seconds."""
        flags: Flags = self._expiry <= at
        return flags

    def first_end(self, rows: Rows) -> int:
        """Return the unix second at which the first of these rows stops being shareable."""
        return int(self._expiry[rows].min()) if len(rows) else NEVER

    def take(self, rows: Rows, columns: Sequence[str]) -> pa.RecordBatch:
        """Return these rows with these columns, disputes that were opened since on them (R14).

        A slice shares its buffers with its neighbours, which Arrow's IPC writer would let leave
        as padding; so it goes through `Enforcer.apply`, which copies, and is never serialised
        as it is.

        Args:
            rows: Row numbers, ascending and distinct. A contiguous run inside one batch is not
                copied.
            columns: Column names, in the order wanted.

        Raises:
            ValueError: The rows are not ascending or not there.
        """
        taken = self._take(rows, columns)
        disputes = self._disputes
        return with_disputes(taken, rows, disputes) if disputes else taken

    def _take(self, rows: Rows, columns: Sequence[str]) -> pa.RecordBatch:
        count = len(rows)
        if not count:
            return empty(self.schema, columns)
        first, last = int(rows[0]), int(rows[-1])
        run = last - first == count - 1
        if first < 0 or last >= self.rows or not (is_run(rows) if run else ascend(rows)):
            raise ValueError("row numbers are ascending, distinct and inside the snapshot")
        size = self._batch_rows
        if first // size == last // size:
            alone: pa.RecordBatch = self._pick(first // size, rows, columns, run=run)
            return alone
        cuts = np.flatnonzero(np.diff(rows // size)) + 1
        parts = np.split(rows, cuts)
        picked = [
            self._pick(int(part[0]) // size, part, columns, run=is_run(part)) for part in parts
        ]
        joined: pa.RecordBatch = _arrow.concat_batches(picked)
        return joined

    def batch_rows(self, number: int) -> Rows:
        """Return the row numbers of one batch.

        Raises:
            IndexError: There is no such batch.
        """
        if not 0 <= number < len(self.manifest.batches):
            raise IndexError("the snapshot has no such batch")
        first = number * self._batch_rows
        return np.arange(first, min(first + self._batch_rows, self.rows), dtype=np.int64)

    def halvings(self, columns: Sequence[str], max_bytes: int) -> int:
        """Return how often batches are halved so that none has more bytes of these columns.

        It depends on what was admitted and on the columns alone, so that the numbers of the pieces
        stay whatever is withheld.

        Args:
            columns: Column names.
            max_bytes: Greatest size of a piece; one of few rows may be larger.
        """
        wanted = (tuple(columns), max_bytes)
        found = self._halvings.get(wanted)
        if found is None:
            names = list(columns)
            largest = max(
                (self._mapped_batch(n).select(names).nbytes for n in range(self.batch_count)),
                default=0,
            )
            found = 0
            while largest >> found > max_bytes and self._batch_rows >> found > _FEW:
                found += 1
            if len(self._halvings) >= _REMEMBERED_SELECTIONS:
                self._halvings.clear()
            self._halvings[wanted] = found
        return found

    def piece_rows(self, number: int, halvings: int) -> Rows:
        """Return the row numbers of one piece of batches that were halved so often."""
        rows = self.batch_rows(number >> halvings)
        size = -(-self._batch_rows >> halvings) if halvings else self._batch_rows
        place = number & ((1 << halvings) - 1)
        piece: Rows = rows[place * size : (place + 1) * size]
        return piece

    def whole_batch(self, rows: Rows, columns: Sequence[str]) -> SnapshotBatch | None:
        """Return an admitted batch with these columns when the rows are all of its rows.

        It is mapped, not copied, and may be serialised as it is: no row of it is withheld, so its
        buffers and their padding hold nothing that may not leave.

        Args:
            rows: Row numbers, ascending and distinct.
            columns: Column names, in the order wanted.

        Returns:
            The batch, or None when the rows are others or disputes were opened since (R14). Its
            digest is that of the message with these columns: the admission's when they are all,
            otherwise the one of `remember_digest`, empty as long as nobody gave it.
        """
        first = int(rows[0]) if len(rows) else -1
        number, place = divmod(first, self._batch_rows)
        if place or self._disputes or first < 0:
            return None
        admitted = self.manifest.batches[number]
        if len(rows) != admitted.rows or int(rows[-1]) - first != len(rows) - 1:
            return None
        names = tuple(columns)
        if names == tuple(self.schema.names):
            digest = admitted.sha256
        else:
            digest = self._digests.get((number, names), "")
        return SnapshotBatch(number, first, self._narrowed(number, names), digest)

    def remember_digest(self, number: int, columns: Sequence[str], digest: str) -> None:
        """Keep the digest of a whole batch with some of its columns, which never changes."""
        if len(self._digests) >= _REMEMBERED_DIGESTS:
            self._digests.clear()
        self._digests[number, tuple(columns)] = digest

    @property
    def origin(self) -> str:
        """Id of the admitted snapshot that its records are of: its own, unless it is a copy."""
        return self.snapshot_id

    @property
    def bits_nbytes(self) -> int:
        """Memory that the live bits take, in bytes; the admitted ones are mapped."""
        return self._bits.nbytes

    @property
    def batch_count(self) -> int:
        """Number of batches."""
        return len(self.manifest.batches)

    def batch(self, number: int) -> SnapshotBatch:
        """Return one batch whole; see `shareable_slice` for what of it may leave.

        Raises:
            IndexError: There is no such batch.
        """
        if not 0 <= number < len(self.manifest.batches):
            raise IndexError("the snapshot has no such batch")
        return SnapshotBatch(
            number,
            number * self._batch_rows,
            self._mapped_batch(number),
            self.manifest.batches[number].sha256,
        )

    def rows_of(self, record_keys: RecordKeys) -> Rows:
        """Return every row of exactly these records, ascending; the true keys are compared."""
        return self._records.of(record_keys, self._names)

    def seal(self, record_keys: RecordKeys) -> Rows:
        """Withhold these records from now on; return their row numbers. Idempotent.

        When it has returned, every later `shareable` says no for them. A key that isn't in
        the snapshot is no error: the seal may come before the record.
        """
        rows = self.rows_of(record_keys)
        self._bits.clear(rows)
        return rows

    def withhold(self, rows: Rows) -> None:
        """Withhold rows by their numbers from now on. Idempotent."""
        self._bits.clear(rows)

    def label(self, disputes: Mapping[str, str]) -> None:
        """Carry these disputes, and no others, on top of those that were admitted (R14).

        Args:
            disputes: Record key to the number of its dispute.
        """
        self._disputes = {
            int(row): number for key, number in disputes.items() for row in self.rows_of([key])
        }

    def relabel(self, record_keys: Sequence[str], disputes: Mapping[str, str]) -> None:
        """Carry for these records the disputes given, and none where none is.

        Args:
            record_keys: The records whose labels may have changed.
            disputes: Record key to the number of its dispute, for those that have one.
        """
        if not disputes and not self._disputes:
            return
        changed = set(self.rows_of(record_keys).tolist())
        kept = {row: number for row, number in self._disputes.items() if row not in changed}
        for key, number in disputes.items():
            kept |= {int(row): number for row in self.rows_of([key])}
        self._disputes = kept

    def restore_all(self) -> None:
        """Set every bit back to what was admitted; only while nothing is released."""
        self._bits.restore_all()

    def unseal(self, record_keys: Sequence[str]) -> Rows:
        """End a temporary withholding: the bits go back to what was admitted, no further.

        The bitmap doesn't know why a record is sealed; the caller makes sure that no other
        cause still holds it.
        """
        rows = self.rows_of(record_keys)
        self._bits.restore(rows)
        return rows

    def _names(self, rows: Rows) -> Any:
        return self._take(rows, [self.manifest.record_key]).column(0)

    def _narrowed(self, number: int, columns: tuple[str, ...]) -> Any:
        """Return a batch with these columns only, remembered: point look-ups ask alike."""
        narrow = self._narrow.get((number, columns))
        if narrow is None:
            narrow = self._mapped_batch(number).select(list(columns))
            if len(self._narrow) >= _REMEMBERED_SELECTIONS:
                self._narrow.clear()
            self._narrow[number, columns] = narrow
        return narrow

    def _pick(self, number: int, rows: Rows, columns: Sequence[str], *, run: bool) -> Any:
        batch = self._narrowed(number, tuple(columns))
        first = number * self._batch_rows
        if run:
            return batch.slice(int(rows[0]) - first, len(rows))
        if len(rows) < WORTHWHILE:
            return batch.take(pa.array(rows - first))
        widths = self._widths.get(number)
        if widths is None:  # a snapshot never changes, so they are found out once
            widths = self._widths[number] = widths_of(self._mapped_batch(number))
        return gather(batch, rows - first, widths)
