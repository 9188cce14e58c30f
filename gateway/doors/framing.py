"""A FlightData framed by hand: header and body joined once.

On grpcio this is as fast as the C++ server (DESIGN, measurements).
"""

import struct

_PREFIX = struct.Struct("<4xI")
_HEADER, _METADATA, _BODY = b"\x12", b"\x1a", b"\xc2\x3e"


def frame(message: bytes | memoryview, app_metadata: bytes) -> bytes:
    """Return a FlightData for an encapsulated IPC message.

    Args:
        message: IPC message: continuation, length, header, body; or empty for metadata alone.
        app_metadata: What goes beside it.
    """
    parts: list[bytes | memoryview] = []
    if message:
        (length,) = _PREFIX.unpack_from(message)
        parts += [_HEADER, _varint(length), memoryview(message)[8 : 8 + length]]
        body = memoryview(message)[8 + length :]
    else:
        body = memoryview(b"")
    if app_metadata:
        parts += [_METADATA, _varint(len(app_metadata)), app_metadata]
    if message:
        parts += [_BODY, _varint(len(body)), body]
    return b"".join(parts)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
