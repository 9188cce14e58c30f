"""How long an adverse record may be shown and shared, as pure arithmetic.

The numbers come in as a `PeriodTable` (`policies/periods.yaml`), because they are law and
change without the code. Sources: NDRC Order 36 of 2025 and measure M20 (periods by
severity), Civil Code 201-202 (the month-end rule), domain-rules 4.2 as corrected in 13:

- a record type has a basis; state-based and court lists have no period of their own;
- the maximum holds for records whose duty is fulfilled; an uncorrected one follows its
  industry authority, that is, the source's own end of publicity;
- the source's `publicity_end` is never rewritten; past the lawful end the record is
  withheld and an alarm goes back to the source;
- only a law or an administrative regulation overrides a period (R24).
"""

import calendar
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

# China keeps one time zone without summer time since 1991; no record is older than that.
SHANGHAI_OFFSET_S = 8 * 3600
DAY_S = 86_400
_EPOCH = dt.date(1970, 1, 1)


class Severity(StrEnum):
    """失信严重程度. UNLABELLED marks old published records without a class (domain-rules 13)."""

    NONE = "NONE"
    MINOR = "MINOR"
    GENERAL = "GENERAL"
    SERIOUS = "SERIOUS"
    UNLABELLED = "UNLABELLED"


class PeriodBasis(StrEnum):
    """What the period of a record type counts from, or that it has none."""

    DOCUMENT = "DOCUMENT"  # from the date of the determining document (Order 36)
    PUBLICITY = "PUBLICITY"  # from the start of publicity (SAMR Order 45)
    STATE = "STATE"  # as long as the state lasts (abnormal lists)
    COURT = "COURT"  # judicial interpretation (judgement debtors)


class BasisLevel(StrEnum):
    """Rank of the instrument behind an override."""

    LAW = "LAW"
    ADMIN_REGULATION = "ADMIN_REGULATION"
    DEPARTMENTAL_RULE = "DEPARTMENTAL_RULE"
    LOCAL_RULE = "LOCAL_RULE"


@dataclass(frozen=True, slots=True)
class Term:
    """The period of one severity.

    Args:
        min_months: Months before a repair may be asked for; None means at fulfilment.
        max_months: Months after which publicity and sharing stop.
    """

    min_months: int | None
    max_months: int


@dataclass(frozen=True, slots=True)
class PeriodTable:
    """The numbers of the law.

    Args:
        terms: Severity to its period; a severity that is not here has no lawful publicity.
        bases: Product name to its basis; a product that is not here has `default_basis`.
        default_basis: Basis of the other products.
        override_levels: Ranks of instruments that may override a period.
        unlabelled_before: First date from which a record without a class is no longer "old".
        validities: Product name to the field with the last day on which its values hold (M35);
            afterwards they are not served.
    """

    terms: Mapping[Severity, Term]
    bases: Mapping[str, PeriodBasis]
    default_basis: PeriodBasis
    override_levels: frozenset[BasisLevel]
    unlabelled_before: dt.date
    validities: Mapping[str, str] = field(default_factory=dict)

    def basis(self, product: str) -> PeriodBasis:
        """Return the basis of a product's records."""
        return self.bases.get(product, self.default_basis)


@dataclass(frozen=True, slots=True)
class Override:
    """Another period, and the rank of the instrument that sets it."""

    level: BasisLevel
    min_months: int | None
    max_months: int


@dataclass(frozen=True, slots=True)
class Period:
    """The lawful window of one record; every end is a date whose 24:00 still belongs to it.

    Args:
        start: First day of the count, which itself is not counted.
        min_end: End of the shortest publicity, or None when it is not yet known.
        max_end: End of the longest publicity, or None when the period has no end of its own.
    """

    start: dt.date
    min_end: dt.date | None
    max_end: dt.date | None


class PeriodError(ValueError):
    """The period can't be computed: no term for the severity or no date to count from."""


def add_months(day: dt.date, months: int) -> dt.date:
    """Return the same-numbered day `months` later, or that month's end if there is none.

    Args:
        day: Day from which the count runs; it is not counted itself (Civil Code 201).
        months: Whole months, 0 or more.
    """
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return dt.date(year, month + 1, min(day.day, last))


def end_of_day(day: dt.date) -> int:
    """Return 24:00 of `day` in Asia/Shanghai as unix seconds."""
    return ((day - _EPOCH).days + 1) * DAY_S - SHANGHAI_OFFSET_S


def lawful_period(
    table: PeriodTable,
    basis: PeriodBasis,
    severity: Severity,
    *,
    determined_on: dt.date | None,
    publicity_start: dt.date | None,
    fulfilled_on: dt.date | None,
    override: Override | None = None,
) -> Period:
    """Return the window in which the record may be public (domain-rules 4.2).

    Args:
        table: The numbers.
        basis: What the record type counts from.
        severity: Class of the record.
        determined_on: Date of the determining document.
        publicity_start: First day of publicity; the start for the PUBLICITY basis.
        fulfilled_on: Date of fulfilment, or None while it is not corrected.
        override: Another period; ignored unless its rank is a law's or a regulation's (R24).

    Raises:
        PeriodError: When the date to count from or the severity's term is missing.
    """
    start = publicity_start if basis is PeriodBasis.PUBLICITY else determined_on
    if start is None:
        raise PeriodError("the record has no date to count its period from")
    if basis in (PeriodBasis.STATE, PeriodBasis.COURT):
        return Period(start, fulfilled_on, None)
    term = table.terms.get(severity)
    if term is None:
        raise PeriodError("the severity has no period")
    minimum, maximum = term.min_months, term.max_months
    if override is not None and override.level in table.override_levels:
        minimum, maximum = override.min_months, override.max_months
    max_end = add_months(start, maximum) if fulfilled_on is not None else None
    return Period(start, fulfilled_on if minimum is None else add_months(start, minimum), max_end)


def sharing_stops_at(period: Period, publicity_end: dt.date | None) -> int | None:
    """Return when the record stops being shareable, in unix seconds; None means never by date.

    The earlier of the source's end and the lawful end holds; an earlier end of the source is
    honoured, a later one is not, and neither is rewritten.
    """
    ends = [day for day in (period.max_end, publicity_end) if day is not None]
    return end_of_day(min(ends)) if ends else None


def overruns(period: Period, publicity_end: dt.date | None) -> bool:
    """Tell whether the source declares a later end than the lawful one, which is an alarm."""
    return (
        period.max_end is not None and publicity_end is not None and publicity_end > period.max_end
    )
