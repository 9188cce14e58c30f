"""Numbers of the law about persons counted for export, and what follows from them: pure.

The numbers themselves stand in `policies/data/thresholds.json`, where the policy has them from
too; nothing here decides whether something may leave. A ceiling only says how far a decision
that was made on one count may be carried.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Self

from gateway.decision.bundle import DEFAULT_POLICIES
from gateway.decision.tables import read_table
from gateway.domain.period import DAY_S, SHANGHAI_OFFSET_S

_EPOCH = dt.date(1970, 1, 1)
_WHOLE = 100  # per cent
_PERSONS = ("export_persons_contract", "export_persons_assessment")
_SENSITIVE = ("export_sensitive_contract", "export_sensitive_assessment")


class CountClass(StrEnum):
    """The two counts of an exporter (CAC Order 16 arts 5, 7, 8); a person may be in both."""

    ORDINARY = "ordinary"
    SENSITIVE = "sensitive"


@dataclass(frozen=True, slots=True)
class Ceilings:
    """Up to where the counts may rise without another decision; None means without end.

    Args:
        ordinary: The next threshold above the count decided on; it may not be reached.
        sensitive: The same of sensitive information.
        together: The least scale cap of a mechanism that both counts together kept to; it may
            be reached.
    """

    ordinary: int | None = None
    sensitive: int | None = None
    together: int | None = None

    def hold(self, ordinary: int, sensitive: int) -> bool:
        """Return whether these counts are still those of the band that was decided on."""
        return (
            (self.ordinary is None or ordinary < self.ordinary)
            and (self.sensitive is None or sensitive < self.sensitive)
            and (self.together is None or ordinary + sensitive <= self.together)
        )


@dataclass(frozen=True, slots=True)
class Level:
    """A count at which a person should be told that a threshold is near."""

    count: int
    threshold: int
    per_cent: int


@dataclass(frozen=True, slots=True)
class CountLaw:
    """The thresholds, and the levels of alarms.

    Args:
        ordinary: Thresholds of ordinary information, ascending.
        sensitive: Thresholds of sensitive information, ascending.
        per_cents: At which shares of a threshold an alarm is raised, ascending.
        pace_days: How many days the forecast looks back on.
    """

    ordinary: tuple[int, ...]
    sensitive: tuple[int, ...]
    per_cents: tuple[int, ...]
    pace_days: int

    @classmethod
    def load(cls, policies: Path = DEFAULT_POLICIES) -> Self:
        """Read the law tables.

        Raises:
            TypeError: A number is missing or isn't one.
            ValueError: A table is malformed.
        """
        data = policies / "data"
        thresholds, alarms = read_table(data, "thresholds"), read_table(data, "export_alarms")
        levels = alarms["levels"]["values"]
        if not isinstance(levels, list):
            raise TypeError("levels: a list is expected")
        return cls(
            ordinary=tuple(sorted(_number(thresholds[name]["value"]) for name in _PERSONS)),
            sensitive=tuple(sorted(_number(thresholds[name]["value"]) for name in _SENSITIVE)),
            per_cents=tuple(sorted(map(_number, levels))),
            pace_days=_number(alarms["pace"]["value"]),
        )

    def thresholds(self, kind: CountClass) -> tuple[int, ...]:
        """Return the thresholds of a class, ascending."""
        return self.ordinary if kind is CountClass.ORDINARY else self.sensitive

    def ceilings(self, ordinary: int, sensitive: int, caps: Iterable[int]) -> Ceilings:
        """Return how far a decision made on these counts carries.

        A count that falls meanwhile asks for less, so only what lies above bounds it.

        Args:
            ordinary: Persons that the decision was made on, the request's included.
            sensitive: The same of sensitive information.
            caps: Scale caps of the mechanisms at hand; 0 states none.
        """
        together = ordinary + sensitive
        return Ceilings(
            ordinary=min((each for each in self.ordinary if each > ordinary), default=None),
            sensitive=min((each for each in self.sensitive if each > sensitive), default=None),
            together=min((cap for cap in caps if cap and cap >= together), default=None),
        )

    def crossed(self, kind: CountClass, before: int, after: int) -> list[Level]:
        """Return the levels that a count reached on its way from one number to a higher one."""
        thresholds = self.thresholds(kind)
        levels = _levels(thresholds, self.per_cents)
        return [level for level in levels if before < level.count <= after]


def shanghai_day(at: int) -> int:
    """Return the number of a day in Asia/Shanghai, counted from 1970-01-01.

    Args:
        at: Unix seconds.
    """
    return (at + SHANGHAI_OFFSET_S) // DAY_S


def export_year(at: int) -> int:
    """Return the year that counts at an instant: it turns at 00:00 on 1 January in Asia/Shanghai.

    Args:
        at: Unix seconds.
    """
    return date_of(shanghai_day(at)).year


def date_of(day: int) -> dt.date:
    """Return the date of a day's number."""
    return _EPOCH + dt.timedelta(days=day)


def first_day(year: int) -> int:
    """Return the number of 1 January."""
    return (dt.date(year, 1, 1) - _EPOCH).days


def forecast(
    total: int, threshold: int, daily: Sequence[int], today: int, last_day: int
) -> int | None:
    """Return the day on which a threshold is reached at the present pace.

    The pace is the mean of whole days gone by; what was declared from outside raises the level
    but has no pace that anybody knows.

    Args:
        total: The count now.
        threshold: The number in question.
        daily: New persons of each day looked back on, today's excluded.
        today: Number of the day.
        last_day: The year's last day; the count begins anew after it.

    Returns:
        The day's number: today when it is reached already, None when not in this year.
    """
    missing = threshold - total
    if missing <= 0:
        return today
    gained = sum(daily)
    if gained <= 0:
        return None
    day = today + -(-missing * len(daily) // gained)
    return day if day <= last_day else None


@lru_cache(maxsize=8)
def _levels(thresholds: Iterable[int], per_cents: Iterable[int]) -> tuple[Level, ...]:
    """Return every level below its threshold; one at the threshold itself warns of nothing."""
    return tuple(
        Level(count, threshold, per_cent)
        for threshold in thresholds
        for per_cent in per_cents
        if (count := -(-threshold * per_cent // _WHOLE)) < threshold
    )


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("a whole number is expected")
    return value
