"""What becomes of persons whom an intent without an outcome has counted.

The log comes before the bytes: an answer in one part has its outcome, and every batch of a stream
its evidence, before it is handed over. So an intent that has neither is one of which nothing left,
and whoever it alone counted is counted no more. One that has evidence of a batch counts as sent,
whether or not that batch arrived.

Only intents of a process that has ended may be settled. Should one of them end after all, its
outcome counts what it sent (see `counters_ledger.settle`).
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from audit import entries
from audit.journal import Transaction
from gateway.border.counters_items import Reservation, Settlement
from gateway.border.counters_law import Ceilings, CountLaw
from gateway.border.counters_ledger import settle
from gateway.registry.act import Act

RECONCILED: Final = "reconciled"
_AT_ONCE: Final = 1_000  # intents that one entry names
_OPEN: Final = (
    "SELECT x.intent, e.body, x.exporter, x.ordinary + x.sensitive, x.begun_at FROM exports x"
    " LEFT JOIN export_outcomes o ON o.intent = x.intent"
    " LEFT JOIN audit_entry e ON e.position = x.intent + 1"
    " WHERE o.intent IS NULL ORDER BY x.intent"
)


@dataclass(frozen=True, slots=True)
class OpenExport:
    """An export whose outcome is missing.

    Args:
        intent: Log index of the intent.
        node: The node that wrote it; empty when the entry's body is gone.
        exporter: Party id of the exporter of record.
        persons: How many persons it counts.
        begun_at: Unix seconds.
    """

    intent: int
    node: str
    exporter: str
    persons: int
    begun_at: int


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of intents.

    Args:
        released: Intents of which nothing left.
        sent: Intents that count as sent.
    """

    released: tuple[int, ...] = ()
    sent: tuple[int, ...] = ()


def open_exports(tx: Transaction) -> list[OpenExport]:
    """Return the exports without an outcome, those under way among them."""
    return [
        OpenExport(
            int(intent),
            "" if body is None else str(json.loads(body)["node"]),
            exporter,
            persons,
            at,
        )
        for intent, body, exporter, persons, at in tx.execute(_OPEN).fetchall()
    ]


def settle_open(tx: Transaction, intents: Sequence[int], act: Act) -> Settled:
    """Settle intents of processes that have ended, and log it; those settled are passed over.

    Args:
        tx: The transaction.
        intents: Log indexes of intents; those that are no exports are passed over too.
        act: The circumstances.
    """
    exports = [each for intent in intents if (each := _unsettled(tx, intent)) is not None]
    settled = Settled()
    for start in range(0, len(exports), _AT_ONCE):
        part = exports[start : start + _AT_ONCE]
        sent = tuple(each.intent for each in part if each.sent)
        released = tuple(each.intent for each in part if not each.sent)
        entry = entries.export_settled(
            time=act.now,
            node=act.node,
            actor=act.actor,
            released=released,
            sent=sent,
            reason=act.reason,
        )
        index = tx.append(entry).index
        settle(tx, CountLaw.load(), [(each, index) for each in part])
        for each in part:
            _close(tx, each, index)
        settled = Settled(settled.released + released, settled.sent + sent)
    return settled


def _unsettled(tx: Transaction, intent: int) -> Settlement | None:
    row = tx.execute(
        "SELECT x.exporter, x.year, x.party, x.begun_at FROM exports x WHERE x.intent = ?"
        " AND NOT EXISTS (SELECT 1 FROM export_outcomes o WHERE o.intent = x.intent)",
        (intent,),
    ).fetchone()
    if row is None:
        return None
    exporter, year, party, begun_at = row
    held = tx.execute(
        "SELECT class, tag FROM export_holds WHERE intent = ? ORDER BY class, tag", (intent,)
    ).fetchall()
    persons = tuple((exporter, year, kind, bytes(tag)) for kind, tag in held)
    batch = tx.execute(
        "SELECT 1 FROM intent_entries WHERE intent = ? AND kind = 'batch' LIMIT 1", (intent,)
    ).fetchone()
    reservation = Reservation(exporter, year, persons, Ceilings(), begun_at, "", party)
    return Settlement(intent, reservation, sent=batch is not None)


def _close(tx: Transaction, settlement: Settlement, index: int) -> None:
    bodies = tx.execute(
        "SELECT e.body FROM intent_entries i JOIN audit_entry e ON e.position = i.entry + 1"
        " WHERE i.intent = ? AND i.kind = 'batch'",
        (settlement.intent,),
    ).fetchall()
    tx.execute(
        "INSERT INTO export_outcomes (intent, outcome, status, released, records, bytes)"
        " VALUES (?, ?, ?, ?, ?, 0)",
        (settlement.intent, index, RECONCILED, int(settlement.sent), _rows(bodies)),
    )


def _rows(bodies: Iterable[tuple[bytes]]) -> int:
    """Return how many records the evidence of batches names."""
    return sum(int(json.loads(body)["rows"]) for (body,) in bodies)
