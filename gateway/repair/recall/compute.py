"""Recalls are computed once the gate is clear, from evidence, and survive a crash half way.

A recall waits until the gate has let nothing older out: the node that published it says so at
once (`Recaller.gate_is_clear`). One whose publisher died in between is taken up by any process
after `GRACE_S`, when every batch that was under way has long left or been reset. What is written
already is not written again: a notice is one per recall, receiver and form.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import entries
from audit.commitment import Opening, commit
from audit.journal import Transaction
from audit.openings import OpeningStore
from gateway.release.pseudonym import ConsumerKeys
from gateway.repair.alarms import raise_alarm
from gateway.repair.consequences import RESUME_USE, SUSPEND_USE
from gateway.repair.recall.drafts import (
    Draft,
    Found,
    Recall,
    TooManyHitsError,
    claims_of,
    drafts_of,
    find_deliveries,
)
from gateway.repair.recall.notice import DeliveredRow, Form, NoticeSigner, decode_list
from gateway.repair.recall.rows import RecordPlaces
from gateway.repair.recall.suspension import close_if_moot
from gateway.store.bulk import for_each_of
from gateway.store.migration import Statements
from gateway.store.state import State

GRACE_S = 30  # far longer than the gate waits, and half of what a receiver may wait for its notice
MAX_RECALLS = 2_000  # computed in one pass
_IN_ONE_COMMIT = 128  # notices; other writers wait for it
_UNANSWERED = "('OPEN', 'ESCALATED', 'PROPOSED')"
NODE = "gateway"  # the actor of what no person did


@dataclass(frozen=True, slots=True)
class NoticeKeys:
    """What notices are made with.

    Args:
        issuer: Name of the log.
        signing: Signs notices.
        openings: Keeps what opens commitments.
        consumer: Party id to the keys of its pseudonyms.
    """

    issuer: str
    signing: Ed25519PrivateKey = field(repr=False)
    openings: OpeningStore = field(repr=False)
    consumer: Callable[[str], ConsumerKeys] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Signed:
    """A notice ready to be written."""

    draft: Draft
    notice_id: str
    document: str
    listed: bytes
    issued_at: int
    due_at: int


@dataclass(frozen=True, slots=True)
class _Finished:
    """A recall all of whose notices stand before it in the queue."""

    recall: Recall
    deliveries: int
    unresolved: int


class Recaller:
    """Computes what is pending. Used by one thread; several processes may do so at once.

    Args:
        state: The state.
        places: Where records lie in snapshots.
        keys: What notices are made with.
        node: Name of this node.
        due_s: How long a receiver has to acknowledge.
        clock_s: Unix seconds.
    """

    def __init__(
        self,
        state: State,
        places: RecordPlaces,
        keys: NoticeKeys,
        *,
        node: str,
        due_s: int,
        clock_s: Callable[[], int],
    ) -> None:
        self._state = state
        self._places = places
        self._keys = keys
        self._signer = NoticeSigner(keys.signing)
        self._node = node
        self._due_s = due_s
        self._clock_s = clock_s

    def gate_is_clear(self, repairs: Sequence[int], at_ms: int) -> None:
        """Record that no batch that still held these records can leave any more."""

        def job(tx: Transaction) -> None:
            for_each_of(
                lambda marks, some: tx.execute(
                    "UPDATE recalls SET gate_clear = ?"
                    f" WHERE gate_clear = 0 AND repair IN ({marks})",
                    (at_ms, *some),
                ),
                repairs,
            )

        self._state.run(job)

    def now(self) -> int:
        """Return unix seconds, as recalls are dated."""
        return self._clock_s()

    def compute(self) -> int:
        """Compute what is pending; return how many recalls were."""
        connection = self._state.connect()
        try:
            pending = _pending(connection, self._clock_s())
            by_product: dict[str, list[Recall]] = defaultdict(list)
            for recall in pending:
                by_product[recall.product].append(recall)
            for recalls in by_product.values():
                self._together(connection, recalls)
        finally:
            connection.close()
        return len(pending)

    def _together(self, connection: Statements, recalls: Sequence[Recall]) -> None:
        """Compute recalls of one product in one pass, or in halves when they are too many."""
        searched = sorted({each.record_key for each in recalls if each.kind != RESUME_USE})
        product = recalls[0].product
        try:
            found = (
                find_deliveries(connection, self._places, product, searched, self._keys.consumer)
                if searched
                else Found()
            )
        except TooManyHitsError:
            half = len(recalls) // 2
            self._together(connection, recalls[:half])
            self._together(connection, recalls[half:])
            return
        queue: list[_Signed | _Finished] = []
        untold: list[int] = []
        for recall in recalls:
            if recall.kind == RESUME_USE:
                # It goes to those who were told to suspend, whose notices must be written first.
                self._write(queue)
                queue = []
                drafts = _resumed(connection, recall)
            else:
                drafts = drafts_of(recall, found)
            unresolved = 0 if recall.kind == RESUME_USE else found.unresolved
            if not drafts and not unresolved:
                untold.append(recall.repair)
                continue
            queue += [self._signed(draft) for draft in drafts]
            queue.append(_Finished(recall, sum(d.deliveries for d in drafts), unresolved))
            if len(queue) >= _IN_ONE_COMMIT:
                self._write(queue)
                queue = []
        self._write(queue)
        if untold:
            self._state.run(lambda tx: self._finish_untold(tx, untold))

    def _signed(self, draft: Draft) -> _Signed:
        now = self._clock_s()
        due_s = 0 if draft.recall.kind == RESUME_USE else self._due_s
        claims, listed = claims_of(draft, issuer=self._keys.issuer, issued_at=now, due_s=due_s)
        document = self._signer.sign(claims)
        return _Signed(draft, claims.notice_id, document, listed, now, claims.due_at)

    def _write(self, queue: Sequence[_Signed | _Finished]) -> None:
        """Write in the queue's order; whatever a crash cuts off is pending still."""
        for first in range(0, len(queue), _IN_ONE_COMMIT):
            some = queue[first : first + _IN_ONE_COMMIT]
            self._state.run(lambda tx, some=some: self._commit(tx, some))  # type: ignore[misc]  # the default binds the loop's part

    def _commit(self, tx: Transaction, some: Sequence[_Signed | _Finished]) -> None:
        for each in some:
            recall = each.recall if isinstance(each, _Finished) else each.draft.recall
            if _computed(tx, recall.repair):
                continue  # by another process
            if isinstance(each, _Signed):
                self._notice(tx, each)
            else:
                self._finish(tx, each)

    def _notice(self, tx: Transaction, signed: _Signed) -> None:
        draft, recall = signed.draft, signed.draft.recall
        known = tx.execute(
            "SELECT 1 FROM recall_notices WHERE repair = ? AND party_id = ? AND form = ?",
            (recall.repair, draft.party_id, draft.form.value),
        ).fetchone()
        if known is not None:
            return
        digest = sha256(signed.document.encode()).digest()
        opening = Opening("notice", digest, os.urandom(32))
        appended = tx.append(
            entries.recall(
                time=signed.issued_at,
                node=self._node,
                repair=recall.repair,
                party=draft.party_id,
                deliveries=draft.deliveries,
                first=min(row.intent for row in draft.rows),
                last=max(row.intent for row in draft.rows),
                notice=commit(opening),
                due=signed.due_at,
            )
        )
        self._keys.openings.record(tx, appended.index, {"notice": opening}, ())
        status = "INFORMED" if recall.kind == RESUME_USE else "OPEN"
        tx.execute(
            "INSERT INTO recall_notices (notice, repair, party_id, product, kind, document,"
            " deliveries, issued_at, due_at, status, notice_id, record_key, form, rows_list)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                appended.index,
                recall.repair,
                draft.party_id,
                recall.product,
                recall.kind,
                signed.document,
                draft.deliveries,
                signed.issued_at,
                signed.due_at,
                status,
                signed.notice_id,
                recall.record_key,
                draft.form.value,
                signed.listed,
            ),
        )
        tx.execute(
            f"UPDATE recall_notices SET status = 'SUPERSEDED' WHERE party_id = ? AND product = ?"
            f" AND record_key = ? AND kind = ? AND repair < ? AND status IN {_UNANSWERED}",
            (draft.party_id, recall.product, recall.record_key, SUSPEND_USE, recall.repair),
        )
        close_if_moot(tx, draft.party_id, node=self._node, now=self._clock_s())

    def _finish_untold(self, tx: Transaction, repairs: Sequence[int]) -> None:
        """Finish recalls of records that nobody received, many with one statement."""
        for_each_of(
            lambda marks, some: tx.execute(
                "UPDATE recalls SET computed_at = ?, deliveries = 0, unresolved = 0, recipients ="
                " (SELECT count(DISTINCT n.party_id) FROM recall_notices AS n"
                "  WHERE n.repair = recalls.repair)"
                f" WHERE computed_at IS NULL AND repair IN ({marks})",
                (self._clock_s(), *some),
            ),
            repairs,
        )

    def _finish(self, tx: Transaction, done: _Finished) -> None:
        recall = done.recall
        tx.execute(
            "UPDATE recalls SET computed_at = ?, deliveries = ?, unresolved = ?, recipients ="
            " (SELECT count(DISTINCT party_id) FROM recall_notices WHERE repair = ?)"
            " WHERE repair = ?",
            (self._clock_s(), done.deliveries, done.unresolved, recall.repair, recall.repair),
        )
        if done.unresolved:
            # Somebody may hold the record whom nobody can name: a person has to look.
            raise_alarm(
                tx,
                rule="R28",
                code="RECALL_INCOMPLETE",
                now=self._clock_s(),
                node=self._node,
                actor=NODE,
                product=recall.product,
                records=done.unresolved,
                cause=recall.repair,
            )


