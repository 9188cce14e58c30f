"""The read side of the registers of the border; acts on them are in `gateway.border`.

A part of the registry's view: of the same moment, refreshed by the same version.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.domain.border import (
    Assessment,
    Content,
    Exemption,
    ExporterFacts,
    ImportantData,
    PartnerFacts,
    Register,
    Restriction,
    Statement,
    speaking,
)
from gateway.domain.facts import Mechanism
from gateway.domain.vocabulary import Status

COLUMNS = (
    "register, name, version, terms, document, proposer, approvals, registered_index, status,"
    " status_index, alarm_index, log_index"
)
StatementRow = tuple[
    str, str, int, str, str | None, str, str, int | None, str, int, int | None, int
]
Key = tuple[Register, str]


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands in a register about one recipient, party or product at one time.

    Args:
        statements: One for each name that speaks, in order of the names.
        turns: Times at which another version of one of the names begins to speak.
    """

    statements: tuple[Statement, ...]
    turns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BorderRegisters:
    """One consistent state of all registers of the border. It never changes.

    Args:
        versions: Register and name to the versions that were put in effect, ascending.
        names: Register and what is looked up to the names that stand there, sorted.
    """

    versions: Mapping[Key, tuple[Statement, ...]] = field(default_factory=dict)
    names: Mapping[Key, tuple[str, ...]] = field(default_factory=dict)

    def standing(self, register: Register, about: str, at: int) -> Standing:
        """Return what stands about a recipient, a party or a product.

        Args:
            register: Which register.
            about: See `Statement.about`.
            at: Unix seconds.
        """
        found: list[Statement] = []
        turns: list[int] = []
        for name in self.names.get((register, about), ()):
            versions = self.versions[register, name]
            spoken = speaking(versions, at)
            if spoken is not None and spoken.about == about:
                found.append(spoken)
            turns += [version.not_before for version in versions if version.not_before > at]
        return Standing(tuple(found), tuple(turns))

    def mechanism(self, name: str, at: int) -> Statement | None:
        """Return the mechanism of a number that speaks at a time, or None."""
        return speaking(self.versions.get((Register.MECHANISM, name), ()), at)

    def with_rows(self, rows: Iterable[StatementRow]) -> "BorderRegisters":
        """Return the registers with the changed rows put in their places."""
        versions, names = dict(self.versions), dict(self.names)
        for row in rows:
            statement = from_row(row)
            if statement is None:
                continue
            key = (statement.register, statement.name)
            others = [v for v in versions.get(key, ()) if v.version != statement.version]
            versions[key] = tuple(sorted([*others, statement], key=lambda v: v.version))
            place = (statement.register, statement.about)
            names[place] = tuple(sorted({*names.get(place, ()), statement.name}))
        return BorderRegisters(versions, names)


def from_row(row: StatementRow) -> Statement | None:
    """Return the statement in a row of `COLUMNS`, or None while it is not in effect."""
    register_text, name, version, text, _, _, _, index, status, _, _, _ = row
    if index is None:
        return None
    register, terms = Register(register_text), json.loads(text)
    return Statement(
        register=register,
        name=name,
        version=version,
        status=Status(status),
        not_before=terms["not_before"],
        not_after=terms.get("not_after"),
        index=index,
        content=_CONTENTS[register](terms, index),
    )


# Terms are JSON that the gateway wrote after verifying it; Any marks the values of its objects.
Terms = Mapping[str, Any]


def _mechanism(terms: Terms, index: int) -> Content:
    return Mechanism(
        mechanism_id=terms["number"],
        kind=terms["kind"],
        exporter=terms["exporter"],
        recipient=terms["recipient"],
        fields=frozenset(terms["fields"]),
        purposes=frozenset(terms["purposes"]),
        scale_cap=terms["scale_cap"],
        not_before=terms["not_before"],
        not_after=terms["not_after"],
        index=index,
    )


def _assessment(terms: Terms, _: int) -> Content:
    return Assessment(terms["exporter"], terms["recipient"], frozenset(terms["purposes"]))


def _exemption(terms: Terms, _: int) -> Content:
    return Exemption(
        terms["exporter"],
        terms["recipient"],
        frozenset(terms["products"]),
        frozenset(terms["purposes"]),
        terms["basis"],
    )


def _restriction(terms: Terms, _: int) -> Content:
    return Restriction(terms["party"], terms["listed"])


def _partner(terms: Terms, _: int) -> Content:
    return PartnerFacts(terms["party"], terms["judicial"], terms["country"])


def _exporter(terms: Terms, _: int) -> Content:
    return ExporterFacts(terms["party"], terms["ciio"], terms["state_organ"])


def _important(terms: Terms, _: int) -> Content:
    return ImportantData(terms["product"], frozenset(terms["fields"]), terms["notified"])


_CONTENTS: Mapping[Register, Callable[[Terms, int], Content]] = {
    Register.MECHANISM: _mechanism,
    Register.ASSESSMENT: _assessment,
    Register.RESTRICTED: _restriction,
    Register.PARTNER: _partner,
    Register.EXPORTER: _exporter,
    Register.EXEMPTION: _exemption,
    Register.IMPORTANT: _important,
}
