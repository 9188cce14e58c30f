"""Whether a credential may be written down that was made a moment ago: a `Ledger` of the journal.

It was signed before its turn came in the log. So what it was made of is looked at once more,
alone among all writers of all processes, for all credentials of a group at once:

place    its entry of the status list is still nobody's
record   no record of its subject changed since those it rests on were read
"""

from collections.abc import Sequence
from dataclasses import dataclass

from audit import entries
from audit.journal import Transaction
from gateway.credential import book
from gateway.credential.book import Place
from gateway.credential.status_list import CredentialStatus
from gateway.domain.errors import DeniedError
from gateway.release.form import FormMovedError

RENEWED = "RENEWED"
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Issue:
    """One credential that is about to be written down.

    Args:
        where: Its entry of a status list.
        subject: Whom it is about.
        seen: Number of the newest change of a record that it takes into account.
        replaces: Id of an earlier credential of the same party, or empty.
        party_id: Whom it goes to.
        product: Name of the product.
        at: Unix seconds.
    """

    where: Place
    subject: str
    seen: int
    replaces: str
    party_id: str
    product: str
    at: int


class IssueLedger:
    """Lets credentials in, and ends those that they replace. One for each process."""

    def __init__(self, list_entries: int, node: str) -> None:
        """Take the size of new lists, and the name of this node in entries."""
        self._list_entries = list_entries
        self._node = node

    def check(self, tx: Transaction, items: Sequence[Issue]) -> list[Exception | None]:
        """Say which credentials may not be written down, and why."""
        changed = _changed(tx, items)
        free = book.still_free(tx, [item.where for item in items])
        verdicts: list[Exception | None] = []
        for item, is_free in zip(items, free, strict=True):
            if changed.get(item.subject, 0) > item.seen:
                # A repair that was committed meanwhile has turned the subject's credentials to
                # *refresh*; this one wasn't among them yet. A later one will find it.
                verdicts.append(
                    DeniedError("STOPPED_STREAM", "a record changed meanwhile; ask again")
                )
            else:
                verdicts.append(None if is_free else FormMovedError())
        return verdicts

    def post(self, tx: Transaction, items: Sequence[tuple[Issue, int]]) -> None:
        """Count the entries that were taken, and turn what was replaced to *refresh*."""
        book.count_taken(tx, [item.where for item, _ in items], self._list_entries)
        for item, _ in items:
            if item.replaces:
                self._supersede(tx, item)

    def _supersede(self, tx: Transaction, item: Issue) -> None:
        status = CredentialStatus.REFRESH
        changed = book.change_status(tx, [item.replaces], status, item.at)
        if not changed:
            return
        tx.append(
            entries.credential_status(
                time=item.at,
                node=self._node,
                actor=item.party_id,
                product=item.product,
                status=status.name,
                reason=RENEWED,
                count=changed,
            )
        )


def _changed(tx: Transaction, items: Sequence[Issue]) -> dict[str, int]:
    """Return subjects of which a record changed lately, each with its newest change."""
    seen = min(item.seen for item in items)
    subjects = sorted({item.subject for item in items})
    found: dict[str, int] = {}
    for first in range(0, len(subjects), _AT_ONCE):
        some = subjects[first : first + _AT_ONCE]
        rows = tx.execute(
            "SELECT subject, max(number) FROM gate_changes WHERE number > ?"
            f" AND subject IN ({','.join('?' * len(some))}) GROUP BY subject",
            (seen, *some),
        ).fetchall()
        found.update((subject, number) for subject, number in rows)
    return found
