"""The caller's certificate, as the transport verified it."""

from functools import lru_cache

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.domain.errors import UnauthenticatedError


def peer_certificate(context: grpc.aio.ServicerContext) -> bytes:  # type: ignore[type-arg]  # the stubs' parameters don't matter here
    """Return the peer's certificate, PEM.

    Raises:
        UnauthenticatedError: `UNKNOWN_CERTIFICATE` when there is none; the server's credentials
            demand one, so this is a defect or a plain-text server.
    """
    found = list(context.auth_context().get("x509_pem_cert") or ())
    if not found:
        raise UnauthenticatedError("UNKNOWN_CERTIFICATE", "the call came without a certificate")
    return bytes(found[0])


@lru_cache(maxsize=4_096)
def public_key_pem(certificate: bytes) -> bytes:
    """Return the public key of a certificate, PEM; remembered, since callers come back.

    Args:
        certificate: PEM, as the transport verified it.

    Raises:
        ValueError: When it is no certificate.
    """
    key = x509.load_pem_x509_certificate(certificate).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
