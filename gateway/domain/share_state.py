"""Where a record stands, and what each event makes of it: a pure state machine.

Source: domain-rules 4.3 as corrected by 13. The rules, in their order:

- time speaks before any event: past the end of its sharing a record is EXPIRED, whatever else
  was pending, so a failed reorganisation after the end date doesn't bring it back;
- EXPIRED, REPAIRED and WITHDRAWN are for ever: a later event that ends sharing too changes
  nothing, one that would need a living record contradicts it and is refused;
- a repair, a withdrawal or a mask holds from every living state, early ones too: the gate is
  not the authority of the repair (谁认定、谁修复), it only raises an alarm;
- a mask covers what lies beneath it and gives back exactly that, never more: a record that was
  not shared before isn't shared afterwards;
- dispute and pending repair are marks beside the state, so that none hides the other: the
  label of a disputed record (异议标注) stays while its repair is pending or it is masked.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class ShareState(StrEnum):
    """The states of domain-rules 4.3."""

    INGESTED = "INGESTED"
    QUARANTINED = "QUARANTINED"
    NOT_SHARED = "NOT_SHARED"
    ACTIVE = "ACTIVE"
    DISPUTED = "DISPUTED"
    REPAIR_PENDING = "REPAIR_PENDING"
    TEMP_MASKED = "TEMP_MASKED"
    REPAIRED = "REPAIRED"
    EXPIRED = "EXPIRED"
    WITHDRAWN = "WITHDRAWN"


class Event(StrEnum):
    """What can happen to a record."""

    QUARANTINE = "QUARANTINE"  # no class, not in the catalogue, bad id, or unlike its publicity
    HOLD_BACK = "HOLD_BACK"  # minor and not published (R20)
    PUBLISH = "PUBLISH"  # published, or found equal to its publicity again
    DISPUTE_OPENED = "DISPUTE_OPENED"
    DISPUTE_CLOSED = "DISPUTE_CLOSED"  # the record was right; a wrong one is withdrawn
    REPAIR_ACCEPTED = "REPAIR_ACCEPTED"  # 受理: an application is being decided
    REPAIR_APPROVED = "REPAIR_APPROVED"
    REPAIR_REJECTED = "REPAIR_REJECTED"
    MASK = "MASK"  # court ruling on a reorganisation (M33)
    PLAN_COMPLETED = "PLAN_COMPLETED"
    PLAN_FAILED = "PLAN_FAILED"
    WITHDRAW = "WITHDRAW"  # changed, annulled, void; or taken back by who declared it
    EXPIRE = "EXPIRE"  # the end of its sharing came


TERMINAL = frozenset({ShareState.REPAIRED, ShareState.EXPIRED, ShareState.WITHDRAWN})
SHARED = frozenset({ShareState.ACTIVE, ShareState.DISPUTED, ShareState.REPAIR_PENDING})
_BASES = frozenset(
    {ShareState.INGESTED, ShareState.QUARANTINED, ShareState.NOT_SHARED, ShareState.ACTIVE}
)
_ENDS = {
    Event.REPAIR_APPROVED: ShareState.REPAIRED,
    Event.WITHDRAW: ShareState.WITHDRAWN,
    Event.EXPIRE: ShareState.EXPIRED,
}
# On a record that is terminal already these say nothing new; all others need a living one.
_AGREE_WITH_THE_END = frozenset({*_ENDS, Event.MASK, Event.PLAN_COMPLETED})


# What each event that doesn't always end sharing changes of a standing.
_CHANGES: dict[Event, dict[str, Any]] = {
    Event.QUARANTINE: {"base": ShareState.QUARANTINED},
    Event.HOLD_BACK: {"base": ShareState.NOT_SHARED},
    Event.PUBLISH: {"base": ShareState.ACTIVE},
    Event.DISPUTE_OPENED: {"disputed": True},
    Event.DISPUTE_CLOSED: {"disputed": False},
    Event.REPAIR_ACCEPTED: {"pending": True},
    Event.REPAIR_REJECTED: {"pending": False},
    Event.MASK: {"masked": True},
    Event.PLAN_COMPLETED: {"ended": ShareState.REPAIRED},
    Event.PLAN_FAILED: {"masked": False},
}
_NOT_PUBLISHED_YET = frozenset({ShareState.INGESTED, ShareState.NOT_SHARED})
_ENDS_OF_PLANS = frozenset({Event.PLAN_COMPLETED, Event.PLAN_FAILED})


class ContradictionError(ValueError):
    """The event can't have happened to a record that stands where this one does."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a record stands; `state` is what of it others see.

    Args:
        base: How it lies beneath marks and masks: INGESTED, QUARANTINED, NOT_SHARED or ACTIVE.
        disputed: A dispute is open.
        pending: A repair is being decided.
        masked: A court's ruling masks it for a time.
        ended: The terminal state, or None while it lives.
    """

    base: ShareState
    disputed: bool = False
    pending: bool = False
    masked: bool = False
    ended: ShareState | None = None

    def __post_init__(self) -> None:
        """Refuse a standing that no sequence of events leads to."""
        if self.base not in _BASES or (self.ended is not None and self.ended not in TERMINAL):
            raise ValueError("a base is not terminal, and an end is")

    @property
    def state(self) -> ShareState:
        """The one state of domain-rules 4.3 that this is."""
        if self.ended is not None:
            return self.ended
        if self.masked:
            return ShareState.TEMP_MASKED
        if self.base is not ShareState.ACTIVE:
            return self.base
        if self.pending:
            return ShareState.REPAIR_PENDING
        return ShareState.DISPUTED if self.disputed else ShareState.ACTIVE

    @property
    def shared(self) -> bool:
        """True when the record may leave, as far as its own state says."""
        return self.state in SHARED

    @property
    def labelled(self) -> bool:
        """True when it may leave only with 异议标注 (R14)."""
        return self.disputed and self.ended is None


def standing_of(word: str | None, *, disputed: bool = False) -> Standing:
    """Return the standing that a source states for a record.

    Args:
        word: The source's share state; an unknown or missing one is QUARANTINED.
        disputed: The source's own dispute flag.
    """
    try:
        state = ShareState(word or "")
    except ValueError:
        state = ShareState.QUARANTINED
    if state in TERMINAL:
        return Standing(ShareState.ACTIVE, disputed=disputed, ended=state)
    if state in _BASES:
        return Standing(state, disputed=disputed)
    return Standing(
        ShareState.ACTIVE,
        disputed=disputed or state is ShareState.DISPUTED,
        pending=state is ShareState.REPAIR_PENDING,
        masked=state is ShareState.TEMP_MASKED,
    )


def settle(standing: Standing, ends_at: int | None, now: int) -> Standing:
    """Return what time alone has made of a standing.

    Args:
        standing: The standing as last recorded.
        ends_at: Unix seconds at which sharing ends; None when no date ends it.
        now: Unix seconds; at `ends_at` itself the record is gone.
    """
    if standing.ended is None and ends_at is not None and now >= ends_at:
        return replace(standing, ended=ShareState.EXPIRED)
    return standing


def advance(standing: Standing, event: Event, *, ends_at: int | None, now: int) -> Standing:
    """Return the standing after an event; the same one when the event says nothing new.

    Args:
        standing: The standing as last recorded.
        event: What happened.
        ends_at: Unix seconds at which sharing ends; None when no date ends it.
        now: Unix seconds.

    Raises:
        ContradictionError: The event needs a record that stands elsewhere; nothing changes.
    """
    present = settle(standing, ends_at, now)
    if present.ended is not None:
        late = event is Event.PLAN_FAILED and present.masked
        if event in _AGREE_WITH_THE_END or (late and present.ended is ShareState.EXPIRED):
            return present
        raise ContradictionError("the record's sharing has ended for good")
    if event in _ENDS:
        return replace(present, ended=_ENDS[event])
    return _living(present, event)


def _living(present: Standing, event: Event) -> Standing:
    """Return what an event that doesn't end sharing makes of a living record."""
    if event is Event.HOLD_BACK and present.base not in _NOT_PUBLISHED_YET:
        raise ContradictionError("a record that was published isn't held back as unpublished")
    if event is Event.DISPUTE_CLOSED and not present.disputed:
        raise ContradictionError("no dispute is open")
    if event in _ENDS_OF_PLANS and not present.masked:
        raise ContradictionError("no mask covers the record")
    return replace(present, **_CHANGES[event])
