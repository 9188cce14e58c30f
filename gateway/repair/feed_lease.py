"""Who reads a feed: a row that one process holds at a time.

The lease spares work; it is not what keeps effects single. A decision is applied once however
often it is read, and a position is written only by who still holds the token it read under.
"""

from audit.journal import Transaction
from gateway.domain.errors import UnavailableError


class LeaseHeldError(Exception):
    """Another process reads the feed."""


def take(tx: Transaction, feed: str, holder: str, now: int, term_s: int) -> int:
    """Take or prolong the lease of a feed and return its token.

    Args:
        tx: The transaction.
        feed: The feed.
        holder: Name that no other process has.
        now: Unix seconds.
        term_s: Seconds until it ends unless it is prolonged.

    Raises:
        LeaseHeldError: Another process holds it.
    """
    row = tx.execute(
        "SELECT holder, token, expires FROM feed_leases WHERE feed = ?", (feed,)
    ).fetchone()
    owner, token, expires = row if row is not None else ("", 0, now)
    if owner != holder:
        if expires > now:
            raise LeaseHeldError
        token += 1
    tx.execute(
        "INSERT INTO feed_leases (feed, holder, token, expires) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (feed) DO UPDATE SET holder = excluded.holder, token = excluded.token,"
        " expires = excluded.expires",
        (feed, holder, token, now + term_s),
    )
    return int(token)


def drop(tx: Transaction, holder: str) -> None:
    """Let every lease of a holder end now."""
    tx.execute("UPDATE feed_leases SET expires = 0 WHERE holder = ?", (holder,))


def check(tx: Transaction, feed: str, token: int) -> None:
    """Check that the lease hasn't changed hands since the token was given out.

    Raises:
        UnavailableError: `FEED_TAKEN_OVER`; nothing is written.
    """
    row = tx.execute("SELECT token FROM feed_leases WHERE feed = ?", (feed,)).fetchone()
    if row is None or row[0] != token:
        raise UnavailableError("FEED_TAKEN_OVER", "another process reads this feed now")
