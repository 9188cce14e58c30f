import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import ExhaustedError
from gateway.domain.licence import Quotas
from gateway.domain.vocabulary import Role
from gateway.registry.call_rate import CallRate
from gateway.registry.quotas import LicenceQuotas, shanghai_day
from tests.simulator import NOW, make_caller, make_licence, make_product

MS = 1_000
DAY_MS = 86_400 * MS
NOW_MS = NOW * MS


def licence(**quotas):
    return make_licence(make_caller(Role.AGENCY), make_product(), quotas=Quotas(**quotas))


@pytest.fixture
def quotas(world):
    opened = []

    def make() -> LicenceQuotas:
        connection = world.state.connect()
        opened.append(connection)
        return LicenceQuotas(connection, calls_per_second=2, rows_per_day=100)

    yield make
    for connection in opened:
        connection.close()


def test_one_seconds_calls_may_come_at_once_and_refill() -> None:
    rate = CallRate()
    for _ in range(5):
        rate.take("L", 5, 10.0)
    with pytest.raises(ExhaustedError) as caught:
        rate.take("L", 5, 10.1)
    assert caught.value.code == "RATE_LIMIT"
    rate.take("M", 5, 10.1)
    rate.take("L", 5, 10.3)


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=200), st.integers(1, 20))
def test_no_pattern_of_calls_beats_the_rate(gaps: list[float], limit: int) -> None:
    rate, now, passed = CallRate(), 0.0, 0
    for gap in gaps:
        now += gap
        try:
            rate.take("L", limit, now)
        except ExhaustedError:
            continue
        passed += 1
    assert passed <= limit + now * limit + 1e-6


def test_a_clock_that_goes_back_refills_nothing() -> None:
    rate = CallRate()
    rate.take("L", 1, 100.0)
    for at in (50.0, 40.0):
        with pytest.raises(ExhaustedError):
            rate.take("L", 1, at)


def test_the_licences_limit_precedes_the_nodes(quotas) -> None:
    limits = quotas()
    for _ in range(2):
        limits.check(licence(), NOW_MS)
    with pytest.raises(ExhaustedError):
        limits.check(licence(), NOW_MS)
    generous = make_licence(
        make_caller(), make_product(), licence_id="L-2", quotas=Quotas(calls_per_second=3)
    )
    for _ in range(3):
        limits.check(generous, NOW_MS)
    limits.check(None, NOW_MS)


def test_rows_are_limited_per_day_of_shanghai(quotas) -> None:
    limits = quotas()
    limits.take_rows(licence(), 99, NOW_MS)
    with pytest.raises(ExhaustedError) as caught:
        limits.take_rows(licence(), 2, NOW_MS)
    assert caught.value.code == "ROW_QUOTA"
    limits.take_rows(licence(), 1, NOW_MS)
    limits.take_rows(licence(), 0, NOW_MS)
    limits.take_rows(None, 5, NOW_MS)
    limits.take_rows(licence(), 100, NOW_MS + DAY_MS)


def test_the_day_turns_at_midnight_in_shanghai() -> None:
    midnight = 1_767_196_800  # 2026-01-01 00:00:00 +08:00
    assert shanghai_day(midnight * MS) == shanghai_day(midnight * MS - 1) + 1
    assert shanghai_day(midnight * MS) == shanghai_day((midnight + 86_399) * MS)


def test_a_restart_does_not_reset_the_rows(world, quotas) -> None:
    limits = quotas()
    limits.take_rows(licence(), 60, NOW_MS)
    world.run(lambda tx: limits.count_rows(tx, "L-1", 60, NOW_MS))
    assert limits.used_rows("L-1", NOW_MS) == 60
    restarted = quotas()
    assert restarted.used_rows("L-1", NOW_MS) == 60
    restarted.take_rows(licence(), 40, NOW_MS)
    with pytest.raises(ExhaustedError):
        restarted.take_rows(licence(), 1, NOW_MS)
    world.run(lambda tx: restarted.count_rows(tx, "L-1", 40, NOW_MS))
    with pytest.raises(ExhaustedError):
        limits.take_rows(licence(), 1, NOW_MS + 250)  # others' rows are seen that much later


def test_rows_of_an_outcome_that_failed_are_not_kept(world, quotas) -> None:
    limits = quotas()

    def job(tx) -> None:
        limits.count_rows(tx, "L-1", 60, NOW_MS)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        world.run(job)
    assert quotas().used_rows("L-1", NOW_MS) == 0


def test_counts_of_old_days_are_pruned(world, quotas) -> None:
    limits = quotas()
    for day in range(20):
        world.run(lambda tx, at=NOW_MS + day * DAY_MS: limits.count_rows(tx, "L-1", 1, at))
    connection = world.state.connect()
    kept = connection.execute("SELECT count(*) FROM row_counts").fetchone()[0]
    connection.close()
    assert kept == 8


def test_a_request_from_before_midnight_does_not_reset_the_new_day(quotas) -> None:
    limits = quotas()
    limits.take_rows(licence(), 100, NOW_MS + DAY_MS)
    limits.take_rows(licence(), 100, NOW_MS)
    for at in (NOW_MS, NOW_MS + DAY_MS):
        with pytest.raises(ExhaustedError):
            limits.take_rows(licence(), 1, at)


def test_processes_of_one_deployment_count_calls_together(tmp_path) -> None:
    one, two = CallRate.open(tmp_path / "calls"), CallRate.open(tmp_path / "calls")
    for rate in (one, two, one, two):
        rate.take("L", 4, 10.0)
    for rate in (one, two):
        with pytest.raises(ExhaustedError):
            rate.take("L", 4, 10.0)
        rate.take("M", 4, 10.0)
    # A process that starts later finds what was counted before.
    three = CallRate.open(tmp_path / "calls")
    with pytest.raises(ExhaustedError):
        three.take("L", 4, 10.0)
    for rate in (one, two, three):
        rate.close()


def test_more_licences_than_places_are_all_limited() -> None:
    rate = CallRate()
    for number in range(40_000):
        rate.take(f"L{number}", 1, 10.0)
    rate.take("again", 1, 10.0)
    with pytest.raises(ExhaustedError):
        rate.take("again", 1, 10.0)


def test_places_that_share_no_memory_divide_a_limit(world) -> None:
    connection = world.state.connect()
    quotas = LicenceQuotas(connection, calls_per_second=4, rows_per_day=100, places=lambda: 2)
    quotas.check(licence(), NOW_MS)
    quotas.check(licence(), NOW_MS)
    with pytest.raises(ExhaustedError):
        quotas.check(licence(), NOW_MS)
    connection.close()


def test_a_clock_that_was_set_back_costs_a_second_and_not_the_hour_it_went() -> None:
    rate = CallRate()
    rate.take("L", 5, 3_700.0)
    with pytest.raises(ExhaustedError):  # nothing was refilled by going back
        rate.take("L", 5, 100.0)
    rate.take("L", 5, 100.3)
    for _ in range(5):
        rate.take("L", 5, 102.0)
