"""Every state against every event, and the laws of domain-rules 4.3 as properties."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.share_state import (
    SHARED,
    TERMINAL,
    ContradictionError,
    Event,
    ShareState,
    Standing,
    advance,
    settle,
    standing_of,
)

NOW = 1_795_500_000
E, S = Event, ShareState
REFUSED = "refused"
SAME = "same"

# One row a state, one column an event; the state that follows, SAME, or REFUSED.
EVENTS = tuple(Event)
_END = (S.REPAIRED, S.WITHDRAWN, S.EXPIRED)


def _row(**words: object) -> dict[Event, object]:
    return {Event[name]: after for name, after in words.items()}


_ALWAYS = _row(REPAIR_APPROVED=S.REPAIRED, WITHDRAW=S.WITHDRAWN, EXPIRE=S.EXPIRED)
_UNMASKED = _row(MASK=S.TEMP_MASKED, PLAN_COMPLETED=REFUSED, PLAN_FAILED=REFUSED)
_NOT_SHAREABLE = _row(
    DISPUTE_OPENED=SAME, DISPUTE_CLOSED=REFUSED, REPAIR_ACCEPTED=SAME, REPAIR_REJECTED=SAME
)
_ENDED = dict.fromkeys(EVENTS, REFUSED) | _row(
    REPAIR_APPROVED=SAME, WITHDRAW=SAME, EXPIRE=SAME, MASK=SAME, PLAN_COMPLETED=SAME
)
TABLE: dict[ShareState, dict[Event, object]] = {
    S.INGESTED: _ALWAYS
    | _UNMASKED
    | _NOT_SHAREABLE
    | _row(QUARANTINE=S.QUARANTINED, HOLD_BACK=S.NOT_SHARED, PUBLISH=S.ACTIVE),
    S.QUARANTINED: _ALWAYS
    | _UNMASKED
    | _NOT_SHAREABLE
    | _row(QUARANTINE=SAME, HOLD_BACK=REFUSED, PUBLISH=S.ACTIVE),
    S.NOT_SHARED: _ALWAYS
    | _UNMASKED
    | _NOT_SHAREABLE
    | _row(QUARANTINE=S.QUARANTINED, HOLD_BACK=SAME, PUBLISH=S.ACTIVE),
    S.ACTIVE: _ALWAYS
    | _UNMASKED
    | _row(QUARANTINE=S.QUARANTINED, HOLD_BACK=REFUSED, PUBLISH=SAME)
    | _row(DISPUTE_OPENED=S.DISPUTED, DISPUTE_CLOSED=REFUSED)
    | _row(REPAIR_ACCEPTED=S.REPAIR_PENDING, REPAIR_REJECTED=SAME),
    S.DISPUTED: _ALWAYS
    | _UNMASKED
    | _row(QUARANTINE=S.QUARANTINED, HOLD_BACK=REFUSED, PUBLISH=SAME)
    | _row(DISPUTE_OPENED=SAME, DISPUTE_CLOSED=S.ACTIVE)
    | _row(REPAIR_ACCEPTED=S.REPAIR_PENDING, REPAIR_REJECTED=SAME),
    S.REPAIR_PENDING: _ALWAYS
    | _UNMASKED
    | _row(QUARANTINE=S.QUARANTINED, HOLD_BACK=REFUSED, PUBLISH=SAME)
    | _row(DISPUTE_OPENED=SAME, DISPUTE_CLOSED=REFUSED)
    | _row(REPAIR_ACCEPTED=SAME, REPAIR_REJECTED=S.ACTIVE),
    S.TEMP_MASKED: _ALWAYS
    | _NOT_SHAREABLE
    | _row(QUARANTINE=SAME, HOLD_BACK=REFUSED, PUBLISH=SAME)
    | _row(MASK=SAME, PLAN_COMPLETED=S.REPAIRED, PLAN_FAILED=S.ACTIVE),
    **dict.fromkeys(_END, _ENDED),
}


@pytest.mark.parametrize(("state", "event"), list(product(ShareState, Event)))
def test_every_state_meets_every_event(state, event):
    before = standing_of(state.value)
    assert before.state is state
    expected = TABLE[state][event]
    if expected is REFUSED:
        with pytest.raises(ContradictionError):
            advance(before, event, ends_at=None, now=NOW)
        return
    after = advance(before, event, ends_at=None, now=NOW)
    assert after.state is (state if expected is SAME else expected)
    # A duplicate or a replay of an event that took effect changes nothing more.
    if event not in {E.PLAN_FAILED, E.DISPUTE_CLOSED, E.HOLD_BACK}:
        assert advance(after, event, ends_at=None, now=NOW) == after


def test_the_table_is_complete():
    assert set(TABLE) == set(ShareState)
    assert all(set(row) == set(Event) for row in TABLE.values())


standings = st.builds(
    Standing,
    base=st.sampled_from([S.INGESTED, S.QUARANTINED, S.NOT_SHARED, S.ACTIVE]),
    disputed=st.booleans(),
    pending=st.booleans(),
    masked=st.booleans(),
    ended=st.sampled_from([None, *TERMINAL]),
)
ends = st.none() | st.integers(NOW - 10, NOW + 10)
histories = st.lists(st.sampled_from(EVENTS), max_size=12)


def play(standing: Standing, events: list[Event], ends_at: int | None = None) -> Standing:
    """Apply events in the order they come; refused ones change nothing."""
    for event in events:
        try:
            standing = advance(standing, event, ends_at=ends_at, now=NOW)
        except ContradictionError:
            continue
    return standing


@given(standings, histories, ends)
def test_terminal_stays_terminal(standing, events, ends_at):
    state = None
    for event in events:
        standing = play(standing, [event], ends_at)
        if state in TERMINAL:
            assert standing.state is state
        state = standing.state


@given(standings, histories)
def test_nothing_is_shared_after_its_end(standing, events):
    assert not settle(play(standing, events, NOW), NOW, NOW).shared
    assert not play(settle(standing, NOW, NOW), events, NOW).shared


@given(standings, st.permutations([E.REPAIR_APPROVED, E.DISPUTE_OPENED, E.REPAIR_ACCEPTED]))
def test_a_repair_wins_in_whatever_order_it_comes(standing, events):
    ended = play(standing, events)
    assert ended.state is (standing.ended or S.REPAIRED)


@given(standings)
def test_a_mask_gives_back_exactly_what_it_covered(standing):
    if standing.masked or standing.ended is not None:
        return
    masked = advance(standing, E.MASK, ends_at=None, now=NOW)
    assert masked.state is S.TEMP_MASKED
    assert not masked.shared
    assert advance(masked, E.PLAN_FAILED, ends_at=None, now=NOW) == standing


@given(standings)
def test_a_failed_plan_after_the_end_is_expired_not_active(standing):
    if standing.ended is not None:
        return
    masked = advance(standing, E.MASK, ends_at=NOW + 1, now=NOW)
    late = advance(masked, E.PLAN_FAILED, ends_at=NOW + 1, now=NOW + 1)
    assert late.state is settle(masked, NOW + 1, NOW + 1).state is S.EXPIRED


@given(standings, histories)
def test_only_the_states_of_4_3_are_shared(standing, events):
    after = play(standing, events)
    assert after.shared == (after.state in SHARED)
    assert not (after.labelled and after.state in TERMINAL)


@given(standings)
def test_a_dispute_shows_through_a_pending_repair(standing):
    if standing.ended is not None:
        return
    both = play(standing, [E.DISPUTE_OPENED, E.REPAIR_ACCEPTED])
    assert both.labelled
    assert play(both, [E.REPAIR_REJECTED]).labelled
    assert not play(both, [E.DISPUTE_CLOSED]).labelled


@pytest.mark.parametrize("word", [None, "", "SHARED", "active"])
def test_an_unknown_word_of_a_source_is_quarantined(word):
    assert standing_of(word).state is S.QUARANTINED


def test_an_impossible_standing_is_refused():
    with pytest.raises(ValueError, match="a base"):
        Standing(S.REPAIRED)
    with pytest.raises(ValueError, match="a base"):
        Standing(S.ACTIVE, ended=S.ACTIVE)
