"""A newer snapshot that says otherwise makes a credential old: it turns to *refresh*.

A repair does so in its own transaction (`gateway.repair.consequences`). A new grade, a changed
address or a record that is withheld comes with a snapshot, which is compared as soon as it serves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from audit import entries
from audit.journal import Transaction
from gateway.credential import book
from gateway.credential.book import Kept, content_digest
from gateway.credential.field_json import json_values
from gateway.credential.status_list import CredentialStatus
from gateway.snapshot.snapshot import Snapshot

AT_ONCE = 2_000
SNAPSHOT = "SNAPSHOT"


@dataclass(frozen=True, slots=True)
class Compared:
    """What became of credentials beside a snapshot, by their ids."""

    same: tuple[str, ...]
    otherwise: tuple[str, ...]


def compare(snapshot: Snapshot, credentials: Sequence[Kept], now: int) -> Compared:
    """Compare credentials of a product with its present snapshot.

    Args:
        snapshot: The snapshot that serves.
        credentials: Credentials of its product.
        now: Unix seconds.
    """
    same: list[str] = []
    otherwise: list[str] = []
    for kept in credentials:
        found = _content(snapshot, kept, now)
        (same if found == kept.content else otherwise).append(kept.credential_id)
    return Compared(tuple(same), tuple(otherwise))


def apply(
    tx: Transaction, product: str, snapshot: str, compared: Compared, node: str, now: int
) -> None:
    """Write down what a comparison found, with an entry when a status changed."""
    book.carry_over(tx, compared.same, snapshot)
    changed = book.change_status(tx, compared.otherwise, CredentialStatus.REFRESH, now)
    if changed:
        tx.append(
            entries.credential_status(
                time=now,
                node=node,
                actor=node,
                product=product,
                status=CredentialStatus.REFRESH.name,
                reason=SNAPSHOT,
                count=changed,
            )
        )


def content_of(credential_id: str, rows: pa.RecordBatch) -> str:
    """Return the digest of the values that a credential rests on.

    Args:
        credential_id: Its id.
        rows: The one record's source columns.
    """
    return content_digest(credential_id, json_values(rows))


def _content(snapshot: Snapshot, kept: Kept, now: int) -> str:
    """Return the digest of what a snapshot says; empty when it has no such record to show."""
    rows = snapshot.locate([kept.subject])
    rows = rows[snapshot.shareable(rows, now)] if len(rows) else rows
    if len(rows) != 1 or not set(kept.columns) <= set(snapshot.schema.names):
        return ""
    return content_of(kept.credential_id, snapshot.take(rows, kept.columns))
