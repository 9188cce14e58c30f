"""What the export decision adds to a query: context and decision, at home and across the border.

    python -m bench.border [--json] [--quick]

`home` is an agency's request about a company, `company` a partner's abroad for the same fields,
`person` a partner's about a person, with consent, assessment, mechanism and counts. The registers
hold 1,000 mechanisms of other recipients, and 100 of this recipient that are over, beside the one
that counts. Each is measured with nothing remembered (every decision is evaluated) and with the
decision remembered, in turn, in the same run; what the border adds is the difference of the
medians. The counters are a stand-in that answers at once: theirs are measured in their room.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, replace

from bench.machine import machine
from bench.table import Row, print_rows
from gateway.border.counts import Standing
from gateway.decision.bundle import load
from gateway.decision.decider import Decider
from gateway.decision.wasm import WasmEngine
from gateway.domain.border import (
    Assessment,
    ExporterFacts,
    PartnerFacts,
    Register,
    Restriction,
    Statement,
)
from gateway.domain.facts import Hop
from gateway.domain.licence import Agreement, Grant, Licence
from gateway.domain.party import Caller, Party
from gateway.domain.request import ExchangeRequest
from gateway.domain.vocabulary import LicenceKind, Role, Status, SubjectKind
from gateway.registry.border import BorderRegisters
from gateway.registry.consents import subject_label
from gateway.registry.registry import View
from gateway.release.context import Node, gather
from tests.policies import facts_world as w
from tests.policies.engines import LAW
from tests.policies.facts_world import END, NOW, START

TARGET = "< 2"
ROUNDS = 9
KEY = bytes(32)
FIELDS = ("uscc", "name", "reg_status", "list_type", "dispute_flag")
AGENCY = w.party(party_id="uscc:agency")
PARTNER = w.party(Role.CROSS_BORDER_PARTNER, "SG", party_id="reg:SG:PARTNER1")
EXPORTER = w.party(party_id=w.EXPORTER)
PRODUCT = w.product()
SUBJECT = "person-token-0001"


class Counts:
    """Answers at once, as counters in memory do."""

    def standing(
        self, _exporter: str, _year: int, subjects: Sequence[str], *, sensitive: bool
    ) -> Standing:
        """Return this request's persons beside some thousands before it."""
        return Standing(40_000, 4_000 + len(subjects) * sensitive, 40)


def licence_of(party: Party, kind: LicenceKind, exporter: str = "") -> Licence:
    """Return a licence for everything that is asked here."""
    return w.licence(
        kind,
        licence_id=f"L-{party.party_id}",
        party_id=party.party_id,
        agreement=Agreement("A-1", START, END, exporter),
        grants={PRODUCT.name: Grant(frozenset(w.NAMES))},
        purposes=frozenset({"TRADE", "CREDIT_EVALUATION"}),
        destinations=frozenset({"CN", "SG"}),
        subject_kinds=frozenset(SubjectKind),
    )


def statements() -> BorderRegisters:
    """Return registers with what counts here and much that does not."""
    recipient = PARTNER.party_id

    def mechanism(number: str, whose: str, end: int = END) -> Statement:
        content = w.mechanism(mechanism_id=number, recipient=whose, not_after=end)
        return Statement(Register.MECHANISM, number, 1, Status.ACTIVE, START, end, 30, content)

    def other(register: Register, content: object, end: int | None = None) -> Statement:
        name = f"{register.value}-1"
        return Statement(register, name, 1, Status.ACTIVE, START, end, 31, content)  # type: ignore[arg-type]  # one of its contents

    stated = [
        mechanism("SCC-1", recipient),
        *(mechanism(f"OLD-{n}", recipient, NOW - 1) for n in range(100)),
        *(mechanism(f"OTHER-{n}", f"reg:HK:OTHER{n}") for n in range(1_000)),
        other(Register.ASSESSMENT, Assessment(w.EXPORTER, recipient, frozenset({"TRADE"})), END),
        other(Register.PARTNER, PartnerFacts(recipient, judicial=False, country="SG")),
        other(Register.RESTRICTED, Restriction(recipient, listed=False)),
        other(Register.EXPORTER, ExporterFacts(w.EXPORTER, ciio=False, state_organ=False)),
    ]
    names: dict[tuple[Register, str], list[str]] = {}
    for statement in stated:
        names.setdefault((statement.register, statement.about), []).append(statement.name)
    return BorderRegisters(
        {(s.register, s.name): (s,) for s in stated},
        {place: tuple(sorted(found)) for place, found in names.items()},
    )


