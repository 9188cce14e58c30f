"""Alarms: what a person should look at, each an entry of the log and a row to list."""

from audit import entries
from audit.journal import Transaction


def raise_alarm(
    tx: Transaction,
    *,
    rule: str,
    code: str,
    now: int,
    node: str,
    actor: str,
    product: str = "",
    records: int | None = None,
    cause: int | None = None,
    document: str | None = None,
) -> int:
    """Log an alarm and list it; return its log index.

    Args:
        tx: The transaction.
        rule: Rule of the domain that it concerns.
        code: What it is.
        now: Unix seconds.
        node: Name of this node.
        actor: Who brought it up.
        product: Product concerned, or empty.
        records: How many records it concerns.
        cause: Index of the entry that it belongs to.
        document: Digest of the document that raised it.
    """
    appended = tx.append(
        entries.alarm(
            time=now,
            node=node,
            actor=actor,
            rule=rule,
            code=code,
            product=product,
            records=records,
            cause=cause,
            document=document,
        )
    )
    tx.execute(
        "INSERT INTO alarms (log_index, rule, code, product, records, raised_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (appended.index, rule, code, product, records or 0, now),
    )
    return appended.index
