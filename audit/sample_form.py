"""The form of samples of tampered packs, and how a pack is written once more with a change.

See `audit.samples`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.canonical import canonical
from audit.container import pack_files, unpack_files
from audit.note import verifier_key
from audit.pack import Content
from audit.sample_log import SampleLog, SampleWitness

STRANGER: Final = Ed25519PrivateKey.from_private_bytes(b"stranger".ljust(32, b"."))
LATER: Final = 60
Json = dict[str, Any]
Edit = Callable[[Json], None]


@dataclass(frozen=True, slots=True)
class Sample:
    """A tampered pack.

    Args:
        name: What was done to it.
        code: The reason with which it must be refused.
        data: The file.
        replay: Whether only deciding again shows it.
    """

    name: str
    code: str
    data: bytes
    replay: bool = False


@dataclass(slots=True)
class Original:
    """What the samples are made from.

    Args:
        log: All entries of the log, with its key.
        content: Content of a pack of one answered request, with openings and an opened field.
        span: Content of a pack of a whole range, with two entries at least.
        witnesses: Two witnesses that cosign.
        time: Unix seconds of the cosignatures.
    """

    log: SampleLog
    content: Content
    span: Content
    witnesses: Sequence[SampleWitness]
    time: int

    @property
    def trust(self) -> str:
        """The tlog-policy of a reader who trusts the log with both witnesses."""
        lines = [f"log {verifier_key(self.log.origin, self.log.key.public_key())}"]
        lines += [f"witness {each.name} {each.vkey}" for each in self.witnesses]
        lines += [f"group both all {' '.join(each.name for each in self.witnesses)}", "quorum both"]
        return "\n".join(lines) + "\n"

    def good(self) -> bytes:
        """Return the good pack of the request."""
        return self.log.pack(self.content, self.witnesses, self.time)

    def good_span(self) -> bytes:
        """Return the good pack of the range."""
        return self.log.pack(self.span, self.witnesses, self.time)


def read_files(data: bytes) -> dict[str, bytes]:
    """Return the members of a pack."""
    return unpack_files(data)


def relisted(files: Mapping[str, bytes], change: Edit | None = None) -> bytes:
    """Write a pack whose manifest lists its members as they are now.

    Args:
        files: The members.
        change: What else is changed in the manifest.
    """
    manifest: Json = json.loads(files["manifest.json"])
    manifest["files"] = {
        name: {"bytes": len(body), "sha256": sha256(body).hexdigest()}
        for name, body in files.items()
        if name != "manifest.json"
    }
    if change is not None:
        change(manifest)
    return pack_files({**files, "manifest.json": canonical(manifest)})


def with_member(files: Mapping[str, bytes], name: str, body: bytes) -> bytes:
    """Write a pack with another member, listed in its manifest."""
    return relisted({**files, name: body})


def edited(files: Mapping[str, bytes], name: str, change: Edit) -> bytes:
    """Write a pack in which the JSON of one member is changed."""
    told: Json = json.loads(files[name])
    change(told)
    return with_member(files, name, canonical(told))


def flip(body: bytes, place: int) -> bytes:
    """Flip the lowest bit of one byte."""
    return body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
