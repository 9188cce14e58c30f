"""The sequencer's table: it gives every entry its durable, contiguous index.

The rows live in the gateway's own state database, so that a change of state and the entry
that reports it are one transaction. Each database counts in its own way (`Session.insert_bodies`);
the position in the table is the index plus one in both.
"""

from audit.sqlite_store import open_reader
from audit.store import Appended, Reader

__all__ = ["Appended", "next_index", "open_reader", "read_bodies"]


def read_bodies(connection: Reader, start: int, end: int) -> list[tuple[int, bytes, bytes]]:
    """Read entries that are still in the database.

    Args:
        connection: Any connection to the state database.
        start: First index.
        end: One past the last index.

    Returns:
        (index, leaf hash, body) in order of the index.

    Raises:
        AuditUnavailableError: The database cannot be read.
    """
    rows = connection.execute(
        "SELECT position - 1, leaf_hash, body FROM audit_entry"
        " WHERE position > ? AND position <= ? ORDER BY position",
        (start, end),
    )
    return rows.fetchall()


def next_index(connection: Reader) -> int:
    """Give the index that the next entry will have: the number of entries ever committed."""
    return connection.next_index()
