"""The peer of a connection: a pinned key and a name that must agree with the registry.

The transport has verified the chain; that alone admits nobody. A caller is known when the
SHA-256 of its public key is pinned for exactly the party that its certificate names.
"""

from functools import lru_cache
from typing import Protocol

from gateway.domain.errors import UnauthenticatedError
from gateway.domain.party import Caller
from gateway.domain.vocabulary import Status
from gateway.identity.certificates import CertificateError, PeerCertificate, read_certificate

_REMEMBERED_CERTIFICATES = 4_096


class CallerDirectory(Protocol):
    """Looks pinned certificates up. An answer may be of any status; None means never pinned."""

    def caller(self, fingerprint: str) -> Caller | None:
        """Return the party and certificate behind a pin, or None."""


@lru_cache(maxsize=_REMEMBERED_CERTIFICATES)
def _read(pem: bytes) -> PeerCertificate:
    """Parse a certificate once; the result is a pure function of its bytes."""
    return read_certificate(pem)


def identify(pem: bytes, view: CallerDirectory, now: int) -> Caller:
    """Return who is calling. Nothing but the registry's present view decides it.

    Args:
        pem: The peer's certificate as the transport verified it.
        view: The registry's present view.
        now: Unix seconds.

    Raises:
        UnauthenticatedError: `UNKNOWN_CERTIFICATE` when the key is not pinned for the party
            named, `CERTIFICATE_REVOKED`, `CERTIFICATE_EXPIRED` (also: not yet valid), or
            `PARTY_SUSPENDED`.
    """
    try:
        peer = _read(pem)
    except CertificateError:
        raise _unknown() from None
    caller = view.caller(peer.fingerprint)
    if caller is None or caller.party.party_id != peer.party_id:
        raise _unknown()
    pinned = caller.certificate
    if pinned.status is not Status.ACTIVE:
        raise UnauthenticatedError(
            "CERTIFICATE_REVOKED",
            "this certificate was revoked",
            hints=("ask the operator to sign a request for a new key",),
        )
    earliest = max(peer.not_before, pinned.not_before)
    if not earliest <= now <= min(peer.not_after, pinned.not_after):
        raise UnauthenticatedError(
            "CERTIFICATE_EXPIRED",
            "this certificate is not valid now",
            hints=("ask the operator to replace it; the licence stays as it is",),
        )
    if caller.party.status is not Status.ACTIVE:
        raise UnauthenticatedError("PARTY_SUSPENDED", "this organisation is suspended")
    return caller


def _unknown() -> UnauthenticatedError:
    return UnauthenticatedError(
        "UNKNOWN_CERTIFICATE",
        "this certificate is not pinned for the organisation that it names",
        hints=("ask the operator to register it: xinguan party certificate sign",),
    )
