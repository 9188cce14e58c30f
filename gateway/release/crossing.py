"""What the policy is told of a request that crosses the border, read from the registers.

Nothing is decided here: each register's word is picked for this exporter, recipient, product and
purpose, and its log index is cited. What nobody stated is told as the worst that it could be.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from gateway.border.counts import ExportCounts
from gateway.border.law import year_of
from gateway.domain.border import (
    Assessment,
    Exemption,
    ExporterFacts,
    ImportantData,
    PartnerFacts,
    Register,
    Restriction,
    Statement,
)
from gateway.domain.facts import Border, Exporter, Mechanism, Whitelist
from gateway.domain.licence import Licence
from gateway.domain.party import Caller, Party
from gateway.domain.product import Product
from gateway.domain.request import ExchangeRequest
from gateway.domain.vocabulary import FieldClass, Status, SubjectKind
from gateway.registry.border import BorderRegisters

HOME = "CN"
# Kinds of subject whose every field is personal information, and sensitive (domain-rules 3.3;
# the policy's own list is `person_kinds`).
PERSON_KINDS = frozenset({SubjectKind.NATURAL_PERSON, SubjectKind.SOLE_PROP})
_PERSONAL = frozenset({FieldClass.PI, FieldClass.SPI})


class Registered(Protocol):
    """The part of the registry's view that a crossing is read from."""

    @property
    def border(self) -> BorderRegisters:
        """The registers of the border."""
        ...

    def party(self, party_id: str) -> Party | None:
        """Return a registered organisation, or None."""
        ...

    def licences_of(self, party_id: str, product: str) -> tuple[Licence, ...]:
        """Return every licence of a party that grants a product, whatever its status."""
        ...

    def is_foreign_bureau(self, party_id: str) -> bool:
        """True for a party that is an issuer abroad of the kind bureau, in any version."""
        ...

    def whitelist(self, partner: str, product: str, at: int | None = None) -> Whitelist | None:
        """Return the newest field whitelist of a partner and a product in effect (R68)."""
        ...


@dataclass(slots=True)
class _Reading:
    """One reading of the registers: what was read, and when it will read otherwise."""

    registers: BorderRegisters
    now: int
    rests_on: set[int]
    turns: set[int]

    def about(self, register: Register, key: str) -> Iterator[Statement]:
        """Yield what speaks about a recipient, a party or a product."""
        standing = self.registers.standing(register, key, self.now)
        self.turns.update(standing.turns)
        yield from standing.statements

    def cite(self, statement: Statement) -> None:
        """Note that a fact was read from this statement."""
        self.rests_on.add(statement.index)


def crossing(
    view: Registered,
    caller: Caller,
    request: ExchangeRequest,
    product: Product,
    licence: Licence | None,
    counts: ExportCounts,
    now: int,
) -> Border:
    """Return the facts of a request that crosses the border (domain-rules 5.3).

    Args:
        view: One state of the registry.
        caller: Who is on the line: the recipient.
        request: What is asked.
        product: The contract asked about.
        licence: The recipient's licence, whose agreement names the exporter, or None.
        counts: Persons of the exporter this year.
        now: Unix seconds.
    """
    reading = _Reading(view.border, now, set(), set())
    recipient = caller.party.party_id
    partner = _partner(reading, recipient)
    country = caller.party.jurisdiction
    if country == HOME:
        country = request.destination
    named = "" if licence is None else licence.agreement.exporter
    exporter_id = named or f"uscc:{product.manager_uscc}"
    exporter = _exporter(view, reading, exporter_id, request, product, counts, named=bool(named))
    whitelist = view.whitelist(recipient, product.name, now)
    bound = "" if whitelist is None else whitelist.mechanism
    mechanisms = tuple(_mechanisms(reading, exporter_id, recipient, request.purpose, bound))
    return Border(
        country=country if partner is None else partner.country,
        is_judicial=partner is not None and partner.judicial,
        restricted=_restricted(reading, recipient),
        important_data=_important(reading, request, product),
        whitelist=whitelist,
        mechanisms=mechanisms,
        exporter=exporter,
        impact_assessment_until=_assessed_until(reading, exporter_id, recipient, request.purpose),
        exempt_basis=_exempt_basis(reading, exporter_id, recipient, request, product),
        rests_on=tuple(sorted(reading.rests_on)),
        turns=tuple(sorted(turn for turn in reading.turns if turn > now)),
        intermediary=view.is_foreign_bureau(recipient),
    )


def _partner(reading: _Reading, recipient: str) -> PartnerFacts | None:
    for statement in reading.about(Register.PARTNER, recipient):
        if isinstance(statement.content, PartnerFacts):
            reading.cite(statement)
            return statement.content
    return None


def _restricted(reading: _Reading, recipient: str) -> bool:
    for statement in reading.about(Register.RESTRICTED, recipient):
        if isinstance(statement.content, Restriction):
            reading.cite(statement)
            return statement.content.listed
    return False


