"""Cosignatures (C2SP tlog-cosignature 1.0, Ed25519): a witness vouches for a checkpoint.

    cosignature/v1
    time <unix seconds>
    <the whole text of the checkpoint>

is what a witness signs. It says: at that time this was the largest consistent tree of this log
that I had seen. The signature in the note is the time (8 bytes, big-endian) and 64 bytes of
Ed25519. A key of a witness has a type of its own (0x04), so that a cosignature can never be
taken for a log's signature nor the other way round.
"""

from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from audit.errors import NoteError
from audit.note import (
    COSIGNATURE_V1,
    NoteVerifier,
    Verifier,
    check_name,
    format_signer_key,
    key_id_of,
    parse_key,
    parse_signer_key,
    signature_line,
    verifier_key,
)

_TIME_BYTES: Final = 8
_SIGNATURE_BYTES: Final = _TIME_BYTES + 64
_GREATEST_TIME: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A verified cosignature.

    Args:
        witness: Key name of the witness.
        key_id: Four bytes.
        time: When the witness signed, by its own clock, in unix seconds.
    """

    witness: str
    key_id: bytes
    time: int


@dataclass(frozen=True, slots=True)
class CosignatureVerifier:
    """A trusted witness's key and its name.

    Args:
        name: Key name.
        key_id: Four bytes.
        key: The public key.
    """

    name: str
    key_id: bytes
    key: Ed25519PublicKey

    @staticmethod
    def parse(vkey: str) -> "CosignatureVerifier":
        """Read a verifier key of type 0x04.

        Raises:
            NoteError: It is malformed, of another type, or its id is not that of its key.
        """
        name, key_id, raw = parse_key(vkey, COSIGNATURE_V1)
        if key_id != key_id_of(name, COSIGNATURE_V1, raw):
            raise NoteError("the key id is not that of the key")
        return CosignatureVerifier(name, key_id, Ed25519PublicKey.from_public_bytes(raw))

    def verify(self, text: bytes, signature: bytes) -> None:
        """Check a cosignature over the text of a checkpoint.

        Raises:
            NoteError: It does not hold.
        """
        at = cosigned_at(signature)
        try:
            self.key.verify(signature[_TIME_BYTES:], _message(text, at))
        except InvalidSignature as error:
            raise NoteError("a cosignature of a trusted witness does not hold") from error


@dataclass(frozen=True, slots=True)
class CosignatureSigner:
    """The key of a witness.

    Args:
        name: Key name; should be a URL without its scheme.
        key: The private key, used for nothing else.
    """

    name: str
    key: Ed25519PrivateKey = field(repr=False)

    def __post_init__(self) -> None:
        check_name(self.name)

    @staticmethod
    def parse(text: str) -> "CosignatureSigner":
        """Read a signer key, `PRIVATE+KEY+name+hex id+base64(0x04 || seed)`.

        Raises:
            NoteError: It is malformed, of another type, or its id is not that of its key.
        """
        name, key_id, seed = parse_signer_key(text, COSIGNATURE_V1)
        signer = CosignatureSigner(name, Ed25519PrivateKey.from_private_bytes(seed))
        if signer.key_id != key_id:
            raise NoteError("the key id is not that of the key")
        return signer

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        return key_id_of(self.name, COSIGNATURE_V1, self.key.public_key().public_bytes_raw())

    @property
    def verifier_key(self) -> str:
        """The verifier key that belongs to it."""
        return verifier_key(self.name, self.key.public_key(), COSIGNATURE_V1)

    def signer_key(self) -> str:
        """Write the key for keeping; as secret as the key."""
        return format_signer_key(self.name, COSIGNATURE_V1, self.key_id, self.key)

    def cosign(self, text: str, at: int) -> str:
        """Vouch for a checkpoint.

        Args:
            text: The text of the checkpoint, with its last newline.
            at: Unix seconds.

        Returns:
            A signature line with its newline.

        Raises:
            NoteError: The time cannot be written.
        """
        if not 0 < at <= _GREATEST_TIME:
            raise NoteError("the time of a cosignature is out of its range")
        signature = self.key.sign(_message(text.encode(), at))
        return signature_line(self.name, self.key_id, at.to_bytes(_TIME_BYTES, "big") + signature)


def cosigned_at(signature: bytes) -> int:
    """Read the time of a cosignature; it is true only if the cosignature holds.

    Raises:
        NoteError: It has another length, or a time out of its range.
    """
    if len(signature) != _SIGNATURE_BYTES:
        raise NoteError("a cosignature has a wrong length")
    at = int.from_bytes(signature[:_TIME_BYTES], "big")
    if at > _GREATEST_TIME:
        raise NoteError("the time of a cosignature is out of its range")
    return at


def parse_witness_key(vkey: str) -> NoteVerifier:
    """Read the key of whoever vouches for a checkpoint: a witness, or another signer of notes.

    Raises:
        NoteError: It is malformed.
    """
    try:
        return CosignatureVerifier.parse(vkey)
    except NoteError:
        return Verifier.parse(vkey)


def _message(text: bytes, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n".encode() + text
