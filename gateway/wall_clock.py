"""The one clock of a serving gateway, apart from it: commands need the clock and not its doors."""

import time


def wall_clock_ms() -> int:
    """Return unix milliseconds."""
    return time.time_ns() // 1_000_000
