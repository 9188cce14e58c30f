import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.identity.certificates import (
    CertificateAuthority,
    CertificateError,
    make_request,
    pin,
    read_certificate,
    read_request,
)
from gateway.identity.keyfiles import new_tls_key
from tests.simulator import NOW, uscc

PARTY = f"uscc:{uscc(1)}"


@pytest.fixture(scope="module")
def authority() -> CertificateAuthority:
    return CertificateAuthority.create(new_tls_key(), "test", NOW)


def self_signed(names, key=None) -> bytes:
    key = key or new_tls_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    start = datetime.fromtimestamp(NOW, tz=UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=1))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM)


def test_a_partys_certificate_says_who_until_when(authority) -> None:
    key = new_tls_key()
    peer = read_certificate(authority.issue_party(PARTY, key.public_key(), NOW, 30))
    assert peer.party_id == PARTY
    assert peer.fingerprint == pin(key.public_key())
    assert peer.not_before <= NOW < peer.not_after <= NOW + 30 * 86_400


def test_an_issued_certificate_is_for_its_one_use(authority) -> None:
    pem = authority.issue_party(PARTY, new_tls_key().public_key(), NOW, 30)
    certificate = x509.load_pem_x509_certificate(pem)
    certificate.verify_directly_issued_by(authority.certificate)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not constraints.ca
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [oid.dotted_string for oid in usage] == ["1.3.6.1.5.5.7.3.2"]  # clientAuth only


def test_a_servers_certificate_names_hosts_and_addresses(authority) -> None:
    key = new_tls_key().public_key()
    pem = authority.issue_server(["localhost", "127.0.0.1", "::1"], key, NOW, 30)
    names = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(ip) for ip in names.value.get_values_for_type(x509.IPAddress)] == [
        "127.0.0.1",
        "::1",
    ]
    assert read_certificate(pem).party_id == ""


def test_a_request_proves_its_key_and_nothing_else(authority) -> None:
    key = new_tls_key()
    wish = x509.SubjectAlternativeName(
        [x509.UniformResourceIdentifier(f"urn:xinguan:party:uscc:{uscc(2)}")]
    )
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody else")]))
        .add_extension(wish, critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )
    public = read_request(request)
    issued = authority.issue_party(PARTY, public, NOW, 30)
    assert read_certificate(issued).party_id == PARTY
    assert not (
        x509.load_pem_x509_certificate(issued)
        .extensions.get_extension_for_class(x509.BasicConstraints)
        .value.ca
    )


def test_a_request_signed_by_another_key_is_refused() -> None:
    mine, other = make_request(new_tls_key(), "a"), make_request(new_tls_key(), "a")
    body = x509.load_pem_x509_csr(mine)
    stolen = x509.load_pem_x509_csr(other)
    der = body.public_bytes(Encoding.DER)
    position = der.rindex(body.signature)
    swapped = der[:position] + stolen.signature
    pem = b"-----BEGIN CERTIFICATE REQUEST-----\n"
    pem += base64.encodebytes(swapped) + b"-----END CERTIFICATE REQUEST-----\n"
    with pytest.raises(CertificateError) as caught:
        read_request(pem)
    assert caught.value.code == "BAD_CSR"


@pytest.mark.parametrize("pem", [b"", b"hello", b"-----BEGIN CERTIFICATE-----\n", b"x" * 70_000])
def test_rubbish_is_no_request_and_no_certificate(pem: bytes) -> None:
    with pytest.raises(CertificateError) as request:
        read_request(pem)
    assert request.value.code == "BAD_CSR"
    with pytest.raises(CertificateError) as certificate:
        read_certificate(pem)
    assert certificate.value.code == "BAD_CERTIFICATE"


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
        ed25519.Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP256K1()),
    ],
    ids=["rsa-2048", "ed25519", "secp256k1"],
)
def test_keys_that_are_weak_or_that_tls_refuses_are_refused(key) -> None:
    with pytest.raises(CertificateError) as caught:
        read_certificate(self_signed([], key))
    assert caught.value.code == "WEAK_KEY"


def test_a_certificate_of_several_parties_is_refused() -> None:
    names = [x509.UniformResourceIdentifier(f"urn:xinguan:party:reg:SG:{n}000") for n in (1, 2)]
    with pytest.raises(CertificateError) as caught:
        read_certificate(self_signed(names))
    assert caught.value.code == "BAD_CERTIFICATE"


def test_a_foreign_certificate_names_no_party() -> None:
    names = [x509.UniformResourceIdentifier("spiffe://elsewhere/x"), x509.DNSName("a.example")]
    assert read_certificate(self_signed(names)).party_id == ""
    assert read_certificate(self_signed([])).party_id == ""
