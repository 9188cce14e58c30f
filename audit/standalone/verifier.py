"""Check a Xinguan evidence pack with no access to the gateway, its operator or its code.

    python verifier.py PACK --key VKEY            the log's key, from a source you trust
    python verifier.py PACK --trust POLICY        a tlog-policy file: log, witnesses, quorum
    python verifier.py PACK --trust POLICY --replay --json

One file; it needs Python 3.11 and `cryptography` and nothing else (`--replay` also needs the
`opa` binary, or the packages wasmtime and opa-py-wasm). It was written from the specifications
and from docs/audit.md, and shares no code with the gateway. Read it before you trust it.

It goes through these steps in order and stops at the first thing that does not hold:

    container   the file is spelt as a pack is spelt, and every member has its digest
    checkpoint  the log's key signed it; enough trusted witnesses cosigned it
    entries     each is canonical JSON of a known form and is proved to be in that tree
    promises    what the log's key promised to callers is what the log holds
    references  each act that an entry cites is there, is older, and says the same
    outcomes    batches and outcome of a delivery agree with its intent and each other
    documents   licences and approvals were signed by the keys that the entries name
    decisions   bundle and input are those that the entry names; with --replay, decide again
    openings    what is disclosed is what was committed to

Exit code: 0 all of it holds, 1 something does not (the reason has a code), 2 it can't be tried.
What is not checked is printed each time.
"""

import argparse
import base64
import binascii
import hashlib
import io
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Json = dict[str, Any]  # an object as it was parsed: nothing is known of its values yet
Files = Mapping[str, bytes]
Entries = dict[int, tuple[bytes, Json]]
Keys = dict[str, Ed25519PublicKey]
Disclosed = list[tuple[int, str, str]]
Links = dict[str, tuple[str, tuple[tuple[str, str], ...]]]
MAX_PACK_BYTES = 1 << 30
MAX_MEMBERS = 20_000
MAX_INTEGER = 2**53 - 1


class Refused(Exception):
    """The pack does not hold.

    Args:
        code: A stable word for the reason.
        text: The same for people.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Unusable(Exception):
    """The check can't be made: a wrong option, an unreadable file, no engine."""


class Report:
    """What was checked, what was not, and what a reader should look at."""

    def __init__(self) -> None:
        self.checked: list[tuple[str, str]] = []
        self.not_checked: list[str] = []
        self.notes: list[str] = []

    def ok(self, step: str, text: str) -> None:
        """Note that a step holds."""
        self.checked.append((step, text))

    def skip(self, text: str) -> None:
        """Note that something was not checked."""
        if text not in self.not_checked:
            self.not_checked.append(text)

    def note(self, text: str) -> None:
        """Note something that is no failure but that a reader should know."""
        self.notes.append(text)


# ---- Small things ------------------------------------------------------------------------


def need(condition: object, code: str, text: str) -> None:
    """Refuse unless a condition holds."""
    if not condition:
        raise Refused(code, text)


def b64(text: Any, code: str, length: int | None = None) -> bytes:
    """Decode standard base64 that is spelt as an encoder spells it."""
    need(isinstance(text, str), code, "a value that should be base64 is no text")
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, binascii.Error) as error:
        raise Refused(code, "a value is not base64") from error
    need(base64.b64encode(raw).decode() == text, code, "a value is not base64 as it is written")
    need(length is None or len(raw) == length, code, f"a value has not {length} bytes")
    return raw


def digest43(text: Any) -> bytes:
    """Decode a digest as entries hold it: 43 characters of base64url."""
    need(
        isinstance(text, str) and re.fullmatch(r"[A-Za-z0-9_-]{43}", text) is not None,
        "ENTRY_SCHEMA",
        "a digest has not 43 characters of base64url",
    )
    raw = base64.urlsafe_b64decode(text + "=")
    spelt = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    need(spelt == text, "ENTRY_SCHEMA", "a digest is spelt wrongly")
    return raw


def sha256(*parts: bytes) -> bytes:
    """Return the SHA-256 of the parts, one after the other."""
    return hashlib.sha256(b"".join(parts)).digest()


def canonical(value: Any) -> bytes:
    """Return canonical JSON (RFC 8785) of text, integers, booleans, null, lists and objects."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def strict_json(raw: bytes, code: str, what: str) -> Any:
    """Parse JSON that is canonical: no doubled names, no fractions, one spelling."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        need(len(made) == len(pairs), code, f"{what} names a member twice")
        return made

    def no_fraction(_: str) -> float:
        raise Refused(code, f"{what} holds a number that is no integer")

    try:
        value = json.loads(
            raw, object_pairs_hook=members, parse_float=no_fraction, parse_constant=no_fraction
        )
        spelt = canonical(value)
    except (ValueError, RecursionError) as error:
        raise Refused(code, f"{what} is no JSON that can be read") from error
    need(spelt == raw, code, f"{what} is not in canonical form")
    check_json(value, code, what)
    return value


def check_json(value: Any, code: str, what: str) -> None:
    """Refuse integers that JSON numbers don't hold exactly, and names outside ASCII."""
    if isinstance(value, dict):
        need(all(name.isascii() for name in value), code, f"{what} has a name outside ASCII")
        for item in value.values():
            check_json(item, code, what)
    elif isinstance(value, list):
        for item in value:
            check_json(item, code, what)
    elif isinstance(value, int):
        need(abs(value) <= MAX_INTEGER, code, f"{what} holds an integer that is too large")


# ---- The container -----------------------------------------------------------------------

NAMES = re.compile(
    r"manifest\.json|checkpoint|entries\.txt|(?:proofs|promises|openings|keys)\.json"
    r"|inputs/[0-9a-f]{64}\.json|policies/[0-9a-f]{64}\.(?:tar\.gz|wasm)"
    r"|documents/[0-9a-f]{64}\.jws"
)
ALWAYS = (
    "manifest.json", "checkpoint", "entries.txt", "proofs.json", "promises.json",
    "openings.json", "keys.json",
)  # fmt: skip
LOCAL = struct.Struct("<IHHHHHIIIHH")
CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")
END = struct.Struct("<IHHHHIIH")


def write_container(files: Mapping[str, bytes]) -> bytes:
    """Return the one ZIP that a pack with these files is."""
    members, directory, offset = [], [], 0
    for name in sorted(files):
        body, raw = files[name], name.encode()
        shared = (0, 0, 0, 0x21, zlib.crc32(body), len(body), len(body), len(raw), 0)
        members.append(LOCAL.pack(0x04034B50, 20, *shared) + raw + body)
        directory.append(CENTRAL.pack(0x02014B50, 20, 20, *shared, 0, 0, 0, 0, offset) + raw)
        offset += len(members[-1])
    central = b"".join(directory)
    end = END.pack(0x06054B50, 0, 0, len(files), len(files), len(central), offset, 0)
    return b"".join([*members, central, end])


def read_container(data: bytes) -> dict[str, bytes]:
    """Return name to bytes. A file with any other spelling than the one is refused."""
    files, at = {}, 0
    while data[at : at + 4] == b"PK\x03\x04":
        need(len(data) - at >= LOCAL.size, "PACK_FORMAT", "the pack is cut off")
        fields = LOCAL.unpack_from(data, at)
        method, packed, size, length = fields[3], fields[7], fields[8], fields[9]
        need(method == 0, "PACK_FORMAT", "a member is compressed; a pack's members are not")
        need(packed == size, "PACK_FORMAT", "a member has two sizes")
        begin = at + LOCAL.size + length
        name = data[at + LOCAL.size : begin].decode("ascii", "replace")
        need(NAMES.fullmatch(name) is not None, "PACK_NAME", "a member has a name of no pack")
        need(name not in files, "PACK_NAME", f"{name} is there twice")
        need(begin + size <= len(data), "PACK_FORMAT", f"{name} is longer than the pack")
        files[name] = data[begin : begin + size]
        need(len(files) <= MAX_MEMBERS, "PACK_FORMAT", "the pack has too many members")
        at = begin + size
    need(files, "PACK_FORMAT", "this is no pack")
    need(write_container(files) == data, "PACK_FORMAT", "the file is not spelt as a pack is")
    return files


