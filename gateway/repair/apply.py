"""What decisions write: their entries, where their records stand, and everything that follows.

Decisions that were handed in together are one transaction, each of them decided in its order on
what the ones before it left. One that is refused writes nothing, and the others stand. What they
write is gathered and goes out with a statement or two for each table (`gateway.repair.writing`).
This is apart from the gate (`gateway.repair.publish`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from audit.commitment import Opening
from audit.journal import Appended, Transaction
from gateway.domain.errors import ConflictError, Reason
from gateway.domain.share_state import ContradictionError, ShareState, Standing, advance
from gateway.registry.documents import Verified
from gateway.repair.consequences import Consequences, consequences_of
from gateway.repair.decision import RepairClaims
from gateway.repair.present import Present
from gateway.repair.record import Decided, Record
from gateway.repair.writing import Written, write
from gateway.replicas.changes import newest


@dataclass(frozen=True, slots=True)
class Handed:
    """A verified decision as it was handed in.

    Args:
        decision: The decision.
        actor: Party id of who handed it in.
        now: Unix seconds.
        signer_party: Party whose registered key signed it; empty for the authority's own.
        sequenced: False for what follows from a signed publicity statement: the statement's own
            time orders it, not a sequence of decisions (`gateway.repair.reconcile`).
    """

    decision: Verified[RepairClaims]
    actor: str
    now: int
    signer_party: str = ""
    sequenced: bool = True


@dataclass(frozen=True, slots=True)
class Prepared:
    """A decision with what was looked up for it.

    Args:
        handed: The decision.
        record: Its record as the source states it.
        opening: Opens the commitment to the record's key.
    """

    handed: Handed
    record: Record
    opening: Opening

    @property
    def claims(self) -> RepairClaims:
        """What the decision says."""
        return self.handed.decision.claims


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


@dataclass(frozen=True, slots=True)
class _Repeated:
    """A decision that was applied before: its entry, or its place among those written now."""

    done: Appended | int
    state: ShareState
    withheld: bool


def apply_decisions(
    tx: Transaction, prepared: Sequence[Prepared], node: str
) -> list[Published | ConflictError]:
    """Write decisions, in their order, with everything that follows.

    Args:
        tx: The transaction.
        prepared: The decisions.
        node: Name of this node.

    Returns:
        Of each what became of it: the acknowledgement, or why it was refused: `STALE_SEQUENCE`,
        `CONTRADICTION`, or `CONFLICT` when its id was used for another decision.
    """
    present = Present.read(
        tx,
        [(one.claims.product, one.claims.record_id) for one in prepared],
        [one.claims.repair_id for one in prepared],
    )
    outcomes: list[int | _Repeated | ConflictError] = []
    written: list[Written] = []
    for one in prepared:
        try:
            found = _decide(one, present, len(written))
        except ConflictError as refusal:
            outcomes.append(refusal)
            continue
        if isinstance(found, _Repeated):
            outcomes.append(found)
        else:
            outcomes.append(len(written))
            written.append(found)
    appended, first = write(tx, written, node) if written else ([], newest(tx) + 1)
    last = first + len(written) - 1
    told: list[Published | ConflictError] = []
    for outcome in outcomes:
        if isinstance(outcome, ConflictError):
            told.append(outcome)
        elif isinstance(outcome, int):
            told.append(_published(written[outcome], appended[outcome], first + outcome))
        else:
            done = outcome.done if isinstance(outcome.done, Appended) else appended[outcome.done]
            nothing = Consequences(False, "", "")
            # The gate is passed once more: the first time, its caller may never have heard of it.
            told.append(
                Published(done, True, outcome.state, outcome.withheld, nothing, change=last)
            )
    return told


def _decide(one: Prepared, present: Present, place: int) -> Written | _Repeated:
    """Return what one decision writes, on what the ones before it left.

    Raises:
        ConflictError: `STALE_SEQUENCE`, `CONTRADICTION` or `CONFLICT`.
    """
    claims, record, handed = one.claims, one.record, one.handed
    key = (claims.product, claims.record_id)
    before = present.standing(key) or Decided(record.standing)
    known = present.known(claims.repair_id)
    if known is not None:
        digest, done = known
        if digest != handed.decision.digest:
            raise ConflictError("CONFLICT", "the repair id was used for another decision")
        return _Repeated(done, before.standing.state, _withheld(before.standing, record))
    if handed.sequenced and claims.sequence <= present.sequence(claims.origin):
        raise ConflictError(
            "STALE_SEQUENCE",
            "the sequence of this origin is not newer (R25)",
            reasons=[Reason("R25", "STALE_SEQUENCE")],
        )
    try:
        after = advance(before.standing, claims.event, ends_at=record.ends_at, now=handed.now)
    except ContradictionError as contradiction:
        raise ConflictError(
            "CONTRADICTION", str(contradiction), reasons=[Reason("R25", "CONTRADICTION")]
        ) from None
    left = Decided(
        after,
        claims.dispute_id or before.dispute_id if after.labelled else "",
        (claims.ends_at or before.mask_ends_at) if after.masked else None,
    )
    present.decide(key, left, claims.repair_id, handed.decision.digest, place)
    if handed.sequenced:
        present.advance(claims.origin, claims.sequence)
    return Written(
        decision=handed.decision,
        sequenced=handed.sequenced,
        record=record,
        opening=one.opening,
        actor=handed.actor,
        now=handed.now,
        left=left,
        found=consequences_of(before.standing, after),
        withheld=_withheld(after, record),
    )


def _published(written: Written, appended: Appended, change: int) -> Published:
    return Published(
        appended,
        False,
        written.left.standing.state,
        written.withheld,
        written.found,
        change=change,
    )


def _withheld(standing: Standing, record: Record) -> bool:
    """A disputed record that can't carry its label doesn't leave at all (R14)."""
    return not standing.shared or (standing.labelled and not record.can_be_labelled)
