"""Reading the log is an entry of the log, whoever reads and with whatever command."""

from audit import entries
from gateway.cli.console import Session


def log_reading(opened: Session, what: str, start: int, count: int, reason: str = "") -> None:
    """Write that entries are about to be read.

    Args:
        opened: The open deployment.
        what: For what they are read.
        start: First index.
        count: Number of entries.
        reason: Why, as stated.
    """
    entry = entries.audit_read(
        time=opened.act.now,
        node=opened.act.node,
        actor=opened.act.actor,
        what=what,
        start=start,
        count=count,
        reason=reason,
    )
    opened.run(lambda tx: tx.append(entry))
