import datetime as dt

import pytest

from gateway.border import kept, statements
from gateway.border.law import lawful_border, negative_lists, year_of
from gateway.border.renewals import RenewalWatch, awaiting_renewal, remind, renewal_of
from gateway.domain.border import Register
from gateway.domain.period import end_of_day
from tests.gateway.border.conftest import DAY_S
from tests.simulator import NOW

LAW = lawful_border()
MECHANISM = Register.MECHANISM


def due(border, now):
    return [k.claims.name for k in border.world.run(lambda tx: awaiting_renewal(tx, now, LAW))]


def alarms(border):
    return [entry for entry in border.world.entries() if entry["kind"] == "alarm"]


def test_the_alarm_is_raised_once_on_the_sixtieth_working_day(border) -> None:
    done = border.signed(MECHANISM)
    renewal = renewal_of(done.claims, NOW, LAW)
    morning = end_of_day(renewal.due) - DAY_S
    assert due(border, morning - 1) == []
    assert due(border, morning) == ["SCC-1"]
    for _ in range(3):
        (found,) = border.world.run(lambda tx: remind(tx, morning, "node-1", LAW))
    (alarm,) = alarms(border)
    assert (alarm["rule"], alarm["code"]) == ("R65", "MECHANISM_RENEWAL_DUE")
    assert alarm["cause"] == done.registered
    assert border.world.entries()[found.alarm] == alarm


def test_a_registered_renewal_ends_the_reminder(border) -> None:
    border.signed(MECHANISM)
    late = NOW + 199 * DAY_S
    assert due(border, late) == ["SCC-1"]
    border.signed(MECHANISM, version=2, not_before=NOW + 200 * DAY_S, not_after=NOW + 900 * DAY_S)
    assert due(border, late) == []


def test_what_was_withdrawn_or_is_over_is_not_to_be_renewed(border) -> None:
    border.signed(MECHANISM)
    assert due(border, NOW + 200 * DAY_S) == []
    border.change(statements.withdraw, MECHANISM, "SCC-1")
    assert due(border, NOW + 199 * DAY_S) == []


async def test_the_watch_tells_health_and_raises_the_alarm(border) -> None:
    border.signed(MECHANISM)
    at = [NOW]
    told = []
    watch = RenewalWatch(border.world.state, "node-1", lambda: at[0])

    async def tell(none_due):
        told.append(none_due)

    watch.told = tell
    assert await watch.look() == 0
    at[0] = NOW + 199 * DAY_S
    assert await watch.look() == 1
    assert await watch.look() == 1
    assert told == [True, False, False]
    assert len(alarms(border)) == 1


def test_assessments_are_kept_three_years_after_their_end(border) -> None:
    done = border.signed(Register.ASSESSMENT)
    end = dt.date(1970, 1, 1) + dt.timedelta(days=done.claims.not_after // DAY_S)
    until = LAW.kept_until(done.claims.not_after)
    assert until.year == end.year + 3
    assert len(border.world.run(lambda tx: kept.every(tx, Register.ASSESSMENT))) == 1


def test_credit_is_not_on_the_negative_list() -> None:
    entry = negative_lists()["credit_data"]
    assert entry["listed"] is False
    assert entry["art6_exempt"] is False
    assert entry["source"]


@pytest.mark.parametrize(
    ("at", "year"),
    [(1_798_732_799, 2026), (1_798_732_800, 2027)],  # midnight in Hainan
)
def test_the_year_of_a_count_turns_at_midnight_in_hainan(at, year) -> None:
    assert year_of(at) == year
