"""Waiting for the log, and the claim of an idempotency key that goes in with an intent."""

from collections.abc import Awaitable
from typing import TypeVar

from audit.errors import AuditUnavailableError
from gateway.domain.errors import UnavailableError
from gateway.domain.request import ExchangeRequest
from gateway.registry import idempotency
from gateway.release.trail import Trail

_T = TypeVar("_T")


async def durable(work: Awaitable[_T]) -> _T:
    """Wait for the log; without it nothing leaves (R81).

    Raises:
        UnavailableError: `AUDIT_UNAVAILABLE`.
    """
    try:
        return await work
    except AuditUnavailableError:
        raise UnavailableError(
            "AUDIT_UNAVAILABLE", "the audit log can't be written; nothing leaves without it"
        ) from None


def claim_of(
    trail: Trail,
    request: ExchangeRequest,
    party_id: str,
    replay_digest: bytes | None,
    window_s: int,
) -> idempotency.Claim | None:
    """Return the claim of a request's key; None for a ticket, which may be repeated."""
    if replay_digest is None:
        return None
    return idempotency.Claim(
        party_id=party_id,
        key=request.idempotency_key,
        request_digest=replay_digest.hex(),
        request_id=trail.request_id,
        now=trail.now,
        window_s=window_s,
    )
