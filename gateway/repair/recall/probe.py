"""Asking a receiver's own service whether it still shows a recalled record.

An acknowledgement is a statement; this looks. The service is a stranger's (`gateway.strangers`):
nothing that it sends is believed beyond one boolean.

    asked    POST, JSON: {"v": 1, "type": "xinguan-recall-probe", "nonce": ..., "notice": ...}
    answered 200, JSON:  {"v": 1, "nonce": the same, "shown": true or false}
"""

import json
import secrets
import ssl
from dataclasses import dataclass
from enum import StrEnum

from audit import entries
from audit.journal import Transaction
from gateway.registry.act import Act
from gateway.strangers import Bounds, MalformedError, UnreachableError, ask_stranger

_HEADERS = {"Content-Type": "application/json"}


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
    nonce = secrets.token_hex(16)
    question = {"v": 1, "type": "xinguan-recall-probe", "nonce": nonce, "notice": document}
    bounds = Bounds(limits.timeout_ms, limits.max_bytes, limits.loopback, tls)
    try:
        body = ask_stranger("POST", url, _HEADERS, bounds, json.dumps(question).encode())
        shown = _shown(body, nonce)
    except UnreachableError:
        return Result.UNREACHABLE
    except MalformedError:
        return Result.MALFORMED
    return Result.STILL_SHOWN if shown else Result.CLEAN


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


def _shown(body: bytes, nonce: str) -> bool:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise MalformedError from None
    if not isinstance(answer, dict) or answer.keys() != {"v", "nonce", "shown"}:
        raise MalformedError
    if answer["v"] != 1 or answer["nonce"] != nonce or not isinstance(answer["shown"], bool):
        raise MalformedError
    shown: bool = answer["shown"]
    return shown
