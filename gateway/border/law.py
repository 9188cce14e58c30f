"""The numbers and calendars of the law that the registers of the border work with.

They are data of `policies/data`, each entry with its source; nothing here decides a request.
"""

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from gateway.border.claims import BorderClaims, ExemptionClaims, MechanismClaims
from gateway.domain.period import DAY_S, SHANGHAI_OFFSET_S, add_months, end_of_day
from gateway.domain.working_days import Deadline, WorkCalendar, YearDays
from gateway.registry.periods import POLICIES

_EPOCH = dt.date(1970, 1, 1)
_MONTHS = 12


@dataclass(frozen=True, slots=True)
class BorderLaw:
    """What bounds the terms of statements, and when a renewal is due.

    Args:
        years: Kind of mechanism to the greatest number of years it holds.
        renewal_days: Working days before its end by which a renewal is asked for.
        kept_years: Years for which an impact assessment is kept after its end.
        exemption_days: Greatest number of days that an exemption holds.
        calendar: Chinese working days.
    """

    years: Mapping[str, int]
    renewal_days: int
    kept_years: int
    exemption_days: int
    calendar: WorkCalendar

    def latest_end(self, claims: BorderClaims) -> int | None:
        """Return the latest end that the law allows a statement, or None."""
        if isinstance(claims, ExemptionClaims):
            return claims.not_before + self.exemption_days * DAY_S
        if isinstance(claims, MechanismClaims) and claims.kind in self.years:
            months = self.years[claims.kind] * _MONTHS
            return end_of_day(add_months(day_in_hainan(claims.not_before), months))
        return None

    def renewal_due(self, not_after: int) -> Deadline:
        """Return the last day on which a renewal is asked for in time."""
        return self.calendar.before(day_in_hainan(not_after), self.renewal_days)

    def kept_until(self, not_after: int) -> dt.date:
        """Return the day up to which an impact assessment and its records are kept."""
        return add_months(day_in_hainan(not_after), self.kept_years * _MONTHS)


def day_in_hainan(at: int) -> dt.date:
    """Return the date in Asia/Shanghai of a time in unix seconds."""
    return _EPOCH + dt.timedelta(days=(at + SHANGHAI_OFFSET_S) // DAY_S)


def year_of(at: int) -> int:
    """Return the year in Asia/Shanghai that exports of this time are counted in."""
    return day_in_hainan(at).year


def load_law(data: Path) -> BorderLaw:
    """Return the law of the tables in a folder.

    Raises:
        ValueError: A table is malformed.
    """
    numbers = _table(data, "thresholds")
    return BorderLaw(
        years={
            "ASSESSMENT": _number(numbers, "assessment_years"),
            "CERT": _number(numbers, "certificate_years"),
        },
        renewal_days=_number(numbers, "renewal_working_days"),
        kept_years=_number(numbers, "impact_assessment_years"),
        exemption_days=_number(numbers, "exemption_days"),
        calendar=WorkCalendar(
            {int(year): _year(entry) for year, entry in _table(data, "working_days").items()}
        ),
    )


@lru_cache(maxsize=1)
def lawful_border() -> BorderLaw:
    """Return the law that ships with the policies, read once."""
    return load_law(POLICIES / "data")


def negative_lists(data: Path = POLICIES / "data") -> Mapping[str, Mapping[str, Any]]:
    """Return the register of negative lists (CAC Order 16 art. 6): kind of data to what is known.

    Raises:
        ValueError: It is malformed.
    """
    return _table(data, "negative_lists")


# Any marks the values of JSON objects.
def _table(data: Path, name: str) -> dict[str, dict[str, Any]]:
    table = json.loads((data / f"{name}.json").read_text(encoding="utf-8"))
    for key, entry in table.items():
        if not entry.get("source") or not entry.get("tag"):
            raise ValueError(f"{name}.{key}: every entry names its source and its tag")
    return dict(table)


def _number(numbers: Mapping[str, Mapping[str, Any]], name: str) -> int:
    value = numbers.get(name, {}).get("value")
    if not isinstance(value, int):
        raise ValueError(f"thresholds.{name}: a whole number is expected")  # noqa: TRY004 - a file's fault
    return value


def _year(entry: Mapping[str, Any]) -> YearDays:
    return YearDays(
        frozenset(day for span in entry["holidays"] for day in _days(span)),
        frozenset(map(dt.date.fromisoformat, entry["worked"])),
    )


def _days(span: str) -> Iterator[dt.date]:
    """Yield the days of `2026-02-15/2026-02-23`, or the one day of `2026-01-01`."""
    first, _, last = span.partition("/")
    day, end = dt.date.fromisoformat(first), dt.date.fromisoformat(last or first)
    while day <= end:
        yield day
        day += dt.timedelta(days=1)
