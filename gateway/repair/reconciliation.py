"""What reconciliations leave in the state: their results, their entry, and what they look up."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from audit import entries
from audit.journal import Transaction
from gateway.registry import feeds
from gateway.registry.act import Act
from gateway.repair.alarms import raise_alarm
from gateway.store.migration import Statements

HELD_BY = "reconciled:"  # begins the id of every decision that follows from a statement
_COLUMNS = (
    "statement, product, authority, as_of, records, differences, applied, released, outcome,"
    " log_index, finished_at"
)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The result of comparing one statement.

    Args:
        statement: SHA-256 of the signed statement, hex.
        product: The product.
        authority: Whose publicity it was compared with.
        as_of: Unix seconds of the authority's state.
        records: Records compared.
        differences: Kind of difference to its number.
        applied: Records that were withheld for it now.
        released: Records that agree again and were released.
        outcome: `DONE`, or `SUSPENDED` when it would have withheld too many.
        log_index: Index of its entry.
        finished_at: Unix seconds.
    """

    statement: str
    product: str
    authority: str
    as_of: int
    records: int
    differences: Mapping[str, int]
    applied: int
    released: int
    outcome: str
    log_index: int | None
    finished_at: int


@dataclass(frozen=True, slots=True)
class Known:
    """Where a record that was decided on stands: its base, its end, and the last decision."""

    base: str
    ended: bool
    origin: str
    repair_id: str


def find(state: Statements, statement: str) -> Reconciliation | None:
    """Return the result of a statement that was compared before, or None."""
    row = state.execute(
        f"SELECT {_COLUMNS} FROM reconciliations WHERE statement = ?", (statement,)
    ).fetchone()
    return None if row is None else _from_row(row)


def newest(state: Statements, product: str, authority: str) -> int | None:
    """Return the time of the newest statement that was compared, or None."""
    row = state.execute(
        "SELECT max(as_of) FROM reconciliations WHERE product = ? AND authority = ?",
        (product, authority),
    ).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def every(state: Statements, limit: int) -> list[Reconciliation]:
    """Return the newest results, the newest first."""
    rows = state.execute(
        f"SELECT {_COLUMNS} FROM reconciliations ORDER BY finished_at DESC, as_of DESC LIMIT ?",
        (limit,),
    ).fetchall()
    return [_from_row(row) for row in rows]


def standings(state: Statements, product: str) -> dict[str, Known]:
    """Return every record of a product that is held or whose sharing has ended by decision."""
    rows = state.execute(
        "SELECT record_key, base, ended, origin, repair_id FROM record_states"
        " WHERE product = ? AND (ended IS NOT NULL OR base = 'QUARANTINED')",
        (product,),
    ).fetchall()
    return {
        key: Known(base, ended is not None, origin, repair_id)
        for key, base, ended, origin, repair_id in rows
    }


def record(
    tx: Transaction,
    result: Reconciliation,
    snapshot_id: str,
    act: Act,
    *,
    overdue_receipts: int,
) -> Reconciliation:
    """Write the result, its entry and what a person has to look at; return it with its index.

    Args:
        tx: The transaction.
        result: What was found and done.
        snapshot_id: What was compared.
        act: The circumstances.
        overdue_receipts: Local list entries without a push receipt (R12).
    """
    index = tx.append(
        entries.publicity_reconciled(
            time=act.now,
            node=act.node,
            actor=act.actor,
            product=result.product,
            authority=result.authority,
            snapshot=snapshot_id,
            as_of=result.as_of,
            records=result.records,
            differences=sum(result.differences.values()),
            applied=result.applied,
        )
    ).index
    found = replace(result, log_index=index)
    tx.execute(
        f"INSERT INTO reconciliations ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            found.statement,
            found.product,
            found.authority,
            found.as_of,
            found.records,
            json.dumps(dict(found.differences), sort_keys=True),
            found.applied,
            found.released,
            found.outcome,
            index,
            found.finished_at,
        ),
    )
    if found.outcome == "DONE":
        _reconciled(tx, found, act)
    else:
        feeds.distrust(tx, found.product)
        _alarm(tx, act, "R11", "TOO_MANY_DIFFERENCES", found, sum(found.differences.values()))
    if found.applied:
        _alarm(tx, act, "R11", "PUBLICITY_DIFFERS", found, found.applied)
    if overdue_receipts:
        _alarm(tx, act, "R12", "NO_PUSH_RECEIPT", found, overdue_receipts)
    return found


def _reconciled(tx: Transaction, found: Reconciliation, act: Act) -> None:
    known = tx.execute("SELECT as_of FROM feeds WHERE product = ?", (found.product,)).fetchone()
    as_of = min(found.as_of, act.now)
    if known is None or known[0] < as_of:
        feeds.reconciled(tx, found.product, as_of, act)


def _alarm(
    tx: Transaction, act: Act, rule: str, code: str, found: Reconciliation, records: int
) -> None:
    raise_alarm(
        tx,
        rule=rule,
        code=code,
        now=act.now,
        node=act.node,
        actor=act.actor,
        product=found.product,
        records=records,
        cause=found.log_index,
        document=found.statement,
    )


def _from_row(row: tuple[Any, ...]) -> Reconciliation:
    columns = [name.strip() for name in _COLUMNS.split(",")]
    values = dict(zip(columns, row, strict=True))
    return Reconciliation(**(values | {"differences": json.loads(values["differences"])}))
