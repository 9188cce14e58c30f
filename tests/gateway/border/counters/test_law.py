"""Thresholds, ceilings, levels, the turn of the year and the forecast: pure, so properties."""

import datetime as dt
import hashlib
import hmac

from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as st

from gateway.border.counters_law import (
    Ceilings,
    CountClass,
    CountLaw,
    date_of,
    export_year,
    first_day,
    forecast,
    shanghai_day,
)
from gateway.border.counters_tags import TagAlgorithm, Tagger
from gateway.decision.tables import flatten
from tests.gateway.border.counters.crowd import needed
from tests.policies.engines import ROOT

LAW = CountLaw.load()
ORDINARY, SENSITIVE = CountClass.ORDINARY, CountClass.SENSITIVE
COUNTS = st.integers(0, 1_200_000)
SHANGHAI = dt.timezone(dt.timedelta(hours=8))


def test_the_thresholds_are_those_that_the_policy_reads() -> None:
    numbers = flatten(ROOT / "policies" / "data")["numbers"]
    assert LAW.ordinary == (
        numbers["export_persons_contract"], numbers["export_persons_assessment"],
    )  # fmt: skip
    assert LAW.sensitive == (
        numbers["export_sensitive_contract"], numbers["export_sensitive_assessment"],
    )  # fmt: skip
    assert LAW.ordinary == (100_000, 1_000_000)
    assert LAW.sensitive == (1, 10_000)


@given(ordinary=COUNTS, sensitive=COUNTS, more=st.integers(0, 1_200_000), less=st.integers(0, 99))
def test_under_its_ceilings_a_count_needs_no_more_than_was_decided(
    ordinary, sensitive, more, less
) -> None:
    ceilings = LAW.ceilings(ordinary, sensitive, ())
    assert ceilings.hold(ordinary, sensitive)
    for moved in ((ordinary + more, sensitive), (ordinary, sensitive + more)):
        if ceilings.hold(*moved):
            assert needed(*moved) == needed(ordinary, sensitive)
    assert ceilings.hold(max(0, ordinary - less), max(0, sensitive - less))


@given(caps=st.lists(st.integers(0, 500), max_size=4), count=st.integers(0, 300))
def test_no_cap_that_held_is_passed(caps, count) -> None:
    ceilings = LAW.ceilings(count, 0, caps)
    held = [cap for cap in caps if cap and count <= cap]
    for moved in range(count, 600, 7):
        if ceilings.hold(moved, 0):
            assert all(moved <= cap for cap in held)


def test_ceilings_of_the_vectors() -> None:
    assert LAW.ceilings(99_999, 0, ()) == Ceilings(100_000, 1, None)
    assert LAW.ceilings(100_000, 1, (0,)) == Ceilings(1_000_000, 10_000, None)
    assert LAW.ceilings(1_000_000, 10_000, (5_000_000,)) == Ceilings(None, None, 5_000_000)


@given(before=COUNTS, gained=st.integers(0, 1_200_000))
def test_each_level_is_crossed_exactly_once_on_the_way(before, gained) -> None:
    half = before + gained // 2
    whole = LAW.crossed(ORDINARY, before, before + gained)
    parts = LAW.crossed(ORDINARY, before, half) + LAW.crossed(ORDINARY, half, before + gained)
    assert sorted(level.count for level in whole) == sorted(level.count for level in parts)
    assert all(before < level.count <= before + gained for level in whole)


def test_alarms_come_at_80_90_and_95_per_cent_and_none_at_a_threshold_of_one() -> None:
    levels = LAW.crossed(SENSITIVE, 0, 10_000)
    assert [level.count for level in levels] == [8_000, 9_000, 9_500]
    assert [level.count for level in LAW.crossed(ORDINARY, 0, 10**6)] == [
        80_000, 90_000, 95_000, 800_000, 900_000, 950_000,
    ]  # fmt: skip


@given(at=st.integers(1_600_000_000, 4_000_000_000))
def test_the_year_and_the_day_are_those_of_shanghai(at) -> None:
    there = dt.datetime.fromtimestamp(at, SHANGHAI)
    assert export_year(at) == there.year
    assert date_of(shanghai_day(at)) == there.date()
    assert date_of(first_day(there.year)) == dt.date(there.year, 1, 1)


def test_the_year_turns_at_midnight_of_plus_eight() -> None:
    turn = int(dt.datetime(2027, 1, 1, tzinfo=SHANGHAI).timestamp())
    assert (export_year(turn - 1), export_year(turn)) == (2026, 2027)
    assert turn == int(dt.datetime(2026, 12, 31, 16, tzinfo=dt.UTC).timestamp())


DAYS = st.lists(st.integers(0, 5_000), max_size=28)


@given(total=COUNTS, threshold=st.integers(1, 10**6), daily=DAYS, left=st.integers(0, 364))
def test_the_forecast_is_the_first_day_on_which_the_pace_reaches_it(
    total, threshold, daily, left
) -> None:
    today = 20_000
    day = forecast(total, threshold, daily, today, today + left)
    if total >= threshold:
        assert day == today
    elif day is None:
        assert total + left * sum(daily) / max(1, len(daily)) < threshold
    else:
        assert today < day <= today + left
        assert total * len(daily) + (day - today) * sum(daily) >= threshold * len(daily)
        assert total * len(daily) + (day - today - 1) * sum(daily) < threshold * len(daily)


@given(total=st.integers(0, 9_999), daily=DAYS, more=st.integers(1, 100))
def test_more_persons_never_make_it_later(total, daily, more) -> None:
    far = 10**9
    now = forecast(total, 10_000, daily, 0, far)
    assert now is None or forecast(total + more, 10_000, daily, 0, far) <= now
    faster = [each + more for each in daily]
    sooner = forecast(total, 10_000, faster, 0, far)
    assert now is None or (sooner is not None and sooner <= now)


def test_a_tag_is_the_named_mac_of_exporter_year_and_person() -> None:
    key, person = bytes(range(32)), "person-token-0001"
    message = b"xinguan/export-person/v1\0hmac-sha256\0uscc:X\x002026\0person-token-0001\0"
    tag = Tagger(key).tag("uscc:X", 2026, person)
    assert tag == hmac.new(key, message, hashlib.sha256).digest()
    others = {
        Tagger(key).tag("uscc:Y", 2026, person),
        Tagger(key).tag("uscc:X", 2027, person),
        Tagger(key).tag("uscc:X", 2026, person + "0"),
        Tagger(key[::-1]).tag("uscc:X", 2026, person),
        Tagger(key, TagAlgorithm.SM3).tag("uscc:X", 2026, person),
    }
    assert len(others) == 5
    assert tag not in others


def test_the_mac_of_sm3_is_built_as_rfc_2104_says() -> None:
    key = bytes(range(32))

    def sm3(data: bytes) -> bytes:
        made = hashes.Hash(hashes.SM3())
        made.update(data)
        return made.finalize()

    # GB/T 32905-2016, example 1.
    assert sm3(b"abc").hex().startswith("66c7f0f462eeedd9d1f2d46bdc10e4e2")
    block = key.ljust(64, b"\0")
    inner = sm3(bytes(b ^ 0x36 for b in block) + b"xinguan/export-key-check/v1\0hmac-sm3\0")
    expected = sm3(bytes(b ^ 0x5C for b in block) + inner)
    assert Tagger(key, TagAlgorithm.SM3).check_value == expected
