"""The request of a witness (C2SP tlog-witness 1.0.0), written and read strictly.

old <size>
<base64 hash>          none to 63 lines
(empty line)
<checkpoint>
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from audit.errors import NoteError
from audit.merkle import HASH_BYTES, MAX_PROOF_HASHES
from audit.note import strict_base64

ADD_CHECKPOINT: Final = "add-checkpoint"
SIZE_TYPE: Final = "text/x.tlog.size"
NOTE_TYPE: Final = "text/plain; charset=utf-8"
MAX_REQUEST_BYTES: Final = 1 << 17
_OLD: Final = re.compile(r"old (0|[1-9][0-9]{0,18})")
_SIZE: Final = re.compile(rb"(0|[1-9][0-9]{0,18})\n")


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """What a log asks of a witness.

    Args:
        old: Size that the witness is believed to know.
        proof: Consistency proof from that size to the checkpoint's.
        note: The signed checkpoint.
    """

    old: int
    proof: tuple[bytes, ...]
    note: bytes


def format_request(old: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """Write the body of `add-checkpoint`."""
    lines = [f"old {old}", *(b64encode(each).decode() for each in proof), "", ""]
    return "\n".join(lines).encode() + note


def parse_request(body: bytes) -> AddCheckpoint:
    """Read the body of `add-checkpoint`.

    Raises:
        NoteError: It is malformed; the checkpoint itself is not looked at.
    """
    head, found, note = body.partition(b"\n\n")
    if not found or len(body) > MAX_REQUEST_BYTES:
        raise NoteError("the request has no checkpoint, or is too long")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise NoteError("the request is malformed") from error
    old = _OLD.fullmatch(first)
    if old is None or len(lines) > MAX_PROOF_HASHES:
        raise NoteError("the request is malformed")
    proof = tuple(strict_base64(line) for line in lines)
    if any(len(each) != HASH_BYTES for each in proof):
        raise NoteError("a hash of the proof is malformed")
    return AddCheckpoint(int(old[1]), proof, note)


def parse_size(body: bytes) -> int:
    """Read the body of a 409: the size that the witness knows.

    Raises:
        NoteError: It is malformed.
    """
    match = _SIZE.fullmatch(body)
    if match is None:
        raise NoteError("the witness's size is malformed")
    return int(match[1])


def origin_hash(origin: str) -> str:
    """Name a log in the monitoring paths of a witness: hex of SHA-256 over its origin."""
    return sha256(origin.encode()).hexdigest()
