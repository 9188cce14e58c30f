"""Evidence packs: everything that a reader without access to us needs, in one file.

`docs/audit.md` describes the format member by member; the verifier that ships with it
(`audit.standalone.verifier`) shares no code with this module. Nothing in a pack has to be
believed because of the pack: entries are proved against the checkpoint, and whatever else is
there is named by a digest or a commitment in an entry.
"""

import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Protocol

from audit.canonical import canonical
from audit.checkpoint import Checkpoint
from audit.commitment import FieldProof, Opening
from audit.container import pack_files, unpack_files
from audit.errors import ProofError
from audit.merkle import NodeSource
from audit.range_proof import range_proof

VERSION: Final = 1
KIND: Final = "xinguan-evidence-pack"
_LINE: Final = re.compile(rb"(0|[1-9][0-9]{0,15}) (\{.*\})")


class ProofSource(Protocol):
    """A log that proofs can be made from, as `audit.reader.LogReader` is."""

    def nodes(self, size: int) -> NodeSource:
        """Give the perfect subtrees of the tree of this size."""

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """Make the audit path of an entry in the tree of this size."""


@dataclass(frozen=True, slots=True)
class Promise:
    """The log key's promise on entries, as a caller gets it.

    Args:
        entries: Index and leaf hash of each entry under the one signature, in order.
        signature: 64 bytes.
    """

    entries: tuple[tuple[int, bytes], ...]
    signature: bytes


@dataclass(slots=True)
class Content:
    """What goes into a pack.

    Args:
        selection: How the entries were chosen: `by` and its words.
        entries: Index to bytes, those chosen and those that they rest on.
        chosen: The entries that were chosen; the others are there because these rest on them.
        span: First index and one past the last of a pack that holds a whole range, or None.
        promises: Promises on entries.
        openings: (entry, member, opening) of disclosed commitments.
        fields: (entry of the outcome, proof) of disclosed fields.
        inputs: Digest (hex) to canonical input.
        bundles: Digest (hex) to policy bundle.
        compiled: Digest (hex) to compiled policy.
        documents: Digest (hex) to signed document.
        keys: Key id to public key as a JWK.
        missing: What should be here and is not, in words.
    """

    selection: Mapping[str, object]
    entries: Mapping[int, bytes]
    chosen: Sequence[int]
    span: tuple[int, int] | None = None
    promises: Sequence[Promise] = ()
    openings: Sequence[tuple[int, str, Opening]] = ()
    fields: Sequence[tuple[int, FieldProof]] = ()
    inputs: dict[str, bytes] = field(default_factory=dict)
    bundles: dict[str, bytes] = field(default_factory=dict)
    compiled: dict[str, bytes] = field(default_factory=dict)
    documents: dict[str, bytes] = field(default_factory=dict)
    keys: dict[str, Mapping[str, str]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack that was read, not verified.

    Args:
        files: Name to bytes.
        entries: Index to bytes.
    """

    files: Mapping[str, bytes]
    entries: Mapping[int, bytes]


def write_pack(reader: ProofSource, checkpoint: Checkpoint, content: Content) -> bytes:
    """Write a pack against one checkpoint.

    Args:
        reader: The published log.
        checkpoint: A checkpoint of it, with all its cosignatures, that includes every entry.
        content: What goes in.

    Returns:
        The bytes of the file; the same content gives the same bytes.

    Raises:
        ProofError: An entry is not in the tree of the checkpoint, or the pack is too large.
        LogCorruptError: A tile is missing.
    """
    size = checkpoint.size
    files: dict[str, bytes] = {
        "checkpoint": checkpoint.note,
        "entries.txt": b"".join(
            b"%d %s\n" % (index, body) for index, body in sorted(content.entries.items())
        ),
        "proofs.json": canonical(_proofs(reader, size, content)),
        "promises.json": canonical(
            {"v": VERSION, "promises": list(map(_promise, content.promises))}
        ),
        "openings.json": canonical(
            {
                "v": VERSION,
                "openings": [_opening(*each) for each in content.openings],
                "fields": [_field(*each) for each in content.fields],
            }
        ),
        "keys.json": canonical({"v": VERSION, "keys": _by_name(content.keys)}),
        **{f"inputs/{name}.json": body for name, body in content.inputs.items()},
        **{f"policies/{name}.tar.gz": body for name, body in content.bundles.items()},
        **{f"policies/{name}.wasm": body for name, body in content.compiled.items()},
        **{f"documents/{name}.jws": body for name, body in content.documents.items()},
    }
    manifest = {
        "v": VERSION,
        "kind": KIND,
        "origin": checkpoint.origin,
        "size": size,
        "selection": dict(content.selection),
        "chosen": sorted(content.chosen),
        "missing": content.missing,
        "files": {
            name: {"bytes": len(body), "sha256": sha256(body).hexdigest()}
            for name, body in files.items()
        },
    }
    return pack_files({"manifest.json": canonical(manifest), **files})


def open_pack(data: bytes) -> Pack:
    """Read a pack without verifying what it says.

    Raises:
        ProofError: It is no pack, or not written as one is.
    """
    files = unpack_files(data)
    try:
        manifest: dict[str, Any] = json.loads(files["manifest.json"])  # Any: values of JSON
        if (manifest["v"], manifest["kind"]) != (VERSION, KIND):
            raise ProofError("this is no evidence pack of this version")
        lines = files["entries.txt"].splitlines()
    except (KeyError, ValueError, TypeError) as error:
        raise ProofError("this is no evidence pack") from error
    entries = {}
    for line in lines:
        found = _LINE.fullmatch(line)
        if found is None:
            raise ProofError("the entries of the pack are malformed")
        entries[int(found[1])] = found[2]
    return Pack(files, entries)


def _proofs(reader: ProofSource, size: int, content: Content) -> dict[str, object]:
    """Return one proof for a whole range, and an audit path for every other entry."""
    if content.chosen and max(content.entries) >= size:
        raise ProofError("an entry is not in the tree of the checkpoint yet")
    span: dict[str, object] | None = None
    covered = range(0)
    if content.span is not None:
        start, end = content.span
        covered = range(start, end)
        hashes = range_proof(start, end, size, reader.nodes(size))
        span = {"start": start, "end": end, "hashes": [_text(each) for each in hashes]}
    paths = {
        str(index): [_text(each) for each in reader.inclusion_proof(index, size)]
        for index in sorted(content.entries)
        if index not in covered
    }
    return {"v": VERSION, "size": size, "paths": paths, "range": span}


def _promise(promise: Promise) -> dict[str, object]:
    return {
        "entries": [[index, _text(leaf)] for index, leaf in promise.entries],
        "signature": _text(promise.signature),
    }


def _opening(entry: int, member: str, opening: Opening) -> dict[str, object]:
    return {
        "entry": entry,
        "member": member,
        "domain": opening.domain,
        "value": _text(opening.value),
        "salt": _text(opening.salt),
    }


def _field(entry: int, proof: FieldProof) -> dict[str, object]:
    return {
        "entry": entry,
        "name": proof.name,
        "value": _text(proof.opening.value),
        "salt": _text(proof.opening.salt),
        "position": proof.position,
        "others": [_text(each) for each in proof.others],
    }


def _by_name(keys: Mapping[str, Mapping[str, str]]) -> list[dict[str, object]]:
    return [{"id": name, "jwk": dict(keys[name])} for name in sorted(keys)]


def _text(raw: bytes) -> str:
    return b64encode(raw).decode()
