"""A log in memory that its maker can lie in: what samples of tampered packs are made from."""

import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.canonical import canonical
from audit.checkpoint import Checkpoint, checkpoint_text, sign_checkpoint
from audit.merkle import NodeSource, inclusion_proof, leaf_hash, root_of
from audit.note import Ed25519Signer
from audit.pack import Content, Promise, write_pack
from audit.promise import sign_promise

_COSIGNATURE = 4


@dataclass(frozen=True, slots=True)
class SampleWitness:
    """A witness of samples: it cosigns whatever it is given.

    Args:
        name: Its name.
        key: Its key, which everybody may know.
    """

    name: str
    key: Ed25519PrivateKey

    @property
    def key_id(self) -> bytes:
        """The id of a cosigner's key (C2SP tlog-cosignature, type 4)."""
        raw = bytes([_COSIGNATURE]) + self.key.public_key().public_bytes_raw()
        return sha256(self.name.encode() + b"\n" + raw).digest()[:4]

    @property
    def vkey(self) -> str:
        """Its verifier key."""
        raw = bytes([_COSIGNATURE]) + self.key.public_key().public_bytes_raw()
        return f"{self.name}+{self.key_id.hex()}+{b64encode(raw).decode()}"

    def line(self, text: str, time: int) -> bytes:
        """Return its signature line under a checkpoint's text."""
        message = f"cosignature/v1\ntime {time}\n{text}".encode()
        raw = self.key_id + time.to_bytes(8, "big") + self.key.sign(message)
        return f"\u2014 {self.name} {b64encode(raw).decode()}\n".encode()


class SampleLog:
    """Entries in memory as the tree that they are; any of them can be replaced.

    Args:
        bodies: The entries.
        origin: Name of the log.
        key: The log's key.
    """

    def __init__(self, bodies: Sequence[bytes], origin: str, key: Ed25519PrivateKey) -> None:
        self.bodies = list(bodies)
        self.origin = origin
        self.key = key
        self.leaves = [leaf_hash(body) for body in bodies]

    def nodes(self, size: int) -> NodeSource:
        """Give the perfect subtrees of the tree of this size."""

        def node(height: int, offset: int) -> bytes:
            return root_of(self.leaves[offset << height : min((offset + 1) << height, size)])

        return node

    def inclusion_proof(self, index: int, size: int) -> list[bytes]:
        """Make the audit path of an entry."""
        return inclusion_proof(index, size, self.nodes(size))

    def checkpoint(
        self, witnesses: Sequence[SampleWitness] = (), size: int = 0, time: int = 0
    ) -> Checkpoint:
        """Sign the tree, or its beginning, and have it cosigned."""
        count = size or len(self.bodies)
        root = root_of(self.leaves[:count])
        signer = Ed25519Signer(self.origin, self.key)
        signed = sign_checkpoint(self.origin, count, root, [signer])
        text = checkpoint_text(self.origin, count, root)
        lines = b"".join(witness.line(text, time) for witness in witnesses)
        return replace(signed, note=signed.note + lines)

    def changed(self, index: int, change: Callable[[dict[str, Any]], None]) -> "SampleLog":
        """Return the log as it would be had this entry been another from the beginning."""
        entry: dict[str, Any] = json.loads(self.bodies[index])
        change(entry)
        bodies = [*self.bodies[:index], canonical(entry), *self.bodies[index + 1 :]]
        return SampleLog(bodies, self.origin, self.key)

    def pack(
        self, content: Content, witnesses: Sequence[SampleWitness], time: int, **words: Any
    ) -> bytes:
        """Write content anew as this log has it: its entries, its promises, its checkpoint."""
        entries: Mapping[int, bytes] = {index: self.bodies[index] for index in content.entries}
        promises = []
        for promise in content.promises:
            leaves = [(index, leaf_hash(entries[index])) for index, _ in promise.entries]
            (first, leaf), *also = leaves
            signature = sign_promise(self.key, self.origin, first, leaf, *also)
            promises.append(Promise(tuple(leaves), signature))
        made = replace(content, entries=entries, promises=promises, **words)
        return write_pack(self, self.checkpoint(witnesses, time=time), made)
