"""What one decision writes: its entry, where the record stands, and everything that follows.

One transaction, apart from the gate (`gateway.repair.publish`): what it raises takes all back.
"""

from dataclasses import dataclass

from audit import entries
from audit.commitment import Opening, commit
from audit.journal import Appended, Transaction
from gateway.domain.errors import ConflictError, Reason
from gateway.domain.share_state import (
    TERMINAL,
    ContradictionError,
    Event,
    ShareState,
    Standing,
    advance,
)
from gateway.registry.documents import Verified
from gateway.repair import consequences
from gateway.repair.alarms import raise_alarm
from gateway.repair.consequences import Consequences, consequences_of
from gateway.repair.decision import RepairClaims
from gateway.repair.record import Decided, Record, decided, is_early
from gateway.replicas.changes import newest, note_change


@dataclass(frozen=True, slots=True)
class Published:
    """The acknowledgement.

    Args:
        appended: The entry.
        repeated: Whether this very decision was applied before.
        state: Where the record stands now.
        withheld: Whether it may leave no more.
        found: What follows.
        delay_ms: Milliseconds from the authority's decision to the effect.
        change: Number of the change that every process has to confirm.
    """

    appended: Appended
    repeated: bool
    state: ShareState
    withheld: bool
    found: Consequences
    delay_ms: int = 0
    change: int = 0


def apply_decision(
    tx: Transaction,
    decision: Verified[RepairClaims],
    record: Record,
    opening: Opening,
    actor: str,
    node: str,
    now: int,
    *,
    sequenced: bool = True,
) -> Published:
    """Write one decision with everything that follows.

    Args:
        tx: The transaction.
        decision: The decision, verified.
        record: The record as its source states it.
        opening: Opens the commitment to the record's key.
        actor: Party id of who handed it in.
        node: Name of this node.
        now: Unix seconds.
        sequenced: Whether the decision stands in its origin's own sequence.

    Raises:
        ConflictError: `STALE_SEQUENCE`, `CONTRADICTION` or `CONFLICT`.
    """
    claims = decision.claims
    present = decided(tx, claims.product, claims.record_id) or Decided(record.standing)
    known = tx.execute(
        "SELECT digest, log_index, leaf_hash FROM repairs WHERE repair_id = ?", (claims.repair_id,)
    ).fetchone()
    if known is not None:
        if known[0] != decision.digest:
            raise ConflictError("CONFLICT", "the repair id was used for another decision")
        nothing = Consequences(False, "", "")
        withheld = _withheld(present.standing, record)
        done = Appended(known[1], known[2], b"")
        # The gate is passed once more: the first time, its caller may never have heard of it.
        return Published(done, True, present.standing.state, withheld, nothing, change=newest(tx))
    if sequenced:
        _check_sequence(tx, claims)
    try:
        after = advance(present.standing, claims.event, ends_at=record.ends_at, now=now)
    except ContradictionError as contradiction:
        raise ConflictError(
            "CONTRADICTION", str(contradiction), reasons=[Reason("R25", "CONTRADICTION")]
        ) from None
    found = consequences_of(present.standing, after)
    appended = tx.append(
        entries.repair(
            time=now,
            node=node,
            actor=actor,
            product=claims.product,
            record=commit(opening),
            authority=claims.origin,
            sequence=claims.sequence,
            verdict=claims.verdict.value,
            signer=decision.signer,
            document=decision.digest,
            state=after.state.value,
            delay=max(0, now - claims.decided_at),
            consequences=found.kinds(),
        )
    )
    _write_decision(tx, decision, appended, sequenced=sequenced)
    withheld = _withheld(after, record)
    _write_standing(tx, claims, present, after, appended.index, now)
    _write_seal(tx, claims, after, withheld=withheld)
    consequences.write(
        tx,
        found,
        product=claims.product,
        record_key=claims.record_id,
        subject=record.subject,
        repair=appended.index,
        now=now,
    )
    if (
        claims.event is Event.REPAIR_APPROVED
        and found.ended
        and is_early(record, claims.decided_at)
    ):
        # Applied all the same: the gate is not the authority of the repair (domain-rules 13).
        raise_alarm(
            tx,
            rule="R22",
            code="EARLY_REPAIR",
            now=now,
            node=node,
            actor=actor,
            product=claims.product,
            records=1,
            cause=appended.index,
        )
    change = note_change(
        tx,
        product=claims.product,
        record_key=claims.record_id,
        subject=record.subject,
        ended=after.state in TERMINAL or found.touches_derived,
    )
    return Published(appended, False, after.state, withheld, found, change=change)


