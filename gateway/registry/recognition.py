"""The read side of mutual recognition: what was put in effect, as the decision needs it.

The acts are in `gateway.recognition.register`. A version that was withdrawn stays the newest one:
an older one never comes back, and the policy is told that it was withdrawn.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from audit.store import Reader
from gateway.domain.recognition import (
    Direction,
    Effect,
    FieldName,
    FieldTable,
    GradeTable,
    Register,
    Scale,
    Terms,
)

COLUMNS = (
    "register, name, version, content, salt, proposer, approvals, effect_index, not_before,"
    " withdrawn_at, log_index"
)
Row = tuple[str, str, int, str, bytes, str, str, int | None, int, int | None, int]
Content = Mapping[str, Any]  # Any: values of a JSON object
InEffect = Terms | GradeTable | FieldTable


def mapping_name(partner: str, product: str, direction: str) -> str:
    """Return what the versions of a mapping table share."""
    return f"{partner}/{product}/{direction}"


@dataclass(frozen=True, slots=True)
class Recognitions:
    """Every version that was put in effect, ascending, by register and name."""

    versions: Mapping[tuple[str, str], tuple[InEffect, ...]] = field(default_factory=dict)

    def terms(self, partner: str, at: int) -> Terms | None:
        """Return a partner's terms that began, in their newest version, or None."""
        found = self._newest(Register.TERMS, partner, at)
        return found if isinstance(found, Terms) else None

    def mapping(self, partner: str, product: str, direction: str, at: int) -> GradeTable | None:
        """Return the mapping table of a partner and a product, in its newest version, or None."""
        name = mapping_name(partner, product, direction)
        found = self._newest(Register.MAPPING, name, at)
        return found if isinstance(found, GradeTable) else None

    def table(self, jurisdiction: str, at: int) -> FieldTable | None:
        """Return the field table of a destination, in its newest version, or None."""
        found = self._newest(Register.FIELDS, jurisdiction, at)
        return found if isinstance(found, FieldTable) else None

    def mappings_of(self, partner: str, at: int) -> list[GradeTable]:
        """Return every mapping table of a partner, each in its newest version."""
        newest = (self._newest(Register.MAPPING, name, at) for name in self._names(partner))
        return [found for found in newest if isinstance(found, GradeTable)]

    def _names(self, partner: str) -> Iterable[str]:
        for register, name in sorted(self.versions):
            if register == Register.MAPPING and name.startswith(f"{partner}/"):
                yield name

    def _newest(self, register: Register, name: str, at: int) -> InEffect | None:
        for version in reversed(self.versions.get((register, name), ())):
            if version.effect.not_before <= at:
                return version
        return None


def refreshed(connection: Reader, old: Recognitions, version: int) -> Recognitions:
    """Return the registers with what changed after a version of the registry.

    Args:
        connection: Reads the state.
        old: What was known.
        version: The version that it was known at.
    """
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM recognition_documents WHERE changed > ?", (version,)
    ).fetchall()
    found: dict[tuple[str, str], tuple[InEffect, ...]] = {}
    for row in rows:
        known = in_effect(row)
        if known is None:
            continue
        key = (row[0], row[1])
        present = found.get(key, old.versions.get(key, ()))
        others = [other for other in present if other.effect.version != known.effect.version]
        found[key] = tuple(sorted([*others, known], key=lambda each: each.effect.version))
    return Recognitions({**old.versions, **found}) if found else old


def in_effect(row: Row) -> InEffect | None:
    """Return what a row puts in effect; None for one that awaits approval, or of identifiers."""
    register, content = row[0], json.loads(row[3])
    if row[7] is None:
        return None
    effect = Effect(row[2], row[7], row[8], row[9])
    if register == Register.TERMS:
        return _terms(content, effect)
    if register == Register.MAPPING:
        return _mapping(content, effect)
    return _table(content, effect) if register == Register.FIELDS else None


def _terms(content: Content, effect: Effect) -> Terms:
    return Terms(
        effect=effect,
        partner=content["partner"],
        agreement_id=content["agreement_id"],
        modes=frozenset(content["modes"]),
        purposes=frozenset(content["purposes"]),
        jurisdictions=frozenset(content["jurisdictions"]),
        end_uses=frozenset(content["end_uses"]),
        onward_zh=content["onward_zh"],
        onward_en=content["onward_en"],
        dispute_contact=content["dispute_contact"],
        mcc_annex=content["mcc_annex"],
        not_after=content["not_after"],
    )


def _mapping(content: Content, effect: Effect) -> GradeTable:
    return GradeTable(
        effect=effect,
        mapping_id=content["mapping_id"],
        partner=content["partner"],
        product=content["product"],
        field=content["field"],
        direction=Direction(content["direction"]),
        source=_scale(content["source"]),
        target=_scale(content["target"]),
        rows={row["grade"]: row["equals"] or None for row in content["rows"]},
        incentive=content["incentive"],
        purposes=frozenset(content["purposes"]),
    )


def _scale(content: Content) -> Scale:
    return Scale(content["name"], tuple(content["grades"]))


def _table(content: Content, effect: Effect) -> FieldTable:
    rows = [FieldName(**row) for row in content["rows"]]
    return FieldTable(
        effect=effect,
        jurisdiction=content["jurisdiction"],
        rows={(row.product, row.field): row for row in rows},
    )
