"""What the server shows and whom it looks at: checked before a TLS library gets it.

gRPC tells a wrong key, a wrong certificate and a port that is taken with the same words.
"""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from gateway.identity.certificates import CertificateError
from gateway.identity.keyfiles import KeyFileError


def require_pair(key: bytes, key_name: str, certificate: bytes, certificate_name: str) -> None:
    """Check that a private key is the one of a certificate; the chain may follow it.

    Args:
        key: The key, PEM.
        key_name: What its file is called.
        certificate: The certificate, PEM.
        certificate_name: What its file is called.

    Raises:
        KeyFileError: `BAD_KEY` when it is no private key, encrypted, or another one.
        CertificateError: `BAD_CERTIFICATE` when it is none.
    """
    try:
        private = load_pem_private_key(key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyFileError(
            "BAD_KEY", f"{key_name} does not hold an unencrypted private key"
        ) from None
    shown = _certificates(certificate, certificate_name)[0]
    spki = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    try:
        theirs = shown.public_key().public_bytes(*spki)
    except (ValueError, UnsupportedAlgorithm):
        theirs = b""
    if private.public_key().public_bytes(*spki) != theirs:
        raise KeyFileError(
            "BAD_KEY",
            f"{key_name} is not the key of {certificate_name}",
            hints=("a chain begins with the server's own certificate",),
        )


def require_authorities(pem: bytes, name: str) -> None:
    """Check that a file holds certificates of authorities.

    Args:
        pem: What it holds.
        name: What it is called.

    Raises:
        CertificateError: `BAD_CERTIFICATE`.
    """
    _certificates(pem, name)


def _certificates(pem: bytes, name: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise CertificateError(
            "BAD_CERTIFICATE", f"{name} does not hold certificates in PEM"
        ) from None
