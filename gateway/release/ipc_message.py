"""The Arrow IPC message of one batch, compressed on request."""

import struct
from typing import Any

import pyarrow as pa

_arrow: Any = pa  # the published stubs lag behind pyarrow and are wrong in places
_PREFIX = struct.Struct("<4xI")
_END_BYTES = 8  # what closes a stream: a continuation and a length of zero


def encode(batch: pa.RecordBatch, codec: str = "") -> memoryview:
    """Return the encapsulated IPC message of a batch.

    Args:
        batch: The batch.
        codec: `lz4` or `zstd` compresses each buffer of the body; empty leaves them.
    """
    if not codec:
        return memoryview(batch.serialize())
    sink = pa.BufferOutputStream()
    options = _arrow.ipc.IpcWriteOptions(compression=codec)
    with _arrow.ipc.new_stream(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    stream = memoryview(sink.getvalue())
    # Arrow compresses only when it writes a stream: the batch's message lies in it between the
    # schema's, which has no body, and the end.
    (schema,) = _PREFIX.unpack_from(stream)
    return stream[_PREFIX.size + schema : -_END_BYTES]
