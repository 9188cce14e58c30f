"""The lease of a serving process, as it stands in the state.

No clock reading is stored, so no two clocks are ever compared. The holder counts its own term from
before it sent the renewal; a waiter counts the whole term from when it last saw the renewal's
number rise, which is later. A waiter then takes the lease away in a transaction that names what it
saw: a renewal in between wins, and a holder that lost its lease finds no row to renew.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.replicas.changes import lock_number
from gateway.store.migration import Statements

_COLUMNS = "node, holder, place, token, beat, term_ms, applied"


@dataclass(frozen=True, slots=True)
class Lease:
    """One row.

    Args:
        node: Name of the serving process.
        holder: Drawn by the process at its start.
        place: Drawn once for a deployment's directory: what lies in it is shared without
            the database.
        token: Rises each time the lease is taken.
        beat: Rises at each renewal.
        term_ms: For how long one renewal is good.
        applied: The newest change that has taken effect in the process.
    """

    node: str
    holder: str
    place: str
    token: int
    beat: int
    term_ms: int
    applied: int


def take(
    tx: Statements, *, node: str, holder: str, place: str, term_ms: int, applied: int
) -> tuple[int, int]:
    """Take a node's lease, whoever held it; return its token and the newest change.

    The caller made sure that a former holder is dead or expired. What was committed before is at
    most the number returned, and whatever is committed later finds the lease.

    Args:
        tx: The transaction.
        node: Name of the serving process.
        holder: The process.
        place: Where it serves from.
        term_ms: For how long one renewal is good.
        applied: The newest change that has taken effect in it.
    """
    number = lock_number(tx)
    tx.execute(
        "INSERT INTO node_tokens (node, token) VALUES (?, 1)"
        " ON CONFLICT (node) DO UPDATE SET token = node_tokens.token + 1",
        (node,),
    )
    row = tx.execute("SELECT token FROM node_tokens WHERE node = ?", (node,)).fetchone()
    token = int(row[0])
    tx.execute(
        f"INSERT INTO node_leases ({_COLUMNS}) VALUES (?, ?, ?, ?, 1, ?, ?)"
        " ON CONFLICT (node) DO UPDATE SET holder = excluded.holder, place = excluded.place,"
        " token = excluded.token, beat = excluded.beat, term_ms = excluded.term_ms,"
        " applied = excluded.applied",
        (node, holder, place, token, term_ms, applied),
    )
    return token, number


def renew(tx: Statements, node: str, token: int, applied: int) -> bool:
    """Renew a lease and confirm what took effect; False when it was lost.

    Args:
        tx: The transaction.
        node: Name of the serving process.
        token: The token that it got.
        applied: The newest change that has taken effect in it.
    """
    done = tx.execute(
        "UPDATE node_leases SET beat = beat + 1, applied = ? WHERE node = ? AND token = ?",
        (applied, node, token),
    )
    return done.rowcount == 1


def take_away(tx: Statements, seen: Lease) -> bool:
    """Take an expired or dead holder's lease away, unless it changed since it was seen."""
    done = tx.execute(
        "DELETE FROM node_leases WHERE node = ? AND token = ? AND beat = ?",
        (seen.node, seen.token, seen.beat),
    )
    return done.rowcount == 1


def give_up(tx: Statements, node: str, token: int) -> None:
    """Let a process's own lease go, at its end."""
    tx.execute("DELETE FROM node_leases WHERE node = ? AND token = ?", (node, token))


def read_leases(state: Statements) -> Sequence[Lease]:
    """Return every lease, by name."""
    rows = state.execute(f"SELECT {_COLUMNS} FROM node_leases ORDER BY node").fetchall()
    return [Lease(*row) for row in rows]


def read_lease(state: Statements, node: str) -> Lease | None:
    """Return one node's lease, or None."""
    row = state.execute(f"SELECT {_COLUMNS} FROM node_leases WHERE node = ?", (node,)).fetchone()
    return None if row is None else Lease(*row)
