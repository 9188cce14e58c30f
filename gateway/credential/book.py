"""What is known of each credential: its place in a list, whom it went to, whether it still stands.

Every function runs in a transaction that somebody else began, so that a status changes together
with what changed it: a repair, an issue that takes another's place, an act of the operator.
"""

import json
import secrets
from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from hashlib import sha256

from audit.journal import Row
from gateway.credential.encoding import to_json
from gateway.credential.status_list import CredentialStatus
from gateway.store.migration import Statements

_COLUMNS = (
    "credential_id, list, place, party_id, product, subject, snapshot, source_columns, content,"
    " issued_at, expires_at, log_index, status, status_at"
)
_NEWEST = "SELECT list, entries, taken FROM status_lists ORDER BY list DESC LIMIT 1"
_AT_ONCE = 500
_FULL = 2  # a list is drawn from until one entry in two is taken, so that a draw is quick


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of a list."""

    number: int
    place: int


@dataclass(frozen=True, slots=True)
class Kept:
    """One credential as the book has it.

    Args:
        credential_id: Its random id.
        where: Its entry.
        party_id: Whom it was issued to.
        product: Name of the product.
        subject: Whom it is about.
        snapshot: The newest snapshot that says the same.
        columns: What of the record it rests on.
        content: Digest of those values, see `content_digest`.
        issued_at: Unix seconds.
        expires_at: Unix seconds.
        log_index: Entry of its issue.
        status: What the list says.
        status_at: Unix seconds since when.
    """

    credential_id: str
    where: Place
    party_id: str
    product: str
    subject: str
    snapshot: str
    columns: tuple[str, ...]
    content: str
    issued_at: int
    expires_at: int
    log_index: int
    status: CredentialStatus
    status_at: int


def content_digest(credential_id: str, values: Sequence[object]) -> str:
    """Return what recognises the values that a credential rests on.

    Args:
        credential_id: Makes two credentials of one record differ.
        values: The values, JSON.
    """
    tag = b"xinguan/credential-content/v1\0"
    return sha256(tag + credential_id.encode() + b"\0" + to_json(values)).hexdigest()


def ensure_list(tx: Statements, entries: int) -> tuple[int, int]:
    """Return number and size of the list that is drawn from, a new one when there is none.

    Args:
        tx: The transaction.
        entries: Size of a new one.
    """
    newest = tx.execute(_NEWEST).fetchone()
    if newest is not None and newest[2] * _FULL < newest[1]:
        return int(newest[0]), int(newest[1])
    number = 1 if newest is None else int(newest[0]) + 1
    tx.execute(
        "INSERT INTO status_lists (list, entries, taken, changed) VALUES (?, ?, 0, 1)"
        " ON CONFLICT (list) DO NOTHING",
        (number, entries),
    )
    return number, entries


def free_places(state: Statements, wanted: int) -> list[Place]:
    """Return random entries that nobody has now, of the list that is drawn from.

    Nobody has been promised them: whoever writes a credential down looks again.

    Args:
        state: Reads the state.
        wanted: How many to draw; at least about half of them are free.
    """
    newest = state.execute(_NEWEST).fetchone()
    if newest is None:
        return []
    number, size = int(newest[0]), int(newest[1])
    drawn = list(dict.fromkeys(secrets.randbelow(size) for _ in range(wanted)))
    taken = _taken(state, number, drawn)
    return [Place(number, place) for place in drawn if place not in taken]


def still_free(tx: Statements, places: Sequence[Place]) -> list[bool]:
    """Say of each place whether a credential may have it, if those before it have theirs.

    Args:
        tx: The transaction that writes them down; no other process writes at the same time.
        places: The places, in the order of their credentials.
    """
    newest = tx.execute(_NEWEST).fetchone()
    number = -1 if newest is None else int(newest[0])
    gone = _taken(tx, number, list({each.place for each in places}))
    verdicts = []
    for each in places:
        # A list that isn't drawn from any more may be forgotten with its last credential.
        verdicts.append(each.number == number and each.place not in gone)
        gone.add(each.place)
    return verdicts


def count_taken(tx: Statements, places: Sequence[Place], entries: int) -> None:
    """Count entries that were taken; once a list is half full, the next one is drawn from.

    Args:
        tx: The transaction.
        places: The entries.
        entries: Size of a new list.
    """
    for number, count in sorted(Counter(each.number for each in places).items()):
        size, taken = tx.execute(
            "UPDATE status_lists SET taken = taken + ? WHERE list = ? RETURNING entries, taken",
            (count, number),
        ).fetchone()
        if taken * _FULL >= size:
            ensure_list(tx, entries)


def row_of(kept: Kept, log_index: int) -> Row:
    """Return the row of a new credential.

    Args:
        kept: The credential.
        log_index: Entry of its issue.
    """
    return Row(
        f"INSERT INTO credentials ({_COLUMNS}, changed) VALUES",
        (
            kept.credential_id,
            kept.where.number,
            kept.where.place,
            kept.party_id,
            kept.product,
            kept.subject,
            kept.snapshot,
            json.dumps(kept.columns),
            kept.content,
            kept.issued_at,
            kept.expires_at,
            log_index,
            int(kept.status),
            kept.status_at,
            0,
        ),
    )


def find(tx: Statements, credential_id: str) -> Kept | None:
    """Return a credential, or None."""
    row = tx.execute(
        f"SELECT {_COLUMNS} FROM credentials WHERE credential_id = ?", (credential_id,)
    ).fetchone()
    return None if row is None else _kept(row)


def supersede(tx: Statements, touched: AbstractSet[tuple[str, str]], now: int) -> int:
    """Turn valid credentials to *refresh*; return how many they were.

    Args:
        tx: The transaction of what changed.
        touched: Subjects whose credit changed, each with a product whose credentials rest on it.
        now: Unix seconds.
    """
    subjects = sorted({subject for subject, _ in touched})
    found: list[str] = []
    for first in range(0, len(subjects), _AT_ONCE):
        some = subjects[first : first + _AT_ONCE]
        rows = tx.execute(
            "SELECT credential_id, subject, product FROM credentials WHERE status = 0"
            f" AND subject IN ({','.join('?' * len(some))})",
            some,
        ).fetchall()
        found += [row[0] for row in rows if (row[1], row[2]) in touched]
    return change_status(tx, found, CredentialStatus.REFRESH, now)


def change_status(
    tx: Statements, credentials: Sequence[str], status: CredentialStatus, now: int
) -> int:
    """Change what the lists say of some credentials; return how many changed.

    Nothing becomes valid again, and what is invalid stays so.
    """
    changed = 0
    for first in range(0, len(credentials), _AT_ONCE):
        some = credentials[first : first + _AT_ONCE]
        marks = ",".join("?" * len(some))
        touched = f"credential_id IN ({marks}) AND status <> 1 AND status <> ?"
        numbers = tx.execute(
            f"SELECT list, count(*) FROM credentials WHERE {touched} GROUP BY list ORDER BY list",
            (*some, int(status)),
        ).fetchall()
        for number, count in numbers:
            tx.execute("UPDATE status_lists SET changed = changed + 1 WHERE list = ?", (number,))
            tx.execute(
                "UPDATE credentials SET changed = (SELECT changed FROM status_lists WHERE list = ?)"
                f", status = ?, status_at = ? WHERE list = ? AND {touched}",
                (number, int(status), now, number, *some, int(status)),
            )
            changed += count
    return changed


def carry_over(tx: Statements, credentials: Sequence[str], snapshot: str) -> None:
    """Note that a newer snapshot says the same as some credentials."""
    for first in range(0, len(credentials), _AT_ONCE):
        some = credentials[first : first + _AT_ONCE]
        tx.execute(
            "UPDATE credentials SET snapshot = ?"
            f" WHERE credential_id IN ({','.join('?' * len(some))})",
            (snapshot, *some),
        )


def of_other_snapshots(tx: Statements, product: str, snapshot: str, limit: int) -> list[Kept]:
    """Return valid credentials of a product that were last compared with another snapshot."""
    rows = []
    for other in ("<", ">"):  # each is a range of the index, which `<>` would read from end to end
        rows += tx.execute(
            f"SELECT {_COLUMNS} FROM credentials"
            f" WHERE product = ? AND status = 0 AND snapshot {other} ? LIMIT ?",
            (product, snapshot, limit),
        ).fetchall()
    return [_kept(row) for row in rows[:limit]]


def forget(tx: Statements, before: int) -> None:
    """Forget whom credentials concerned whose end lies before an instant, and lists without others.

    The entries stay taken as long as their list: a place that is drawn again would say of the new
    credential, until everybody has published, what became of the old one.
    """
    tx.execute(
        "UPDATE credentials SET party_id = '', subject = '', source_columns = '[]', content = ''"
        " WHERE expires_at < ? AND subject <> ''",
        (before,),
    )
    ended = tx.execute(
        "SELECT list FROM status_lists WHERE list < (SELECT max(list) FROM status_lists)"
        " AND NOT EXISTS (SELECT 1 FROM credentials WHERE credentials.list = status_lists.list"
        " AND expires_at >= ?) ORDER BY list",
        (before,),
    ).fetchall()
    for (number,) in ended:
        tx.execute("DELETE FROM credentials WHERE list = ?", (number,))
        tx.execute("DELETE FROM status_lists WHERE list = ?", (number,))


def _taken(state: Statements, number: int, places: Sequence[int]) -> set[int]:
    """Return which of these entries of a list a credential has."""
    marks = ",".join("?" * len(places))
    rows = state.execute(
        f"SELECT place FROM credentials WHERE list = ? AND place IN ({marks})", (number, *places)
    ).fetchall()
    return {row[0] for row in rows}


def _kept(row: Sequence[object]) -> Kept:
    names = json.loads(str(row[7]))
    return Kept(
        credential_id=str(row[0]),
        where=Place(int(str(row[1])), int(str(row[2]))),
        party_id=str(row[3]),
        product=str(row[4]),
        subject=str(row[5]),
        snapshot=str(row[6]),
        columns=tuple(names),
        content=str(row[8]),
        issued_at=int(str(row[9])),
        expires_at=int(str(row[10])),
        log_index=int(str(row[11])),
        status=CredentialStatus(int(str(row[12]))),
        status_at=int(str(row[13])),
    )
