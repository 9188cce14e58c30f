"""Changes that every serving process must bring into effect, numbered in the order of commit.

The row of the number is locked from a change until its transaction is committed. So a reader that
sees number n sees every change up to n, on a database with many writers too, and whoever takes a
lease stands before or after each change, never beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.store.bulk import insert_rows
from gateway.store.migration import Statements

KEPT_CHANGES = 100_000
_PRUNE_EVERY = 1_000
_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Change:
    """One record whose standing changed.

    Args:
        number: Its place in the order of commits.
        product: Product of the record.
        record_key: The record.
        subject: Its subject.
        ended: Sharing ended, or was masked or given back, so values derived from it are withheld.
    """

    number: int
    product: str
    record_key: str
    subject: str
    ended: bool


@dataclass(frozen=True, slots=True)
class Noted:
    """A change that gets its number from `note_changes`; see `Change`.

    Args:
        product: Product of the record.
        record_key: The record.
        subject: Its subject.
        ended: Whether values derived from it are withheld too.
    """

    product: str
    record_key: str
    subject: str
    ended: bool


def note_changes(tx: Statements, noted: Sequence[Noted]) -> int:
    """Number changes in the transaction that makes them; return the number of the first.

    Args:
        tx: The transaction.
        noted: The changes, in their order; at least one.
    """
    tx.execute("UPDATE gate_number SET number = number + ?", (len(noted),))
    last = newest(tx)
    first = last - len(noted) + 1
    insert_rows(
        tx,
        "INSERT INTO gate_changes (number, product, record_key, subject, ended) VALUES",
        [
            (number, one.product, one.record_key, one.subject, int(one.ended))
            for number, one in enumerate(noted, first)
        ],
    )
    if (first - 1) // _PRUNE_EVERY != last // _PRUNE_EVERY:
        tx.execute("DELETE FROM gate_changes WHERE number <= ?", (last - KEPT_CHANGES,))
    return first


def newest(state: Statements) -> int:
    """Return the number of the newest change."""
    return int(state.execute("SELECT number FROM gate_number").fetchone()[0])


def lock_number(tx: Statements) -> int:
    """Return the newest number and let no change be committed before this transaction is."""
    tx.execute("UPDATE gate_number SET number = number")
    return newest(tx)


def read_changes(state: Statements, after: int) -> Sequence[Change] | None:
    """Return the next changes after a number, at most 2,000, in their order.

    Returns:
        The changes, or None when some of them are no longer kept.
    """
    rows = state.execute(
        "SELECT number, product, record_key, subject, ended FROM gate_changes"
        " WHERE number > ? ORDER BY number LIMIT ?",
        (after, _AT_ONCE),
    ).fetchall()
    changes = [Change(row[0], row[1], row[2], row[3], bool(row[4])) for row in rows]
    if changes and changes[0].number != after + 1:
        return None
    return changes
