"""From the evidence of deliveries to the notices that have to be written, without writing any."""

import hashlib
import secrets
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from gateway.release.pseudonym import ConsumerKeys, Pseudonymiser
from gateway.release.reference_form import HASH, KEY, PSEUDONYM, UNLINKED
from gateway.repair.recall.notice import (
    MAX_NAMED,
    DeliveredRow,
    Form,
    NoticeClaims,
    RowClaims,
    encode_list,
)
from gateway.repair.recall.recipients import (
    Hit,
    Receiver,
    delivered_snapshots,
    find_hits,
    receivers,
)
from gateway.repair.recall.rows import RecordPlaces
from gateway.snapshot.record_map import RecordRow
from gateway.store.migration import Statements

MAX_HITS = 2_000_000  # held in memory at once, unless one record alone has more


class TooManyHitsError(Exception):
    """The records were delivered too often to be computed together."""


@dataclass(frozen=True, slots=True)
class Recall:
    """A recall as the repair wrote it.

    Args:
        repair: Log index of the repair.
        product: Product of the record.
        record_key: The record.
        kind: STOP_USE, SUSPEND_USE or RESUME_USE.
        reason: Class of the reason.
        effective_at: Unix seconds.
        until: Log index from which on deliveries are none of its own, because the record was
            lawfully shared again; None for ever.
    """

    repair: int
    product: str
    record_key: str
    kind: str
    reason: str
    effective_at: int
    until: int | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """One notice to be signed.

    Args:
        recall: What it is part of.
        party_id: The receiver.
        form: How the receiver has the rows.
        rows: The rows, by intent, batch and place.
        deliveries: Number of batches that held them.
    """

    recall: Recall
    party_id: str
    form: Form
    rows: list[DeliveredRow]
    deliveries: int


@dataclass(slots=True)
class Found:
    """What the evidence says of some records.

    Args:
        by_record: Record key to receiver and form to the rows delivered.
        unresolved: Deliveries that name a snapshot or an intent of which nothing is known.
    """

    by_record: dict[str, dict[tuple[str, Form], list[DeliveredRow]]] = field(default_factory=dict)
    unresolved: int = 0


def find_deliveries(
    state: Statements,
    places: RecordPlaces,
    product: str,
    keys: Sequence[str],
    consumer_keys: Callable[[str], ConsumerKeys],
) -> Found:
    """Return where records of one product were delivered, in every snapshot that held them.

    Raises:
        TooManyHitsError: Ask for fewer records at once.
    """
    found = Found()
    delivered = delivered_snapshots(state)
    known = places.every_id()
    lost = [snapshot_id for snapshot_id in delivered if snapshot_id not in known]
    own = set(places.ids(product)).intersection(delivered)
    hits: list[tuple[Hit, RecordRow, str]] = []
    for snapshot_id in sorted(own):
        rows = places.find(product, snapshot_id, keys)
        if rows is None:
            lost.append(snapshot_id)
            continue
        of_row = {row.row: row for row in rows}
        for some in find_hits(state, snapshot_id, list(of_row)):
            hits += [(hit, of_row[hit.row], snapshot_id) for hit in some]
            if len(hits) > MAX_HITS and len(keys) > 1:
                raise TooManyHitsError
    who = receivers(state, sorted({hit.intent for hit, _, _ in hits}))
    _group(found, hits, who, consumer_keys)
    found.unresolved += sum(_count(state, snapshot_id) for snapshot_id in lost)
    return found


def drafts_of(recall: Recall, found: Found) -> list[Draft]:
    """Return the notices of one recall, by receiver and form."""
    drafts = []
    for (party_id, form), rows in sorted(found.by_record.get(recall.record_key, {}).items()):
        own = [row for row in rows if recall.until is None or row.intent < recall.until]
        if own:
            batches = len({(row.intent, row.batch) for row in own})
            drafts.append(Draft(recall, party_id, form, own, batches))
    return drafts


def claims_of(
    draft: Draft, *, issuer: str, issued_at: int, due_s: int
) -> tuple[NoticeClaims, bytes]:
    """Return what a notice says, and the list of all its rows."""
    listed = encode_list(draft.rows)
    first = draft.rows[0]
    named = tuple(
        RowClaims(
            request=row.request_id,
            batch=row.batch,
            position=row.position,
            snapshot=row.snapshot_id,
            record_hash=row.record_hash,
        )
        for row in draft.rows[:MAX_NAMED]
    )
    claims = NoticeClaims(
        notice_id=secrets.token_hex(16),
        issuer=issuer,
        party=draft.party_id,
        kind=draft.recall.kind,  # type: ignore[arg-type]  # one of the three, and pydantic checks
        reason=draft.recall.reason,
        product=draft.recall.product,
        effective_at=draft.recall.effective_at,
        issued_at=issued_at,
        due_at=issued_at + due_s,
        form=draft.form,
        record_key=next((row.record_key for row in draft.rows if row.record_key), ""),
        subject=first.subject,
        rows=len(draft.rows),
        named=named,
        list_sha256=hashlib.sha256(listed).hexdigest(),
    )
    return claims, listed


def _group(
    found: Found,
    hits: Sequence[tuple[Hit, RecordRow, str]],
    who: Mapping[int, Receiver],
    consumer_keys: Callable[[str], ConsumerKeys],
) -> None:
    """Sort hits by record, receiver and form; name each row in words that its receiver has."""
    pseudonyms: dict[tuple[str, str], str] = {}
    for hit, row, snapshot_id in hits:
        receiver = who.get(hit.intent)
        if receiver is None:
            found.unresolved += 1
            continue
        letters = receiver.form
        hidden = UNLINKED in letters or PSEUDONYM in letters
        subject = ""
        if PSEUDONYM in letters:
            known = (receiver.party_id, row.subject)
            if known not in pseudonyms:
                keys = consumer_keys(receiver.party_id)
                made = Pseudonymiser(keys).column(pa.array([row.subject], pa.string()))
                pseudonyms[known] = str(made.to_pylist()[0])
            subject = pseudonyms[known]
        mine = found.by_record.setdefault(row.record, defaultdict(list))
        mine[receiver.party_id, Form.PSEUDONYM if hidden else Form.CLEAR].append(
            DeliveredRow(
                intent=hit.intent,
                request_id=receiver.request_id,
                batch=hit.batch,
                position=hit.place,
                snapshot_id=snapshot_id,
                record_key=row.record if KEY in letters else "",
                record_hash=row.content_hash if HASH in letters else "",
                subject=subject,
            )
        )


def _count(state: Statements, snapshot_id: str) -> int:
    row = state.execute(
        "SELECT count(*) FROM deliveries WHERE snapshot_id = ?", (snapshot_id,)
    ).fetchone()
    return int(row[0])