def _important(reading: _Reading, request: ExchangeRequest, product: Product) -> bool:
    for statement in reading.about(Register.IMPORTANT, product.name):
        content = statement.content
        if isinstance(content, ImportantData) and content.notified:
            touched = not content.fields or not content.fields.isdisjoint(request.decided)
            if touched:
                reading.cite(statement)
            return touched
    return False


def _mechanisms(
    reading: _Reading, exporter: str, recipient: str, purpose: str, bound: str
) -> Iterator[Mechanism]:
    """Yield the mechanisms of this exporter for this recipient that could bear this request.

    What is over, or is for other purposes, holds for nothing here and costs nothing; the one
    that binds the whitelist is told whatever it is for.
    """
    for statement in reading.about(Register.MECHANISM, recipient):
        content = statement.content
        if not isinstance(content, Mechanism) or content.exporter != exporter:
            continue
        touched = purpose in content.purposes or content.mechanism_id == bound
        if touched and reading.now < content.not_after:
            reading.cite(statement)
            yield content


def _assessed_until(reading: _Reading, exporter: str, recipient: str, purpose: str) -> int | None:
    """Return until when an impact assessment covers exporter, recipient and purpose."""
    until: int | None = None
    for statement in reading.about(Register.ASSESSMENT, recipient):
        content, ends = statement.content, statement.not_after
        if not isinstance(content, Assessment) or ends is None:
            continue
        if content.exporter == exporter and purpose in content.purposes:
            reading.cite(statement)
            until = ends if until is None else max(until, ends)
    return until


def _exempt_basis(
    reading: _Reading,
    exporter: str,
    recipient: str,
    request: ExchangeRequest,
    product: Product,
) -> str:
    for statement in reading.about(Register.EXEMPTION, recipient):
        content, ends = statement.content, statement.not_after
        if not isinstance(content, Exemption) or ends is None or ends <= reading.now:
            continue
        covered = product.name in content.products and request.purpose in content.purposes
        if content.exporter == exporter and covered:
            reading.cite(statement)
            reading.turns.add(ends)
            return content.basis
    return ""


def _exporter(
    view: Registered,
    reading: _Reading,
    party_id: str,
    request: ExchangeRequest,
    product: Product,
    counts: ExportCounts,
    *,
    named: bool,
) -> Exporter:
    """Return the exporter of record; what it is, when nobody stated it, is the worst."""
    facts: ExporterFacts | None = None
    for statement in reading.about(Register.EXPORTER, party_id):
        if isinstance(statement.content, ExporterFacts):
            reading.cite(statement)
            facts = statement.content
    party = view.party(party_id)
    active = party is not None and party.status is Status.ACTIVE
    licences = _licences(view, reading, party_id, product.name) if active else frozenset()
    persons, sensitive, index = 0, 0, -1
    if personal(request, product):
        year, subjects = year_of(reading.now), request.subjects
        wanted = sensitive_persons(request, product)
        standing = counts.standing(party_id, year, subjects, sensitive=wanted)
        persons, sensitive = standing.persons, standing.sensitive_persons
        index = standing.index
        if wanted and ordinary_persons(request, product):
            # Who is sent as both counts in both (domain-rules 13).
            persons = counts.standing(party_id, year, subjects, sensitive=False).persons
    return Exporter(
        party_id=party_id,
        is_ciio=True if facts is None else facts.ciio,
        is_state_organ=True if facts is None else facts.state_organ,
        persons=persons,
        sensitive_persons=sensitive,
        counters_index=index,
        named=named,
        stated=facts is not None,
        role=party.role.value if party is not None and active else "",
        licences=licences,
    )


def _licences(view: Registered, reading: _Reading, party_id: str, product: str) -> frozenset[str]:
    """Return the kinds of an exporter's licences that are in force for a product now."""
    found = set()
    for licence in view.licences_of(party_id, product):
        reading.turns.update((licence.not_before, licence.not_after))
        if licence.status is Status.ACTIVE and (
            licence.not_before <= reading.now < licence.not_after
        ):
            found.add(licence.kind.value)
    return frozenset(found)


def personal(request: ExchangeRequest, product: Product) -> bool:
    """Say whether a request could be of personal information, whatever is dropped from it."""
    if request.subject_kind in PERSON_KINDS:
        return True
    fields = product.fields
    return any(
        name in fields and fields[name].classification in _PERSONAL for name in request.decided
    )


def sensitive_persons(request: ExchangeRequest, product: Product) -> bool:
    """Say whether its personal information would be sensitive."""
    if request.subject_kind in PERSON_KINDS:
        return True
    fields = product.fields
    return any(
        name in fields and fields[name].classification is FieldClass.SPI for name in request.decided
    )


def ordinary_persons(request: ExchangeRequest, product: Product) -> bool:
    """Say whether it is of an organisation, with personal information that isn't sensitive."""
    if request.subject_kind in PERSON_KINDS:
        return False
    fields = product.fields
    return any(
        name in fields and fields[name].classification is FieldClass.PI for name in request.decided
    )
