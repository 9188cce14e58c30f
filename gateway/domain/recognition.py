"""Mutual recognition: what a partner agreed to, and the tables by which answers are told abroad.

Pure: what a signed document says, whether a table of grades is total and monotone, and which day
is too old in a destination. What the law makes of it is Rego (`policies/xinguan/border`).
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.errors import InvalidRequestError


class Mode(StrEnum):
    """How a partner may be answered, by rising risk (domain-rules 8)."""

    HASH_CHECK = "HASH_CHECK"  # the subject carries its report; we confirm its digest
    STATUS_ONLY = "STATUS_ONLY"  # does a status hold: yes, or nothing shown
    CREDENTIAL = "CREDENTIAL"  # an enterprise credential
    GRADE_MAP = "GRADE_MAP"  # a grade in the partner's scale
    FULL_REPORT = "FULL_REPORT"  # whitelisted fields of several products, enterprises only
    RECORDS = "RECORDS"  # plain queries for whitelisted fields


class Register(StrEnum):
    """The registers of this room."""

    TERMS = "terms"
    MAPPING = "mapping"
    FIELDS = "fields"
    IDENTIFIERS = "identifiers"


class Direction(StrEnum):
    """Whose grades a mapping table starts from."""

    OUT = "OUT"  # ours into the partner's
    IN = "IN"  # the partner's into ours


@dataclass(frozen=True, slots=True)
class Effect:
    """Where a version of a signed document stands.

    Args:
        version: Its number, monotonic per register and key.
        index: Log index of the act that put it in effect.
        not_before: Start of effect, unix seconds.
        withdrawn_at: End of effect by withdrawal, or None.
    """

    version: int
    index: int
    not_before: int
    withdrawn_at: int | None

    def holds(self, at: int) -> bool:
        """Return whether it holds at `at`, unix seconds; for lists, never for a decision."""
        return self.not_before <= at and (self.withdrawn_at is None or at < self.withdrawn_at)


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a recognition agreement with one partner.

    Args:
        effect: Where the version stands.
        partner: Party id.
        agreement_id: The agreement that they belong to.
        modes: Modes that may be used.
        purposes: Purpose codes.
        jurisdictions: ISO 3166 codes of where answers may be used.
        end_uses: Scenario codes that are its end uses.
        onward_zh: The clause on onward use, Chinese; it stands in each answer.
        onward_en: The same in English.
        dispute_contact: Whom a subject or the partner turns to.
        mcc_annex: Id of the annex with the ASEAN model clauses, or empty.
        not_after: End of the term, unix seconds, exclusive.
    """

    effect: Effect
    partner: str
    agreement_id: str
    modes: frozenset[str]
    purposes: frozenset[str]
    jurisdictions: frozenset[str]
    end_uses: frozenset[str]
    onward_zh: str
    onward_en: str
    dispute_contact: str
    mcc_annex: str
    not_after: int


@dataclass(frozen=True, slots=True)
class Scale:
    """A scale of grades, the best first."""

    name: str
    grades: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GradeTable:
    """A table that maps the grades of one scale to those of another.

    Args:
        effect: Where the version stands.
        mapping_id: Its stable id.
        partner: Whose scale the other one is.
        product: Our product that carries our grade.
        field: The field of that product.
        direction: Whose grades it starts from.
        source: The scale that it starts from.
        target: The scale that it leads to.
        rows: Each grade of the source to a grade of the target, or to None: no equivalent.
        incentive: True when it serves incentives only (R70).
        purposes: Purposes that it serves; empty for all that the terms name.
    """

    effect: Effect
    mapping_id: str
    partner: str
    product: str
    field: str
    direction: Direction
    source: Scale
    target: Scale
    rows: Mapping[str, str | None]
    incentive: bool
    purposes: frozenset[str]

    def told(self, grade: str) -> str | None:
        """Return the grade in the target's scale, or None where it has no equivalent."""
        return self.rows.get(grade)


@dataclass(frozen=True, slots=True)
class FieldName:
    """How one of our fields is called, and limited, in a destination.

    Args:
        product: Our product.
        field: Our field.
        name: Its name there.
        label: Its English label there.
        unit: Its unit there, or empty.
        forbidden: True when the destination forbids to receive it.
        oldest_years: Records whose date in this field is older do not go there; 0 for no limit.
        source: What the row rests on.
        tag: How well that was confirmed (domain-rules 0).
    """

    product: str
    field: str
    name: str
    label: str
    unit: str
    forbidden: bool
    oldest_years: int
    source: str
    tag: str


@dataclass(frozen=True, slots=True)
class FieldTable:
    """The names of our fields in one destination, and what its law keeps out.

    Args:
        effect: Where the version stands.
        jurisdiction: ISO 3166 code.
        rows: Product and field to its row.
    """

    effect: Effect
    jurisdiction: str
    rows: Mapping[tuple[str, str], FieldName]

    def forbidden(self, product: str) -> frozenset[str]:
        """Return the fields of a product that the destination forbids."""
        return frozenset(
            row.field for row in self.rows.values() if row.product == product and row.forbidden
        )

    def oldest(self, product: str, today: dt.date) -> dict[str, str]:
        """Return each date field with the first day that is not too old there, ISO 8601."""
        return {
            row.field: years_before(today, row.oldest_years).isoformat()
            for row in self.rows.values()
            if row.product == product and row.oldest_years
        }


@dataclass(frozen=True, slots=True)
class Recognition:
    """What a decision knows of mutual recognition.

    Args:
        mode: The mode asked for; empty for none of this room.
        terms: The partner's terms in their newest version, withdrawn or not, or None.
        mapping: The mapping table of partner and product, or None.
        table: The field table of the destination, or None.
    """

    mode: str
    terms: Terms | None
    mapping: GradeTable | None
    table: FieldTable | None


def years_before(day: dt.date, years: int) -> dt.date:
    """Return the same day some years before; 29 February becomes the 28th."""
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        return day.replace(year=day.year - years, day=28)


def check_mapping(
    source: Scale, target: Scale, rows: Sequence[tuple[str, str | None]]
) -> dict[str, str | None]:
    """Return a mapping's rows by grade, once they are total and monotone.

    Args:
        source: The scale that it starts from, the best first.
        target: The scale that it leads to, the best first.
        rows: Grade of the source, grade of the target or None.

    Raises:
        InvalidRequestError: `BAD_MAPPING`: a grade is missing, foreign or stated twice, or a
            better grade would lead to a worse one.
    """
    for scale in (source, target):
        if len(set(scale.grades)) != len(scale.grades):
            raise InvalidRequestError("BAD_MAPPING", "a scale names a grade twice")
    mapped = dict(rows)
    if len(mapped) != len(rows):
        raise InvalidRequestError("BAD_MAPPING", "a grade is mapped twice")
    if set(mapped) != set(source.grades):
        raise InvalidRequestError(
            "BAD_MAPPING", "every grade of the source is mapped or has no equivalent, and no other"
        )
    worst = -1
    for grade in source.grades:
        told = mapped[grade]
        if told is None:
            continue
        if told not in target.grades:
            raise InvalidRequestError("BAD_MAPPING", "a grade is mapped out of the target's scale")
        place = target.grades.index(told)
        if place < worst:
            raise InvalidRequestError("BAD_MAPPING", "a worse grade would lead to a better one")
        worst = place
    return mapped
