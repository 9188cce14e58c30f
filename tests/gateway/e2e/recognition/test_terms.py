"""Mutual recognition inside an agreement and outside it; identifiers, and between regions."""

import json

import pytest

from gateway.domain.errors import XinguanError
from gateway.domain.recognition import Mode
from gateway.domain.vocabulary import LicenceKind, Role, SubjectKind
from gateway.recognition.claims import EquivalenceClaims, IdentifiersClaims
from gateway.registry.licences import GrantClaims
from tests.gateway.e2e import recognising as r
from tests.gateway.e2e.serving import DAY_S, Member
from tests.gateway.e2e.wire import refused

pytestmark = pytest.mark.asyncio(loop_scope="session")
DENIED, INVALID = "PERMISSION_DENIED", "INVALID_ARGUMENT"


# --- The agreement --------------------------------------------------------------------------


@pytest.mark.parametrize("mode", r.MODES)
async def test_a_mode_outside_the_agreement(site, mode):
    partner = r.enrol(site, signed=False)
    r.enact(
        site.desk,
        r.terms(site.desk, partner.party_id, modes=tuple(each for each in r.MODES if each != mode)),
    )
    r.enact(site.desk, r.mapping(site.desk, partner.party_id))
    firm = site.population.sample[3]
    calls = {
        "HASH_CHECK": lambda: partner.check("XG-" + "1" * 20, bytes(32)),
        "STATUS_ONLY": lambda: partner.status(firm, "REGISTERED"),
        "GRADE_MAP": lambda: partner.grade(firm),
        "FULL_REPORT": lambda: partner.report(firm, sections={"legal_entity_base": ("uscc",)}),
    }
    refusal = await refused(site, calls.pop(mode)(), "XB_MODE", DENIED, rule="R52")
    assert refusal.reasons[0].remedy_zh
    calls.pop("FULL_REPORT", None)  # needs a field table, which a site of its own has
    for call in calls.values():
        assert await call()


async def test_no_terms_and_terms_that_were_withdrawn_or_ended(site):
    partner = r.enrol(site, signed=False)
    firm = site.population.sample[3]
    await refused(site, partner.status(firm, "REGISTERED"), "XB_TERMS", DENIED, rule="R52")
    claims = r.terms(site.desk, partner.party_id)
    r.enact(site.desk, claims)
    assert await partner.status(firm, "REGISTERED")
    r.withdraw(site.desk, claims)
    await refused(site, partner.status(firm, "REGISTERED"), "XB_TERMS", DENIED, rule="R52")


async def test_purpose_place_and_end_use_outside_the_agreement(partner):
    site, firm = partner.site, partner.site.population.sample[3]
    call = partner.status(firm, "REGISTERED", purpose="SETTLEMENT_RISK")
    await refused(site, call, "XB_TERMS_PURPOSE", DENIED, rule="R52")
    call = partner.status(firm, "REGISTERED", destination="MY")
    await refused(site, call, "XB_TERMS_USE", DENIED, rule="R52")
    call = partner.status(firm, "REGISTERED", scenario="OTHER_USE")
    await refused(site, call, "XB_TERMS_USE", DENIED, rule="R52")


async def test_plain_queries_are_a_mode_once_there_are_terms(site):
    partner = r.enrol(site, signed=False)
    ask = {"purpose": "TRADE", "scenario": "MUTUAL_RECOGNITION", "destination": "SG"}
    member = partner.member
    assert await site.query(member, "legal_entity_base", ["uscc"], **ask)
    r.enact(site.desk, r.terms(site.desk, partner.party_id))
    call = site.query(member, "legal_entity_base", ["uscc"], **ask)
    await refused(site, call, "XB_MODE", DENIED, rule="R52")
    r.enact(site.desk, r.terms(site.desk, partner.party_id, modes=(Mode.RECORDS,)))
    assert await site.query(member, "legal_entity_base", ["uscc"], **ask)


async def test_the_tables_of_a_partner(partner):
    desk = partner.site.desk
    r.enact(desk, r.mapping(desk, partner.party_id))
    found = await partner.tables()
    assert found.terms.in_effect
    assert list(found.terms.modes) == sorted(r.MODES)
    assert found.terms.mcc_annex == "MCC-C2C-2026-1"
    (mapping,) = found.mappings
    assert [(each.grade, each.equals) for each in mapping.rows] == [
        ("A", "AA"), ("B", "BB"), ("C", "CC"), ("D", ""),
    ]  # fmt: skip
    other = r.enrol(partner.site, signed=False)
    assert not (await other.tables()).ListFields()


# --- Identifiers ----------------------------------------------------------------------------