def _pending(connection: Statements, now: int) -> list[Recall]:
    """Return what can be computed now, in the order of the repairs."""
    rows = connection.execute(
        "SELECT repair, product, record_key, kind, reason, effective_at,"
        " (SELECT min(later.repair) FROM recalls AS later WHERE later.product = r.product"
        "  AND later.record_key = r.record_key AND later.repair > r.repair"
        "  AND later.kind = 'RESUME_USE')"
        " FROM recalls AS r WHERE computed_at IS NULL AND (gate_clear > 0 OR effective_at <= ?)"
        " ORDER BY repair LIMIT ?",
        (now - GRACE_S, MAX_RECALLS),
    ).fetchall()
    found = [Recall(*row) for row in rows]
    waiting = {
        (product, record_key): repair
        for product, record_key, repair in connection.execute(
            "SELECT product, record_key, min(repair) FROM recalls WHERE computed_at IS NULL"
            " AND gate_clear = 0 AND effective_at > ? GROUP BY product, record_key",
            (now - GRACE_S,),
        ).fetchall()
    }
    # What ends a suspension goes to those who were told of it, so it waits for that.
    return [
        recall
        for recall in found
        if recall.repair < waiting.get((recall.product, recall.record_key), recall.repair + 1)
    ]


def _computed(tx: Transaction, repair: int) -> bool:
    row = tx.execute(
        "SELECT 1 FROM recalls WHERE repair = ? AND computed_at IS NULL", (repair,)
    ).fetchone()
    return row is None


