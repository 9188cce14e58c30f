"""Trust policies (C2SP tlog-policy): whose cosignatures make a checkpoint worth trusting.

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <member>...
    quorum <name>|none

One file serves three readers: the gateway asks the witnesses that have a URL, refuses to
release when their quorum is missing, and an auditor checks checkpoints with the same file.
Names are opaque octets; the file is read as such, so that nothing depends on Unicode tables.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.checkpoint import Checkpoint, open_checkpoint
from audit.cosignature import CosignatureVerifier
from audit.errors import NoteError, PolicyError
from audit.note import Verifier

MAX_POLICY_BYTES: Final = 1 << 20
MAX_OF_A_KIND: Final = 64  # logs, witnesses, groups; the specification asks for 32 at least
_NONE: Final = "none"
_FORBIDDEN: Final = re.compile(rb"[^\x09\x0a\x20-\x7e\x80-\xff]")
_WORDS: Final = re.compile(r"[^ \t]+")
_THRESHOLD: Final = re.compile(r"[1-9][0-9]{0,3}")


@dataclass(frozen=True, slots=True)
class PolicyLog:
    """A log that the policy accepts.

    Args:
        vkey: Its verifier key, as written.
        verifier: The same, parsed; its name is the log's origin.
        url: Where its tiles are served, or empty.
    """

    vkey: str
    verifier: Verifier
    url: str


@dataclass(frozen=True, slots=True)
class PolicyWitness:
    """A witness that the policy knows.

    Args:
        name: Its name inside the policy.
        verifier: Its key.
        url: Its submission prefix, or empty.
    """

    name: str
    verifier: CosignatureVerifier
    url: str


@dataclass(frozen=True, slots=True)
class Group:
    """A group witnesses a checkpoint when at least this many of its members do.

    Args:
        threshold: 1 to the number of members.
        members: Names of witnesses and groups.
    """

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """A parsed policy.

    Args:
        logs: Accepted logs; may be empty where the log is known otherwise.
        witnesses: Name to witness.
        groups: Name to group.
        quorum: Name of the witness or group that must witness, or `none`.
        digest: SHA-256 of the file.
    """

    logs: tuple[PolicyLog, ...]
    witnesses: Mapping[str, PolicyWitness]
    groups: Mapping[str, Group]
    quorum: str
    digest: bytes

    @property
    def demands_witnesses(self) -> bool:
        """False for `quorum none`: then nobody but the log vouches for anything."""
        return self.quorum != _NONE

    @property
    def askable(self) -> bool:
        """True when the witnesses that have a URL can make up the quorum."""
        keys = [each.verifier for each in self.witnesses.values() if each.url]
        times = {(each.name, each.key_id): 1 for each in keys}
        return not self.demands_witnesses or self._time(self.quorum, times) is not None

    def quorum_time(self, checkpoint: Checkpoint) -> int | None:
        """Tell the newest time at which the whole quorum had seen a checkpoint.

        Args:
            checkpoint: Opened with this policy's witnesses.

        Returns:
            Unix seconds: the quorum vouches that the log was at least this large then. None
            when the cosignatures are no quorum, or the policy demands none.
        """
        times = {(each.witness, each.key_id): each.time for each in checkpoint.cosignatures}
        return self._time(self.quorum, times)

    def names(self, checkpoint: Checkpoint) -> tuple[str, ...]:
        """List the witnesses that cosigned a checkpoint, by their names in the policy."""
        keys = {(each.witness, each.key_id) for each in checkpoint.cosignatures}
        return tuple(
            name
            for name, each in self.witnesses.items()
            if (each.verifier.name, each.verifier.key_id) in keys
        )

    def accept(self, note: bytes) -> tuple[Checkpoint, int | None]:
        """Verify a checkpoint of one of the policy's logs, and that its quorum witnessed it.

        Returns:
            The checkpoint, and the quorum's time; None where the policy demands no witness.

        Raises:
            NoteError: It is malformed, of an unlisted log, a known key's line does not hold,
                or the quorum did not cosign it.
        """
        checkpoint = self.open(note)
        at = self.quorum_time(checkpoint)
        if at is None and self.demands_witnesses:
            raise NoteError("the quorum of the policy has not witnessed this checkpoint")
        return checkpoint, at

    def open(self, note: bytes, log: Verifier | None = None) -> Checkpoint:
        """Verify a checkpoint with every key that the policy knows; the quorum may be missing.

        Args:
            note: The signed note.
            log: The log's key where it is known otherwise; the policy's logs by default.

        Raises:
            NoteError: It is malformed, of an unlisted log, or a known key's line does not hold.
        """
        witnesses = [each.verifier for each in self.witnesses.values()]
        origin = note.partition(b"\n")[0]
        candidates = [each.verifier for each in self.logs] if log is None else [log]
        failure = NoteError("the policy lists no log of this checkpoint's origin")
        for verifier in candidates:
            if verifier.name.encode() != origin:
                continue
            try:
                return open_checkpoint(note, verifier, witnesses)
            except NoteError as error:
                failure = error
        raise failure

    def _time(self, name: str, times: Mapping[tuple[str, bytes], int]) -> int | None:
        witness = self.witnesses.get(name)
        if witness is not None:
            return times.get((witness.verifier.name, witness.verifier.key_id))
        group = self.groups.get(name)
        if group is None:
            return None
        # With the newest first, the member at the threshold completes the group.
        found = (self._time(member, times) for member in group.members)
        newest = sorted((each for each in found if each is not None), reverse=True)
        return newest[group.threshold - 1] if len(newest) >= group.threshold else None


def parse_policy(data: bytes) -> TrustPolicy:
    """Read a policy file, strictly.

    Args:
        data: The file.

    Raises:
        PolicyError: It is malformed; the message names the line.
    """
    if len(data) > MAX_POLICY_BYTES or _FORBIDDEN.search(data):
        raise PolicyError("the policy is too long or holds a control character")
    if not data.endswith(b"\n"):
        raise PolicyError("each line of a policy ends in a newline")
    reading = _Reading()
    # Latin-1 maps each octet to one character and back: names stay opaque.
    for number, line in enumerate(data[:-1].decode("latin-1").split("\n"), 1):
        words = _WORDS.findall(line)
        if words and not words[0].startswith("#"):
            try:
                reading.line(words)
            except (PolicyError, NoteError) as error:
                raise PolicyError(f"line {number} of the policy: {error}") from error
    return reading.finish(sha256(data).digest())


class _Reading:
    """What was read of a policy so far."""

    def __init__(self) -> None:
        self._logs: list[PolicyLog] = []
        self._witnesses: dict[str, PolicyWitness] = {}
        self._groups: dict[str, Group] = {}
        self._members: set[str] = set()
        self._quorum: str | None = None

    def line(self, words: list[str]) -> None:
        keyword, rest = words[0], words[1:]
        if keyword == "log" and len(rest) in (1, 2):
            self._log(*rest)
        elif keyword == "witness" and len(rest) in (2, 3):
            self._witness(*rest)
        elif keyword == "group" and len(rest) > 2:  # noqa: PLR2004 - name, threshold, members
            self._group(rest[0], rest[1], rest[2:])
        elif keyword == "quorum" and len(rest) == 1:
            self._set_quorum(rest[0])
        else:
            raise PolicyError("neither log, witness, group nor quorum with their words")

    def finish(self, digest: bytes) -> TrustPolicy:
        if self._quorum is None:
            raise PolicyError("the policy has no quorum line")
        return TrustPolicy(
            tuple(self._logs),
            MappingProxyType(self._witnesses),
            MappingProxyType(self._groups),
            self._quorum,
            digest,
        )

    def _log(self, vkey: str, url: str = "") -> None:
        verifier = Verifier.parse(_text(vkey))
        _refuse_many(self._logs)
        _refuse_known(verifier.key, [each.verifier.key for each in self._logs])
        self._logs.append(PolicyLog(_text(vkey), verifier, _text(url)))

    def _witness(self, name: str, vkey: str, url: str = "") -> None:
        self._refuse_taken(name)
        verifier = CosignatureVerifier.parse(_text(vkey))
        _refuse_many(self._witnesses)
        _refuse_known(verifier.key, [each.verifier.key for each in self._witnesses.values()])
        self._witnesses[name] = PolicyWitness(name, verifier, _text(url))

    def _group(self, name: str, threshold: str, members: list[str]) -> None:
        self._refuse_taken(name)
        _refuse_many(self._groups)
        for member in members:
            if member not in self._witnesses and member not in self._groups:
                raise PolicyError("a member is defined before its group")
            if member in self._members:
                raise PolicyError("a name is a member of one group, once")
            self._members.add(member)
        self._groups[name] = Group(_threshold(threshold, len(members)), tuple(members))

    def _set_quorum(self, name: str) -> None:
        if self._quorum is not None:
            raise PolicyError("a policy has one quorum line")
        if name != _NONE and name not in self._witnesses and name not in self._groups:
            raise PolicyError("the quorum is defined before its line")
        self._quorum = name

    def _refuse_taken(self, name: str) -> None:
        if name == _NONE or name in self._witnesses or name in self._groups:
            raise PolicyError("a name is defined once, and none is predefined")


def _threshold(text: str, count: int) -> int:
    if text in ("all", "any"):
        return count if text == "all" else 1
    if not _THRESHOLD.fullmatch(text) or int(text) > count:
        raise PolicyError("a threshold is all, any, or 1 to the number of members")
    return int(text)


def _refuse_many(known: list[PolicyLog] | dict[str, PolicyWitness] | dict[str, Group]) -> None:
    if len(known) >= MAX_OF_A_KIND:
        raise PolicyError("the policy has too many lines of this kind")


def _refuse_known(key: Ed25519PublicKey, known: list[Ed25519PublicKey]) -> None:
    if any(key.public_bytes_raw() == each.public_bytes_raw() for each in known):
        raise PolicyError("two lines have the same public key")


def _text(octets: str) -> str:
    try:
        return octets.encode("latin-1").decode()
    except UnicodeDecodeError as error:
        raise PolicyError("keys and URLs are UTF-8") from error
