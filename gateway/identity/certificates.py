"""Certificates: the development authority, the signing of requests, and what a pin is.

A party's certificate says who it is in one place only, the URI `urn:xinguan:party:<id>` of its
subject alternative name. A request's own wishes about names, extensions and authority are
ignored: the registry decides what is written, the request only proves that its key is held.
"""

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.domain.errors import InvalidRequestError
from gateway.domain.party import SAN_PREFIX

DAY_S = 86_400
PARTY_DAYS = 397
AUTHORITY_DAYS = 3_650
_BACKDATE_S = 300  # clocks of clients that run a little behind must not refuse a new certificate
_LEAST_RSA_BITS = 3_072
_CURVES = (ec.SECP256R1, ec.SECP384R1)
_GREATEST_PEM_BYTES = 1 << 16

TlsPublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


class CertificateError(InvalidRequestError):
    """A certificate or a certificate request is malformed, too weak or for another party."""


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """What the gateway reads from a certificate.

    Args:
        fingerprint: SHA-256 of the subject public key info, hex: the pin.
        party_id: From the one party URI among its alternative names, or empty.
        not_before: Unix seconds.
        not_after: Unix seconds, inclusive.
    """

    fingerprint: str
    party_id: str
    not_before: int
    not_after: int


def pin(public_key: TlsPublicKey) -> str:
    """Return the SHA-256 of a key's SubjectPublicKeyInfo in hex (RFC 7469, section 2.4)."""
    der = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def read_certificate(pem: bytes) -> PeerCertificate:
    """Return what matters of a certificate; its chain is the transport's business.

    Raises:
        CertificateError: `BAD_CERTIFICATE` when it can't be parsed, its key is too weak or it
            names several parties.
    """
    if len(pem) > _GREATEST_PEM_BYTES:
        raise CertificateError("BAD_CERTIFICATE", "the certificate is too large")
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        key = certificate.public_key()
        uris = _party_uris(certificate)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension):
        raise CertificateError("BAD_CERTIFICATE", "not a readable X.509 certificate") from None
    if len(uris) > 1:
        raise CertificateError("BAD_CERTIFICATE", "the certificate names several parties")
    return PeerCertificate(
        pin(_strong(key)),
        uris[0].removeprefix(SAN_PREFIX) if uris else "",
        int(certificate.not_valid_before_utc.timestamp()),
        int(certificate.not_valid_after_utc.timestamp()),
    )


def read_request(pem: bytes) -> TlsPublicKey:
    """Return the public key of a certificate request (PKCS #10) after proving it is held.

    Raises:
        CertificateError: `BAD_CSR` when it can't be parsed or its own signature is wrong,
            `WEAK_KEY` when its key is not acceptable.
    """
    if len(pem) > _GREATEST_PEM_BYTES:
        raise CertificateError("BAD_CSR", "the certificate request is too large")
    try:
        request = x509.load_pem_x509_csr(pem)
        key = request.public_key()
        genuine = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        raise CertificateError("BAD_CSR", "not a readable certificate request") from None
    if not genuine:
        raise CertificateError("BAD_CSR", "the certificate request is not signed by its own key")
    return _strong(key)


def make_request(key: ec.EllipticCurvePrivateKey, common_name: str) -> bytes:
    """Return a certificate request for a key, PEM."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_name(common_name))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """An authority for certificates; its key never lies inside a gateway's own files."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def create(cls, key: ec.EllipticCurvePrivateKey, name: str, now: int) -> "CertificateAuthority":
        """Return a new self-signed authority that may issue end certificates only."""
        usage = _usage(sign_certificates=True)
        certificate = (
            _builder(name, key.public_key(), _name(name), now, AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate)

    @property
    def pem(self) -> bytes:
        """The authority's own certificate, PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    def issue_party(self, party_id: str, public_key: TlsPublicKey, now: int, days: int) -> bytes:
        """Return a client certificate that names one party, PEM."""
        san = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(SAN_PREFIX + party_id)])
        usage = ExtendedKeyUsageOID.CLIENT_AUTH
        return self._issue(party_id, public_key, san, usage, now=now, days=days)

    def issue_server(
        self, names: Sequence[str], public_key: TlsPublicKey, now: int, days: int
    ) -> bytes:
        """Return a server certificate for host names and addresses, PEM."""
        san = x509.SubjectAlternativeName([_general_name(name) for name in names])
        usage = ExtendedKeyUsageOID.SERVER_AUTH
        return self._issue(names[0], public_key, san, usage, now=now, days=days)

    def _issue(
        self,
        common_name: str,
        public_key: TlsPublicKey,
        san: x509.SubjectAlternativeName,
        usage: x509.ObjectIdentifier,
        *,
        now: int,
        days: int,
    ) -> bytes:
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        certificate = (
            _builder(common_name, public_key, self.certificate.subject, now, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(issuer_key, critical=False)
            .add_extension(san, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return certificate.public_bytes(Encoding.PEM)


def _party_uris(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return [uri for uri in uris if uri.startswith(SAN_PREFIX)]


def _strong(key: object) -> TlsPublicKey:
    """Return the key when TLS stacks accept it and it is strong enough."""
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES):
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _LEAST_RSA_BITS:
        return key
    raise CertificateError(
        "WEAK_KEY",
        "the key must be ECDSA on P-256 or P-384, or RSA of at least 3072 bits",
        hints=("make one with: openssl ecparam -name prime256v1 -genkey",),
    )


def _builder(
    common_name: str, public_key: TlsPublicKey, issuer: x509.Name, now: int, days: int
) -> x509.CertificateBuilder:
    start = datetime.fromtimestamp(now - _BACKDATE_S, tz=UTC)
    subject_key = x509.SubjectKeyIdentifier.from_public_key(public_key)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(common_name))
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(seconds=_BACKDATE_S + days * DAY_S))
        .add_extension(subject_key, critical=False)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
