"""Time-stamps (RFC 3161) over checkpoints, kept beside the log and named by their content.

    timestamp/<hex SHA-256 of the note>.checkpoint    the signed note, verbatim
    timestamp/<the same>.tsr                          the authority's answer over its SHA-256

A time-stamp says that this tree existed at that time, by the word of an authority that has no
part in the log. It stands beside the log and not in it: an entry would make a new tree that in
turn needs a time-stamp, and a token proves itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.x509 import (
    BasicConstraints,
    Certificate,
    DuplicateExtension,
    ExtensionNotFound,
    load_pem_x509_certificates,
)
from rfc3161_client import (
    HashAlgorithm,
    TimeStampRequest,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from audit.checkpoint import Checkpoint, open_checkpoint
from audit.durable import DurableFiles
from audit.errors import AuditUnavailableError, NoteError, ProofError
from audit.merkle import verify_consistency
from audit.note import Verifier
from audit.reader import LogReader

FOLDER: Final = "timestamp"
REQUEST_TYPE: Final = "application/timestamp-query"
MAX_RESPONSE_BYTES: Final = 1 << 17
_STATE: Final = ".state"


@dataclass(frozen=True, slots=True)
class Stamp:
    """A verified time-stamp.

    Args:
        size: Number of entries of the tree that it covers.
        time: When the authority saw it, unix seconds.
        digest: SHA-256 of the note, hex: the name of its files.
    """

    size: int
    time: int
    digest: str


class TimestampAuthority:
    """An authority whose time-stamps are trusted.

    Args:
        certificates: PEM of its root, of intermediates, and of its own certificate. Without the
            last, every authority for time under that root counts.

    Raises:
        NoteError: There is no root among them, two authorities, or they can't be read.
    """

    def __init__(self, certificates: bytes) -> None:
        try:
            found = load_pem_x509_certificates(certificates)
            own = [each for each in found if not _issues(each)]
        except (ValueError, DuplicateExtension) as error:
            raise NoteError("the authority's certificates can't be read") from error
        self._roots = [each for each in found if each.issuer == each.subject and each not in own]
        self._others = [each for each in found if each not in self._roots and each not in own]
        if not self._roots or len(own) > 1:
            raise NoteError("the authority's certificates are its root and at most one of its own")
        self._own = own[0] if own else None

    def check(self, response: bytes, note: bytes, nonce: int | None = None) -> int:
        """Check that the authority stamped a note.

        Args:
            response: DER of its answer.
            note: What it should have stamped.
            nonce: That of the request, where it is known.

        Returns:
            When, in unix seconds.

        Raises:
            NoteError: It did not, or the answer is malformed.
        """
        try:
            decoded: TimeStampResponse = decode_timestamp_response(response)
            verifier = VerifierBuilder(
                roots=list(self._roots),
                intermediates=list(self._others),
                tsa_certificate=self._own,
                nonce=nonce,
            ).build()
            verifier.verify_message(decoded, note)
            return int(decoded.tst_info.gen_time.timestamp())
        except (VerificationError, ValueError) as error:
            raise NoteError("the time-stamp does not hold") from error


def stamp_request(note: bytes) -> TimeStampRequest:
    """Make the request for a note, with a fresh nonce; `as_bytes()` is its body."""
    builder = TimestampRequestBuilder().data(note).hash_algorithm(HashAlgorithm.SHA256)
    return builder.nonce(nonce=True).cert_request(cert_request=True).build()


def keep_stamp(directory: Path, note: bytes, response: bytes) -> str:
    """Keep a checked time-stamp beside the log.

    Args:
        directory: The log's directory.
        note: The stamped note.
        response: DER of the authority's answer.

    Returns:
        The name of its files.

    Raises:
        AuditUnavailableError: The disk doesn't take it.
    """
    digest = sha256(note).hexdigest()
    try:
        with DurableFiles(directory, directory / _STATE) as files:
            files.create(f"{FOLDER}/{digest}.checkpoint", note)
            files.replace(f"{FOLDER}/{digest}.tsr", response)
            files.sync()
    except OSError as error:
        raise AuditUnavailableError("the time-stamp can't be kept") from error
    return digest


def stamp_names(directory: Path) -> list[str]:
    """List the time-stamps beside a log, by the names of their files."""
    return sorted(path.stem for path in (directory / FOLDER).glob("*.tsr"))


def verify_stamps(
    directory: Path, vkey: str, authority: TimestampAuthority, newest: Checkpoint
) -> tuple[list[Stamp], list[str]]:
    """Verify every time-stamp of a log against a verified checkpoint.

    Args:
        directory: The log's directory.
        vkey: Verifier key of the log.
        authority: Whose time-stamps are trusted.
        newest: The verified checkpoint of the log.

    Returns:
        Those that hold, oldest tree first, and what is wrong with the others.
    """
    reader, verifier = LogReader(directory, vkey), Verifier.parse(vkey)
    held: list[Stamp] = []
    problems: list[str] = []
    for name in stamp_names(directory):
        try:
            held.append(_verify(reader, directory / FOLDER, name, verifier, authority, newest))
        except (NoteError, ProofError, OSError) as error:
            said = str(error) if not isinstance(error, OSError) else "its checkpoint is missing"
            problems.append(f"time-stamp {name[:16]}: {said}")
    return sorted(held, key=lambda each: (each.size, each.time)), problems


def _verify(
    reader: LogReader,
    folder: Path,
    name: str,
    verifier: Verifier,
    authority: TimestampAuthority,
    newest: Checkpoint,
) -> Stamp:
    note = (folder / f"{name}.checkpoint").read_bytes()
    if sha256(note).hexdigest() != name:
        raise NoteError("its checkpoint is not the one that it is named after")
    stamped = open_checkpoint(note, verifier)
    at = authority.check((folder / f"{name}.tsr").read_bytes(), note)
    if stamped.size:
        proof: Sequence[bytes] = ()
        if stamped.size < newest.size:
            proof = reader.consistency_proof(stamped.size, newest.size)
        verify_consistency(stamped.size, newest.size, proof, stamped.root, newest.root)
    return Stamp(stamped.size, at, name)


def _issues(certificate: Certificate) -> bool:
    """Tell whether a certificate may issue others."""
    try:
        return certificate.extensions.get_extension_for_class(BasicConstraints).value.ca
    except ExtensionNotFound:
        return False
