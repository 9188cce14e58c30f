"""A receiver's own service is a stranger: whatever it does, one of five words comes of it, soon."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from gateway.domain.errors import InvalidRequestError
from gateway.repair.recall.endpoints import check_url
from gateway.repair.recall.probe import ProbeLimits, Result, probe

LIMITS = ProbeLimits(timeout_ms=60_000, max_bytes=2_000, loopback=True)
SHORT = ProbeLimits(timeout_ms=700, max_bytes=2_000, loopback=True)
Answer = Callable[[BaseHTTPRequestHandler, dict], None]


@contextlib.contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """Serve one handler on this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with contextlib.suppress(OSError):
                answer(self, asked)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.over = threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/check"
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def reply(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def says(**words: object) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, asked: dict) -> None:
        reply(handler, json.dumps({"v": 1, "nonce": asked["nonce"]} | words).encode())

    return answer


def raw(body: bytes, status: int = 200, **headers: str) -> Answer:
    return lambda handler, _: reply(handler, body, status, **headers)


def drip(handler: BaseHTTPRequestHandler, drop: bytes) -> None:
    """Go on until the test is over."""
    while not handler.server.over.wait(0.05):
        handler.wfile.write(drop)
        handler.wfile.flush()


def dripping(handler: BaseHTTPRequestHandler, _: dict) -> None:
    handler.send_response(200)
    handler.end_headers()
    drip(handler, b" ")


def slow_header(handler: BaseHTTPRequestHandler, _: dict) -> None:
    drip(handler, b"H")


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (says(shown=False), Result.CLEAN),
        (says(shown=True), Result.STILL_SHOWN),
        (says(shown="false"), Result.MALFORMED),
        (says(shown=0), Result.MALFORMED),
        (says(shown=False, nonce="another"), Result.MALFORMED),
        (says(shown=False, more=1), Result.MALFORMED),
        (says(shown=False, v=2), Result.MALFORMED),
        (raw(b""), Result.MALFORMED),
        (raw(b"[" * 1_500), Result.MALFORMED),
        (raw(b"\xff\xfe"), Result.MALFORMED),
        (raw(b"[]"), Result.MALFORMED),
        (raw(b" " * 5_000), Result.MALFORMED),
        (raw(b"{}", 500), Result.MALFORMED),
        (raw(b"", 302, Location="http://127.0.0.1:1/"), Result.MALFORMED),
        (raw(b"", 204), Result.MALFORMED),
    ],
)
def test_one_of_five_words_comes(answer, result):
    with serving(answer) as url:
        assert probe(url, "document", LIMITS) is result


@pytest.mark.parametrize("answer", [dripping, slow_header])
def test_who_never_comes_to_an_end_is_followed_for_its_time_only(answer):
    with serving(answer) as url:
        before = set(threading.enumerate())
        assert probe(url, "document", SHORT) is Result.UNREACHABLE
        for worker in set(threading.enumerate()) - before:
            if worker.name == "stranger":
                worker.join(60)  # while the endpoint goes on
                assert not worker.is_alive()


def test_a_handshake_that_drips_is_followed_for_its_time_only():
    """The head of a TLS record, and then its bytes one by one."""
    over = threading.Event()

    def drip_record() -> None:
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")
            while not over.wait(0.05):
                connection.sendall(b"\0")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = threading.Thread(target=drip_record)
        server.start()
        try:
            before = set(threading.enumerate())
            url = f"https://127.0.0.1:{listening.getsockname()[1]}/"
            assert probe(url, "document", SHORT) is Result.UNREACHABLE
            for worker in set(threading.enumerate()) - before:
                worker.join(60)
                assert not worker.is_alive()
        finally:
            over.set()
            server.join()


def test_the_question_carries_the_signed_notice():
    asked: list[dict] = []

    def answer(handler: BaseHTTPRequestHandler, question: dict) -> None:
        asked.append(question)
        says(shown=False)(handler, question)

    with serving(answer) as url:
        probe(url, "the.signed.notice", LIMITS)
    assert asked[0] == {
        "v": 1,
        "type": "xinguan-recall-probe",
        "nonce": asked[0]["nonce"],
        "notice": "the.signed.notice",
    }


def test_who_cannot_be_asked_is_told_apart_from_who_has_nothing_declared():
    assert probe("", "d", LIMITS) is Result.NO_ENDPOINT
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert probe(f"http://127.0.0.1:{port}/", "d", LIMITS) is Result.UNREACHABLE
    assert probe("https://no-such-host.invalid/", "d", LIMITS) is Result.UNREACHABLE


def test_this_machine_is_asked_in_development_only():
    with serving(says(shown=False)) as url:
        strict = ProbeLimits(timeout_ms=60_000, max_bytes=2_000)
        assert probe(url, "d", strict) is Result.UNREACHABLE
        assert probe(url.replace("http:", "https:"), "d", strict) is Result.UNREACHABLE


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "[::]", "224.0.0.1"])
def test_addresses_that_are_no_organisations_are_not_asked(host, monkeypatch):
    connect = lambda *_, **__: pytest.fail("it was asked")  # noqa: E731 - of one line
    monkeypatch.setattr(socket, "create_connection", connect)
    assert probe(f"https://{host}/", "d", LIMITS) is Result.UNREACHABLE


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_this_machine_is_not_asked_by_its_address_inside_another_one():
    strict = ProbeLimits(timeout_ms=700, loopback=False)
    with socket.create_server(("127.0.0.1", 0)) as service:
        port = service.getsockname()[1]
        assert probe(f"https://[::ffff:127.0.0.1]:{port}/", "d", strict) is Result.UNREACHABLE
        service.settimeout(0)
        with pytest.raises(BlockingIOError):
            service.accept()


def test_a_service_without_tls_behind_an_https_address_is_unreachable():
    with serving(says(shown=False)) as url:
        assert probe(url.replace("http:", "https:"), "d", LIMITS) is Result.UNREACHABLE


@pytest.mark.parametrize(
    "url",
    [
        "", "http://example.com/", "ftp://example.com/", "https://", "https://u:p@example.com/",
        "https://example.com/#x", "https://exa mple.com/", "https://example.com:0/",
        "https://example.com:99999/", "https://例子/", "https://example.com/" + "x" * 400,
        "https://example.com\\@evil.example/", "file:///etc/passwd", "//example.com/",
        "https://example.com/\r\nX: y",
    ],
)  # fmt: skip
def test_what_is_no_https_address_is_no_endpoint(url):
    with pytest.raises(InvalidRequestError):
        check_url(url, loopback=True)


def test_plain_http_is_for_this_machine_in_development():
    for url in ("http://127.0.0.1:80/x", "http://localhost/x", "http://[::1]:8/x"):
        assert check_url(url, loopback=True) == url
        with pytest.raises(InvalidRequestError):
            check_url(url, loopback=False)
    assert check_url(" https://example.com/a?b=c ", loopback=False) == "https://example.com/a?b=c"
