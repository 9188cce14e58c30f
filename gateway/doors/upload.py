"""Uploads of portfolios, read as hostile Arrow data.

A frame is refused before Arrow allocates for it: sizes are bounded by the frame, a compressed
body (which could claim any size) is recognised in the flatbuffer, and so are dictionaries. What
Arrow then reads is validated in full, since offsets inside buffers are the sender's own words.
What is wrong with a row is told by the row's number, from 1, and never by its value.
"""

import struct
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute

from arrow_flight import flight_pb2
from gateway.domain.errors import ExhaustedError, InvalidRequestError
from gateway.domain.vocabulary import SubjectKind
from gateway.release.portfolio import CONSENT, OBSERVED_ON, SUBJECT, Portfolio
from gateway.snapshot.uscc_column import valid_usccs

pc: Any = pyarrow.compute  # the published stubs lag behind pyarrow and are wrong in places
_arrow: Any = pa
MAX_HEADER_BYTES: Final = 64 << 10
_MAX_SCHEMA_BYTES: Final = 16 << 10
_MAX_CONSENT: Final = 64
_TYPES: Final = {SUBJECT: pa.string(), OBSERVED_ON: pa.date32(), CONSENT: pa.string()}
_SCHEMA, _RECORD_BATCH = 1, 3  # MessageHeader of the format's Message.fbs
_TOKEN: Final = r"^[0-9A-Za-z_\-]{8,64}$"  # noqa: S105 - the form of a subject's token
_CITIZEN: Final = r"^\d{17}[\dXx]$"
_CONSENT_ID: Final = r"^[0-9A-Za-z._:\-]{1,64}$"
_CHECKED_ROWS: Final = 1 << 16  # at once: the numbers of a code take a hundred bytes and more
_EARLIEST: Final = 0  # days since 1970-01-01; no record is older than the registers
_PREFIX: Final = struct.Struct("<iI")


class Upload:
    """One upload on its way in.

    Args:
        kind: Kind of the subjects.
        max_rows: Greatest number of rows.
        max_bytes: Greatest number of bytes of all frames together.
        today: Days since 1970-01-01; nobody can have observed anything later.
    """

    def __init__(self, kind: SubjectKind, *, max_rows: int, max_bytes: int, today: int) -> None:
        self._kind = kind
        self._max_rows = max_rows
        self._left = max_bytes
        self._today = today
        self._schema: pa.Schema | None = None
        self._batches: list[pa.RecordBatch] = []
        self._rows = 0

    def feed(self, frame: flight_pb2.FlightData) -> None:
        """Take one frame.

        Raises:
            InvalidRequestError: `BAD_PORTFOLIO`.
            ExhaustedError: `BATCH_TOO_LARGE`.
        """
        header, body = frame.data_header, frame.data_body
        self._left -= len(header) + len(body) + len(frame.app_metadata)
        if self._left < 0:
            raise ExhaustedError("BATCH_TOO_LARGE", "the upload has too many bytes")
        if not header:
            if body:
                raise _bad("a frame has a body and no header")
            return  # a descriptor, or metadata alone
        if len(header) > MAX_HEADER_BYTES:
            raise _bad("a frame's header is too long")
        kind, compressed = _message(header)
        padded = header + bytes(-len(header) % 8)
        message = pa.py_buffer(_PREFIX.pack(-1, len(padded)) + padded + body)
        if self._schema is None:
            if kind != _SCHEMA or len(header) > _MAX_SCHEMA_BYTES or body:
                raise _bad("the first frame is not a schema of the agreed columns")
            self._schema = _checked_schema(message)
            return
        if kind != _RECORD_BATCH or compressed:
            raise _bad("after the schema come uncompressed record batches and nothing else")
        self._take(message)

    def _take(self, message: pa.Buffer) -> None:
        try:
            batch = _arrow.ipc.read_record_batch(message, self._schema)
            if batch.num_rows > self._max_rows - self._rows:
                raise ExhaustedError("BATCH_TOO_LARGE", "the upload has too many rows")
            batch.validate(full=True)
        except (pa.ArrowException, ValueError, OSError, OverflowError, MemoryError):
            # Nothing of the cause is kept: Arrow's messages quote values.
            raise _bad(f"batch {len(self._batches) + 1} is malformed or cut short") from None
        self._rows += batch.num_rows
        self._batches.append(batch)

    def finish(self) -> Portfolio:
        """Return the portfolio; call it in a worker thread, a million rows take a second.

        Raises:
            InvalidRequestError: `BAD_PORTFOLIO`, naming a row.
        """
        if self._schema is None or not self._rows:
            raise _bad("the upload has no rows")
        rows = pa.Table.from_batches(self._batches, schema=self._schema).combine_chunks()
        subjects = rows.column(SUBJECT)
        _refuse_first(pc.is_null(subjects), "has no subject")
        if self._kind is SubjectKind.NATURAL_PERSON:
            # Identity numbers never enter: the platform's subject master gives callers a token.
            token = pc.match_substring_regex(subjects, _TOKEN)
            good = pc.and_not(token, pc.match_substring_regex(subjects, _CITIZEN))
        else:
            parts = [
                subjects.slice(n, _CHECKED_ROWS) for n in range(0, len(subjects), _CHECKED_ROWS)
            ]
            good = pa.array(np.concatenate([valid_usccs(part) for part in parts]))
        _refuse_first(pc.invert(good), "has a malformed subject")
        if OBSERVED_ON not in rows.column_names:
            _refuse_duplicate(subjects)
        else:
            days = rows.column(OBSERVED_ON).cast(pa.int32())
            _refuse_first(pc.is_null(days), "has no date")
            late = pc.or_(pc.greater(days, self._today), pc.less(days, _EARLIEST))
            _refuse_first(late, "has a date that can't have been observed")
            _refuse_repeated(subjects, days)
        if CONSENT in rows.column_names:
            named = pc.match_substring_regex(rows.column(CONSENT), _CONSENT_ID)
            _refuse_first(pc.invert(named.fill_null(True)), "has a malformed consent reference")
        return Portfolio.shuffled(self._kind, rows)


