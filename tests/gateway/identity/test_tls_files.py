import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from gateway.domain.errors import XinguanError
from gateway.identity.certificates import CertificateAuthority
from gateway.identity.keyfiles import new_document_key, new_tls_key, private_pem
from gateway.identity.tls_files import require_authorities, require_pair
from tests.simulator import NOW

KEY = new_tls_key()
AUTHORITY = CertificateAuthority.create(new_tls_key(), "x", NOW)
CERTIFICATE = AUTHORITY.issue_server(["localhost"], KEY.public_key(), NOW, 1)


def refused(key: bytes, certificate: bytes = CERTIFICATE) -> tuple[str, str]:
    with pytest.raises(XinguanError) as caught:
        require_pair(key, "a.key", certificate, "a.pem")
    return caught.value.code, caught.value.message


def test_a_key_goes_with_its_own_certificate_only() -> None:
    require_pair(private_pem(KEY), "a.key", CERTIFICATE, "a.pem")
    for other in (new_tls_key(), new_document_key()):
        assert refused(private_pem(other)) == ("BAD_KEY", "a.key is not the key of a.pem")


def test_a_server_may_have_an_rsa_key() -> None:
    key = rsa.generate_private_key(65_537, 3_072)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    certificate = AUTHORITY.issue_server(["localhost"], key.public_key(), NOW, 1)
    require_pair(pem, "a.key", certificate, "a.pem")


def test_what_cannot_be_read_is_named() -> None:
    locked = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    for key in (b"", b"rubbish", CERTIFICATE, locked):
        code, message = refused(key)
        assert (code, "a.key" in message) == ("BAD_KEY", True)
    for certificate in (b"", b"rubbish", private_pem(KEY)):
        code, message = refused(private_pem(KEY), certificate)
        assert (code, "a.pem" in message) == ("BAD_CERTIFICATE", True)


def test_authorities_are_one_certificate_or_several() -> None:
    require_authorities(AUTHORITY.pem, "ca.pem")
    require_authorities(AUTHORITY.pem + CERTIFICATE, "ca.pem")
    with pytest.raises(XinguanError, match=r"ca\.pem"):
        require_authorities(b"rubbish", "ca.pem")
