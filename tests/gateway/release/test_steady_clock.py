"""A clock that was set is noticed, whichever way."""

import pytest

from gateway.release.steady_clock import SteadyClock, steady_clock_ms


class Hands:
    def __init__(self) -> None:
        self.wall, self.steady = 1_795_500_000_000, 77_000

    def pass_by(self, ms: int) -> None:
        self.wall += ms
        self.steady += ms

    def clock(self, **words) -> SteadyClock:
        return SteadyClock(lambda: self.wall, lambda: self.steady, step_ms=5_000, **words)


@pytest.fixture
def hands() -> Hands:
    return Hands()


def test_a_clock_that_only_goes_on_is_trusted(hands):
    clock = hands.clock()
    for _ in range(5):
        hands.pass_by(86_400_000)
        assert clock.trusted()


STEPS = {
    5_000: True,
    -5_000: True,
    5_001: False,
    -5_001: False,
    3_600_000: False,
    -3_600_000: False,
}


@pytest.mark.parametrize(("step", "trusted"), STEPS.items())
def test_a_step_is_noticed_and_its_taking_back_too(hands, step, trusted):
    clock = hands.clock()
    hands.pass_by(60_000)
    hands.wall += step
    assert clock.trusted() is trusted
    assert clock.drift_ms() == step
    hands.pass_by(60_000)
    assert clock.trusted() is trusted
    hands.wall -= step
    assert clock.trusted()


def test_time_never_lies_before_what_the_log_has_recorded(hands):
    recorded = hands.wall // 1000 + 3_600
    clock = hands.clock(recorded_s=recorded)
    assert not clock.trusted()
    hands.pass_by(3_594_000)
    assert not clock.trusted()
    hands.pass_by(1_000)  # five seconds before it: clocks of replicas differ a little
    assert clock.trusted()


def test_the_machine_s_own_steady_clock_goes_on():
    first = steady_clock_ms()
    assert steady_clock_ms() >= first > 0
