"""Observation dates of portfolios: those of each test's own day.

The modules may have been read the day before, and a test may run over midnight.
"""

import datetime as dt
import time

from gateway.portfolio.build import today_of

DATES: list[dt.date] = []  # of the day on which the running test began, see `begin_day`


def today() -> dt.date:
    return dt.date(1970, 1, 1) + dt.timedelta(today_of(int(time.time())))


def begin_day() -> None:
    """Let the dates be those of now."""
    DATES[:] = [today() - dt.timedelta(days) for days in (0, 40, 200, 400)]
