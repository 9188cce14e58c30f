"""Asking a stranger's service over HTTPS, so that nothing that it does can hold the gateway up.

A verified certificate, one address that was looked up and checked before, no redirects, no proxy,
a limit of size, and one deadline for everything, name resolution and dripping bytes included. What
comes back is whatever a stranger says: the caller believes of it what it can verify.
"""

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

_OK = 200
_CHUNK = 64 << 10


class UnreachableError(Exception):
    """Nobody answered in time at an address that may be asked."""


class MalformedError(Exception):
    """Something answered, and it is no answer."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far a stranger's service is followed.

    Args:
        timeout_ms: For everything together.
        max_bytes: Of the answer's body.
        loopback: Allow this machine, over plain HTTP too; in development.
        tls: Which authorities are trusted; the system's by default.
    """

    timeout_ms: int
    max_bytes: int
    loopback: bool = False
    tls: ssl.SSLContext | None = None


def ask_stranger(
    method: str, url: str, headers: Mapping[str, str], bounds: Bounds, body: bytes = b""
) -> bytes:
    """Send one request and return the body of its answer. Blocks for `timeout_ms` at most.

    Args:
        method: `GET` or `POST`.
        url: Where to; its scheme and host are the stranger's own words.
        headers: Beside `Connection: close`.
        bounds: How far it is followed.
        body: What is sent.

    Raises:
        UnreachableError: See there.
        MalformedError: Not a status of 200 (a redirect is none), too long, or no HTTP.
    """
    asking = _Asking(method, url, headers, bounds, body)
    # In a thread that is left behind when it doesn't come back: neither a resolver that hangs nor
    # a header that drips for hours can hold up who waits here.
    worker = threading.Thread(target=asking.run, name="stranger", daemon=True)
    worker.start()
    worker.join(max(0.0, asking.left))
    return asking.answer()


def is_loopback(host: str) -> bool:
    """Tell whether a host as written is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Asking:
    """One request under way. Its thread alone asks; whoever waits looks once, at the deadline."""

    def __init__(
        self, method: str, url: str, headers: Mapping[str, str], bounds: Bounds, body: bytes
    ) -> None:
        self._method, self._url, self._body = method, url, body
        self._headers = {**headers, "Connection": "close"}
        self._bounds = bounds
        self._deadline = time.monotonic() + bounds.timeout_ms / 1000
        self._held: list[socket.socket] = []
        self._found: list[bytes | UnreachableError | MalformedError] = []

    @property
    def left(self) -> float:
        """Seconds until the deadline; negative past it."""
        return self._deadline - time.monotonic()

    def run(self) -> None:
        try:
            self._found.append(self._ask(urlsplit(self._url)))
        except (UnreachableError, MalformedError) as error:
            self._found.append(error)
        except http.client.HTTPException:
            self._found.append(MalformedError())
        # TLS faults are OSErrors; a socket that is closed at the deadline may be any of these.
        except (OSError, ValueError, AttributeError):
            self._found.append(UnreachableError())

    def answer(self) -> bytes:
        if not self._found:
            self._give_up()
            raise UnreachableError
        (found,) = self._found
        if isinstance(found, bytes):
            return found
        raise found

    def _give_up(self) -> None:
        for connection in self._held:
            # Closing alone wouldn't wake whoever reads from it.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _ask(self, url: SplitResult) -> bytes:
        secure, bounds = url.scheme == "https", self._bounds
        host = url.hostname or ""
        port = url.port or (443 if secure else 80)
        if not secure and not (bounds.loopback and url.scheme == "http" and is_loopback(host)):
            raise UnreachableError
        address = _address(host, port, loopback=bounds.loopback)
        used = socket.create_connection((address, port), timeout=self._in_time())
        with contextlib.ExitStack() as open_ones:
            self._held.append(open_ones.enter_context(used))
            if secure:
                context = bounds.tls or ssl.create_default_context()
                secured = context.wrap_socket(
                    used, server_hostname=host, do_handshake_on_connect=False
                )
                used = open_ones.enter_context(secured)
                self._held.append(secured)  # before it shakes hands, which may take for ever
                secured.do_handshake()
            connection = http.client.HTTPConnection(host, port, timeout=self._in_time())
            connection.sock = used  # to the address that was checked, whatever the name says now
            used.settimeout(self._in_time())
            path = f"{url.path or '/'}{'?' + url.query if url.query else ''}"
            connection.request(self._method, path, self._body or None, self._headers)
            answer = open_ones.enter_context(connection.getresponse())
            if answer.status != _OK:  # a redirect too: who was checked is who is asked
                raise MalformedError
            return self._limited(used, answer.read1)

    def _limited(self, used: socket.socket, read: Callable[[int], bytes]) -> bytes:
        kept = bytearray()
        while True:
            used.settimeout(self._in_time())
            part = read(_CHUNK)
            if not part:
                return bytes(kept)
            kept += part
            if len(kept) > self._bounds.max_bytes:
                raise MalformedError

    def _in_time(self) -> float:
        left = self.left
        if left <= 0:
            raise UnreachableError
        return left


def _address(host: str, port: int, *, loopback: bool) -> str:
    """Return the first address of a host, if every one may be asked.

    This machine, link-local addresses (where clouds keep their metadata) and groups may not be.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [ipaddress.ip_address(each[4][0]) for each in found]
    for stated in addresses:
        # An address of version 4 written as one of version 6 leads to the same place.
        address = getattr(stated, "ipv4_mapped", None) or stated
        forbidden = address.is_link_local or address.is_multicast or address.is_unspecified
        if forbidden or (address.is_loopback and not loopback):
            raise UnreachableError
    return str(addresses[0])
