"""Checkpoints (C2SP tlog-checkpoint 1.0.0): a signed note that commits to a whole tree."""

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from audit.cosignature import Cosignature, CosignatureVerifier, cosigned_at
from audit.errors import NoteError
from audit.merkle import EMPTY_ROOT, HASH_BYTES
from audit.note import (
    NoteVerifier,
    Signer,
    Verifier,
    open_note,
    sign_note,
    signature_line,
    split_note,
    strict_base64,
)

_MAX_SIZE = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A verified or just signed checkpoint.

    Args:
        origin: Name of the log.
        size: Number of entries.
        root: Root of the tree of that size, 32 bytes.
        note: The signed note, as published.
        witnessed: True when a witness's signature was verified besides the log's.
        cosignatures: What trusted witnesses say with it, in the order of the note.
    """

    origin: str
    size: int
    root: bytes
    note: bytes
    witnessed: bool = False
    cosignatures: tuple[Cosignature, ...] = ()


def checkpoint_text(origin: str, size: int, root: bytes) -> str:
    """Write the text that a checkpoint signs; without extension lines.

    Args:
        origin: Name of the log.
        size: Number of entries.
        root: Root, 32 bytes.

    Raises:
        NoteError: The origin or the root is not allowed.
    """
    if not origin or "\n" in origin or len(root) != HASH_BYTES:
        raise NoteError("a checkpoint needs an origin and a root of 32 bytes")
    return f"{origin}\n{size}\n{b64encode(root).decode()}\n"


def sign_checkpoint(origin: str, size: int, root: bytes, signers: Sequence[Signer]) -> Checkpoint:
    """Sign a tree.

    Args:
        origin: Name of the log.
        size: Number of entries.
        root: Root, 32 bytes.
        signers: The log's signer first.

    Raises:
        NoteError: The origin or the root is not allowed.
    """
    return Checkpoint(origin, size, root, sign_note(checkpoint_text(origin, size, root), signers))


def parse_text(text: str, *, check_empty: bool = True) -> tuple[str, int, bytes]:
    """Read the text of a checkpoint whose signatures were verified.

    Args:
        text: The text, with its last newline.
        check_empty: Refuse an empty tree with another root than the empty tree's; False where
            that has an answer of its own.

    Returns:
        Origin, size and root.

    Raises:
        NoteError: It is malformed.
    """
    lines = text[:-1].split("\n")
    if len(lines) < 3 or not all(lines):  # noqa: PLR2004 - origin, size, root
        raise NoteError("a checkpoint has three lines or more, none of them empty")
    origin, size, root = lines[:3]
    if not re.fullmatch(r"0|[1-9][0-9]{0,18}", size, re.ASCII) or int(size) > _MAX_SIZE:
        raise NoteError("the size of a checkpoint is malformed")
    decoded = strict_base64(root)
    if len(decoded) != HASH_BYTES:
        raise NoteError("the root of a checkpoint is malformed")
    if check_empty and int(size) == 0 and decoded != EMPTY_ROOT:
        raise NoteError("the root of an empty tree is wrong")
    return origin, int(size), decoded


def open_checkpoint(
    note: bytes, verifier: Verifier, witnesses: Sequence[NoteVerifier] = ()
) -> Checkpoint:
    """Verify a checkpoint.

    Args:
        note: The signed note.
        verifier: The log's key; its name is the log's origin.
        witnesses: Trusted keys besides the log's.

    Raises:
        NoteError: It is malformed, or the log's key did not sign it, or it is another log's.
    """
    opened = open_note(note, [verifier, *witnesses])
    if verifier not in opened.verified:
        raise NoteError("the log's own key did not sign this checkpoint")
    origin, size, root = parse_text(opened.text)
    if origin != verifier.name:
        raise NoteError("the checkpoint is another log's")
    cosignatures = tuple(
        Cosignature(each.name, each.key_id, cosigned_at(signature))
        for each, signature in zip(opened.verified, opened.signatures, strict=True)
        if isinstance(each, CosignatureVerifier)
    )
    return Checkpoint(origin, size, root, note, len(opened.verified) > 1, cosignatures)


def with_cosignatures(note: bytes, lines: Sequence[str]) -> bytes:
    """Add verified signature lines to a checkpoint; a newer line of a key replaces its older.

    Args:
        note: The signed note.
        lines: Signature lines, each with its newline.

    Raises:
        NoteError: The note or a line is malformed.
    """
    text, kept = split_note(note)
    _, added = split_note(f"{text}\n{''.join(lines)}".encode()) if lines else ("", [])
    newer = {(name, key_id) for name, key_id, _ in added}
    merged = [each for each in kept if each[:2] not in newer] + added
    return (text + "\n" + "".join(signature_line(*each) for each in merged)).encode()


def without_cosignatures(note: bytes, log: Verifier) -> bytes:
    """Keep of a checkpoint what the log itself signed.

    Raises:
        NoteError: The note is malformed.
    """
    text, lines = split_note(note)
    own = [each for each in lines if each[:2] == (log.name, log.key_id)]
    return (text + "\n" + "".join(signature_line(*each) for each in own)).encode()
