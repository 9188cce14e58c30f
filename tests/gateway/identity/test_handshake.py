"""The certificates that the gateway issues, in a real mutual TLS handshake of gRPC."""

import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from gateway.domain.party import Caller, Certificate, Party
from gateway.domain.vocabulary import Role, Status
from gateway.identity.certificates import CertificateAuthority, pin
from gateway.identity.keyfiles import new_tls_key, private_pem
from gateway.identity.peer import identify
from tests.simulator import NOW, uscc

PARTY = Party(f"uscc:{uscc(1)}", "x", Role.BANK, "CN", Status.ACTIVE, 0)
METHOD = "/test.Echo/Who"


class Directory:
    def __init__(self, fingerprint: str) -> None:
        self._pinned = Certificate(fingerprint, PARTY.party_id, 0, 2**40, Status.ACTIVE, 1)

    def caller(self, fingerprint: str) -> Caller | None:
        return Caller(PARTY, self._pinned) if fingerprint == self._pinned.fingerprint else None


@pytest.fixture
def authority() -> CertificateAuthority:
    return CertificateAuthority.create(new_tls_key(), "test", int(time.time()))


@pytest.fixture
def client(authority):
    """Return a server's address and a function that calls it with a certificate."""
    now = int(time.time())
    server_key, party_key = new_tls_key(), new_tls_key()
    directory = Directory(pin(party_key.public_key()))

    def who(_request: bytes, context: grpc.ServicerContext) -> bytes:
        pem = context.auth_context()["x509_pem_cert"][0]
        return identify(pem, directory, now).party.party_id.encode()

    class Handler(grpc.GenericRpcHandler):
        def service(self, details):
            return grpc.unary_unary_rpc_method_handler(who) if details.method == METHOD else None

    certificate = authority.issue_server(
        ["localhost", "127.0.0.1"], server_key.public_key(), now, 2
    )
    credentials = grpc.ssl_server_credentials(
        [(private_pem(server_key), certificate)], authority.pem, require_client_auth=True
    )
    server = grpc.server(ThreadPoolExecutor(2), handlers=[Handler()])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()

    def call(issuer: CertificateAuthority, key=party_key) -> str:
        pem = issuer.issue_party(PARTY.party_id, key.public_key(), now, 2)
        mine = grpc.ssl_channel_credentials(authority.pem, private_pem(key), pem)
        with grpc.secure_channel(f"127.0.0.1:{port}", mine) as channel:
            return channel.unary_unary(METHOD)(b"", timeout=60).decode()

    yield call
    server.stop(0).wait()


def test_an_issued_certificate_passes_and_names_its_party(client, authority) -> None:
    assert client(authority) == PARTY.party_id


def test_a_foreign_authoritys_certificate_does_not_pass_the_handshake(client) -> None:
    foreign = CertificateAuthority.create(new_tls_key(), "test", NOW)
    with pytest.raises(grpc.RpcError) as caught:
        client(foreign)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_key_that_was_never_pinned_passes_the_handshake_and_no_further(client, authority) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        client(authority, new_tls_key())
    assert caught.value.code() is grpc.StatusCode.UNKNOWN
