"""A clock that can be trusted, or not: a replica that lost its clock serves no adverse data.

Whether a record's sharing has ended and whether a feed is stale (R13) hang on the wall clock. It
can be set back (records come back to life, an old feed looks fresh) or forward. Two things show
it: the wall clock and a steady clock, which nobody sets and which goes on while the machine
sleeps, have to advance alike; and time never lies before what the log has recorded already.

A clock that was put right again is trusted again. One that was wrong at the start and was put
right since is not, until the node starts anew: nothing here can tell which of the two was right.
"""

import time
from collections.abc import Callable


def steady_clock_ms() -> int:
    """Return milliseconds of a clock that nobody sets."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(clock) // 1_000_000


class SteadyClock:
    """Compares two clocks from the moment it is made.

    Args:
        wall_ms: The wall clock, unix milliseconds.
        steady_ms: The steady clock, milliseconds from any point.
        step_ms: Greatest difference in their advance that is no step.
        recorded_s: The newest time in the log, unix seconds.
    """

    __slots__ = ("_began_steady", "_began_wall", "_floor_ms", "_steady_ms", "_step_ms", "_wall_ms")

    def __init__(
        self,
        wall_ms: Callable[[], int],
        steady_ms: Callable[[], int],
        *,
        step_ms: int,
        recorded_s: int = 0,
    ) -> None:
        self._wall_ms = wall_ms
        self._steady_ms = steady_ms
        self._step_ms = step_ms
        self._floor_ms = recorded_s * 1000
        self._began_wall = wall_ms()
        self._began_steady = steady_ms()

    def drift_ms(self) -> int:
        """Return how much further the wall clock went than the steady one; negative: back."""
        wall, steady = self._wall_ms(), self._steady_ms()
        return (wall - self._began_wall) - (steady - self._began_steady)

    def trusted(self) -> bool:
        """Tell whether the wall clock can be the time."""
        if self._wall_ms() + self._step_ms < self._floor_ms:
            return False
        return abs(self.drift_ms()) <= self._step_ms
