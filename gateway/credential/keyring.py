"""The keys that sign credentials: one signs, all that a valid credential may rest on are published.

They lie in a folder of the deployment, `0001.pem`, `0002.pem`, ..., each 0600. The greatest number
signs. An older one stays, to be published, until what it signed has expired.
"""

from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.credential.jws import EDDSA, ES256, Jwk, Signer, to_jwk
from gateway.domain.errors import UnavailableError
from gateway.identity.keyfiles import (
    KeyFileError,
    new_document_key,
    new_tls_key,
    read_private,
    write_private_key,
)

ALGORITHMS = (ES256, EDDSA)
_DIRECTORY_MODE = 0o700


@dataclass(frozen=True, slots=True)
class Keyring:
    """Every key of an issuer, the one that signs last.

    Args:
        signers: In the order in which they were made.
    """

    signers: tuple[Signer, ...]

    @classmethod
    def open(cls, folder: Path) -> "Keyring":
        """Read the keys of a deployment.

        Raises:
            KeyFileError: `BAD_FILE_MODE` or `BAD_KEY`, naming the file.
            UnavailableError: `NO_CREDENTIAL_KEY` when there is none.
        """
        signers = tuple(Signer.of(_read(path)) for path in _files(folder))
        if not signers:
            raise UnavailableError("NO_CREDENTIAL_KEY", "there is no key to sign credentials with")
        return cls(signers)

    @property
    def signer(self) -> Signer:
        """The key that signs now."""
        return self.signers[-1]

    def published(self) -> list[Jwk]:
        """Return the public halves, as the issuer publishes them."""
        return [
            {**to_jwk(one.key.public_key()), "kid": one.kid, "alg": one.algorithm, "use": "sig"}
            for one in self.signers
        ]


def new_key(folder: Path, algorithm: str = ES256) -> Signer:
    """Make a key that signs from the next start on.

    Args:
        folder: Where the keys are.
        algorithm: `ES256` or `EdDSA`.

    Raises:
        KeyFileError: `FILE_EXISTS` when another process made one at the same time.
    """
    folder.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
    numbers = [int(path.stem) for path in _files(folder)]
    key = new_document_key() if algorithm == EDDSA else new_tls_key()
    write_private_key(folder / f"{max(numbers, default=0) + 1:04}.pem", key)
    return Signer.of(key)


def read_holder_key(path: Path) -> Signer:
    """Return the private key of a holder.

    Raises:
        KeyFileError: as `read_private`; `BAD_KEY` when it is neither P-256 nor Ed25519.
    """
    return Signer.of(_read(path))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.pem") if path.stem.isdecimal())


def _read(path: Path) -> ec.EllipticCurvePrivateKey | Ed25519PrivateKey:
    try:
        key = load_pem_private_key(read_private(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, Ed25519PrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise KeyFileError("BAD_KEY", f"{path.name} holds neither a P-256 nor an Ed25519 key")
