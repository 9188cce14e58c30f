"""Fetching status lists from a real HTTPS server on this machine, one that behaves and one not."""

import http.server
import socket
import ssl
import threading
import time
from contextlib import contextmanager

import pytest

from gateway.identity.certificates import CertificateAuthority
from gateway.identity.keyfiles import new_tls_key, private_pem
from gateway.inbound.fetching import HttpsLists

SLOW_S = 60.0
over = threading.Event()  # so that nobody waits for the slow one


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by path."""

    def do_GET(self):
        if self.path == "/status/moved":
            self.send_response(302)
            self.send_header("Location", "/status/1")
            self.end_headers()
            return
        if self.path == "/status/slow":
            over.wait(SLOW_S)
        self.send_response(404 if self.path == "/status/none" else 200)
        self.end_headers()
        if self.path == "/status/huge":
            self.wfile.write(b"x" * 5_000)
        elif self.path == "/status/binary":
            self.wfile.write(b"\xff\xfe")
        else:
            accept = self.headers["Accept"]
            self.wfile.write(f"token for {accept}\n".encode())

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def authority():
    return CertificateAuthority.create(new_tls_key(), "test", int(time.time()) - 60)


@pytest.fixture(scope="module")
def server(authority, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    key = new_tls_key()
    now = int(time.time())
    pem = authority.issue_server(("localhost", "127.0.0.1"), key.public_key(), now, 30)
    (folder / "cert.pem").write_bytes(pem)
    (folder / "key.pem").write_bytes(private_pem(key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.daemon_threads = True
    served.socket = context.wrap_socket(served.socket, server_side=True)
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield f"https://localhost:{served.server_address[1]}"
    over.set()
    served.shutdown()
    served.server_close()
    thread.join()


@contextmanager
def at_most(seconds):
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def trusting(authority, timeout_ms=30_000, **words):
    tls = ssl.create_default_context(cadata=authority.pem.decode())
    return HttpsLists(timeout_ms, loopback=True, tls=tls, **words)


def test_a_list_is_fetched(server, authority):
    found = trusting(authority)(f"{server}/status/1")
    assert found == "token for application/statuslist+jwt"


@pytest.mark.parametrize("path", ["moved", "none", "binary"])
def test_what_is_no_list_is_none(server, authority, path):
    assert trusting(authority)(f"{server}/status/{path}") is None


def test_sizes_and_times_are_bounded(server, authority):
    assert trusting(authority, max_bytes=4_000)(f"{server}/status/huge") is None
    with at_most(SLOW_S / 2):
        assert trusting(authority, timeout_ms=500)(f"{server}/status/slow") is None


def test_a_stranger_s_certificate_is_not_believed(server):
    assert HttpsLists(loopback=True)(f"{server}/status/1") is None


@pytest.mark.parametrize(
    "uri",
    [
        "http://localhost:1/status/1",
        "https://user@localhost:1/status/1",
        "https://[::1]:bad/",
        "https://169.254.169.254/latest",
        "https://224.0.0.1/",
        "https://0.0.0.0/",
    ],
)
def test_addresses_that_are_never_asked(uri):
    with at_most(SLOW_S / 2):
        assert HttpsLists(loopback=True, timeout_ms=3_000)(uri) is None


def test_this_machine_is_asked_in_development_only(server, authority):
    tls = ssl.create_default_context(cadata=authority.pem.decode())
    assert HttpsLists(tls=tls)(f"{server}/status/1") is None


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_this_machine_is_not_asked_by_its_address_inside_another_one():
    with socket.create_server(("127.0.0.1", 0)) as service:
        port = service.getsockname()[1]
        assert HttpsLists(timeout_ms=700)(f"https://[::ffff:127.0.0.1]:{port}/status/1") is None
        service.settimeout(0)
        with pytest.raises(BlockingIOError):
            service.accept()
