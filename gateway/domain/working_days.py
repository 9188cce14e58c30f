"""Chinese working days: which days count when a term runs in them.

The State Council names the holidays of each year, and the weekend days that are worked instead,
in the November before (`policies/data/working_days.json`). Where a year has no table yet, a count
that reaches into it keeps a reserve for all the statutory holidays of a year, so that a duty
computed before the table is known is rather too early than too late.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

_SATURDAY = 5
# 全国年节及纪念日放假办法 (as revised 2024-11): thirteen statutory days a year.
STATUTORY_DAYS = 13


@dataclass(frozen=True, slots=True)
class YearDays:
    """One year as the State Council arranged it.

    Args:
        holidays: Days off, those on weekends included or not.
        worked: Weekend days that are worked instead.
    """

    holidays: frozenset[dt.date]
    worked: frozenset[dt.date]


@dataclass(frozen=True, slots=True)
class Deadline:
    """A day counted back in working days.

    Args:
        day: The day.
        provisional: True while a year in between has no table, and a reserve was kept.
    """

    day: dt.date
    provisional: bool


@dataclass(frozen=True, slots=True)
class WorkCalendar:
    """The years that are known."""

    years: Mapping[int, YearDays]

    def is_worked(self, day: dt.date) -> bool:
        """Say whether a day is a working day; in an unknown year, whether it is a weekday."""
        known = self.years.get(day.year)
        if known is not None:
            if day in known.worked:
                return True
            if day in known.holidays:
                return False
        return day.weekday() < _SATURDAY

    def before(self, day: dt.date, count: int) -> Deadline:
        """Return the latest day that leaves `count` working days before `day`.

        Args:
            day: The day at whose end the term is over; it is not counted itself.
            count: Working days, 1 or more, between the two days, the earlier one included.

        Raises:
            ValueError: For a count below 1.
        """
        if count < 1:
            raise ValueError("a term has at least one working day")
        wanted, found, at, provisional = count, 0, day, day.year not in self.years
        if provisional:
            wanted += STATUTORY_DAYS
        while found < wanted:
            at -= dt.timedelta(days=1)
            if at.year not in self.years and not provisional:
                provisional = True
                wanted += STATUTORY_DAYS
            found += self.is_worked(at)
        return Deadline(at, provisional)
