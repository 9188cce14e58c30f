"""Idempotency keys: a key is good for one request of one party within a window.

A claim is part of the transaction that acts on it, so that of two racing replays exactly one
acts. An exchange answers a replay with a refusal that names the first request: released data
are not kept to be repeated. An administrative act is answered from its first outcome.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from audit.errors import AuditError
from audit.journal import Row, Transaction
from gateway.domain.errors import ConflictError
from gateway.store.state import State

_log = structlog.get_logger(__name__)
_DOMAIN = b"xinguan/idempotency/v1\0"
_INTO = "INSERT INTO idempotency (key_hash, request_digest, request_id, claimed_at) VALUES"
_PRUNED_EVERY = 64  # claims
_PRUNED_AT_ONCE = 128  # more than come in between, so that the table shrinks
SWEEP_S = 60
_SWEPT_AT_ONCE = 4_096  # others write between
_FORGET = (
    "DELETE FROM idempotency WHERE key_hash IN (SELECT key_hash FROM idempotency"
    " WHERE claimed_at <= ? ORDER BY claimed_at LIMIT ?)"
)

JsonObject = Mapping[str, Any]  # Any: values of a JSON object


@dataclass(frozen=True, slots=True)
class Claim:
    """A party's wish to act under its key.

    Args:
        party_id: Who asks.
        key: The caller's idempotency key, 8 to 64 characters.
        request_digest: Digest of the request without its key's own replay, hex.
        request_id: The gateway's id for this request.
        now: Unix seconds.
        window_s: How long a key is remembered, in seconds.
    """

    party_id: str
    key: str
    request_digest: str
    request_id: str
    now: int
    window_s: int

    @property
    def key_hash(self) -> bytes:
        """Hash of party and key; the key itself is not kept."""
        party = self.party_id.encode()
        return hashlib.sha256(
            _DOMAIN + len(party).to_bytes(4, "big") + party + self.key.encode()
        ).digest()


def claim_row(wanted: Claim) -> Row:
    """Return the row that claims a free key; a key that is taken violates its constraint."""
    values = (wanted.key_hash, wanted.request_digest, wanted.request_id, wanted.now)
    return Row(_INTO, values)


def claim(tx: Transaction, wanted: Claim) -> None:
    """Claim a key inside the transaction that acts on it.

    Raises:
        ConflictError: `REPLAYED` for the same request, naming the first request's id;
            `CONFLICT` for another request under the same key.
    """
    if _insert(tx, wanted):
        _prune(tx, wanted)
        return
    first = _first(tx, wanted)
    if first is None or first[0] != wanted.request_digest:
        raise _other_request()
    raise ConflictError(
        "REPLAYED",
        "this idempotency key was used for this very request before",
        hints=(f"first request id: {first[1]}", "a new request needs a new key"),
    )


def outcome(tx: Transaction, wanted: Claim, result: JsonObject) -> None:
    """Keep the outcome of a claimed key, for replays to be answered from."""
    tx.execute(
        "UPDATE idempotency SET outcome = ? WHERE key_hash = ?",
        (json.dumps(result, sort_keys=True), wanted.key_hash),
    )


def once(
    tx: Transaction, wanted: Claim, act: Callable[[Transaction], JsonObject]
) -> tuple[JsonObject, bool]:
    """Act under a key, or answer from the first outcome without acting.

    Args:
        tx: The transaction of the act.
        wanted: The key and the request.
        act: The administrative act; its result is JSON and is kept.

    Returns:
        The first outcome, and whether this is a replay.

    Raises:
        ConflictError: `CONFLICT` for another request under the same key.
    """
    _prune(tx, wanted)
    first = _first(tx, wanted)
    if first is not None:
        digest, _, kept = first
        if digest != wanted.request_digest or kept is None:
            raise _other_request()
        replayed: JsonObject = json.loads(kept)
        return replayed, True
    _insert(tx, wanted)
    result = act(tx)
    outcome(tx, wanted, result)
    return result, False


def _first(tx: Transaction, wanted: Claim) -> tuple[str, str, str | None] | None:
    row: tuple[str, str, str | None] | None = tx.execute(
        "SELECT request_digest, request_id, outcome FROM idempotency"
        " WHERE key_hash = ? AND claimed_at > ?",
        (wanted.key_hash, wanted.now - wanted.window_s),
    ).fetchone()
    return row


def _insert(tx: Transaction, wanted: Claim) -> bool:
    """Claim a key that is free or past its window; tell whether it was."""
    claimed = tx.execute(
        "INSERT INTO idempotency"
        " (key_hash, request_digest, request_id, claimed_at, outcome) VALUES (?, ?, ?, ?, NULL)"
        " ON CONFLICT (key_hash) DO UPDATE SET request_digest = excluded.request_digest,"
        " request_id = excluded.request_id, claimed_at = excluded.claimed_at, outcome = NULL"
        " WHERE idempotency.claimed_at <= ?",
        (
            wanted.key_hash,
            wanted.request_digest,
            wanted.request_id,
            wanted.now,
            wanted.now - wanted.window_s,
        ),
    )
    return claimed.rowcount == 1


def _prune(tx: Transaction, wanted: Claim) -> None:
    """Forget keys past their window, one claim in 64 for the 64 claims before it."""
    if wanted.key_hash[0] % _PRUNED_EVERY:
        return
    tx.execute(_FORGET, (wanted.now - wanted.window_s, _PRUNED_AT_ONCE))


async def sweep_always(state: State, window_s: int, clock_s: Callable[[], int]) -> None:
    """Sweep every minute until cancelled."""
    while True:
        await asyncio.sleep(SWEEP_S)
        try:
            await sweep(state, clock_s() - window_s)
        except AuditError as error:
            _log.error("sweep_failed", type=type(error).__name__)


async def sweep(state: State, before: int) -> None:
    """Forget keys past their window: those of exchanges are claimed in rows, which forget none.

    Args:
        state: Keeps them.
        before: Unix seconds; keys claimed later are remembered.
    """
    while await asyncio.to_thread(_due, state, before):
        await state.journal.submit(lambda tx: tx.execute(_FORGET, (before, _SWEPT_AT_ONCE)))


def _due(state: State, before: int) -> bool:
    """Return whether there is anything to forget: most of the time there is nothing to write."""
    connection = state.connect()
    try:
        query = "SELECT 1 FROM idempotency WHERE claimed_at <= ? LIMIT 1"
        return connection.execute(query, (before,)).fetchone() is not None
    finally:
        connection.close()


def _other_request() -> ConflictError:
    return ConflictError(
        "CONFLICT",
        "this idempotency key was used for another request",
        hints=("a new request needs a new key",),
    )