def read_pack(data: bytes, report: Report) -> tuple[Files, Json]:
    """Return the files and the manifest after comparing each file with its digest."""
    files = read_container(data)
    for name in ALWAYS:
        need(name in files, "PACK_FORMAT", f"{name} is missing")
    manifest = strict_json(files["manifest.json"], "MANIFEST", "the manifest")
    need(isinstance(manifest, dict), "MANIFEST", "the manifest is no object")
    known = {"v", "kind", "origin", "size", "selection", "chosen", "missing", "files"}
    need(manifest.keys() == known, "MANIFEST", "the manifest has other members than a manifest")
    need(
        (manifest["v"], manifest["kind"]) == (1, "xinguan-evidence-pack"),
        "MANIFEST",
        "this is no evidence pack of version 1",
    )
    listed = manifest["files"]
    need(isinstance(listed, dict), "MANIFEST", "the list of files is no object")
    need(
        listed.keys() == files.keys() - {"manifest.json"},
        "MANIFEST",
        "the manifest lists other files than the pack holds",
    )
    for name, said in listed.items():
        need(
            said == {"bytes": len(files[name]), "sha256": sha256(files[name]).hex()},
            "FILE_DIGEST",
            f"{name} is not the file that the manifest lists",
        )
    report.ok("container", f"{len(files)} members, each with its digest")
    for text in manifest["missing"]:
        report.note(f"the pack itself says that something is missing: {text}")
    return files, manifest


# ---- Notes, checkpoints, witnesses ---------------------------------------------------------


class Key:
    """A verifier key: `name+hex id+base64(type || 32 bytes)` of type 1 (log) or 4 (witness)."""

    def __init__(self, text: str) -> None:
        parts = text.strip().split("+", 2)
        if len(parts) != 3 or not re.fullmatch(r"[0-9a-f]{8}", parts[1]):
            raise Unusable("a key is not written NAME+ID+BASE64")
        self.name, self.id = parts[0], bytes.fromhex(parts[1])
        try:
            raw = base64.b64decode(parts[2], validate=True)
        except (ValueError, binascii.Error) as error:
            raise Unusable("a key is not base64") from error
        if len(raw) != 33 or raw[0] not in (1, 4) or base64.b64encode(raw).decode() != parts[2]:
            raise Unusable("a key is no Ed25519 key of a log or a witness")
        if not self.name or "+" in self.name or any(c.isspace() for c in self.name):
            raise Unusable("the name of a key is not allowed")
        if sha256(self.name.encode(), b"\n", raw)[:4] != self.id:
            raise Unusable("the id of a key is not that of its name and key")
        self.type = raw[0]
        self.key = Ed25519PublicKey.from_public_bytes(raw[1:])

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Return whether this key signed a message."""
        try:
            self.key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class Trust:
    """Whom the reader trusts: one log, witnesses, and how many of them (tlog-policy)."""

    def __init__(self) -> None:
        self.log: Key
        self.names: dict[
            str, Any
        ] = {}  # witness name -> Key, group name -> (threshold, member names)
        self.quorum: str | None = None

    @classmethod
    def of_key(cls, text: str) -> "Trust":
        """Trust a log's key and no witness."""
        trust = cls()
        trust.log = Key(text)
        if trust.log.type != 1:
            raise Unusable("the key is not a log's")
        return trust

    @classmethod
    def of_policy(cls, text: str) -> "Trust":
        """Read a tlog-policy file; names are defined before they are used, members once."""
        trust = cls()
        used: set[str] = set()
        for line in text.splitlines():
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            trust._line(words, used)
        if not hasattr(trust, "log") or trust.quorum is None:
            raise Unusable("a policy has a line `log` and a line `quorum`")
        return trust

    def _line(self, words: list[str], used: set[str]) -> None:
        kind, rest = words[0], words[1:]
        if kind == "log" and len(rest) in (1, 2) and not hasattr(self, "log"):
            self.log = Key(rest[0])
            if self.log.type != 1:
                raise Unusable("the key of the log is not a log's")
        elif kind == "witness" and len(rest) in (2, 3) and self._free(rest[0]):
            key = Key(rest[1])
            if key.type != 4:
                raise Unusable("the key of a witness is not a witness's")
            if any(isinstance(k, Key) and k.key == key.key for k in self.names.values()):
                raise Unusable("two witnesses of the policy have one key")
            self.names[rest[0]] = key
        elif kind == "group" and len(rest) >= 3 and self._free(rest[0]):
            members = rest[2:]
            for name in members:
                if name not in self.names or name in used:
                    raise Unusable("a group's member is unknown or used twice")
                used.add(name)
            counts = {"all": len(members), "any": 1}
            number = int(rest[1]) if re.fullmatch(r"[1-9][0-9]{0,2}", rest[1]) else 0
            threshold = counts.get(rest[1], number)
            if not 1 <= threshold <= len(members):
                raise Unusable("the threshold of a group can't be met")
            self.names[rest[0]] = (threshold, members)
        elif kind == "quorum" and len(rest) == 1 and self.quorum is None:
            if rest[0] != "none" and rest[0] not in self.names:
                raise Unusable("the quorum is unknown")
            self.quorum = rest[0]
        else:
            raise Unusable("a line of the policy is not understood")

    def _free(self, name: str) -> bool:
        return name != "none" and name not in self.names

    def witnesses(self) -> list[Key]:
        """Return the keys of all witnesses."""
        return [key for key in self.names.values() if isinstance(key, Key)]

    def met(self, cosigned: Sequence[Key], name: str | None = None) -> bool:
        """Return whether those who cosigned are enough."""
        name = name or self.quorum
        if name is None or name == "none":
            return True
        what = self.names[name]
        if isinstance(what, Key):
            return what in cosigned
        threshold, members = what
        return bool(sum(self.met(cosigned, member) for member in members) >= threshold)


SIGNATURE = re.compile("\u2014 ([^ ]+) ([A-Za-z0-9+/]+={0,2})")


def read_note(note: bytes, code: str) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """Return text and (name, key id, signature) of a signed note, split at its last empty line."""
    need(len(note) <= 1 << 20, code, "the note is too long")
    try:
        whole = note.decode()
    except UnicodeDecodeError as error:
        raise Refused(code, "the note is not UTF-8") from error
    body, found, lines = whole.rpartition("\n\n")
    need(found and lines.endswith("\n"), code, "the note has no signatures")
    text = body + "\n"
    need(not re.search(r"[\x00-\x09\x0b-\x1f]", whole), code, "the note has control characters")
    signatures = []
    for line in lines[:-1].split("\n"):
        match = SIGNATURE.fullmatch(line)
        if match is None:
            raise Refused(code, "a signature line is malformed")
        raw = b64(match[2], code)
        need(len(raw) > 4, code, "a signature is too short")
        signatures.append((match[1], raw[:4], raw[4:]))
    need(len(signatures) <= 100, code, "the note has too many signatures")
    return text, signatures


def read_checkpoint(note: bytes, trust: Trust, report: Report) -> tuple[int, bytes]:
    """Return size and root of the checkpoint after checking who signed it."""
    text, signatures = read_note(note, "CHECKPOINT")
    trusted = {(key.name, key.id): key for key in (trust.log, *trust.witnesses())}
    seen, cosigned, times = set(), [], []
    signed = False
    for name, key_id, raw in signatures:
        key = trusted.get((name, key_id))
        if key is None:
            continue  # a key that nobody here trusts, as the specification demands
        need(key not in seen, "CHECKPOINT", f"{name} signed twice")
        seen.add(key)
        if key.type == 1:
            need(key.verify(raw, text.encode()), "CHECKPOINT", "the log's signature does not hold")
            signed = True
        else:
            # cosignature/v1: eight bytes of time, then a signature over time and checkpoint.
            need(len(raw) == 72, "WITNESS", f"the cosignature of {name} has a wrong length")
            (at,) = struct.unpack(">Q", raw[:8])
            message = f"cosignature/v1\ntime {at}\n{text}".encode()
            need(key.verify(raw[8:], message), "WITNESS", f"the cosignature of {name} is wrong")
            cosigned.append(key)
            times.append(at)
    need(signed, "CHECKPOINT", "the log's key did not sign this checkpoint")
    lines = text[:-1].split("\n")
    need(len(lines) >= 3 and all(lines), "CHECKPOINT", "the checkpoint is malformed")
    need(lines[0] == trust.log.name, "CHECKPOINT", "the checkpoint is another log's")
    need(re.fullmatch(r"[1-9][0-9]{0,17}", lines[1]), "CHECKPOINT", "its size is malformed")
    size, root = int(lines[1]), b64(lines[2], "CHECKPOINT", 32)
    report.ok("checkpoint", f"{lines[0]}, {size} entries, signed by the log's key")
    if trust.quorum is None:
        report.skip("witnesses: no policy was given, so the log could show others another tree")
    elif trust.quorum == "none":
        report.skip("witnesses: the policy asks for none, so the log could show another tree")
    else:
        need(trust.met(cosigned), "WITNESS", "too few trusted witnesses cosigned the checkpoint")
        newest = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(max(times)))
        names = ", ".join(sorted(key.name for key in cosigned))
        report.ok("checkpoint", f"cosigned by {names}; seen last at {newest}")
    return size, root


