"""Key files: written once, readable by their owner alone, refused when others could read them.

A file that exists is never overwritten: creation is exclusive, so that no run of a command
can replace a key that something already depends on.
"""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedWriter
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from gateway.domain.errors import InvalidRequestError

PRIVATE_MODE = 0o600
SECRET_BYTES = 32
_GREATEST_KEY_FILE_BYTES = 1 << 16


class KeyFileError(InvalidRequestError):
    """A key file is missing, readable by others, or holds another kind of key."""


def write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a file that must not exist yet, durably, with exactly this mode.

    Raises:
        KeyFileError: `FILE_EXISTS` when something stands there already.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, mode)
    except FileExistsError:
        raise KeyFileError(
            "FILE_EXISTS",
            f"a file {path.name} exists there; it stays as it is",
            hints=("name another folder",),
        ) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)  # the process's umask must not widen or narrow it
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        path.unlink(missing_ok=True)  # half of it would stand in the way of the next try
        raise


@contextmanager
def private_file(path: Path) -> Iterator[BufferedWriter]:
    """Open a file for writing that its owner alone can read, from before anything stands in it.

    What stood there is replaced. An OSError is the caller's to tell.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, PRIVATE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, PRIVATE_MODE)  # of a file that stood there too
        os.ftruncate(descriptor, 0)
        yield file


def read_private(path: Path) -> bytes:
    """Return the content of a private file after checking who may read it.

    Raises:
        KeyFileError: `NO_KEY` when it can't be read, `BAD_FILE_MODE` when others could read it
            or it isn't a plain file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        raise KeyFileError("NO_KEY", f"the key file {path.name} can't be read") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or stat.S_IMODE(status.st_mode) & 0o077:
            raise KeyFileError(
                "BAD_FILE_MODE",
                f"the key file {path.name} is no plain file that its owner alone can read",
                hints=(f"run: chmod 600 {path.name}",),
            )
        return os.read(descriptor, _GREATEST_KEY_FILE_BYTES)
    finally:
        os.close(descriptor)


def new_tls_key() -> ec.EllipticCurvePrivateKey:
    """Return a new key for TLS: ECDSA P-256, which every gRPC and Flight client accepts."""
    return ec.generate_private_key(ec.SECP256R1())


def new_document_key() -> Ed25519PrivateKey:
    """Return a new key for signing documents and the log: Ed25519 (RFC 8032)."""
    return Ed25519PrivateKey.generate()


def new_secret() -> bytes:
    """Return a new symmetric key of 32 bytes."""
    return secrets.token_bytes(SECRET_BYTES)


def private_pem(key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey) -> bytes:
    """Return a private key as unencrypted PKCS #8 PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key: ec.EllipticCurvePublicKey | Ed25519PublicKey) -> bytes:
    """Return a public key as SubjectPublicKeyInfo PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def write_private_key(path: Path, key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey) -> None:
    """Write a private key to a new file with mode 0600.

    Raises:
        KeyFileError: `FILE_EXISTS`.
    """
    write_new(path, private_pem(key), PRIVATE_MODE)


def read_document_key(path: Path) -> Ed25519PrivateKey:
    """Return the Ed25519 private key in a file.

    Raises:
        KeyFileError: as `read_private`; `BAD_KEY` when it is of another kind.
    """
    key = _parse_private(read_private(path), path.name)
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError("BAD_KEY", f"{path.name} does not hold an Ed25519 private key")
    return key


def read_tls_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Return the elliptic-curve private key in a file.

    Raises:
        KeyFileError: as `read_private`; `BAD_KEY` when it is of another kind.
    """
    key = _parse_private(read_private(path), path.name)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeyFileError("BAD_KEY", f"{path.name} does not hold an elliptic-curve private key")
    return key


def read_secret(path: Path) -> bytes:
    """Return the 32-byte symmetric key in a file.

    Raises:
        KeyFileError: as `read_private`; `BAD_KEY` when its length is wrong.
    """
    secret = read_private(path)
    if len(secret) != SECRET_BYTES:
        raise KeyFileError("BAD_KEY", f"{path.name} does not hold a key of {SECRET_BYTES} bytes")
    return secret


def parse_document_public_key(pem: bytes) -> Ed25519PublicKey:
    """Return the Ed25519 public key in a PEM text.

    Raises:
        KeyFileError: `BAD_KEY` when it is of another kind or no key at all.
    """
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileError("BAD_KEY", "not an Ed25519 public key in PEM")
    return key


def _parse_private(pem: bytes, name: str) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyFileError("BAD_KEY", f"{name} does not hold an unencrypted private key") from None
