"""Asking a receiver's own service whether it still shows a recalled record.

An acknowledgement is a statement; this looks. The service is a stranger's: nothing that it sends
is believed beyond one boolean, and nothing that it does can hold the gateway up. HTTPS with a
verified certificate, one address that was looked up and checked before, no redirects, no proxy, a
size limit, and one deadline for everything, name resolution and dripping bytes included.

    asked    POST, JSON: {"v": 1, "type": "xinguan-recall-probe", "nonce": ..., "notice": ...}
    answered 200, JSON:  {"v": 1, "nonce": the same, "shown": true or false}
"""

import contextlib
import http.client
import ipaddress
import json
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import SplitResult, urlsplit

from audit import entries
from audit.journal import Transaction
from gateway.registry.act import Act
from gateway.repair.recall.endpoints import is_loopback

_OK = 200
_CHUNK = 4_096


class Result(StrEnum):
    """What came of a probe."""

    CLEAN = "CLEAN"
    STILL_SHOWN = "STILL_SHOWN"
    NO_ENDPOINT = "NO_ENDPOINT"
    UNREACHABLE = "UNREACHABLE"
    MALFORMED = "MALFORMED"


@dataclass(frozen=True, slots=True)
class ProbeLimits:
    """How far a stranger's service is followed.

    Args:
        timeout_ms: For everything together.
        max_bytes: Of the answer's body.
        loopback: Allow plain HTTP to this machine, in development.
    """

    timeout_ms: int = 5_000
    max_bytes: int = 64 << 10
    loopback: bool = False


class _UnreachableError(Exception):
    """Nobody answered in time at an address that may be asked."""


class _MalformedError(Exception):
    """Something answered, and it is no answer."""


def probe(
    url: str, document: str, limits: ProbeLimits, *, tls: ssl.SSLContext | None = None
) -> Result:
    """Ask an endpoint about a notice. Blocks for `limits.timeout_ms` at most; never raises.

    Args:
        url: The declared endpoint, or empty when there is none.
        document: The signed notice: it names the rows in words that the receiver has.
        limits: How far it is followed.
        tls: Which authorities are trusted; the system's by default.
    """
    if not url:
        return Result.NO_ENDPOINT
    deadline = time.monotonic() + limits.timeout_ms / 1000
    found: list[Result] = []
    held: list[socket.socket] = []

    def work() -> None:
        found.append(_asked(url, document, limits, deadline, tls, held.append))

    # In a thread that is left behind when it doesn't come back: neither a resolver that hangs nor
    # a header that drips for hours can hold up who waits here.
    worker = threading.Thread(target=work, name="recall-probe", daemon=True)
    worker.start()
    worker.join(max(0.0, deadline - time.monotonic()))
    if found:
        return found[0]
    for connection in held:
        # Closing alone wouldn't wake whoever reads from it.
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()
    return Result.UNREACHABLE


def record_probe(tx: Transaction, notice: int, party_id: str, result: Result, act: Act) -> int:
    """Log what came of a probe and list it; return the log index."""
    appended = tx.append(
        entries.recall_probed(
            time=act.now,
            node=act.node,
            actor=act.actor,
            recall=notice,
            party=party_id,
            result=result.value,
        )
    )
    tx.execute(
        "INSERT INTO recall_probes (probe, notice, party_id, result, probed_at)"
        " VALUES (?, ?, ?, ?, ?)",
        (appended.index, notice, party_id, result.value, act.now),
    )
    return appended.index


def _asked(
    url: str,
    document: str,
    limits: ProbeLimits,
    deadline: float,
    tls: ssl.SSLContext | None,
    hold: Callable[[socket.socket], None],
) -> Result:
    nonce = secrets.token_hex(16)
    question = {"v": 1, "type": "xinguan-recall-probe", "nonce": nonce, "notice": document}
    try:
        body = _post(urlsplit(url), json.dumps(question).encode(), limits, deadline, tls, hold)
        shown = _shown(body, nonce)
    except (_UnreachableError, OSError, ValueError):  # TLS faults are OSErrors
        return Result.UNREACHABLE
    except (_MalformedError, http.client.HTTPException):
        return Result.MALFORMED
    return Result.STILL_SHOWN if shown else Result.CLEAN


def _post(
    url: SplitResult,
    body: bytes,
    limits: ProbeLimits,
    deadline: float,
    tls: ssl.SSLContext | None,
    hold: Callable[[socket.socket], None],
) -> bytes:
    """Send one request and return the body of its answer."""
    secure = url.scheme == "https"
    host = url.hostname or ""
    port = url.port or (443 if secure else 80)
    if not secure and not (limits.loopback and is_loopback(host)):
        raise _UnreachableError
    address = _address(host, port, limits)
    raw = socket.create_connection((address, port), timeout=_left(deadline))
    hold(raw)
    if secure:
        raw = (tls or ssl.create_default_context()).wrap_socket(raw, server_hostname=host)
        hold(raw)
    connection = http.client.HTTPConnection(host, port, timeout=_left(deadline))
    connection.sock = raw  # to the address that was checked, whatever the name says a moment later
    try:
        raw.settimeout(_left(deadline))
        path = f"{url.path or '/'}{'?' + url.query if url.query else ''}"
        headers = {"Content-Type": "application/json", "Connection": "close"}
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        if answer.status != _OK:  # a redirect too: who was declared is who is asked
            raise _MalformedError
        return _limited(answer, raw, limits.max_bytes, deadline)
    finally:
        connection.close()


def _limited(
    answer: http.client.HTTPResponse, raw: socket.socket, most: int, deadline: float
) -> bytes:
    kept = bytearray()
    while True:
        raw.settimeout(_left(deadline))
        part = answer.read1(_CHUNK)
        if not part:
            return bytes(kept)
        kept += part
        if len(kept) > most:
            raise _MalformedError


def _address(host: str, port: int, limits: ProbeLimits) -> str:
    """Return the first address of a host, if every one may be asked.

    This machine, link-local addresses (where clouds keep their metadata) and groups may not be.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [ipaddress.ip_address(each[4][0]) for each in found]
    for stated in addresses:
        # An address of version 4 written as one of version 6 leads to the same place.
        address = getattr(stated, "ipv4_mapped", None) or stated
        forbidden = address.is_link_local or address.is_multicast or address.is_unspecified
        if forbidden or (address.is_loopback and not limits.loopback):
            raise _UnreachableError
    return str(addresses[0])


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise _UnreachableError
    return left


def _shown(body: bytes, nonce: str) -> bool:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise _MalformedError from None
    if not isinstance(answer, dict) or answer.keys() != {"v", "nonce", "shown"}:
        raise _MalformedError
    if answer["v"] != 1 or answer["nonce"] != nonce or not isinstance(answer["shown"], bool):
        raise _MalformedError
    shown: bool = answer["shown"]
    return shown
