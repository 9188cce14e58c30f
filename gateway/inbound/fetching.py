"""Fetching a status list from an issuer abroad: HTTPS, one checked address, bounded in all ways.

The address was compared with the register's prefixes before (`Checker.status`). No redirects, no
proxy; loopback, link-local and group addresses are never asked; one deadline covers everything.
What comes back is a token that still has to be verified.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import structlog

from gateway.credential.jws import LONGEST_LIST

_log = structlog.get_logger(__name__)
_OK, _CHUNK = 200, 64 << 10
_MEDIA_TYPE = "application/statuslist+jwt"


class _NoListError(Exception):
    """No list came back in time from an address that may be asked."""


@dataclass(frozen=True, slots=True)
class HttpsLists:
    """Fetches status list tokens.

    Args:
        timeout_ms: For everything together.
        max_bytes: Of the answer's body.
        loopback: Allow this machine's own addresses, in development.
        tls: Which authorities are trusted; the system's by default.
    """

    timeout_ms: int = 5_000
    max_bytes: int = LONGEST_LIST
    loopback: bool = False
    tls: ssl.SSLContext | None = None

    def __call__(self, uri: str) -> str | None:
        """Return the token at an address, or None. Blocks for `timeout_ms` at most."""
        deadline = time.monotonic() + self.timeout_ms / 1000
        found: list[str] = []

        def work() -> None:
            try:
                found.append(self._get(urlsplit(uri), deadline))
            except (_NoListError, OSError, ValueError, http.client.HTTPException) as error:
                _log.warning("status_list_not_fetched", type=type(error).__name__)

        # Left behind when it doesn't come back: neither a resolver that hangs nor a header that
        # drips can hold up who waits here.
        worker = threading.Thread(target=work, name="status-list", daemon=True)
        worker.start()
        worker.join(max(0.0, deadline - time.monotonic()))
        return found[0] if found else None

    def _get(self, url: SplitResult, deadline: float) -> str:
        host, port = url.hostname or "", url.port or 443
        if url.scheme != "https" or url.username is not None:
            raise _NoListError
        raw = socket.create_connection((self._address(host, port), port), timeout=_left(deadline))
        with raw:
            context = self.tls or ssl.create_default_context()
            secured = context.wrap_socket(raw, server_hostname=host)
            connection = http.client.HTTPConnection(host, port, timeout=_left(deadline))
            connection.sock = secured  # to the address that was checked
            try:
                secured.settimeout(_left(deadline))
                path = f"{url.path or '/'}{'?' + url.query if url.query else ''}"
                headers = {"Accept": _MEDIA_TYPE, "Connection": "close"}
                connection.request("GET", path, headers=headers)
                answer = connection.getresponse()
                if answer.status != _OK:  # a redirect too: who is registered is who is asked
                    raise _NoListError
                return self._limited(answer, secured, deadline).decode("ascii").strip()
            finally:
                connection.close()

    def _limited(
        self, answer: http.client.HTTPResponse, secured: ssl.SSLSocket, deadline: float
    ) -> bytes:
        kept = bytearray()
        while True:
            secured.settimeout(_left(deadline))
            part = answer.read1(_CHUNK)
            if not part:
                return bytes(kept)
            kept += part
            if len(kept) > self.max_bytes:
                raise _NoListError

    def _address(self, host: str, port: int) -> str:
        """Return the first address of a host, if every one may be asked."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(each[4][0]) for each in found]
        for stated in addresses:
            # An address of version 4 written as one of version 6 leads to the same place.
            address = getattr(stated, "ipv4_mapped", None) or stated
            forbidden = address.is_link_local or address.is_multicast or address.is_unspecified
            if forbidden or (address.is_loopback and not self.loopback):
                raise _NoListError
        return str(addresses[0])


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise _NoListError
    return left
