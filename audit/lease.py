"""Who may sign, and what was signed last: two rows of the database that fence integrators.

The lease is not trusted for time alone: a process may sleep through its end. Whatever has an
effect is done inside a transaction that first checks the token and the head, while it holds
the database's write lock; so one that wakes late finds another token and does nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

from audit.errors import LeaseHeldError, LeaseLostError
from audit.merkle import EMPTY_ROOT
from audit.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Head:
    """The newest signed tree.

    Args:
        size: Number of entries.
        root: Root, 32 bytes.
        checkpoint: The signed note; empty before the first.
    """

    size: int = 0
    root: bytes = EMPTY_ROOT
    checkpoint: bytes = b""


def take_lease(tx: Transaction, holder: str, now: int, term_s: int) -> int:
    """Take the lease or prolong it.

    Args:
        tx: A transaction.
        holder: A name that no other integrator has.
        now: Unix seconds.
        term_s: Seconds until it ends unless it is prolonged.

    Returns:
        The token; it rises each time the lease changes hands.

    Raises:
        LeaseHeldError: Another integrator holds it.
    """
    row = tx.execute("SELECT token, holder, expires FROM audit_lease").fetchone()
    token, owner, expires = row if row is not None else (0, "", now)
    if owner != holder:
        if expires > now:
            raise LeaseHeldError("another integrator holds the lease")
        token += 1
    tx.execute(
        "INSERT INTO audit_lease (one, token, holder, expires) VALUES (1, ?, ?, ?)"
        " ON CONFLICT (one) DO UPDATE SET token = excluded.token, holder = excluded.holder,"
        " expires = excluded.expires",
        (token, holder, now + term_s),
    )
    return int(token)


def drop_lease(tx: Transaction, holder: str) -> None:
    """Let the lease end now, if it is this holder's."""
    tx.execute("UPDATE audit_lease SET expires = 0 WHERE holder = ?", (holder,))


def read_head(tx: Transaction) -> Head:
    """Read what was signed last."""
    row = tx.execute("SELECT size, root, checkpoint FROM audit_head").fetchone()
    return Head() if row is None else Head(*row)


def fenced(tx: Transaction, token: int, head: Head, effect: Callable[[], None]) -> None:
    """Do something while nobody else can sign.

    Args:
        tx: A transaction; it holds the write lock until its group is committed.
        token: The token that this integrator got.
        head: What it believes was signed last.
        effect: What to do; it must be quick.

    Raises:
        LeaseLostError: The lease changed hands or another head was signed.
    """
    row = tx.execute("SELECT token FROM audit_lease").fetchone()
    if row is None or row[0] != token or read_head(tx) != head:
        raise LeaseLostError("another integrator took over")
    effect()


def write_head(tx: Transaction, head: Head) -> None:
    """Record what is signed now."""
    tx.execute(
        "INSERT INTO audit_head (one, size, root, checkpoint) VALUES (1, ?, ?, ?)"
        " ON CONFLICT (one) DO UPDATE SET size = excluded.size, root = excluded.root,"
        " checkpoint = excluded.checkpoint",
        (head.size, head.root, head.checkpoint),
    )
