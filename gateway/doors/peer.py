"""The caller's certificate, as the transport verified it."""

import grpc

from gateway.domain.errors import UnauthenticatedError


def peer_certificate(context: grpc.aio.ServicerContext) -> bytes:  # type: ignore[type-arg]  # the stubs' parameters don't matter here
    """Return the peer's certificate, PEM.

    Raises:
        UnauthenticatedError: `UNKNOWN_CERTIFICATE` when there is none; the server's credentials
            demand one, so this is a defect or a plain-text server.
    """
    found = context.auth_context().get("x509_pem_cert")
    if not found:
        raise UnauthenticatedError("UNKNOWN_CERTIFICATE", "the call came without a certificate")
    return bytes(found[0])
