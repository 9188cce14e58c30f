"""One version of a statement as the registers of the border keep it; rows are never deleted."""

import json
from dataclasses import dataclass, field, replace

from audit.journal import Transaction
from gateway.border.claims import BorderClaims, parse_terms, terms_of
from gateway.domain.border import Register
from gateway.domain.errors import NotFoundError
from gateway.domain.vocabulary import Status
from gateway.registry.act import raise_version
from gateway.registry.border import COLUMNS, StatementRow
from gateway.store.upsert import upsert


@dataclass(frozen=True, slots=True)
class Kept:
    """One version of a statement with everything known about it.

    Args:
        claims: What it says.
        document: The signed document, or empty.
        proposer: Who handed it in.
        approvals: Role to the approver and the log index of the approval.
        registered: Log index of the entry that put it in effect, or None.
        status: ACTIVE, SUSPENDED, or REVOKED when it was withdrawn.
        status_index: Log index of the entry that set the status.
        alarm: Log index of the alarm that its renewal is due, or None.
        index: Log index of the entry that brought it in.
    """

    claims: BorderClaims
    document: str
    proposer: str
    approvals: dict[str, tuple[str, int]] = field(default_factory=dict)
    registered: int | None = None
    status: Status = Status.ACTIVE
    status_index: int = -1
    alarm: int | None = None
    index: int = -1

    @property
    def register(self) -> Register:
        """The register it stands in."""
        return Register(self.claims.statement)


def next_version(tx: Transaction, register: Register, name: str) -> int:
    """Return the number that the next version of a name must have."""
    sql = "SELECT max(version) FROM border_statements WHERE register = ? AND name = ?"
    last: int | None = tx.execute(sql, (register.value, name)).fetchone()[0]
    return 1 if last is None else last + 1


def find(tx: Transaction, register: Register, name: str, version: int) -> Kept:
    """Return one version.

    Raises:
        NotFoundError: `NOT_FOUND`.
    """
    row = tx.execute(
        f"SELECT {COLUMNS} FROM border_statements WHERE register = ? AND name = ? AND version = ?",
        (register.value, name, version),
    ).fetchone()
    if row is None:
        raise NotFoundError("NOT_FOUND", "no such statement stands in this register")
    return from_row(row)


def newest(tx: Transaction, register: Register, name: str) -> Kept:
    """Return the newest version of a name, in effect or not.

    Raises:
        NotFoundError: `NOT_FOUND`.
    """
    return find(tx, register, name, next_version(tx, register, name) - 1)


def every(tx: Transaction, register: Register) -> list[Kept]:
    """Return every version in a register, by name and version."""
    rows = tx.execute(
        f"SELECT {COLUMNS} FROM border_statements WHERE register = ? ORDER BY name, version",
        (register.value,),
    ).fetchall()
    return [from_row(row) for row in rows]


def from_row(row: StatementRow) -> Kept:
    """Return the statement in a row of `gateway.registry.border.COLUMNS`."""
    register, _, _, terms, document, proposer, given, done, status, at, alarm, index = row
    approvals = {role: (who, number) for role, (who, number) in json.loads(given).items()}
    claims = parse_terms(Register(register), terms)
    kept = Kept(claims, document or "", proposer, approvals, done, Status(status), at, alarm)
    return replace(kept, index=index)


def note_alarm(tx: Transaction, kept: Kept, alarm: int) -> Kept:
    """Remember that the alarm of a statement's renewal was raised."""
    return store(tx, replace(kept, alarm=alarm))


def store(tx: Transaction, kept: Kept) -> Kept:
    """Write one version and raise the registry's version."""
    claims = kept.claims
    tx.execute(
        upsert("border_statements", f"{COLUMNS}, changed", "register, name, version"),
        (
            claims.statement,
            claims.name,
            claims.version,
            terms_of(claims),
            kept.document or None,
            kept.proposer,
            json.dumps(kept.approvals),
            kept.registered,
            kept.status.value,
            kept.status_index,
            kept.alarm,
            kept.index,
            raise_version(tx),
        ),
    )
    return kept
