"""What decisions write that were decided: every table once, in the transaction of their entries."""

from collections.abc import Sequence
from dataclasses import dataclass

from audit import entries
from audit.commitment import Opening, commit
from audit.journal import Appended, Transaction
from gateway.domain.share_state import TERMINAL, Event
from gateway.registry.documents import Verified
from gateway.repair import consequences
from gateway.repair.alarms import raise_alarm
from gateway.repair.consequences import Consequences, Following
from gateway.repair.decision import RepairClaims
from gateway.repair.record import Decided, Record, is_early
from gateway.replicas.changes import Noted, note_changes
from gateway.store.bulk import for_each_of, insert_rows


@dataclass(frozen=True, slots=True)
class Written:
    """One decision that takes effect.

    Args:
        decision: The decision.
        sequenced: Whether it stands in its origin's own sequence.
        record: The record as its source states it.
        opening: Opens the commitment to the record's key.
        actor: Party id of who handed it in.
        now: Unix seconds.
        left: What is decided on the record from now on.
        found: What follows.
        withheld: Whether the record may leave no more.
    """

    decision: Verified[RepairClaims]
    sequenced: bool
    record: Record
    opening: Opening
    actor: str
    now: int
    left: Decided
    found: Consequences
    withheld: bool

    @property
    def key(self) -> tuple[str, str]:
        """Product and record key."""
        return self.decision.claims.product, self.decision.claims.record_id


def write(tx: Transaction, written: Sequence[Written], node: str) -> tuple[list[Appended], int]:
    """Write decisions in their order.

    Args:
        tx: The transaction.
        written: At least one.
        node: Name of this node.

    Returns:
        Their entries, and the number of the first change; the others' follow it.
    """
    appended = tx.append_all([_entry(one, node) for one in written])
    _write_decisions(tx, written, appended)
    _write_standings(tx, written, appended)
    _write_seals(tx, written)
    consequences.write(
        tx,
        [
            Following(one.found, *one.key, one.record.subject, entry.index, one.now)
            for one, entry in zip(written, appended, strict=True)
        ],
    )
    for one, entry in zip(written, appended, strict=True):
        if _is_early(one):
            # Applied all the same: the gate is not the authority of the repair (domain-rules 13).
            raise_alarm(
                tx,
                rule="R22",
                code="EARLY_REPAIR",
                now=one.now,
                node=node,
                actor=one.actor,
                product=one.key[0],
                records=1,
                cause=entry.index,
            )
    first = note_changes(
        tx,
        [
            Noted(
                *one.key,
                one.record.subject,
                ended=one.left.standing.state in TERMINAL or one.found.touches_derived,
            )
            for one in written
        ],
    )
    return appended, first


def _entry(one: Written, node: str) -> dict[str, object]:
    claims = one.decision.claims
    return entries.repair(
        time=one.now,
        node=node,
        actor=one.actor,
        product=claims.product,
        record=commit(one.opening),
        authority=claims.origin,
        sequence=claims.sequence,
        verdict=claims.verdict.value,
        signer=one.decision.signer,
        document=one.decision.digest,
        state=one.left.standing.state.value,
        delay=max(0, one.now - claims.decided_at),
        consequences=one.found.kinds(),
    )


def _is_early(one: Written) -> bool:
    claims = one.decision.claims
    approved = claims.event is Event.REPAIR_APPROVED and one.found.ended
    return approved and is_early(one.record, claims.decided_at)


def _write_decisions(
    tx: Transaction, written: Sequence[Written], appended: Sequence[Appended]
) -> None:
    insert_rows(
        tx,
        "INSERT INTO repairs (repair_id, digest, document, log_index, leaf_hash) VALUES",
        [
            (
                one.decision.claims.repair_id,
                one.decision.digest,
                one.decision.token,
                entry.index,
                entry.leaf_hash,
            )
            for one, entry in zip(written, appended, strict=True)
        ],
    )
    newest = {
        one.decision.claims.origin: one.decision.claims.sequence for one in written if one.sequenced
    }
    insert_rows(
        tx,
        "INSERT INTO repair_sequences (origin, sequence) VALUES",
        list(newest.items()),
        "ON CONFLICT (origin) DO UPDATE SET sequence = excluded.sequence",
    )


def _write_standings(
    tx: Transaction, written: Sequence[Written], appended: Sequence[Appended]
) -> None:
    rows: dict[tuple[str, str], Sequence[object]] = {}  # of a record decided twice, the last
    for one, entry in zip(written, appended, strict=True):
        claims, after = one.decision.claims, one.left.standing
        rows[one.key] = (
            *one.key,
            after.base.value,
            int(after.disputed),
            int(after.pending),
            int(after.masked),
            None if after.ended is None else after.ended.value,
            one.left.dispute_id,
            one.left.mask_ends_at,
            claims.origin,
            claims.sequence,
            claims.repair_id,
            entry.index,
            one.now,
        )
    insert_rows(
        tx,
        "INSERT INTO record_states (product, record_key, base, disputed, pending, masked, ended,"
        " dispute_id, mask_ends_at, origin, sequence, repair_id, log_index, effective_at) VALUES",
        list(rows.values()),
        "ON CONFLICT (product, record_key) DO UPDATE SET base = excluded.base,"
        " disputed = excluded.disputed, pending = excluded.pending, masked = excluded.masked,"
        " ended = excluded.ended, dispute_id = excluded.dispute_id,"
        " mask_ends_at = excluded.mask_ends_at, origin = excluded.origin,"
        " sequence = excluded.sequence, repair_id = excluded.repair_id,"
        " log_index = excluded.log_index, effective_at = excluded.effective_at",
    )


def _write_seals(tx: Transaction, written: Sequence[Written]) -> None:
    """Keep what every snapshot must withhold before it serves (R27)."""
    seals: dict[tuple[str, str], Sequence[object] | None] = {}
    for one in written:
        after = one.left.standing.state.value
        repair_id = one.decision.claims.repair_id
        seals[one.key] = (*one.key, after, repair_id) if one.withheld else None
    insert_rows(
        tx,
        "INSERT INTO sealed_records (product, record_key, state, repair_id) VALUES",
        [row for row in seals.values() if row is not None],
        "ON CONFLICT (product, record_key)"
        " DO UPDATE SET state = excluded.state, repair_id = excluded.repair_id",
    )
    for product in sorted({key[0] for key, row in seals.items() if row is None}):

        def free(marks: str, some: Sequence[object], product: str = product) -> None:
            tx.execute(
                f"DELETE FROM sealed_records WHERE product = ? AND record_key IN ({marks})",
                (product, *some),
            )

        for_each_of(
            free, [key[1] for key, row in seals.items() if row is None and key[0] == product]
        )