def _resumed(connection: Statements, recall: Recall) -> list[Draft]:
    """Return the notices that end a suspension: to exactly those who were told of it."""
    rows = connection.execute(
        "SELECT party_id, form, rows_list, deliveries FROM recall_notices WHERE product = ?"
        " AND record_key = ? AND kind = ? AND repair = (SELECT max(s.repair) FROM recalls AS s"
        "  WHERE s.product = ? AND s.record_key = ? AND s.kind = ? AND s.repair < ?)"
        " ORDER BY party_id, form",
        (
            recall.product,
            recall.record_key,
            SUSPEND_USE,
            recall.product,
            recall.record_key,
            SUSPEND_USE,
            recall.repair,
        ),
    ).fetchall()
    return [
        Draft(recall, party_id, Form(form), _rows_of(listed), deliveries)
        for party_id, form, listed, deliveries in rows
    ]


def _rows_of(listed: bytes) -> list[DeliveredRow]:
    return [
        DeliveredRow(
            intent=row["intent"],
            request_id=row["request_id"],
            batch=row["batch"],
            position=row["position"],
            snapshot_id=row["snapshot_id"],
            record_key=row["record_key"] or "",
            record_hash=row["record_hash"] or "",
            subject=row["subject"] or "",
        )
        for row in decode_list(listed).to_pylist()
    ]
