"""What a stranger's service may do to whoever asks it: answer, or be given up at the deadline."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from gateway.strangers import (
    Bounds,
    MalformedError,
    UnreachableError,
    ask_stranger,
    is_loopback,
)

PATIENT = Bounds(60_000, 100, loopback=True)
HASTY = Bounds(500, 100, loopback=True)


@contextlib.contextmanager
def saying(answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Answer one connection with these bytes, keep what was asked, and stay until it is closed."""
    asked: list[bytes] = []

    def serve() -> None:
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):
            asked.append(connection.recv(4_096))
            connection.sendall(answer)
            while connection.recv(4_096):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = threading.Thread(target=serve)
        server.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
        server.join()


def test_the_body_of_an_answer_is_returned_and_the_connection_closed():
    with saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi") as (url, asked):
        assert ask_stranger("POST", f"{url}/a?b=c", {"X-Own": "d"}, PATIENT, b"body") == b"hi"
    head, _, body = asked[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /a?b=c HTTP/1.1\r\n")
    assert {b"X-Own: d", b"Connection: close"} <= set(head.split(b"\r\n"))
    assert body in (b"", b"body")  # the second segment may come later


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + b"x" * 101,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnone\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
)
def test_what_is_no_answer_is_malformed(answer):
    with saying(answer) as (url, _), pytest.raises(MalformedError):
        ask_stranger("GET", url, {}, PATIENT)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"])
def test_who_stops_talking_is_given_up_at_the_deadline(said):
    with saying(said) as (url, _), pytest.raises(UnreachableError):
        ask_stranger("GET", url, {}, HASTY)
    # The connection was closed, or the server would still wait for more.


def test_a_resolver_that_hangs_holds_up_nobody(monkeypatch):
    over = threading.Event()

    def hang(*_: object, **__: object) -> None:
        over.wait()
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        with pytest.raises(UnreachableError):
            ask_stranger("GET", "https://stranger.example/", {}, HASTY)
    finally:
        over.set()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Addresses to which a connection was tried; none comes about."""
    tried: list[tuple[str, int]] = []

    def connect(address: tuple[str, int], **_: object) -> socket.socket:
        tried.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    return tried


def found(*addresses: str) -> list[tuple[object, ...]]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 443)) for each in addresses]


@pytest.mark.parametrize(
    "addresses",
    [("127.0.0.1",), ("203.0.113.5", "127.0.0.1"), ("169.254.169.254",), ("::ffff:127.0.0.1",)],
)
def test_a_name_is_not_asked_when_one_of_its_addresses_may_not_be(addresses, asked, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found(*addresses))
    with pytest.raises(UnreachableError):
        ask_stranger("GET", "https://stranger.example/", {}, Bounds(60_000, 100))
    assert asked == []


def test_the_address_that_is_asked_is_the_one_that_was_checked(asked, monkeypatch):
    """A name that leads elsewhere the second time it is looked up (DNS rebinding)."""
    told = iter([found("203.0.113.5"), found("127.0.0.1")])
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: next(told))
    with pytest.raises(UnreachableError):
        ask_stranger("GET", "https://stranger.example/", {}, Bounds(60_000, 100))
    assert asked == [("203.0.113.5", 443)]


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "http://203.0.113.5/", "http://[::1", "-"])
def test_plain_text_leaves_this_machine_never(url, asked):
    with pytest.raises(UnreachableError):
        ask_stranger("GET", url, {}, PATIENT)
    assert asked == []


def test_this_machine_goes_by_several_names():
    assert all(is_loopback(host) for host in ("localhost", "127.8.8.8", "::1"))
    assert not any(is_loopback(host) for host in ("203.0.113.5", "localhost.example"))