def _checked_schema(message: pa.Buffer) -> pa.Schema:
    try:
        schema = pa.ipc.read_schema(message)
    except (pa.ArrowException, ValueError, OSError, OverflowError, MemoryError):
        raise _bad("the schema can't be read") from None
    names = schema.names
    if SUBJECT not in names or len(set(names)) != len(names) or not set(names) <= set(_TYPES):
        raise _bad("the columns are subject and, where wanted, observed_on and consent")
    for field in schema:
        extension = b"ARROW:extension:name" in (field.metadata or {})
        if field.type != _TYPES[field.name] or extension:
            raise _bad("subject and consent are of type string, observed_on is date32")
    bare = [pa.field(field.name, field.type) for field in schema]
    return pa.schema(bare)


def _refuse_first(wrong: Any, what: str) -> None:
    flat = wrong.combine_chunks() if isinstance(wrong, pa.ChunkedArray) else wrong
    place = pc.index(flat, True).as_py()
    if place >= 0:
        raise _bad(f"row {place + 1} {what}")


def _refuse_duplicate(subjects: Any) -> None:
    codes = subjects.combine_chunks().dictionary_encode().indices.to_numpy()
    # Codes are given in the order of first appearance: a new subject has the next one.
    fresh = np.maximum.accumulate(codes)
    repeated = np.flatnonzero(np.concatenate(([False], codes[1:] <= fresh[:-1])))
    if len(repeated):
        first = int(np.flatnonzero(codes == codes[repeated[0]])[0])
        raise _bad(f"row {int(repeated[0]) + 1} repeats the subject of row {first + 1}")


def _refuse_repeated(subjects: Any, days: Any) -> None:
    """Refuse a subject that is observed on the same day twice."""
    codes = subjects.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    dates = days.combine_chunks().to_numpy(zero_copy_only=False).astype(np.int64)
    pairs = (codes << 32) | dates
    order = np.argsort(pairs, kind="stable")
    again = np.flatnonzero(pairs[order][1:] == pairs[order][:-1])
    if len(again):
        row = int(order[again + 1].min())
        first = int(np.flatnonzero(pairs == pairs[row])[0])
        raise _bad(f"row {row + 1} repeats the observation of row {first + 1}")


def _message(header: bytes) -> tuple[int, bool]:
    """Return kind of an IPC message and whether its body is compressed, from its flatbuffer.

    Only these two are read by hand; the rest is Arrow's, which verifies the whole flatbuffer.
    """
    try:
        (root,) = struct.unpack_from("<I", header)
        place = _slot(header, root, 1)
        kind = header[place] if place else 0
        place = _slot(header, root, 2)
        if not place or kind != _RECORD_BATCH:
            return kind, False
        (offset,) = struct.unpack_from("<I", header, place)
        return kind, _slot(header, place + offset, 3) != 0
    except (struct.error, IndexError):
        raise _bad("a frame's header is no Arrow message") from None


def _slot(header: bytes, table: int, number: int) -> int:
    """Return where a table's field lies, 0 when it is not set."""
    (back,) = struct.unpack_from("<i", header, table)
    vtable = table - back
    if vtable < 0:
        raise IndexError
    (size,) = struct.unpack_from("<H", header, vtable)
    if 4 + 2 * number + 2 > size:
        return 0
    (offset,) = struct.unpack_from("<H", header, vtable + 4 + 2 * number)
    return table + offset if offset else 0


def _bad(what: str) -> InvalidRequestError:
    return InvalidRequestError("BAD_PORTFOLIO", what)
