"""The admitted documents as the state keeps them: the truth that snapshots are made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gateway.inbound.errors import ForeignDocumentError
from gateway.inbound.mapping import Row
from gateway.inbound.status import StatusList
from gateway.inbound.vault import Vault
from gateway.store.migration import Statements

_COLUMNS = (
    "record_key, issuer, vct, subject, issued_at, digest, sealed, status_uri, status_entry,"
    " status_as_of, fresh_until, state, admitted_at, log_index"
)


class State(StrEnum):
    """What has become of an admitted document."""

    ACTIVE = "ACTIVE"
    HELD = "HELD"  # suspended by its issuer; it may come back
    WITHDRAWN = "WITHDRAWN"  # for good


@dataclass(frozen=True, slots=True)
class Stored:
    """One admitted document.

    Args:
        key: Record key.
        issuer: Its issuer.
        vct: Kind of document.
        subject: The firm.
        issued_at: When it was issued; a newer one of issuer, kind and firm replaces it.
        digest: Of the document as its issuer signed it, hex.
        document: The document, without a holder's binding.
        content: The row, without what the status adds.
        status_uri: Its status list.
        status_entry: Its entry there.
        status_as_of: When the list that it rests on was signed.
        fresh_until: From then on it leaves no more.
        state: What has become of it.
        admitted_at: Unix seconds.
        index: Log index of the admission, or of the refresh that last confirmed it.
    """

    key: str
    issuer: str
    vct: str
    subject: str
    issued_at: int
    digest: str
    document: str
    content: Row
    status_uri: str
    status_entry: int
    status_as_of: int
    fresh_until: int
    state: State
    admitted_at: int
    index: int


def living(state: Statements, vault: Vault, issuer: str = "") -> Sequence[Stored]:
    """Return the documents that are not withdrawn, of one issuer or of all, by record key."""
    rows = state.execute(
        f"SELECT {_COLUMNS} FROM foreign_records WHERE state <> 'WITHDRAWN'"
        " AND (issuer = ? OR ? = '') ORDER BY record_key",
        (issuer, issuer),
    ).fetchall()
    return [_of(row, vault) for row in rows]


def of_subject(
    state: Statements, vault: Vault, issuer: str, vct: str, subject: str
) -> Sequence[Stored]:
    """Return every document of an issuer and kind about one firm, the newest first."""
    rows = state.execute(
        f"SELECT {_COLUMNS} FROM foreign_records WHERE issuer = ? AND vct = ? AND subject = ?"
        " ORDER BY issued_at DESC",
        (issuer, vct, vault.label(subject)),
    ).fetchall()
    return [_of(row, vault) for row in rows]


def is_kept(state: Statements, key: str) -> bool:
    """Say whether a document was ever admitted, withdrawn or not."""
    found = state.execute("SELECT 1 FROM foreign_records WHERE record_key = ?", (key,)).fetchone()
    return found is not None


def superseded(stored: Sequence[Stored]) -> frozenset[str]:
    """Return the keys of those that a newer document of issuer, kind and firm is there for."""
    newest: dict[tuple[str, str, str], Stored] = {}
    for one in sorted(stored, key=lambda each: (each.issued_at, each.key)):
        newest[one.issuer, one.vct, one.subject] = one
    return frozenset(one.key for one in stored) - {one.key for one in newest.values()}


def insert(tx: Statements, vault: Vault, stored: Stored) -> None:
    """Keep a document that was admitted."""
    marks = ", ".join("?" * (_COLUMNS.count(",") + 1))
    tx.execute(
        f"INSERT INTO foreign_records ({_COLUMNS}) VALUES ({marks})",
        (
            stored.key,
            stored.issuer,
            stored.vct,
            vault.label(stored.subject),
            stored.issued_at,
            stored.digest,
            vault.seal(
                stored.key,
                {
                    "subject": stored.subject,
                    "document": stored.document,
                    "content": stored.content,
                },
            ),
            stored.status_uri,
            stored.status_entry,
            stored.status_as_of,
            stored.fresh_until,
            stored.state.value,
            stored.admitted_at,
            stored.index,
        ),
    )


def confirm(tx: Statements, key: str, *, as_of: int, fresh_until: int, index: int) -> None:
    """Keep that a fresh list said of a document that it holds."""
    tx.execute(
        "UPDATE foreign_records SET state = 'ACTIVE', status_as_of = ?, fresh_until = ?,"
        " log_index = ? WHERE record_key = ? AND state <> 'WITHDRAWN'",
        (as_of, fresh_until, index, key),
    )


def mark(tx: Statements, key: str, state: State) -> None:
    """Keep what has become of a document; what is withdrawn stays so."""
    tx.execute(
        "UPDATE foreign_records SET state = ? WHERE record_key = ? AND state <> 'WITHDRAWN'",
        (state.value, key),
    )


def check_newest_list(state: Statements, source: StatusList) -> None:
    """Refuse a list that is older than one that was seen: it could hide a withdrawal.

    Raises:
        ForeignDocumentError: `FOREIGN_STATUS_STALE`.
    """
    seen = state.execute(
        "SELECT issued_at FROM foreign_status_lists WHERE uri = ?", (source.uri,)
    ).fetchone()
    if seen is not None and source.issued_at < seen[0]:
        raise ForeignDocumentError(
            "FOREIGN_STATUS_STALE", "a newer status list of this address was seen before"
        )


def note_list(tx: Statements, source: StatusList, issuer: str) -> None:
    """Keep that a list was seen."""
    tx.execute(
        "INSERT INTO foreign_status_lists (uri, issuer, issued_at, digest) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (uri) DO UPDATE SET issuer = excluded.issuer,"
        " issued_at = excluded.issued_at, digest = excluded.digest"
        " WHERE excluded.issued_at >= foreign_status_lists.issued_at",
        (source.uri, issuer, source.issued_at, source.digest.hex()),
    )


def _of(row: Sequence[Any], vault: Vault) -> Stored:  # Any: columns of a row
    key, issuer, vct, _, issued, digest, sealed, uri, entry, as_of, fresh, state, *rest = row
    opened: dict[str, Any] = vault.open(key, bytes(sealed))
    admitted, index = rest
    return Stored(
        key=key,
        issuer=issuer,
        vct=vct,
        subject=opened["subject"],
        issued_at=issued,
        digest=digest,
        document=opened["document"],
        content=opened["content"],
        status_uri=uri,
        status_entry=entry,
        status_as_of=as_of,
        fresh_until=fresh,
        state=State(state),
        admitted_at=admitted,
        index=index,
    )