def _withheld(standing: Standing, record: Record) -> bool:
    """A disputed record that can't carry its label doesn't leave at all (R14)."""
    return not standing.shared or (standing.labelled and not record.can_be_labelled)


def _check_sequence(tx: Transaction, claims: RepairClaims) -> None:
    newest = tx.execute(
        "SELECT sequence FROM repair_sequences WHERE origin = ?", (claims.origin,)
    ).fetchone()
    if newest is not None and claims.sequence <= newest[0]:
        raise ConflictError(
            "STALE_SEQUENCE",
            "the sequence of this origin is not newer (R25)",
            reasons=[Reason("R25", "STALE_SEQUENCE")],
        )


def _write_decision(
    tx: Transaction, decision: Verified[RepairClaims], appended: Appended, *, sequenced: bool
) -> None:
    claims = decision.claims
    tx.execute(
        "INSERT INTO repairs (repair_id, digest, document, log_index, leaf_hash)"
        " VALUES (?, ?, ?, ?, ?)",
        (claims.repair_id, decision.digest, decision.token, appended.index, appended.leaf_hash),
    )
    if not sequenced:
        return
    tx.execute(
        "INSERT INTO repair_sequences (origin, sequence) VALUES (?, ?)"
        " ON CONFLICT (origin) DO UPDATE SET sequence = excluded.sequence",
        (claims.origin, claims.sequence),
    )


def _write_standing(
    tx: Transaction, claims: RepairClaims, before: Decided, after: Standing, index: int, now: int
) -> None:
    dispute_id = claims.dispute_id or before.dispute_id if after.labelled else ""
    tx.execute(
        "INSERT INTO record_states (product, record_key, base, disputed, pending, masked, ended,"
        " dispute_id, mask_ends_at, origin, sequence, repair_id, log_index, effective_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (product, record_key) DO UPDATE SET base = excluded.base,"
        " disputed = excluded.disputed, pending = excluded.pending, masked = excluded.masked,"
        " ended = excluded.ended, dispute_id = excluded.dispute_id,"
        " mask_ends_at = excluded.mask_ends_at, origin = excluded.origin,"
        " sequence = excluded.sequence, repair_id = excluded.repair_id,"
        " log_index = excluded.log_index, effective_at = excluded.effective_at",
        (
            claims.product,
            claims.record_id,
            after.base.value,
            int(after.disputed),
            int(after.pending),
            int(after.masked),
            None if after.ended is None else after.ended.value,
            dispute_id,
            (claims.ends_at or before.mask_ends_at) if after.masked else None,
            claims.origin,
            claims.sequence,
            claims.repair_id,
            index,
            now,
        ),
    )


def _write_seal(tx: Transaction, claims: RepairClaims, after: Standing, *, withheld: bool) -> None:
    """Keep what every snapshot must withhold before it serves (R27)."""
    key = (claims.product, claims.record_id)
    if not withheld:
        tx.execute("DELETE FROM sealed_records WHERE product = ? AND record_key = ?", key)
        return
    tx.execute(
        "INSERT INTO sealed_records (product, record_key, state, repair_id) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (product, record_key)"
        " DO UPDATE SET state = excluded.state, repair_id = excluded.repair_id",
        (*key, after.state.value, claims.repair_id),
    )
