"""Waiting for the log, and what goes into it with an entry."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from audit.entry_form import Entry
from audit.errors import AuditUnavailableError
from audit.journal import Appended, Row, Rows, Transaction
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


def append_with_rows(
    tx: Transaction,
    entry: Entry | bytes,
    rows: Callable[[int], Sequence[Row | Rows]],
    behind: bytes = b"",
) -> Appended:
    """Append an entry alone, as `Journal.record` appends those of a group.

    Args:
        tx: The transaction.
        entry: As `audit.entries` builds it, or its canonical bytes.
        rows: Index of the entry to the rows that go with it.
        behind: Canonical bytes of the entry behind it.
    """
    appended = tx.append_body(entry) if isinstance(entry, bytes) else tx.append(entry)
    if behind:
        tx.append_body(behind)
    for row in rows(appended.index):
        for statement, values in row.statements():
            tx.execute(statement, values)
    return appended
