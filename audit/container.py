"""The one file of an evidence pack: a ZIP that has exactly one spelling.

Any unpacker opens it. Members are stored, not compressed; each header has the same constants;
names stand in order, with nothing before, between or behind. A reader writes what it read once
more and compares, so that no second meaning hides in the file: no doubled name, no comment, no
directory that disagrees with the members, no bomb.
"""

import re
import struct
from collections.abc import Mapping
from typing import Final
from zlib import crc32

from audit.errors import ProofError

MAX_MEMBERS: Final = 20_000
MAX_BYTES: Final = 1 << 30
_NAME: Final = re.compile(
    r"[a-z]{1,20}(?:\.(?:json|txt))?|[a-z]{1,20}/[0-9a-f]{64}(?:\.[a-z]{1,5}){1,2}"
)
_VERSION: Final = 20
_DATE: Final = 0x0021  # 1 January 1980, the first day that a ZIP knows
_LOCAL: Final = struct.Struct("<IHHHHHIIIHH")
_CENTRAL: Final = struct.Struct("<IHHHHHHIIIHHHHHII")
_END: Final = struct.Struct("<IHHHHIIH")
_LOCAL_MARK: Final = 0x04034B50
_CENTRAL_MARK: Final = 0x02014B50
_END_MARK: Final = 0x06054B50


def pack_files(files: Mapping[str, bytes]) -> bytes:
    """Write files as one container; the same files give the same bytes.

    Raises:
        ProofError: A name is not allowed, or there are too many files or bytes.
    """
    if len(files) > MAX_MEMBERS or sum(map(len, files.values())) > MAX_BYTES:
        raise ProofError("the pack is too large; take a smaller range")
    members, directory, offset = [], [], 0
    for name in sorted(files):
        if not _NAME.fullmatch(name):
            raise ProofError("a name in the pack is not allowed")
        body, raw = files[name], name.encode("ascii")
        shared = (0, 0, 0, _DATE, crc32(body), len(body), len(body), len(raw), 0)
        member = _LOCAL.pack(_LOCAL_MARK, _VERSION, *shared) + raw + body
        directory.append(
            _CENTRAL.pack(_CENTRAL_MARK, _VERSION, _VERSION, *shared, 0, 0, 0, 0, offset) + raw
        )
        members.append(member)
        offset += len(member)
    central = b"".join(directory)
    end = _END.pack(_END_MARK, 0, 0, len(files), len(files), len(central), offset, 0)
    return b"".join([*members, central, end])


def unpack_files(data: bytes) -> dict[str, bytes]:
    """Read a container.

    Raises:
        ProofError: It is not byte for byte what `pack_files` writes.
    """
    files: dict[str, bytes] = {}
    at = 0
    while data[at : at + 4] == _LOCAL_MARK.to_bytes(4, "little"):
        if len(data) - at < _LOCAL.size or len(files) >= MAX_MEMBERS:
            raise ProofError("the pack is malformed")
        *_, size, length, _extra = _LOCAL.unpack_from(data, at)
        begin = at + _LOCAL.size + length
        name = data[at + _LOCAL.size : begin].decode("ascii", "replace")
        if not _NAME.fullmatch(name) or name in files:
            raise ProofError("a name in the pack is not allowed")
        files[name] = data[begin : begin + size]
        at = begin + size
    if not files or pack_files(files) != data:
        raise ProofError("the pack is not written as a pack is")
    return files
