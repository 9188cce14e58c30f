"""Parameters of a prepared statement, as a client puts them: one row of hostile Arrow data."""

import struct
from collections.abc import Iterable

import pyarrow as pa

from gateway.domain.errors import InvalidRequestError, NotSupportedError
from gateway.sql.literals import Literal, of_python

MAX_BYTES = 256 << 10
MAX_PARAMETERS = 10_000
_CONTINUATION = b"\xff\xff\xff\xff"
_RECORD_BATCH = 3  # MessageHeader of the format's Message.fbs


def read_parameters(messages: Iterable[tuple[bytes, bytes]]) -> tuple[Literal, ...]:
    """Return the values of the one row.

    Args:
        messages: Header and body of each IPC message: a schema, then one record batch.

    Raises:
        InvalidRequestError: `BAD_REQUEST` when it is not readable, too large, or not one row.
        NotSupportedError: `NOT_SUPPORTED` for several rows, and for compressed batches, whose
            size nobody knows before they are unpacked.
    """
    parts = [part for part in messages if part[0]]
    if len(parts) != 2:  # noqa: PLR2004 - the schema and the batch
        raise NotSupportedError("NOT_SUPPORTED", "more than one set of parameters is not supported")
    if sum(len(head) + len(body) for head, body in parts) > MAX_BYTES:
        raise InvalidRequestError("BAD_REQUEST", "the parameters are too large")
    try:
        if _compressed(parts[1][0]):
            raise NotSupportedError("NOT_SUPPORTED", "a compressed batch is not supported")
        row = _row(parts)
    except (pa.ArrowException, ValueError, ArithmeticError, OSError, struct.error, LookupError):
        raise InvalidRequestError("BAD_REQUEST", "the parameters are not readable") from None
    return tuple(of_python(value) for value in row)


def _row(parts: list[tuple[bytes, bytes]]) -> list[object]:
    stream = b"".join(
        _CONTINUATION + struct.pack("<I", len(head)) + head + body for head, body in parts
    )
    with pa.ipc.open_stream(stream) as reader:
        batch = reader.read_next_batch()
    batch.validate(full=True)
    if batch.num_rows != 1 or not 1 <= batch.num_columns <= MAX_PARAMETERS:
        raise NotSupportedError("NOT_SUPPORTED", "more than one set of parameters is not supported")
    if not all(_is_plain(field.type) for field in batch.schema):
        raise ValueError("a value inside a value")
    return [column[0].as_py() for column in batch.columns]


def _is_plain(kind: pa.DataType) -> bool:
    """Return whether a value takes no more memory than its bytes came in.

    A list of nulls has no bytes at all, however many it claims: made into objects of Python, one
    of three hundred bytes would take all the memory there is.
    """
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return text or pa.types.is_primitive(kind) or pa.types.is_decimal(kind)


def _compressed(head: bytes) -> bool:
    """Return whether the header of a record batch names a compression (flatbuffers, by hand)."""
    message = struct.unpack_from("<I", head)[0]
    kind = _field(head, message, 1)
    if kind is None or head[kind] != _RECORD_BATCH:
        raise ValueError("not a record batch")
    place = _field(head, message, 2)
    if place is None:
        raise ValueError("not a record batch")
    batch = place + struct.unpack_from("<I", head, place)[0]
    return _field(head, batch, 3) is not None


def _field(data: bytes, table: int, number: int) -> int | None:
    """Return where a field of a flatbuffers table stands, or None when it is left out."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    if vtable < 0:
        raise ValueError("not a flatbuffer")
    (size,) = struct.unpack_from("<H", data, vtable)
    entry = 4 + 2 * number
    if entry + 2 > size:
        return None
    (offset,) = struct.unpack_from("<H", data, vtable + entry)
    return table + offset if offset else None
