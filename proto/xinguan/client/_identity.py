"""Who calls: a certificate, its key, and the authority that the gateway's certificate is under."""

from dataclasses import dataclass, field
from pathlib import Path

import grpc
from cryptography import x509

_SAN_PREFIX = "urn:xinguan:party:"


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller's certificate and key.

    Args:
        certificate: PEM chain.
        key: PEM private key; also signs requests.
        authority: PEM certificates that the gateway's certificate must be under.
        party_id: Read from the certificate.
    """

    certificate: bytes
    key: bytes = field(repr=False)
    authority: bytes
    party_id: str

    @classmethod
    def load(cls, certificate: Path | str, key: Path | str, authority: Path | str) -> "Identity":
        """Read an identity from three PEM files.

        Raises:
            ValueError: When the certificate names no party.
        """
        pem = Path(certificate).read_bytes()
        names = (
            x509.load_pem_x509_certificate(pem)
            .extensions.get_extension_for_class(x509.SubjectAlternativeName)
            .value.get_values_for_type(x509.UniformResourceIdentifier)
        )
        parties = [name.removeprefix(_SAN_PREFIX) for name in names if name.startswith(_SAN_PREFIX)]
        if len(parties) != 1:
            raise ValueError("the certificate names no party of Xinguan")
        return cls(pem, Path(key).read_bytes(), Path(authority).read_bytes(), parties[0])

    def credentials(self) -> grpc.ChannelCredentials:
        """Return mutual TLS credentials."""
        return grpc.ssl_channel_credentials(self.authority, self.key, self.certificate)