def view() -> View:
    """Return a registry in which both the agency and the partner may ask."""
    licences = [
        licence_of(AGENCY, LicenceKind.ENTERPRISE_CREDIT_FILING),
        licence_of(PARTNER, LicenceKind.RECOGNITION_AGREEMENT, w.EXPORTER),
        licence_of(EXPORTER, LicenceKind.PERSONAL_CREDIT_LICENCE),
    ]
    consent = w.consent(
        recipient=PARTNER.party_id,
        mode="SEPARATE",
        subjects=frozenset({subject_label(KEY, SUBJECT)}),
    )
    return View(
        1,
        {party.party_id: party for party in (AGENCY, PARTNER, EXPORTER)},
        {},
        {},
        {licence.licence_id: licence for licence in licences},
        {consent.consent_id: consent},
        {},
        {(PARTNER.party_id, PRODUCT.name): (w.whitelist(),)},
        {},
        {(licence.party_id, PRODUCT.name): (licence,) for licence in licences},
        {},
        statements(),
    )


REQUESTS: dict[str, tuple[Party, ExchangeRequest]] = {
    "home": (AGENCY, w.request(*FIELDS)),
    "company": (PARTNER, w.request(*FIELDS, purpose="TRADE", destination="SG")),
    "person": (
        PARTNER,
        replace(
            w.request(*FIELDS, purpose="TRADE", destination="SG"),
            subject_kind=SubjectKind.NATURAL_PERSON,
            subjects=(SUBJECT,),
            consent_id="C-1",
        ),
    ),
}
NODE = Node("node-1", w.hop(2), {PRODUCT.name: Hop(w.UNIT, "k", START, 11)}, w.SWITCHES, KEY)


async def one(decider: Decider, registry: View, name: str) -> float:
    """Gather and decide one request; return milliseconds."""
    party, request = REQUESTS[name]
    caller = Caller(party, w.certificate(party_id=party.party_id))
    began = time.perf_counter_ns()
    facts = gather(registry, caller, request, PRODUCT, NODE, NOW, Counts())
    decision = await decider.decide(facts)
    took = (time.perf_counter_ns() - began) / 1e6
    assert decision.allow, decision.reasons
    return took


async def medians(decider: Decider, registry: View, times: int) -> dict[str, float]:
    """Return the median of each kind, the kinds in turn so that the machine treats all alike."""
    found: dict[str, list[float]] = {name: [] for name in REQUESTS}
    for _ in range(ROUNDS):
        for name, taken in found.items():
            round_ = [await one(decider, registry, name) for _ in range(times)]
            taken.append(statistics.median(round_))
    return {name: statistics.median(taken) for name, taken in found.items()}


async def measure(times: int) -> list[Row]:
    """Measure everything and return the rows."""
    registry, bundle = view(), load()
    rows = []
    for ways, size in (("evaluated", 0), ("remembered", 64)):
        decider = Decider(WasmEngine(bundle), bundle, LAW, 1000, memo_size=size)
        found = await medians(decider, registry, times)
        await decider.close()
        home = found["home"]
        for name in ("company", "person"):
            added = found[name] - home
            beside = f"at home {home:.3f} ms, {name} abroad {found[name]:.3f} ms"
            rows.append(Row(f"{name}, {ways}: added", added, "ms", TARGET, beside))
    return rows


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="a tenth of the calls")
    options = parser.parse_args()
    rows = asyncio.run(measure(30 if options.quick else 300))
    if options.json:
        told = [asdict(row) | {"verdict": row.verdict} for row in rows]
        print(json.dumps({"bench": "border", "machine": machine(), "rows": told}))
        return
    print(f"context and decision, with 1,101 mechanisms registered ({machine()['text']})")
    print_rows(rows)


if __name__ == "__main__":
    main()
