"""Signed notes and their keys (C2SP signed-note 1.0.0), strictly.

    text, ending in a newline
    (empty line)
    -- key name base64(key id || signature)      with an em dash; one line per signature

Signatures of unknown keys are ignored, as the specification demands, so that a log may add
witnesses; a known key whose signature does not hold condemns the note.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.errors import NoteError

ED25519: Final = 1
COSIGNATURE_V1: Final = 4
MAX_NOTE_BYTES: Final = 1 << 20
MAX_SIGNATURES: Final = 100
_KEY_BYTES: Final = 32
_ID_BYTES: Final = 4
_PRIVATE_PREFIX: Final = "PRIVATE+KEY+"
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SIGNATURE: Final = re.compile(r"\u2014 ([^ ]+) ([A-Za-z0-9+/]+={0,2})")


class Signer(Protocol):
    """Signs notes under one name and one key.

    An implementation may keep its key elsewhere (a security module, a signature server) and
    may use another algorithm: `key_id` and the signature carry it. Signing may block.
    """

    @property
    def name(self) -> str:
        """Key name: not empty, without spaces and '+'."""
        ...

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        ...

    def sign(self, text: bytes) -> bytes:
        """Sign the text of a note."""
        ...


class NoteVerifier(Protocol):
    """A trusted key of any kind."""

    @property
    def name(self) -> str:
        """Key name."""
        ...

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        ...

    def verify(self, text: bytes, signature: bytes) -> None:
        """Check a signature over the text of a note, or raise NoteError."""
        ...


@dataclass(frozen=True, slots=True)
class Verifier:
    """A trusted Ed25519 key and its name.

    Args:
        name: Key name.
        key_id: Four bytes.
        key: The public key.
    """

    name: str
    key_id: bytes
    key: Ed25519PublicKey

    @staticmethod
    def parse(vkey: str) -> "Verifier":
        """Read a verifier key, `name+hex id+base64(type || key)`.

        Raises:
            NoteError: It is malformed, or its id is not that of its name and key.
        """
        name, key_id, raw = parse_key(vkey, ED25519)
        if key_id != key_id_of(name, ED25519, raw):
            raise NoteError("the key id is not that of the key")
        return Verifier(name, key_id, Ed25519PublicKey.from_public_bytes(raw))

    def verify(self, text: bytes, signature: bytes) -> None:
        """Check a signature over the text of a note.

        Raises:
            NoteError: It does not hold.
        """
        try:
            self.key.verify(signature, text)
        except InvalidSignature as error:
            raise NoteError("a signature of a trusted key does not hold") from error


@dataclass(frozen=True, slots=True)
class Ed25519Signer:
    """An Ed25519 key in memory that signs notes.

    Args:
        name: Key name.
        key: The private key.
    """

    name: str
    key: Ed25519PrivateKey = field(repr=False)

    def __post_init__(self) -> None:
        check_name(self.name)

    @staticmethod
    def parse(text: str) -> "Ed25519Signer":
        """Read a signer key, `PRIVATE+KEY+name+hex id+base64(type || seed)`.

        Raises:
            NoteError: It is malformed, or its id is not that of its name and key.
        """
        name, key_id, seed = parse_signer_key(text, ED25519)
        signer = Ed25519Signer(name, Ed25519PrivateKey.from_private_bytes(seed))
        if signer.key_id != key_id:
            raise NoteError("the key id is not that of the key")
        return signer

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        return key_id_of(self.name, ED25519, self.key.public_key().public_bytes_raw())

    @property
    def verifier_key(self) -> str:
        """The verifier key that belongs to it."""
        return verifier_key(self.name, self.key.public_key())

    def sign(self, text: bytes) -> bytes:
        """Sign the text of a note."""
        return self.key.sign(text)

    def signer_key(self) -> str:
        """Write the key for keeping; as secret as the key."""
        return format_signer_key(self.name, ED25519, self.key_id, self.key)


@dataclass(frozen=True, slots=True)
class Note:
    """An opened note.

    Args:
        text: The signed text, with its last newline.
        verified: Verifiers whose signatures hold, in the order of the note.
        unknown: Number of signatures of keys that are not trusted here.
        signatures: The signature of each of `verified`, without its key id.
    """

    text: str
    verified: tuple[NoteVerifier, ...]
    unknown: int
    signatures: tuple[bytes, ...] = ()


def verifier_key(name: str, key: Ed25519PublicKey, kind: int = ED25519) -> str:
    """Write a verifier key.

    Args:
        name: Key name: not empty, without spaces and '+'.
        key: The public key.
        kind: Signature type, the byte in front of the key.

    Raises:
        NoteError: The name is not allowed.
    """
    check_name(name)
    raw = key.public_bytes_raw()
    encoded = b64encode(bytes([kind]) + raw).decode()
    return f"{name}+{key_id_of(name, kind, raw).hex()}+{encoded}"


def sign_note(text: str, signers: Sequence[Signer]) -> bytes:
    """Sign a text.

    Args:
        text: Ends in a newline; no control characters but newlines.
        signers: At least one.

    Raises:
        NoteError: The text cannot be a note's, or nobody signs.
    """
    _check_text(text)
    if not signers:
        raise NoteError("a note needs a signature")
    lines = [
        signature_line(signer.name, signer.key_id, signer.sign(text.encode())) for signer in signers
    ]
    return (text + "\n" + "".join(lines)).encode()


def open_note(note: bytes, verifiers: Sequence[NoteVerifier]) -> Note:
    """Verify a note.

    Args:
        note: The note, at most 1 MiB.
        verifiers: Trusted keys.

    Returns:
        The text and who signed it; at least one trusted key did.

    Raises:
        NoteError: It is malformed, a trusted key's signature does not hold or stands there
            twice, or no trusted key signed it.
    """
    text, signatures = split_note(note)
    trusted = {(each.name, each.key_id): each for each in verifiers}
    verified: list[NoteVerifier] = []
    held: list[bytes] = []
    unknown = 0
    for name, key_id, signature in signatures:
        verifier = trusted.get((name, key_id))
        if verifier is None:
            unknown += 1
            continue
        if verifier in verified:
            raise NoteError("one key signed twice")
        verifier.verify(text.encode(), signature)
        verified.append(verifier)
        held.append(signature)
    if not verified:
        raise NoteError("no trusted key signed this note")
    return Note(text, tuple(verified), unknown, tuple(held))


def check_name(name: str) -> None:
    """Check a key name: not empty, no Unicode space, no '+', no control character.

    Raises:
        NoteError: It is not allowed.
    """
    if not name or "+" in name or any(each.isspace() or each < " " for each in name):
        raise NoteError("a key name is not empty and holds no space and no '+'")


def split_note(note: bytes) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """Take a note apart without verifying anything.

    Returns:
        The text, and of each signature line the name, the key id and the signature.

    Raises:
        NoteError: It is malformed.
    """
    if len(note) > MAX_NOTE_BYTES:
        raise NoteError("the note is too long")
    try:
        whole = note.decode()
    except UnicodeDecodeError as error:
        raise NoteError("the note is not valid UTF-8") from error
    body, found, lines = whole.rpartition("\n\n")
    if not found or not lines.endswith("\n"):
        raise NoteError("the note has no signature lines")
    text = body + "\n"
    _check_text(text)
    signatures = lines[:-1].split("\n")
    if len(signatures) > MAX_SIGNATURES:
        raise NoteError("the note has too many signatures")
    return text, [_parse_signature(line) for line in signatures]


def _parse_signature(line: str) -> tuple[str, bytes, bytes]:
    match = _SIGNATURE.fullmatch(line)
    if match is None:
        raise NoteError("a signature line is malformed")
    check_name(match[1])
    raw = strict_base64(match[2])
    if len(raw) <= _ID_BYTES:
        raise NoteError("a signature line is malformed")
    return match[1], raw[:_ID_BYTES], raw[_ID_BYTES:]


def signature_line(name: str, key_id: bytes, signature: bytes) -> str:
    """Write a signature line with its newline.

    Raises:
        NoteError: The name is not allowed.
    """
    check_name(name)
    return f"\u2014 {name} {b64encode(key_id + signature).decode()}\n"


def strict_base64(text: str) -> bytes:
    """Decode standard base64 that has exactly one spelling.

    Raises:
        NoteError: It is not base64, or not as an encoder writes it.
    """
    try:
        raw = b64decode(text, validate=True)
    except (Base64Error, ValueError) as error:
        raise NoteError("not base64") from error
    if b64encode(raw).decode() != text:
        raise NoteError("not base64 as an encoder writes it")
    return raw


def _check_text(text: str) -> None:
    if not text.endswith("\n") or _CONTROL.search(text):
        raise NoteError("a note's text ends in a newline and holds no control characters")


def key_id_of(name: str, kind: int, raw: bytes) -> bytes:
    """Compute the id of a key: SHA-256(name || 0x0A || type || public key)[:4]."""
    return sha256(name.encode() + b"\n" + bytes([kind]) + raw).digest()[:_ID_BYTES]


def parse_signer_key(text: str, kind: int) -> tuple[str, bytes, bytes]:
    """Read a signer key of a signature type; its id is not compared with its key yet.

    Returns:
        Name, key id and seed.

    Raises:
        NoteError: It is malformed or of another type.
    """
    if not text.startswith(_PRIVATE_PREFIX):
        raise NoteError("this is not a signer key")
    return parse_key(text.removeprefix(_PRIVATE_PREFIX), kind)


def format_signer_key(name: str, kind: int, key_id: bytes, key: Ed25519PrivateKey) -> str:
    """Write a signer key for keeping; as secret as the key."""
    seed = b64encode(bytes([kind]) + key.private_bytes_raw()).decode()
    return f"{_PRIVATE_PREFIX}{name}+{key_id.hex()}+{seed}"


def parse_key(text: str, kind: int) -> tuple[str, bytes, bytes]:
    """Read a verifier key of a signature type; its id is not compared with its key yet.

    Returns:
        Name, key id and the 32 bytes of the key.

    Raises:
        NoteError: It is malformed or of another type.
    """
    # Base64 may hold '+', so only the first two separate.
    parts = text.split("+", 2)
    if len(parts) != 3:  # noqa: PLR2004 - name, id, key
        raise NoteError("a key is malformed")
    name, key_id, encoded = parts
    check_name(name)
    if not re.fullmatch(r"[0-9a-f]{8}", key_id):
        raise NoteError("a key is malformed")
    raw = strict_base64(encoded)
    if len(raw) != _KEY_BYTES + 1 or raw[0] != kind:
        raise NoteError("a key is not of the type that is expected here")
    return name, bytes.fromhex(key_id), raw[1:]
