"""The proof that a list of accesses to a subject is complete: one document, checked offline.

It holds a checkpoint, the roots of the sealed index that the tree of this checkpoint contains,
what each of them says about the subject's handle and about the handles of the snapshots the
subject stands in, and the entries of the accesses, each with its audit path. The log's key
signs the whole, also the one thing that only a holder of the index key can check: that these
handles are the subject's. A log that lies about a handle has signed the lie.

Complete means: below `complete_below` no entry concerns the subject that the document does not
list. What came later stands in the tail, without proof.
"""

import json
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.access import JsonObject
from audit.canonical import canonical
from audit.checkpoint import Checkpoint, open_checkpoint
from audit.errors import NoteError, ProofError
from audit.index_store import SegmentRow, live_segments, look_up
from audit.merkle import leaf_hash, verify_inclusion
from audit.note import Verifier
from audit.reader import LogReader
from audit.segment import Leaf, Lookup, check_lookup
from audit.store import Reader

SUBJECT: Final = "subject"
_VERSION: Final = "xinguan/accesses/v1"
_TAG: Final = b"xinguan/accesses/v1\0"
_DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be proved.

    Args:
        subject: The subject's identifier.
        labels: `subject` and the ids of snapshots to their keyed labels.
        entries: Indexes of the entries to be shown.
        told: What the log states besides, without proof; any JSON object.
    """

    subject: str
    labels: Mapping[str, bytes]
    entries: Sequence[int]
    told: JsonObject


@dataclass(frozen=True, slots=True)
class Proved:
    """What a checked document proves.

    Args:
        subject: The subject as the document names it.
        lists: `subject` and snapshot ids to their entries, complete below `complete_below`.
        entries: Index to entry, each in the tree of the checkpoint.
        complete_below: First entry that no root covers.
        checkpoint: The checkpoint.
        told: What is stated besides, signed but not proved.
    """

    subject: str
    lists: Mapping[str, tuple[int, ...]]
    entries: Mapping[int, JsonObject]
    complete_below: int
    checkpoint: Checkpoint
    told: JsonObject


def provable(connection: Reader, size: int) -> tuple[list[SegmentRow], bool]:
    """Return the segments whose roots a tree of this size contains, and whether those are all.

    Args:
        connection: Any connection to the state database.
        size: Number of entries of the published tree.
    """
    found: list[SegmentRow] = []
    live = live_segments(connection)
    for row in live:
        if row.log_index >= size or row.salt is None:
            break
        found.append(row)
    return found, len(found) == len(live)


def prove_accesses(
    connection: Reader, reader: LogReader, key: Ed25519PrivateKey, wanted: Wanted
) -> bytes:
    """Write the document; entries that are not published yet are left out of it.

    Args:
        connection: A connection that sees one state throughout (a transaction for reading).
        reader: The published log.
        key: The log's key.
        wanted: What is to be proved.

    Raises:
        NoteError: The log has no checkpoint.
        LogCorruptError: A tile is missing.
    """
    checkpoint = reader.checkpoint()
    segments, _ = provable(connection, checkpoint.size)
    document: dict[str, Any] = {
        "v": _VERSION,
        "subject": wanted.subject,
        "checkpoint": checkpoint.note.decode(),
        "segments": [
            _entry(reader, row.log_index, checkpoint.size)
            | {"lookups": {of: _lookup(connection, row, wanted.labels[of]) for of in wanted.labels}}
            for row in segments
        ],
        "entries": [
            _entry(reader, index, checkpoint.size)
            for index in sorted(set(wanted.entries))
            if index < checkpoint.size
        ],
        "told": dict(wanted.told),
    }
    signature = key.sign(_TAG + canonical(document))
    return canonical(document | {"signature": _text(signature)})


def check_accesses(document: bytes, vkey: str) -> Proved:
    """Check a document with nothing but the log's verifier key.

    Raises:
        ProofError: It is malformed, or something in it does not hold.
        NoteError: The key is malformed, or did not sign the checkpoint.
    """
    verifier = Verifier.parse(vkey)
    try:
        parsed = json.loads(document)
        return _check(parsed, verifier)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        if isinstance(error, ProofError | NoteError):
            raise
        raise ProofError("the document is malformed") from error


def _check(parsed: dict[str, Any], verifier: Verifier) -> Proved:
    signature = _bytes(parsed.pop("signature"))
    if parsed["v"] != _VERSION:
        raise ProofError("the document is of another version")
    try:
        verifier.verify(_TAG + canonical(parsed), signature)
    except NoteError as error:
        raise ProofError("the log's key did not sign this document") from error
    checkpoint = open_checkpoint(parsed["checkpoint"].encode(), verifier)
    lists: dict[str, list[int]] = {}
    names: set[str] | None = None
    past = 0
    for segment in parsed["segments"]:
        _, root = _checked_entry(segment, checkpoint)
        if root["kind"] != "index_root" or root["first"] != past or root["past"] <= past:
            raise ProofError("the roots do not cover the log without a gap")
        if names is not None and names != segment["lookups"].keys():
            raise ProofError("a root was not asked about everything")
        names = set(segment["lookups"])
        for of, told in segment["lookups"].items():
            lookup = _read_lookup(told)
            check_lookup(lookup, root["leaves"], _bytes(_standard(root["root"])))
            if any(not root["first"] <= entry < root["past"] for entry in lookup.entries):
                raise ProofError("a list names entries outside its root's range")
            lists.setdefault(of, []).extend(lookup.entries)
        past = root["past"]
    if names is not None and SUBJECT not in names:
        raise ProofError("no root was asked about the subject")
    entries = dict(_checked_entry(each, checkpoint) for each in parsed["entries"])
    return Proved(
        parsed["subject"],
        {of: tuple(found) for of, found in lists.items()},
        entries,
        past,
        checkpoint,
        parsed["told"],
    )


def _entry(reader: LogReader, index: int, size: int) -> dict[str, Any]:
    return {
        "index": index,
        "entry": reader.entry(index).decode(),
        "path": [_text(each) for each in reader.inclusion_proof(index, size)],
    }


def _checked_entry(told: JsonObject, checkpoint: Checkpoint) -> tuple[int, JsonObject]:
    body = told["entry"].encode()
    path = [_bytes(each) for each in told["path"]]
    verify_inclusion(told["index"], checkpoint.size, leaf_hash(body), path, checkpoint.root)
    return told["index"], json.loads(body)


def _lookup(connection: Reader, row: SegmentRow, label: bytes) -> dict[str, Any]:
    found = look_up(connection, row, label)
    return {
        "handle": _text(found.handle),
        "entries": list(found.entries),
        "leaves": [
            {
                "position": leaf.position,
                "path": _text(leaf.path),
                "value": _text(leaf.value),
                "proof": [_text(each) for each in leaf.proof],
            }
            for leaf in found.leaves
        ],
    }


def _read_lookup(told: JsonObject) -> Lookup:
    leaves = tuple(
        Leaf(
            leaf["position"],
            _bytes(leaf["path"]),
            _bytes(leaf["value"]),
            tuple(_bytes(each) for each in leaf["proof"]),
        )
        for leaf in told["leaves"]
    )
    handle = _bytes(told["handle"])
    if len(handle) != _DIGEST_BYTES:
        raise ProofError("a handle has 32 bytes")
    return Lookup(handle, tuple(told["entries"]), leaves)


def _text(data: bytes) -> str:
    return b64encode(data).decode()


def _standard(text: str) -> str:
    """Return a digest of an entry (base64url without padding) as standard base64."""
    return text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except Base64Error as error:
        raise ProofError("the document is malformed") from error
