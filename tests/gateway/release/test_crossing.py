"""What the policy is told of a crossing: picked by scope, cited, constant between its turns."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.border.counts import ThisRequestOnly
from gateway.decision.tables import flatten
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
from gateway.domain.party import Caller
from gateway.domain.vocabulary import LicenceKind, Role, Status, SubjectKind
from gateway.registry.border import BorderRegisters
from gateway.registry.registry import View
from gateway.release.crossing import PERSON_KINDS, crossing, personal, sensitive_persons
from tests.policies import facts_world as w
from tests.policies.engines import ROOT
from tests.policies.facts_world import END, NOW, START

PARTNER = w.party(Role.CROSS_BORDER_PARTNER, "SG", party_id="reg:SG:PARTNER1")
OTHER = "reg:SG:OTHER01"
PRODUCT = w.product()
REQUEST = w.request(purpose="TRADE", destination="SG")


def contents(register):
    purposes, exporter, recipient = frozenset({"TRADE"}), w.EXPORTER, PARTNER.party_id
    return {
        Register.MECHANISM: w.mechanism(exporter=exporter, recipient=recipient),
        Register.ASSESSMENT: Assessment(exporter, recipient, purposes),
        Register.RESTRICTED: Restriction(recipient, listed=True),
        Register.PARTNER: PartnerFacts(recipient, judicial=True, country="MY"),
        Register.EXPORTER: ExporterFacts(exporter, ciio=False, state_organ=False),
        Register.EXEMPTION: Exemption(
            exporter, recipient, frozenset({PRODUCT.name}), purposes, "ART4"
        ),
        Register.IMPORTANT: ImportantData(PRODUCT.name, frozenset({"uscc"}), notified=True),
    }[register]


def statement(register, *, start=START, end=END, version=1, status=Status.ACTIVE, content=None):
    content = content or contents(register)
    if register is Register.MECHANISM:
        content = replace(content, not_before=start, not_after=end)
    termed = register in {Register.MECHANISM, Register.ASSESSMENT, Register.EXEMPTION}
    return Statement(
        register, "S-1", version, status, start, end if termed else None, 100 + version, content
    )


def registers(*stated):
    versions, names = {}, {}
    for each in stated:
        key = (each.register, each.name)
        versions[key] = (*versions.get(key, ()), each)
        names[each.register, each.about] = (each.name,)
    return BorderRegisters(versions, names)


def view(*stated, exporter=w.EXPORTER):
    licence = w.licence(LicenceKind.PERSONAL_CREDIT_LICENCE, party_id=w.EXPORTER)
    whitelist = w.whitelist(mechanism="SCC-1")
    return View(
        1,
        {party.party_id: party for party in (PARTNER, w.party(party_id=exporter))},
        {},
        {},
        {},
        {},
        {},
        {(PARTNER.party_id, PRODUCT.name): (whitelist,)},
        {},
        {(w.EXPORTER, PRODUCT.name): (licence,)},
        {},
        registers(*stated),
    )


def told(*stated, now=NOW, request=REQUEST, exporter=w.EXPORTER):
    caller = Caller(PARTNER, w.certificate())
    agreement = replace(w.licence().agreement, exporter=exporter)
    licence = w.licence(LicenceKind.RECOGNITION_AGREEMENT, agreement=agreement)
    return crossing(view(*stated), caller, request, PRODUCT, licence, ThisRequestOnly(), now)


def test_nothing_stated_is_told_as_the_worst() -> None:
    border = told()
    assert border.exporter.is_ciio
    assert border.exporter.is_state_organ
    assert not border.exporter.stated
    assert (border.mechanisms, border.impact_assessment_until, border.exempt_basis) == (
        (),
        None,
        "",
    )
    assert border.rests_on == ()
    assert not border.is_judicial  # the authority signed its licence (ADR 28)


def test_everything_stated_is_told_and_cited() -> None:
    border = told(*(statement(register) for register in Register))
    assert border.is_judicial
    assert border.restricted
    assert border.important_data
    assert border.country == "MY"
    assert border.exporter.stated
    assert border.exporter.role == "AGENCY"
    assert border.exporter.licences == {"PERSONAL_CREDIT_LICENCE"}
    assert not border.exporter.is_ciio
    assert len(border.mechanisms) == 1
    assert border.impact_assessment_until == END
    assert border.exempt_basis == "ART4"
    assert border.rests_on == (101,)
    assert END in border.turns


@pytest.mark.parametrize("register", list(Register))
@pytest.mark.parametrize("status", [Status.SUSPENDED, Status.REVOKED])
def test_what_was_suspended_or_withdrawn_is_not_told(register, status) -> None:
    assert replace(told(statement(register, status=status)), turns=()) == replace(told(), turns=())


@pytest.mark.parametrize(
    ("register", "changes"),
    [
        (Register.MECHANISM, {"exporter": "uscc:another"}),
        (Register.ASSESSMENT, {"exporter": "uscc:another"}),
        (Register.ASSESSMENT, {"purposes": frozenset({"CREDIT_REPORT"})}),
        (Register.EXEMPTION, {"exporter": "uscc:another"}),
        (Register.EXEMPTION, {"products": frozenset({"another"})}),
        (Register.EXEMPTION, {"purposes": frozenset()}),
        (Register.IMPORTANT, {"fields": frozenset({"capital"})}),
        (Register.IMPORTANT, {"notified": False}),
    ],
)
def test_what_is_out_of_scope_is_not_told(register, changes) -> None:
    stated = statement(register, content=replace(contents(register), **changes))
    assert replace(told(stated), turns=()) == replace(told(), turns=())


def test_a_mechanism_for_another_purpose_is_told_only_when_it_binds_the_whitelist() -> None:
    other = frozenset({"CREDIT_REPORT"})
    bound = replace(contents(Register.MECHANISM), purposes=other)
    assert len(told(statement(Register.MECHANISM, content=bound)).mechanisms) == 1
    free = replace(bound, mechanism_id="SCC-2")
    assert told(statement(Register.MECHANISM, content=free)).mechanisms == ()


def test_the_exporter_is_the_manager_when_nobody_is_named() -> None:
    border = told(statement(Register.MECHANISM), exporter="")
    assert border.exporter.party_id == f"uscc:{PRODUCT.manager_uscc}"
    assert not border.exporter.named
    assert border.exporter.role == ""
    assert border.mechanisms == ()


def test_persons_are_counted_only_where_there_could_be_any() -> None:
    assert told().exporter.persons == 0
    assert told(request=w.request("owner_name", purpose="TRADE")).exporter.persons == 1
    sensitive = told(request=w.request("owner_token", purpose="TRADE")).exporter
    assert (sensitive.persons, sensitive.sensitive_persons) == (0, 1)
    person = replace(REQUEST, subject_kind=SubjectKind.SOLE_PROP)
    assert told(request=person).exporter.sensitive_persons == 1
    assert personal(person, PRODUCT)
    assert sensitive_persons(person, PRODUCT)
    assert not personal(REQUEST, PRODUCT)


def test_kinds_of_persons_are_those_of_the_policy() -> None:
    law = flatten(ROOT / "policies" / "data")
    assert set(law["lists"]["person_kinds"]) == {kind.value for kind in PERSON_KINDS}


TIMES = st.integers(NOW - 5, NOW + 5)


@st.composite
def stated(draw):
    """Versions of one statement in one register, with starts and ends near the present."""
    register = draw(st.sampled_from(list(Register)))
    count = draw(st.integers(1, 3))
    return [
        statement(
            register,
            start=draw(TIMES),
            end=draw(TIMES),
            version=version,
            status=draw(st.sampled_from(Status)),
        )
        for version in range(1, count + 1)
    ]


@given(st.lists(stated(), max_size=3), TIMES, st.integers(0, 10))
def test_facts_are_the_same_until_one_of_their_turns(found, now, later) -> None:
    different = {versions[0].register: versions for versions in found}
    flat = [each for versions in different.values() for each in versions]
    border = told(*flat, now=now)
    # The policy bounds the decision by these: its own comparisons and the turns.
    ends = [mechanism.not_after for mechanism in border.mechanisms]
    bounds = [at for at in (*border.turns, *ends) if at > now]
    if all(now + later < at for at in bounds):
        then = told(*flat, now=now + later)
        assert replace(then, turns=()) == replace(border, turns=())