async def test_a_firm_by_its_lei_and_its_local_number(abroad):
    partner = r.enrol(abroad)
    firm = abroad.population.sample[3]
    claims = IdentifiersClaims(
        register_id="HN-LEI",
        version=1,
        entries=(
            EquivalenceClaims(uscc=firm, lei="5493001KJTIIGC8Y1R12", numbers=("TH:0105561000001",)),
        ),
        not_before=0,
    )
    r.enact(abroad.desk, claims)
    wanted = [a.shown for a in (await partner.status(firm, "REGISTERED", "DEREGISTERED")).answers]
    for named in ("lei:5493001KJTIIGC8Y1R12", "reg:TH:0105561000001", f"uscc:{firm}"):
        found = (await partner.status(named, "REGISTERED", "DEREGISTERED")).answers
        assert [answer.shown for answer in found] == wanted
    document = json.loads((await partner.report("lei:5493001KJTIIGC8Y1R12")).document)
    assert document["subject"] == {
        "named": "lei:5493001KJTIIGC8Y1R12",
        "identifiers": {"uscc": firm, "lei": "5493001KJTIIGC8Y1R12", "TH": "0105561000001"},
    }
    assert firm.encode() not in b"\n".join(abroad.bodies())
    r.withdraw(abroad.desk, claims)
    found = (await partner.status("lei:5493001KJTIIGC8Y1R12", "REGISTERED", "DEREGISTERED")).answers
    assert [answer.shown for answer in found] == [False, False]


# --- Between regions (R70) ------------------------------------------------------------------


async def test_the_coconut_score_between_regions_serves_incentives_only(site):
    desk = site.desk
    party_id = desk.register(Role.REGIONAL_PARTNER)
    purposes = ("DEPOSIT_FREE", "CREDIT_EVALUATION")
    licence_id = desk.license(
        party_id,
        LicenceKind.RECOGNITION_AGREEMENT,
        grants={"golden_coconut_score": GrantClaims(fields=("person_token", "band", "as_of"))},
        purposes=purposes,
        scenarios=("MUTUAL_RECOGNITION",),
        subject_kinds=(SubjectKind.NATURAL_PERSON,),
    )
    member = Member(party_id, desk.issue(party_id), "", licence_id)
    region = r.Partner(member, site, "CN")
    r.enact(
        desk,
        r.terms(desk, party_id, purposes=purposes, jurisdictions=("CN",), modes=(Mode.GRADE_MAP,)),
    )
    bands = ("A", "B", "C", "D", "E")
    made = {
        "product": "golden_coconut_score",
        "field": "band",
        "mapping_id": "HN-GD-1",
        "source": r.ScaleClaims(name="金椰分", grades=bands),
        "equals": {"A": "甲", "B": "甲", "C": "乙", "D": "丙", "E": None},
        "target": r.ScaleClaims(name="示例区域分", grades=("甲", "乙", "丙")),
    }
    for bad in ({}, {"incentive": True, "purposes": purposes}):
        with pytest.raises(XinguanError) as caught:
            r.enact(
                desk, r.mapping(desk, party_id, **(made | {"equals": dict(made["equals"])} | bad))
            )
        assert caught.value.code == "BAD_MAPPING"
    claims = r.mapping(desk, party_id, **made, incentive=True, purposes=("DEPOSIT_FREE",))
    r.enact(desk, claims)
    person = site.population.person
    issuer = desk.register(Role.CONSENT_ISSUER)
    document = desk.consent(
        issuer,
        party_id,
        [person],
        consent_id="consent-recognition",
        purpose_codes=purposes,
        data_kinds=("golden_coconut_score",),
    )
    from gateway.registry import consents

    keys = desk.deployment.secrets().consents
    desk.state.run(lambda tx: consents.register(tx, document, desk.act, keys=keys))
    words = {"kind": "NATURAL_PERSON", "consent": "consent-recognition"}
    answer = await region.grade(person, "golden_coconut_score", purpose="DEPOSIT_FREE", **words)
    assert answer.found
    assert answer.grade in {"甲", "乙", "丙"} or answer.no_equivalent
    assert answer.basis.mapping.name == "HN-GD-1"
    assert person.encode() not in b"\n".join(site.bodies())
    for named in ("110101199003071233", "11010119900307123X", "a person", "x" * 65):
        call = region.grade(named, "golden_coconut_score", purpose="DEPOSIT_FREE", **words)
        await refused(site, call, "BAD_REQUEST", INVALID)  # a token and nothing else, as in Query
    call = region.grade(person, "golden_coconut_score", purpose="CREDIT_EVALUATION", **words)
    refusal = await refused(site, call, "XB_MAPPING", DENIED, rule="R52")
    assert ("R70", "INCENTIVE_ONLY") in {(each.rule, each.code) for each in refusal.reasons}


async def test_terms_are_within_their_days(site):
    partner = r.enrol(site, signed=False)
    over = r.terms(site.desk, partner.party_id, not_after=site.desk.act.now - DAY_S // 2)
    with pytest.raises(XinguanError) as caught:
        r.enact(site.desk, over)
    assert caught.value.code == "BAD_DOCUMENT"
