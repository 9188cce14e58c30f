"""Figures of delay."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.repair.delays import figures, quantile, unmeasured, write
from gateway.repair.publish import Cleared
from gateway.store.state import State

VALUES = st.lists(st.integers(0, 10**6), min_size=1, max_size=300)


@given(VALUES, st.floats(0.001, 1.0))
def test_a_quantile_is_the_smallest_value_that_enough_do_not_exceed(values, share):
    found = quantile(sorted(values), share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    smaller = [value for value in values if value < found]
    assert len(smaller) < share * len(values)


def test_delays_count_from_the_decision_and_once(tmp_path):
    state = State.open(tmp_path / "state.sqlite3")
    try:
        cleared = [Cleared(n, "COURT", 1_000, 1_000_000 + n * 10) for n in range(100)]
        state.run(lambda tx: write(tx, cleared))
        again = Cleared(0, "COURT", 1_000, 9_999_999)
        state.run(lambda tx: write(tx, [again, Cleared(500, "AUTHORITY", 2_000, 1_999_999)]))
        early, court = state.run(figures)
        assert (court.origin, court.measured) == ("COURT", 100)
        assert (court.p50_ms, court.p99_ms, court.worst_ms) == (490, 980, 990)
        assert (early.origin, early.worst_ms) == ("AUTHORITY", 0)  # a clock ahead isn't negative
        assert state.run(unmeasured) == 0
    finally:
        state.close()
