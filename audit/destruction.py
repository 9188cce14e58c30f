"""Destroys what opens the commitments to one subject, and makes the index forget it.

    (1) openings    of entries before a time: the subject's own, nobody else's
    (2) labels      the rows by which the index finds these entries
    (3) salts       of every root that covers one of them, with their leaves
    (4) roots       the ranges are sealed again, without the subject

The first three are one transaction with the entry that says so; the fourth follows, and the
next pass of any indexer makes up for a crash between. No byte of the log changes: receipts,
checkpoints and proofs that were handed out before hold as before.
"""

import os
from dataclasses import dataclass
from typing import Final

from audit.commitment import commit
from audit.entry_form import Entry
from audit.errors import ProofError
from audit.index_audit import destroyed_opening
from audit.index_entries import openings_destroyed
from audit.openings import OpeningStore
from audit.transaction import Transaction

# Of an entry about one subject alone, the case behind it goes with the subject.
_OF_ONE: Final = ("subjects", "case")


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be destroyed, on which ground.

    Args:
        label: Keyed label of the subject.
        until: Unix seconds; only entries before it.
        actor: Who orders it.
        basis: On which ground, as stated.
        approvals: (party id, key id) of each administrator who signed it.
    """

    label: bytes
    until: int
    actor: str
    basis: str
    approvals: tuple[tuple[str, str], ...] = ()


def destroy(
    tx: Transaction,
    store: OpeningStore,
    order: Order,
    entries: list[int],
    *,
    now: int,
    node: str,
) -> int:
    """Destroy and log it, in one transaction.

    Args:
        tx: The transaction, under the lease of the index.
        store: The openings.
        order: What is ordered.
        entries: Indexes of the subject's entries before `order.until`; not empty.
        now: Unix seconds.
        node: Name of the node.

    Returns:
        Log index of the entry.

    Raises:
        ProofError: An opening can't be unsealed with this key; nothing is destroyed.
    """
    if not entries:
        raise ProofError("there is nothing to destroy")
    opening = destroyed_opening(entries, os.urandom(32))
    entry: Entry = openings_destroyed(
        time=now,
        node=node,
        actor=order.actor,
        basis=order.basis,
        until=order.until,
        count=len(entries),
        entries=commit(opening),
        approvals=order.approvals,
    )
    index = tx.append(entry).index
    for number in entries:
        one_of_several = tx.execute(
            "DELETE FROM subject_openings WHERE label = ? AND entry = ?", (order.label, number)
        ).rowcount
        if not one_of_several:
            store.forget(tx, number, _OF_ONE)
        tx.execute("DELETE FROM audit_label WHERE label = ? AND entry = ?", (order.label, number))
        _forget_salts(tx, number, index)
    store.record(tx, index, {"entries": opening}, ())
    tx.execute(
        "INSERT INTO destructions (label, log_index, entries, until) VALUES (?, ?, ?, ?)",
        (order.label, index, len(entries), order.until),
    )
    return index


def _forget_salts(tx: Transaction, entry: int, destruction: int) -> None:
    """Make every root over an entry unknowable: without its salt no guess can be tried on it."""
    segments = tx.execute(
        "SELECT segment FROM index_segments WHERE first <= ? AND past > ? AND salt IS NOT NULL",
        (entry, entry),
    ).fetchall()
    for (segment,) in segments:
        tx.execute("DELETE FROM index_tiles WHERE segment = ?", (segment,))
        tx.execute(
            "UPDATE index_segments SET salt = NULL, destruction = ? WHERE segment = ?",
            (destruction, segment),
        )