# ---- The tree (RFC 9162) -------------------------------------------------------------------


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry."""
    return sha256(b"\0", entry)


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of two subtrees."""
    return sha256(b"\1", left, right)


def split(width: int) -> int:
    """Return the greatest power of two that is smaller than a width."""
    return 1 << ((width - 1).bit_length() - 1)


def inclusion_root(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """Return the root that an audit path leads to (section 2.1.3.2)."""
    need(0 <= index < size, "PROOF", "an entry is not in the tree")
    need(all(len(each) == 32 for each in path), "PROOF", "a hash has not 32 bytes")
    fn, sn, root = index, size - 1, leaf
    for each in path:
        need(sn != 0, "PROOF", f"the proof of entry {index} is too long")
        if fn & 1 or fn == sn:
            root = node_hash(each, root)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            root = node_hash(root, each)
        fn, sn = fn >> 1, sn >> 1
    need(sn == 0, "PROOF", f"the proof of entry {index} is too short")
    return root


def tree_root(leaves: list[bytes]) -> bytes:
    """Return the root of a list of leaves (section 2.1.1)."""
    if len(leaves) == 1:
        return leaves[0]
    middle = split(len(leaves))
    return node_hash(tree_root(leaves[:middle]), tree_root(leaves[middle:]))


def range_root(start: int, leaves: list[bytes], size: int, hashes: Sequence[bytes]) -> bytes:
    """Return the root from all leaves of a range and the subtrees beside it, left before right."""
    end, beside = start + len(leaves), list(reversed(hashes))

    def walk(low: int, high: int) -> bytes:
        if high <= start or low >= end:
            need(beside, "RANGE", "the proof of the range is too short")
            return beside.pop()
        if start <= low and high <= end:
            return tree_root(leaves[low - start : high - start])
        middle = low + split(high - low)
        left = walk(low, middle)
        return node_hash(left, walk(middle, high))

    root = walk(0, size)
    need(not beside, "RANGE", "the proof of the range is too long")
    return root


# ---- Entries -------------------------------------------------------------------------------

# Member types: s text, i integer, b truth, d digest, h hexadecimal digest, S list of texts,
# I list of integers, P list of [rule, code], F action to list of names; ? may be absent.
USE = (
    "request:s product:s? managers:S? party:s? certificate:d? operator:d? case:d? purpose:s? "
    "scenario:s? destination:s? licence:i? consent:i? contract:d? bundle:d? input:d? decision:d? "
    "policy:i? run:i? publication:i? pinned:i? whitelist:i? border:I? subject_count:i? subjects:d? "
    "idempotency:d? signature:d? end_user:d?"
)
SCHEMA = {
    "log_opened": "origin:s vkey:s",
    "node_started": "operator:s version:s bundle:d config:d registration:i? trust:d?",
    "node_stopped": "reason:s",
    "key_changed": "actor:s party:s purpose:s key:s status:s",
    "policy_activated": "actor:s bundle:d sources:d revision:s wasm:d? approvals:I?",
    "policy_approved": "actor:s role:s bundle:d signer:s document:d",
    "contract_published": "actor:s product:s version:s contract:d managers:S",
    "snapshot_admitted": "actor:s product:s snapshot:d contract:d as_of:i rows:i quarantined:i",
    "border_copied": ("actor:s product:s snapshot:d source:d fields:S whitelists:I key:s"),
    "border_destroyed": "actor:s key:s copies:i reason:s",
    "party_registered": "actor:s party:s name:s role:s jurisdiction:s status:s",
    "certificate_pinned": (
        "actor:s party:s fingerprint:h not_before:i not_after:i registration:i?"
    ),
    "certificate_revoked": "actor:s party:s fingerprint:h",
    "licence_activated": (
        "actor:s licence:s serial:i party:s licence_kind:s signer:s document:h not_before:i "
        "not_after:i registration:i?"
    ),
    "licence_status": "actor:s licence:s serial:i party:s status:s reason:s?",
    "consent_registered": (
        "actor:s issuer:s recipient:s digest:h mode:s cross_border:b not_before:i not_after:i"
    ),
    "consent_withdrawn": "actor:s consent:i issuer:s digest:h",
    "whitelist_proposed": "actor:s partner:s product:s version:i fields:S mechanism:s not_before:i",
    "whitelist_approved": "actor:s partner:s product:s version:i role:s proposal:i earlier:I?",
    "whitelist_withdrawn": "actor:s partner:s product:s version:i proposal:i",
    "border_proposed": "actor:s register:s name:s version:i terms:s",
    "border_approved": "actor:s register:s name:s version:i role:s proposal:i",
    "border_registered": (
        "actor:s register:s name:s version:i terms:s signer:s? document:d? proposal:i? approvals:I?"
    ),
    "border_status": (
        "actor:s register:s name:s version:i status:s registered:i? proposal:i? reason:s?"
    ),
    "issuer_proposed": (
        "actor:s issuer:s version:i issuer_kind:s jurisdiction:s agreement:s content:h not_before:i"
    ),
    "issuer_approved": (
        "actor:s issuer:s version:i role:s proposal:i earlier:I? signer:s? document:h?"
    ),
    "issuer_withdrawn": "actor:s issuer:s version:i proposal:i reason:s?",
    "foreign_admitted": (
        "actor:s product:s issuer:s registration:i document:d record:d status:d table:s?"
    ),
    "foreign_refreshed": "actor:s product:s confirmed:i withdrawn:i held:i stale:i",
    "recognition_registered": (
        "actor:s register:s name:s version:i content:d signer:s not_before:i"
    ),
    "recognition_proposed": "actor:s register:s name:s version:i content:d not_before:i",
    "recognition_approved": ("actor:s register:s name:s version:i role:s proposal:i earlier:I?"),
    "recognition_withdrawn": ("actor:s register:s name:s version:i proposal:i? registration:i?"),
    "report_issued": "actor:s report:s intents:I valid_until:i",
    "stop_ordered": "actor:s scope:s reason:s?",
    "stop_lifted": "actor:s scope:s reason:s?",
    "intent": USE + " snapshot:d fields:F",
    "denial": USE + " reasons:P",
    "batch": "intent:i number:i rows:i content:d delivered:d",
    "outcome": "intent:i status:s rows:i bytes:i content:d? field_root:d? delivered:d?",
    "repair": (
        "actor:s product:s record:d authority:s sequence:i verdict:s signer:s document:d state:s? "
        "delay:i? consequences:S?"
    ),
    "alarm": "actor:s rule:s code:s product:s? records:i? cause:i? document:d?",
    "recall": "repair:i party:s deliveries:i first:i last:i notice:d due:i",
    "recall_acknowledged": "recall:i party:s answer:s signature:d?",
    "recall_escalated": "recall:i party:s",
    "recall_probed": "actor:s recall:i party:s result:s",
    "endpoint_declared": "actor:s party:s endpoint:s",
    "suspension_proposed": "party:s recalls:I",
    "suspension_closed": "actor:s proposal:i party:s decision:s document:d?",
    "publicity_reconciled": (
        "actor:s product:s authority:s snapshot:d as_of:i records:i differences:i applied:i"
    ),
    "credential_issued": "intent:i product:s credential:d fields:i expires:i bound:b",
    "credential_status": "actor:s product:s status:s reason:s count:i",
    "index_root": "first:i past:i leaves:i root:d destruction:i?",
    "openings_destroyed": "actor:s basis:s until:i count:i entries:d approvals:P",
    "hold_placed": "actor:s hold:s reason:s subject:d?",
    "hold_lifted": "actor:s hold:s reason:s placed:i",
    "intents_open": "count:i intents:I",
    "export_declared": (
        "actor:s exporter:s year:i class:s version:i persons:i as_of:i signer:s document:h"
    ),
    "export_settled": "actor:s released:I sent:I reason:s?",
    "audit_read": "actor:s what:s start:i? count:i? subject:d? reason:s?",
}
# Where an index leads: kind, and pairs of members that must say the same (theirs, ours).
REQUEST_LINKS: Links = {
    "licence": ("licence_activated", (("party", "party"),)),
    "consent": ("consent_registered", (("recipient", "party"),)),
    "policy": ("policy_activated", (("bundle", "bundle"),)),
    "run": ("node_started", (("node", "node"), ("bundle", "bundle"))),
    "publication": (
        "contract_published",
        (("product", "product"), ("contract", "contract"), ("managers", "managers")),
    ),
    "pinned": ("certificate_pinned", (("party", "party"), ("fingerprint", "certificate"))),
    "whitelist": ("whitelist_approved", (("partner", "party"), ("product", "product"))),
    "border": ("border_registered", ()),
}
SAME_LIST = (("partner", "partner"), ("product", "product"), ("version", "version"))
SAME_STATEMENT = (("register", "register"), ("name", "name"), ("version", "version"))
SAME_TERMS = (*SAME_STATEMENT, ("terms", "terms"))
SAME_ISSUER = (("issuer", "issuer"), ("version", "version"))
SAME_TABLE = (("register", "register"), ("name", "name"), ("version", "version"))
LINKS: dict[str, Links] = {
    "intent": REQUEST_LINKS,
    "denial": REQUEST_LINKS,
    "batch": {"intent": ("intent", (("node", "node"),))},
    "outcome": {"intent": ("intent", (("node", "node"),))},
    "policy_activated": {"approvals": ("policy_approved", (("bundle", "bundle"),))},
    "node_started": {"registration": ("party_registered", (("party", "operator"),))},
    "certificate_pinned": {"registration": ("party_registered", (("party", "party"),))},
    "licence_activated": {"registration": ("party_registered", (("party", "party"),))},
    "consent_withdrawn": {"consent": ("consent_registered", (("digest", "digest"),))},
    "whitelist_approved": {
        "proposal": ("whitelist_proposed", SAME_LIST),
        "earlier": ("whitelist_approved", SAME_LIST),
    },
    "whitelist_withdrawn": {"proposal": ("whitelist_proposed", SAME_LIST)},
    "border_approved": {"proposal": ("border_proposed", SAME_STATEMENT)},
    "border_registered": {
        "proposal": ("border_proposed", SAME_TERMS),
        "approvals": ("border_approved", SAME_STATEMENT),
    },
    "border_status": {
        "registered": ("border_registered", SAME_STATEMENT),
        "proposal": ("border_proposed", SAME_STATEMENT),
    },
    "issuer_approved": {
        "proposal": ("issuer_proposed", SAME_ISSUER),
        "earlier": ("issuer_approved", SAME_ISSUER),
    },
    "issuer_withdrawn": {"proposal": ("issuer_proposed", SAME_ISSUER)},
    "foreign_admitted": {"registration": ("issuer_approved", (("issuer", "issuer"),))},
    "recognition_approved": {
        "proposal": ("recognition_proposed", SAME_TABLE),
        "earlier": ("recognition_approved", SAME_TABLE),
    },
    "recognition_withdrawn": {
        "proposal": ("recognition_proposed", SAME_TABLE),
        "registration": ("recognition_registered", SAME_TABLE),
    },
    "report_issued": {"intents": ("intent", (("party", "actor"),))},
    "border_copied": {"whitelists": ("whitelist_approved", (("product", "product"),))},
    "recall": {
        "repair": ("repair", ()),
        "first": ("intent", (("party", "party"),)),
        "last": ("intent", (("party", "party"),)),
    },
    "recall_acknowledged": {"recall": ("recall", (("party", "party"),))},
    "recall_escalated": {"recall": ("recall", (("party", "party"),))},
    "recall_probed": {"recall": ("recall", (("party", "party"),))},
    "suspension_proposed": {"recalls": ("recall", (("party", "party"),))},
    "suspension_closed": {"proposal": ("suspension_proposed", (("party", "party"),))},
    "credential_issued": {"intent": ("intent", (("node", "node"), ("product", "product")))},
    "hold_lifted": {"placed": ("hold_placed", (("hold", "hold"),))},
    "index_root": {"destruction": ("openings_destroyed", ())},
    "export_settled": {"released": ("intent", ()), "sent": ("intent", ())},
}


def is_texts(value: Any) -> bool:
    """Return whether a value is a list of texts."""
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def is_number(value: Any) -> bool:
    """Return whether a value is an integer (a truth is none)."""
    return isinstance(value, int) and not isinstance(value, bool)


TYPES: dict[str, Callable[[Any], bool]] = {
    "s": lambda v: isinstance(v, str),
    "i": is_number,
    "b": lambda v: isinstance(v, bool),
    "d": lambda v: isinstance(v, str) and len(digest43(v)) == 32,
    "h": lambda v: isinstance(v, str) and re.fullmatch(r"[0-9a-f]{64}", v) is not None,
    "S": is_texts,
    "I": lambda v: isinstance(v, list) and v != [] and all(map(is_number, v)),
    "P": lambda v: isinstance(v, list) and all(is_texts(p) and len(p) == 2 for p in v),
    "F": lambda v: isinstance(v, dict) and all(map(is_texts, v.values())),
}


def check_schema(index: int, entry: Json, report: Report) -> None:
    """Check the members of an entry of a known kind; name what is not known here."""
    need(isinstance(entry, dict), "ENTRY_SCHEMA", f"entry {index} is no object")
    need(entry.get("v") == 1, "ENTRY_SCHEMA", f"entry {index} is not of version 1")
    for name, kind in (("kind", "s"), ("time", "i"), ("node", "s")):
        need(
            name in entry and TYPES[kind](entry[name]),
            "ENTRY_SCHEMA",
            f"entry {index} has no proper `{name}`",
        )
    form = SCHEMA.get(entry["kind"])
    if form is None:
        report.skip(f"entries of the kind {entry['kind']}: their members are not known here")
        return
    known = {"v", "kind", "time", "node"}
    for word in form.split():
        name, kind = word.rstrip("?").split(":")
        known.add(name)
        if name not in entry:
            need(word.endswith("?"), "ENTRY_SCHEMA", f"entry {index} lacks its member `{name}`")
            continue
        need(TYPES[kind](entry[name]), "ENTRY_SCHEMA", f"`{name}` of entry {index} is malformed")
    for name in sorted(entry.keys() - known):
        report.skip(f"member `{name}` of entries of the kind {entry['kind']}: not known here")


def read_entries(raw: bytes, report: Report) -> Entries:
    """Return index to (bytes, parsed entry) of `entries.txt`."""
    entries, last = {}, -1
    need(raw.endswith(b"\n"), "ENTRY_FORM", "the list of entries is cut off")
    for line in raw[:-1].split(b"\n"):
        match = re.fullmatch(rb"(0|[1-9][0-9]{0,15}) (.+)", line)
        if match is None:
            raise Refused("ENTRY_FORM", "a line of the entries is malformed")
        index, body = int(match[1]), match[2]
        need(index > last, "ENTRY_FORM", "the entries are not in order")
        need(len(body) <= 65_535, "ENTRY_FORM", f"entry {index} is too long for a log")
        entry = strict_json(body, "ENTRY_FORM", f"entry {index}")
        check_schema(index, entry, report)
        entries[index], last = (body, entry), index
    report.ok("entries", f"{len(entries)} entries in canonical form, of a known schema")
    return entries


def check_proofs(
    raw: bytes, manifest: Json, entries: Entries, size: int, root: bytes, report: Report
) -> None:
    """Check that every entry is in the tree, and that a range has all of its entries."""
    proofs = strict_json(raw, "PROOF", "the list of proofs")
    need(
        isinstance(proofs, dict)
        and proofs.keys() == {"v", "size", "paths", "range"}
        and proofs["v"] == 1
        and isinstance(proofs["paths"], dict),
        "PROOF",
        "the list of proofs is malformed",
    )
    need(
        proofs["size"] == size == manifest["size"],
        "PROOF",
        "the proofs are of another tree than the checkpoint",
    )
    covered, span = range(0), proofs["range"]
    if span is not None:
        need(
            isinstance(span, dict)
            and span.keys() == {"start", "end", "hashes"}
            and is_number(span["start"])
            and is_number(span["end"])
            and isinstance(span["hashes"], list)
            and 0 <= span["start"] < span["end"] <= size,
            "RANGE",
            "the range is malformed",
        )
        covered = range(span["start"], span["end"])
        need(len(covered) <= len(entries), "RANGE", "an entry of the range is missing")
        absent = next((index for index in covered if index not in entries), None)
        need(absent is None, "RANGE", f"entry {absent} of the range is missing")
        leaves = [leaf_hash(entries[index][0]) for index in covered]
        hashes = [b64(each, "RANGE", 32) for each in span["hashes"]]
        found = range_root(covered.start, leaves, size, hashes)
        need(found == root, "RANGE", "the range does not lead to the root that was signed")
        report.ok("entries", f"the range {covered.start}:{covered.stop} is whole, none left out")
    expected = {str(index) for index in entries if index not in covered}
    need(proofs["paths"].keys() == expected, "PROOF", "an entry has no proof, or a proof no entry")
    for index, (body, _) in entries.items():
        if index in covered:
            continue
        need(isinstance(proofs["paths"][str(index)], list), "PROOF", "a proof is malformed")
        path = [b64(each, "PROOF", 32) for each in proofs["paths"][str(index)]]
        need(len(path) <= 63, "PROOF", f"the proof of entry {index} is too long")
        need(
            inclusion_root(index, size, leaf_hash(body), path) == root,
            "PROOF",
            f"entry {index} is not proved to be in the log",
        )
    report.ok("entries", f"all {len(entries)} are in the tree that was signed")


def check_selection(manifest: Json, entries: Entries, report: Report) -> None:
    """Check that the chosen entries are those that the manifest says they are."""
    selection, chosen = manifest["selection"], manifest["chosen"]
    need(
        isinstance(selection, dict) and isinstance(chosen, list) and all(map(is_number, chosen)),
        "MANIFEST",
        "the selection is malformed",
    )
    need(chosen and set(chosen) <= entries.keys(), "MANIFEST", "a chosen entry is not there")
    by = selection.get("by")
    if by == "range":
        claimed = range(selection.get("start", 0), selection.get("end", 0))
        # Counted before it is written out: it may claim more than there is memory for.
        need(
            len(chosen) == len(claimed) and chosen == list(claimed),
            "RANGE",
            "the chosen entries are not the range that is claimed",
        )
        return
    if by in ("request", "party"):
        for index in chosen:
            entry = entries[index][1]
            if entry["kind"] in ("intent", "denial"):
                need(
                    entry.get(by) == selection.get(by),
                    "MANIFEST",
                    f"entry {index} is not what was selected",
                )
    report.skip(
        "completeness: only a range shows that nothing was left out; other entries of this "
        "request, organisation or subject could exist"
    )


def check_range_proved(manifest: Json, proofs_raw: bytes) -> None:
    """Refuse a pack that claims a range and proves it entry by entry: that is no range."""
    span = json.loads(proofs_raw)["range"]
    selection = manifest["selection"]
    if selection["by"] == "range":
        need(
            span is not None
            and (span["start"], span["end"]) == (selection["start"], selection["end"]),
            "RANGE",
            "the range that is claimed is not the range that is proved",
        )


# ---- Promises, references, outcomes ----------------------------------------------------------


def check_promises(raw: bytes, entries: Entries, trust: Trust, report: Report) -> None:
    """Check that what the log's key promised is what the log holds."""
    told = strict_json(raw, "PROMISE", "the list of promises")
    need(
        isinstance(told, dict) and told.keys() == {"v", "promises"} and told["v"] == 1,
        "PROMISE",
        "the list of promises is malformed",
    )
    for promise in told["promises"]:
        need(
            isinstance(promise, dict)
            and promise.keys() == {"entries", "signature"}
            and isinstance(promise["entries"], list)
            and promise["entries"],
            "PROMISE",
            "a promise is malformed",
        )
        lines = ""
        for pair in promise["entries"]:
            need(
                isinstance(pair, list) and len(pair) == 2 and is_number(pair[0]),
                "PROMISE",
                "a promise is malformed",
            )
            index, leaf = pair[0], b64(pair[1], "PROMISE", 32)
            need(index in entries, "PROMISE", f"entry {index} was promised and is not there")
            need(
                leaf_hash(entries[index][0]) == leaf,
                "PROMISE",
                f"entry {index} is not the entry that was promised",
            )
            lines += f"{index}\n{pair[1]}\n"
        message = f"xinguan/promise/v1\n{trust.log.name}\n{lines}".encode()
        signature = b64(promise["signature"], "PROMISE", 64)
        need(
            trust.log.verify(signature, message), "PROMISE", "the log's key signed no such promise"
        )
    if told["promises"]:
        report.ok("promises", f"{len(told['promises'])} promises hold")
    else:
        report.skip("promises: the pack holds none")


def as_list(value: Any) -> list[Any]:
    """Return a list as it is, and anything else as a list of one."""
    return value if isinstance(value, list) else [value]


def same(theirs: Any, ours: Any) -> bool:
    """Compare two members; a hexadecimal digest may stand for the same digest in base64url."""
    if isinstance(theirs, str) and re.fullmatch(r"[0-9a-f]{64}", theirs) and len(ours) == 43:
        return bytes.fromhex(theirs) == digest43(ours)
    return bool(theirs == ours)


def check_references(entries: Entries, report: Report) -> None:
    """Check that each act that an entry cites is there, older, of its kind, and says the same."""
    count = 0
    for index, (_, entry) in entries.items():
        for member, (kind, pairs) in LINKS.get(entry["kind"], {}).items():
            for target in as_list(entry.get(member, [])):
                count += 1
                named = f"entry {target}, which entry {index} cites as its {member},"
                need(target in entries, "REFERENCE", f"{named} is not there")
                need(target < index, "REFERENCE", f"{named} is not older")
                other = entries[target][1]
                need(other["kind"] == kind, "REFERENCE", f"{named} is no {kind}")
                for theirs, ours in pairs:
                    need(
                        ours not in entry or same(other[theirs], entry[ours]),
                        "REFERENCE",
                        f"{named} says another {theirs}",
                    )
        if entry["kind"] == "intent":
            check_terms(index, entry, entries, report)
    report.ok("references", f"{count} references lead to older entries that agree")


def check_terms(index: int, entry: Json, entries: Entries, report: Report) -> None:
    """Check that licence, consent and certificate were in their terms at the time of an intent."""
    for member, inclusive in (("licence", 0), ("consent", 0), ("pinned", 1)):
        if member in entry:
            other = entries[entry[member]][1]
            need(
                other["not_before"] <= entry["time"] < other["not_after"] + inclusive,
                "REFERENCE",
                f"entry {index}: its {member} was not in its term",
            )
    for member in ("licence", "policy", "run", "publication", "pinned", "decision"):
        if member not in entry:
            report.note(f"entry {index} names no {member}: an older entry, or a broken chain")


def check_outcomes(manifest: Json, entries: Entries, report: Report) -> None:
    """Check that batches and outcome of each delivery agree with its intent."""
    chosen = set(manifest["chosen"])
    by_range = manifest["selection"].get("by") == "range"
    batches: dict[int, list[tuple[int, Json]]] = {}
    outcomes: dict[int, tuple[int, Json]] = {}
    for index, (_, entry) in entries.items():
        if entry["kind"] == "batch":
            batches.setdefault(entry["intent"], []).append((index, entry))
        elif entry["kind"] == "outcome":
            need(
                entry["intent"] not in outcomes,
                "OUTCOME",
                f"intent {entry['intent']} has two outcomes",
            )
            outcomes[entry["intent"]] = (index, entry)
    for intent, (at, outcome) in outcomes.items():
        parts = batches.get(intent, [])
        need(outcome["rows"] >= 0 and outcome["bytes"] >= 0, "OUTCOME", "a count is negative")
        need(
            outcome["time"] >= entries[intent][1]["time"],
            "OUTCOME",
            f"outcome {at} is older than its intent",
        )
        numbers = [entry["number"] for _, entry in parts]
        need(len(set(numbers)) == len(numbers), "OUTCOME", f"a batch of {intent} is there twice")
        need(
            all(intent < index < at for index, _ in parts),
            "OUTCOME",
            f"a batch of intent {intent} stands after its outcome",
        )
        if intent not in chosen or (by_range and at not in chosen):
            continue
        rows = sum(entry["rows"] for _, entry in parts)
        if parts:
            whole = outcome["status"] == "delivered"
            need(
                outcome["rows"] == rows if whole else outcome["rows"] <= rows,
                "OUTCOME",
                f"outcome {at} tells of other rows than its batches",
            )
        elif outcome["rows"]:
            need(
                "delivered" in outcome,
                "OUTCOME",
                f"outcome {at} tells of rows, and no evidence of them is there",
            )
    for index in sorted(chosen):
        entry = entries[index][1]
        if entry["kind"] == "intent" and index not in outcomes:
            report.note(f"intent {index} has no outcome in this pack")
    report.ok("outcomes", f"{len(outcomes)} outcomes agree with their intents")


# ---- Documents and decisions -----------------------------------------------------------------


def base64url(raw: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def read_keys(raw: bytes) -> Keys:
    """Return key id to key; an id is the RFC 7638 thumbprint, so no key can claim another's."""
    told = strict_json(raw, "DOCUMENT", "the list of keys")
    keys = {}
    need(
        isinstance(told, dict)
        and told.keys() == {"v", "keys"}
        and isinstance(told["keys"], list)
        and all(isinstance(each, dict) and each.keys() == {"id", "jwk"} for each in told["keys"]),
        "DOCUMENT",
        "the list of keys is malformed",
    )
    for each in told["keys"]:
        need(
            base64url(sha256(canonical(each["jwk"]))) == each["id"],
            "DOCUMENT",
            "a key's id is wrong",
        )
        need(
            isinstance(each["jwk"], dict)
            and each["jwk"].keys() == {"crv", "kty", "x"}
            and (each["jwk"]["crv"], each["jwk"]["kty"]) == ("Ed25519", "OKP"),
            "DOCUMENT",
            "a key is no Ed25519 key",
        )
        try:
            point = base64.urlsafe_b64decode(each["jwk"]["x"] + "=")
            keys[each["id"]] = Ed25519PublicKey.from_public_bytes(point)
        except (ValueError, TypeError) as error:
            raise Refused("DOCUMENT", "a key is malformed") from error
    return keys


def check_documents(files: Files, entries: Entries, report: Report) -> None:
    """Check that signed documents are those that entries name, signed by the keys they name."""
    keys = read_keys(files["keys.json"])
    wanted, held = {}, 0
    for index, (_, entry) in entries.items():
        if entry["kind"] == "licence_activated":
            wanted[entry["document"]] = (index, entry)
        elif entry["kind"] == "policy_approved" or (
            entry["kind"] == "border_registered" and "document" in entry
        ):
            wanted[digest43(entry["document"]).hex()] = (index, entry)
    for name, token in files.items():
        if not name.startswith("documents/"):
            continue
        digest = name[10:74]
        need(sha256(token).hex() == digest, "DOCUMENT", "a document is not what its name says")
        need(digest in wanted, "DOCUMENT", "a document is in the pack that no entry names")
        index, entry = wanted.pop(digest)
        check_document(index, entry, token, keys)
        held += 1
    if held:
        report.ok("documents", f"{held} documents are signed by the keys that the entries name")
    for index, _ in wanted.values():
        report.skip(f"the signed document that entry {index} names: the pack does not hold it")
    signers = {entry["signer"] for _, entry in entries.values() if "signer" in entry}
    trusted = {e["key"] for _, e in entries.values() if e["kind"] == "key_changed"}
    for signer in sorted(signers & trusted):
        report.ok("documents", f"the log tells that key {signer} was trusted")
    report.skip("whose the signing keys are: compare their ids with what the authority publishes")


def check_document(index: int, entry: Json, token: bytes, keys: Keys) -> None:
    """Check one compact JWS: header, signature, and the claims that the entry repeats."""
    try:
        head, body, signature = token.decode("ascii").split(".")
        header = json.loads(base64.urlsafe_b64decode(head + "=="))
        claims = json.loads(base64.urlsafe_b64decode(body + "=="))
        raw = base64.urlsafe_b64decode(signature + "==")
    except (ValueError, binascii.Error) as error:
        raise Refused("DOCUMENT", f"the document of entry {index} is malformed") from error
    types = {
        "licence_activated": "xinguan-licence+jwt",
        "policy_approved": "xinguan-policy-approval+jwt",
        "border_registered": f"xinguan-border-{entry.get('register', '').lower()}+jwt",
    }
    need(
        header == {"alg": "Ed25519", "kid": entry["signer"], "typ": types[entry["kind"]]},
        "DOCUMENT",
        f"the document of entry {index} has another header than it should",
    )
    need(entry["signer"] in keys, "DOCUMENT", f"the key that signed for entry {index} is not there")
    try:
        keys[entry["signer"]].verify(raw, f"{head}.{body}".encode())
    except InvalidSignature as error:
        raise Refused("DOCUMENT", f"the document of entry {index} was not signed so") from error
    if entry["kind"] == "licence_activated":
        pairs = (("licence_id", "licence"), ("serial", "serial"), ("party_id", "party"),
                 ("kind", "licence_kind"), ("not_before", "not_before"),
                 ("not_after", "not_after"))  # fmt: skip
        for claim, member in pairs:
            need(
                claims.get(claim) == entry[member],
                "DOCUMENT",
                f"entry {index} tells another {member} than the document that was signed",
            )
    elif entry["kind"] == "policy_approved":
        need(
            same(claims.get("bundle", ""), entry["bundle"]),
            "DOCUMENT",
            f"entry {index} approves another bundle than the document that was signed",
        )
    else:
        check_statement(index, entry, claims)


# What a statement of the border says when its document leaves it out.
UNSAID = {"v": 1, "scale_cap": 0, "fields": []}


def check_statement(index: int, entry: Json, claims: Json) -> None:
    """Check that the terms of a statement of the border are what was signed, and no more."""
    terms = strict_json(entry["terms"].encode(), "DOCUMENT", f"the terms of entry {index}")
    signed = {"statement": entry["register"], **UNSAID, **claims}
    for name, value in terms.items():
        said = signed.get(name)
        need(
            (sorted(set(said)) if isinstance(said, list) else said) == value
            and terms.get("version") == entry["version"],
            "DOCUMENT",
            f"entry {index} tells other terms than the document that was signed",
        )
    need(
        claims.keys() <= terms.keys(),
        "DOCUMENT",
        f"entry {index} leaves out terms of the document that was signed",
    )


def check_decisions(files: Files, entries: Entries, report: Report) -> list[int]:
    """Check inputs and policies against the digests in the entries; return what can be replayed."""
    ready, absent = [], 0
    cited_inputs, cited_policies = set(), set()
    for index, (_, entry) in entries.items():
        if "bundle" in entry:
            cited_policies.add(f"policies/{digest43(entry['bundle']).hex()}.tar.gz")
        if "wasm" in entry:
            cited_policies.add(f"policies/{digest43(entry['wasm']).hex()}.wasm")
        if "input" not in entry:
            continue
        name = f"inputs/{digest43(entry['input']).hex()}.json"
        cited_inputs.add(name)
        if name not in files or "bundle" not in entry:
            absent += 1
            continue
        document = strict_json(files[name], "INPUT", "an input")
        check_input(index, entry, document)
        ready.append(index)
    for name, body in files.items():
        folder, _, rest = name.partition("/")
        if folder not in ("inputs", "policies"):
            continue
        code = "INPUT" if folder == "inputs" else "POLICY"
        need(sha256(body).hex() == rest[:64], code, f"what lies at {name} has another digest")
        need(name in cited_inputs | cited_policies, code, f"no entry names what lies at {name}")
    held = sum(name.startswith("policies/") for name in files)
    report.ok("decisions", f"{len(ready)} inputs and {held} policy files are those named")
    if absent:
        report.skip(f"{absent} decisions whose input is not in the pack")
    return ready


def check_input(index: int, entry: Json, document: Json) -> None:
    """Check that an input is about the request that the entry tells of."""
    try:
        told = {
            "product": document["product"]["name"],
            "party": document["caller"]["party"],
            "purpose": document["request"]["purpose"],
            "scenario": document["request"]["scenario"],
            "destination": document["request"]["destination"],
            "pinned": document["caller"]["certificate"]["index"],
            "licence": None if document["licence"] is None else document["licence"]["index"],
            "consent": None if document["consent"] is None else document["consent"]["index"],
            "border": [] if document["border"] is None else document["border"]["rests_on"],
        }
        chain = document["responsibility"]
        told["run"] = None if chain["transmitter"] is None else chain["transmitter"]["index"]
        told["publication"] = None if chain["manager"] is None else chain["manager"]["index"]
        names = sorted(name for group in document["fields"] for name in group["names"])
    except (LookupError, TypeError) as error:
        raise Refused("INPUT", f"the input of entry {index} is malformed") from error
    for member, value in told.items():
        need(
            member not in entry or entry[member] == value,
            "INPUT",
            f"the input of entry {index} is about another {member}",
        )
    if entry["kind"] == "intent":
        fields = sorted(name for group in entry["fields"].values() for name in group)
        need(names == fields, "INPUT", f"the input of entry {index} is about other fields")


# ---- Deciding again --------------------------------------------------------------------------


def ordered(value: Any) -> Any:
    """Return an answer in normal form: each list in the order of its items' canonical JSON."""
    if isinstance(value, dict):
        return {name: ordered(item) for name, item in value.items()}
    if isinstance(value, list):
        return sorted(map(ordered, value), key=lambda item: canonical(item).decode())
    return value


def spelled_out(answer: Any, document: Json) -> Any:
    """Return an answer with names of fields where it speaks of groups of the input's fields."""
    if not isinstance(answer, dict) or "actions" not in answer:
        return answer
    try:
        groups = [group["names"] for group in document["fields"]]
        fields: dict[str, Any] = {}
        for action, names in zip(answer["actions"], groups, strict=True):
            fields |= dict.fromkeys(names, action)
        spelled = {key: value for key, value in answer.items() if key != "actions"}
        return spelled | {
            "fields": fields,
            "reasons": [
                {key: value for key, value in reason.items() if key != "groups"}
                | {"fields": sorted({name for at in reason["groups"] for name in groups[at]})}
                if "groups" in reason
                else reason
                for reason in answer["reasons"]
            ],
        }
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise Refused("REPLAY", "the policy's answer speaks of groups that aren't there") from error


def decision_digest(answer: Any) -> bytes:
    """Return the digest of a decision in normal form."""
    return sha256(b"xinguan/decision/v1\0", canonical(ordered(answer)))


class OpaServer:
    """An OPA server on the loopback with one bundle, asked over HTTP."""

    def __init__(self, binary: str, archive: bytes) -> None:
        self.folder = tempfile.TemporaryDirectory()
        path = os.path.join(self.folder.name, "bundle.tar.gz")
        with open(path, "wb") as file:
            file.write(archive)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/v1/data/xinguan/decision"
        self.process = subprocess.Popen(
            [binary, "run", "--server", "--addr", f"127.0.0.1:{port}", "--log-level", "error",
             "--disable-telemetry", "--bundle", path],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                time.sleep(0.03)
            else:
                return
        self.close()
        raise Unusable("the OPA server did not start")

    def ask(self, document: Json) -> Any:
        """Return the answer to one input."""
        body = json.dumps({"input": document}).encode()
        head = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url, body, head)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return json.load(response).get("result")
        except (OSError, ValueError) as error:
            raise Unusable("the OPA server failed") from error

    def close(self) -> None:
        """End the server."""
        self.process.terminate()
        self.process.wait(10)
        self.folder.cleanup()


class Compiled:
    """The compiled policy in this process; needs the package opa-py-wasm."""

    def __init__(self, wasm: bytes, archive: bytes) -> None:
        try:
            from opapywasm import OpaWasmPolicy
        except ImportError as error:
            raise Unusable("the package opa-py-wasm is not installed") from error
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            member = tar.extractfile("/data.json")
            need(member is not None, "POLICY", "the policy has no data")
            data = json.loads(member.read() if member else b"")
        self.policy = OpaWasmPolicy.from_wasm_bytes(wasm)
        self.policy.set_data(data)

    def ask(self, document: Json) -> Any:
        """Return the answer to one input."""
        found = self.policy.evaluate(document, "xinguan/decision")
        return found if isinstance(found, dict) else None

    def close(self) -> None:
        """Free the policy."""
        self.policy.close()


def replay(
    files: Files, entries: Entries, ready: list[int], engine: str, opa: str | None, report: Report
) -> None:
    """Decide again with the policies and inputs of the pack; compare digest and outcome."""
    servers = {}
    binary = opa or shutil.which("opa")
    if engine == "auto":
        engine = "opa" if binary else "wasm"
    if engine == "opa" and not binary:
        raise Unusable("there is no opa binary; name it with --opa")
    compared = identical = 0
    try:
        for index in ready:
            entry = entries[index][1]
            name = digest43(entry["bundle"]).hex()
            archive = files.get(f"policies/{name}.tar.gz")
            if archive is None:
                raise Refused("POLICY", f"the policy of entry {index} is not in the pack")
            key = (name, entry.get("policy"))
            if key not in servers:
                servers[key] = (
                    OpaServer(binary or "opa", archive)
                    if engine == "opa"
                    else Compiled(compiled_for(entry, entries, files), archive)
                )
            document = json.loads(files[f"inputs/{digest43(entry['input']).hex()}.json"])
            answer = servers[key].ask({**document, "now": entry["time"]})
            compare(index, entry, spelled_out(answer, document))
            compared += 1
            identical += "decision" in entry
    finally:
        for server in servers.values():
            server.close()
    report.ok(
        "decisions",
        f"{compared} decisions made again with {engine} come out as recorded, "
        f"{identical} of them to the byte",
    )


def compiled_for(entry: Json, entries: Entries, files: Files) -> bytes:
    """Return the compiled policy that the cited activation names."""
    activation = entries.get(entry.get("policy", -1), (b"", {}))[1]
    need("wasm" in activation, "POLICY", "no entry names the compiled policy")
    body = files.get(f"policies/{digest43(activation['wasm']).hex()}.wasm")
    if body is None:
        raise Refused("POLICY", "the compiled policy is not in the pack")
    return body


def compare(index: int, entry: Json, answer: Any) -> None:
    """Compare a decision made again with what the entry records."""
    need(isinstance(answer, dict), "REPLAY", f"entry {index}: the policy gives no answer now")
    try:
        if entry["kind"] == "intent":
            recorded = {n: action for action, names in entry["fields"].items() for n in names}
            alike = answer["allow"] is True and answer["fields"] == recorded
        elif answer["allow"]:
            # What the gate refuses after an allow (a quota, a key used before) is its own.
            alike = all(rule == "GATE" for rule, _ in entry["reasons"])
        else:
            found = {(each["rule"], each["code"]) for each in answer["reasons"]}
            alike = found == {tuple(pair) for pair in entry["reasons"]}
        holds = answer["valid_from"] <= entry["time"] < answer["valid_until"]
    except (KeyError, TypeError) as error:
        raise Refused("REPLAY", f"entry {index}: the answer is malformed") from error
    need(alike and holds, "REPLAY", f"entry {index}: deciding again gives another outcome")
    if "decision" in entry:
        need(
            decision_digest(answer) == digest43(entry["decision"]),
            "REPLAY",
            f"entry {index}: deciding again gives another decision",
        )


# ---- Openings --------------------------------------------------------------------------------

DOMAINS = {
    "operator": "operator", "case": "case", "subjects": "subjects", "idempotency": "idempotency",
    "content": "content", "delivered": "rows", "subject": "subject",
    "end_user": "end_user",
}  # fmt: skip


def check_openings(raw: bytes, entries: Entries, report: Report) -> Disclosed:
    """Check that what is disclosed is what was committed to; return it for people."""
    told = strict_json(raw, "OPENING", "the list of openings")
    need(
        isinstance(told, dict)
        and told.keys() == {"v", "openings", "fields"}
        and told["v"] == 1
        and isinstance(told["openings"], list)
        and isinstance(told["fields"], list),
        "OPENING",
        "the list of openings is malformed",
    )
    disclosed = []
    for each in told["openings"]:
        need(
            isinstance(each, dict)
            and each.keys() == {"entry", "member", "domain", "value", "salt"}
            and each["entry"] in entries,
            "OPENING",
            "an opening is malformed or of no entry",
        )
        entry = entries[each["entry"]][1]
        name, value = each["member"], b64(each["value"], "OPENING")
        salt = b64(each["salt"], "OPENING", 32)
        need(name in DOMAINS and name in entry, "OPENING", "an opening is of no commitment")
        need(each["domain"] == DOMAINS[name], "OPENING", "an opening has another domain")
        made = sha256(b"xinguan/commitment/v1\0", salt, each["domain"].encode(), b"\0", value)
        need(
            made == digest43(entry[name]),
            "OPENING",
            f"`{name}` of entry {each['entry']} was not what is disclosed",
        )
        disclosed.append((each["entry"], name, shown(value)))
    disclosed += [check_field(each, entries) for each in told["fields"]]
    if disclosed:
        report.ok("openings", f"{len(disclosed)} disclosed values are those committed to")
    report.skip("what stays closed: commitments without an opening in the pack say nothing here")
    return disclosed


def check_field(each: Any, entries: Entries) -> tuple[int, str, str]:
    """Check one field of an answer against the root that the outcome commits to."""
    known = {"entry", "name", "value", "salt", "position", "others"}
    need(
        isinstance(each, dict)
        and each.keys() == known
        and each["entry"] in entries
        and isinstance(each["name"], str)
        and is_number(each["position"])
        and isinstance(each["others"], list),
        "FIELD",
        "an opened field is malformed",
    )
    entry = entries[each["entry"]][1]
    need("field_root" in entry, "FIELD", "an opened field is of an entry that commits to none")
    value, salt = b64(each["value"], "FIELD"), b64(each["salt"], "FIELD", 32)
    others = [b64(other, "FIELD", 32) for other in each["others"]]
    position = each["position"]
    need(0 <= position <= len(others), "FIELD", "the place of an opened field is wrong")
    leaf = sha256(b"xinguan/field/v1\0", salt, each["name"].encode(), b"\0", value)
    leaves = [*others[:position], leaf, *others[position:]]
    need(
        sha256(b"xinguan/fields/v1\0", *leaves) == digest43(entry["field_root"]),
        "FIELD",
        f"the field {each['name']} of entry {each['entry']} was not what is disclosed",
    )
    intent = entries.get(entry.get("intent", -1), (b"", {}))[1]
    released = {n: a for a, names in intent.get("fields", {}).items() for n in names}
    need(
        released.get(each["name"], "drop") != "drop",
        "FIELD",
        f"the field {each['name']} was not among those that the decision released",
    )
    return each["entry"], each["name"], shown(value)


def shown(value: bytes) -> str:
    """Return a disclosed value as text, or as hexadecimal digits when it is none."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value.hex()
    return text if text.isprintable() or "\n" in text else value.hex()


# ---- The whole -------------------------------------------------------------------------------

NEVER_CHECKED = (
    "that the facts given to the policy were true: they are taken as the log records them",
    "that the clocks were right: times are those of the node that wrote an entry",
    "what happened after the checkpoint, and what never entered the log",
    "that keys, licences and consents were not revoked between the acts shown here",
)


def verify(
    data: bytes,
    trust: Trust,
    *,
    again: bool = False,
    engine: str = "auto",
    opa: str | None = None,
    known: bytes | None = None,
) -> tuple[Report, Disclosed]:
    """Check a pack.

    Args:
        data: Bytes of the pack.
        trust: Whom the reader trusts.
        again: Whether decisions are made again.
        engine: `auto`, `opa` or `wasm`.
        opa: Path of the opa binary, or None for the one on the path.
        known: A checkpoint of this log from elsewhere, or None.

    Returns:
        The report and what is disclosed.

    Raises:
        Refused: With the code and the text of the first thing that does not hold.
        Unusable: No engine is there, or it failed.
    """
    try:
        return _verify(data, trust, again, engine, opa, known)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, RecursionError) as error:
        # Whatever was not foreseen above is no evidence either.
        raise Refused("MALFORMED", "something in the pack has a form that can't be read") from error


def _verify(
    data: bytes, trust: Trust, again: bool, engine: str, opa: str | None, known: bytes | None
) -> tuple[Report, Disclosed]:
    report = Report()
    files, manifest = read_pack(data, report)
    size, root = read_checkpoint(files["checkpoint"], trust, report)
    need(manifest["origin"] == trust.log.name, "MANIFEST", "the manifest names another log")
    if known is not None:
        check_known(known, trust, size, root, report)
    entries = read_entries(files["entries.txt"], report)
    check_proofs(files["proofs.json"], manifest, entries, size, root, report)
    check_selection(manifest, entries, report)
    check_range_proved(manifest, files["proofs.json"])
    check_promises(files["promises.json"], entries, trust, report)
    check_references(entries, report)
    check_outcomes(manifest, entries, report)
    check_documents(files, entries, report)
    ready = check_decisions(files, entries, report)
    if again:
        replay(files, entries, ready, engine, opa, report)
    elif ready:
        report.skip("that the policy decides so: --replay decides again")
    disclosed = check_openings(files["openings.json"], entries, report)
    for each in NEVER_CHECKED:
        report.skip(each)
    return report, disclosed


def check_known(known: bytes, trust: Trust, size: int, root: bytes, report: Report) -> None:
    """Compare with a checkpoint from elsewhere; of the same size it must have the same root."""
    quiet = Trust()
    quiet.log = trust.log
    other_size, other_root = read_checkpoint(known, quiet, Report())
    if other_size == size:
        need(other_root == root, "FORK", "the log signed two different trees of the same size")
        report.ok("checkpoint", "the same tree as the checkpoint from elsewhere")
    else:
        report.skip("the checkpoint from elsewhere: it has another size, and proves nothing here")


def read_file(path: str, limit: int) -> bytes:
    """Return a file that is not larger than a limit."""
    try:
        if os.path.getsize(path) > limit:
            raise Refused("TOO_LARGE", "the file is larger than any pack")
        with open(path, "rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise Unusable(f"{os.path.basename(path)} can't be read") from error


def show(report: Report, disclosed: Disclosed) -> None:
    """Print what was checked and what was not."""
    for step, text in report.checked:
        print(f"ok        {step:<11} {text}")
    for entry, name, value in disclosed:
        print(f"disclosed entry {entry}: {name} = {value}")
    for text in report.notes:
        print(f"note      {text}")
    for text in report.not_checked:
        print(f"unchecked {text}")
    print("the pack holds")


def parse_arguments(given: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog="xinguan-verify", description="Check a Xinguan evidence pack, with no access to us."
    )
    parser.add_argument("pack", help="the evidence pack")
    whom = parser.add_mutually_exclusive_group(required=True)
    whom.add_argument("--key", help="verifier key of the log, NAME+ID+BASE64")
    whom.add_argument("--trust", help="a tlog-policy file: log, witnesses, quorum")
    parser.add_argument("--known", help="a checkpoint of this log that you got elsewhere")
    parser.add_argument("--replay", action="store_true", help="decide again")
    parser.add_argument("--engine", choices=("auto", "opa", "wasm"), default="auto")
    parser.add_argument("--opa", help="path of the opa binary")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Check a pack from the command line; return the exit code."""
    words = parse_arguments(given)
    try:
        trust = (
            Trust.of_key(words.key)
            if words.key
            else Trust.of_policy(read_file(words.trust, 1 << 20).decode("utf-8", "replace"))
        )
        known = read_file(words.known, 1 << 20) if words.known else None
        report, disclosed = verify(
            read_file(words.pack, MAX_PACK_BYTES), trust, again=words.replay,
            engine=words.engine, opa=words.opa, known=known,
        )  # fmt: skip
    except Refused as refusal:
        told = {"holds": False, "code": refusal.code, "reason": str(refusal)}
        print(json.dumps(told) if words.json else f"REFUSED   {refusal.code}: {refusal}")
        return 1
    except Unusable as problem:
        told = {"holds": None, "code": "UNUSABLE", "reason": str(problem)}
        print(json.dumps(told) if words.json else f"not tried: {problem}", file=sys.stderr)
        return 2
    if words.json:
        told = {
            "holds": True,
            "checked": [{"step": step, "text": text} for step, text in report.checked],
            "disclosed": [{"entry": e, "name": n, "value": v} for e, n, v in disclosed],
            "notes": report.notes,
            "not_checked": report.not_checked,
        }
        print(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        show(report, disclosed)
    return 0


def command() -> None:
    """Run as a program."""
    sys.exit(main())


if __name__ == "__main__":
    command()
