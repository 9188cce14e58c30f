"""Receipts (C2SP tlog-proof): an entry's index, its audit path and a checkpoint, in one file."""

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from audit.checkpoint import Checkpoint, open_checkpoint
from audit.errors import NoteError, ProofError
from audit.merkle import MAX_PROOF_HASHES, leaf_hash, verify_inclusion
from audit.note import NoteVerifier, Verifier, strict_base64

_HEADER: Final = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A parsed receipt; nothing in it is verified yet.

    Args:
        index: Index of the entry.
        path: Audit path, 32 bytes each.
        checkpoint: The signed note, verbatim.
        extra: Unauthenticated data, or None.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None


def format_receipt(receipt: Receipt) -> bytes:
    """Write a receipt as a `.tlog-proof` file."""
    lines = [_HEADER]
    if receipt.extra is not None:
        lines.append(f"extra {b64encode(receipt.extra).decode()}")
    lines.append(f"index {receipt.index}")
    lines += [b64encode(each).decode() for each in receipt.path]
    return "\n".join([*lines, "", ""]).encode() + receipt.checkpoint


def parse_receipt(data: bytes) -> Receipt:
    """Read a `.tlog-proof` file.

    Raises:
        ProofError: It is malformed.
    """
    head, found, checkpoint = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
        if not found or lines.pop(0) != _HEADER or not lines:
            raise ProofError("this is not a receipt")
        extra = None
        if lines[0].startswith("extra "):
            extra = strict_base64(lines.pop(0).removeprefix("extra "))
        match = re.fullmatch(r"index (0|[1-9][0-9]{0,18})", lines.pop(0) if lines else "")
        if match is None or len(lines) > MAX_PROOF_HASHES:
            raise ProofError("the receipt is malformed")
        path = tuple(strict_base64(line) for line in lines)
    except (NoteError, UnicodeDecodeError) as error:
        raise ProofError("the receipt is malformed") from error
    return Receipt(int(match[1]), path, checkpoint, extra)


def check_receipt(
    data: bytes, entry: bytes, verifier: Verifier, witnesses: Sequence[NoteVerifier] = ()
) -> tuple[Receipt, Checkpoint]:
    """Check that a receipt proves an entry.

    Args:
        data: The `.tlog-proof` file.
        entry: The bytes of the entry.
        verifier: The log's key.
        witnesses: Trusted keys besides the log's.

    Returns:
        The receipt and its verified checkpoint.

    Raises:
        ProofError: The receipt is malformed or does not prove the entry.
        NoteError: The checkpoint does not hold.
    """
    receipt = parse_receipt(data)
    checkpoint = open_checkpoint(receipt.checkpoint, verifier, witnesses)
    leaf = leaf_hash(entry)
    verify_inclusion(receipt.index, checkpoint.size, leaf, receipt.path, checkpoint.root)
    return receipt, checkpoint
