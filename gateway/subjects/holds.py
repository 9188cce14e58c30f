"""Holds: while one stands, nothing of its subject may be forgotten."""

import os
import secrets

from audit import entries
from audit.commitment import Opening, commit, subject_label
from audit.journal import Transaction
from audit.openings import OpeningStore, Reading
from gateway.domain.errors import ConflictError, NotFoundError
from gateway.registry.act import Act


def place(
    tx: Transaction, subject: str, act: Act, *, index_key: bytes, openings: OpeningStore
) -> str:
    """Place a hold and log it.

    Args:
        tx: The transaction.
        subject: The subject; empty for a hold on everything.
        act: The circumstances, with a reason.
        index_key: Key of the sealed index.
        openings: Where the opening of the commitment goes.

    Returns:
        The id of the hold.
    """
    hold = f"hold-{secrets.token_hex(8)}"
    opening = Opening("subject", subject.encode(), os.urandom(32))
    entry = entries.hold_placed(
        time=act.now,
        node=act.node,
        actor=act.actor,
        hold=hold,
        reason=act.reason,
        subject=commit(opening) if subject else None,
    )
    index = tx.append(entry).index
    if subject:
        openings.record(tx, index, {"subject": opening}, ())
    label = subject_label(index_key, subject) if subject else None
    tx.execute(
        "INSERT INTO holds (hold_id, label, placed_at, log_index) VALUES (?, ?, ?, ?)",
        (hold, label, act.now, index),
    )
    return hold


def lift(tx: Transaction, hold: str, act: Act) -> int:
    """End a hold and log it; return the log index.

    Raises:
        NotFoundError: `NOT_FOUND`.
        ConflictError: `CONFLICT` when it was lifted before.
    """
    row = tx.execute("SELECT log_index, lifted_at FROM holds WHERE hold_id = ?", (hold,)).fetchone()
    if row is None:
        raise NotFoundError("NOT_FOUND", "there is no hold of this id")
    if row[1] is not None:
        raise ConflictError("CONFLICT", "this hold was lifted before")
    entry = entries.hold_lifted(
        time=act.now, node=act.node, actor=act.actor, hold=hold, reason=act.reason, placed=row[0]
    )
    index = tx.append(entry).index
    tx.execute("UPDATE holds SET lifted_at = ? WHERE hold_id = ?", (act.now, hold))
    return index


def standing(connection: Reading, label: bytes) -> list[str]:
    """Return the ids of the holds that stand on a subject, those on everything included."""
    rows = connection.execute(
        "SELECT hold_id FROM holds WHERE lifted_at IS NULL AND (label = ? OR label IS NULL)"
        " ORDER BY hold_id",
        (label,),
    ).fetchall()
    return [row[0] for row in rows]


def every(connection: Reading) -> list[tuple[str, bool, int, int, int | None]]:
    """Return id, whether it is on everything, time, log index and end of each hold."""
    rows = connection.execute(
        "SELECT hold_id, label IS NULL, placed_at, log_index, lifted_at FROM holds"
        " ORDER BY log_index"
    ).fetchall()
    return [(row[0], bool(row[1]), row[2], row[3], row[4]) for row in rows]
