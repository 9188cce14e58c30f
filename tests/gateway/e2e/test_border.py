"""The export decision on real state, over mutual TLS: what it cites, what it tells, when it ends.

A bureau abroad has everything that an export rests on (`bureau`); each test takes one thing away.
The vectors of domain-rules 5.3, one by one and on the real books, are `test_border_vectors`.
"""

import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.border import statements
from gateway.demo.cast import AUTHORITY, PARTNER, PARTNER_FIELDS, SECURITY
from gateway.domain.border import Register
from gateway.domain.vocabulary import LicenceKind, Role, SubjectKind
from gateway.registry import consents, licences, parties, whitelists
from gateway.registry.documents import LICENCE_TYPE, sign
from gateway.registry.licences import AgreementClaims
from tests.gateway.e2e.bureau import (
    COMPANY_PRODUCT,
    CROSSING,
    LAW,
    PERSON_PRODUCT,
    SCOPE,
    Counted,
    open_bureau,
)
from tests.gateway.e2e.serving import DAY_S
from tests.gateway.e2e.test_evidence import check, published, run
from tests.gateway.e2e.wire import refused
from xinguan.client import Answer

pytestmark = pytest.mark.asyncio(loop_scope="session")
DENIED = "PERMISSION_DENIED"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def abroad(site):
    """The site, with counters that a test sets; they are put back afterwards."""
    before = site.world.counts
    yield site
    site.world.counts = before


@pytest.fixture
def counted(abroad):
    """Counters of this test alone."""
    abroad.world.counts = Counted()
    return abroad.world.counts


def codes(refusal):
    return {(reason.rule, reason.code) for reason in refusal.reasons}


def released(messages):
    """Return an answer that left: fields in the clear, an intent in the log."""
    answer = Answer(messages)
    assert "allow" in {told.action for told in answer.decision.fields}
    assert answer.decision.intent.index >= 0
    assert answer.table().schema.names
    return answer


def entry_of(site, answer):
    return site.entry(answer.decision.intent.index)


# --- In order -------------------------------------------------------------------------------


async def test_a_person_crosses_when_everything_is_in_order(abroad, counted):
    bureau = open_bureau(abroad)
    answer = Answer(await bureau.about_a_person())
    actions = {told.name: told.action for told in answer.decision.fields}
    assert {name: actions[name] for name in ("name", "court")} == dict.fromkeys(
        ("name", "court"), "allow"
    )
    assert {"border_record", "count_export"} <= set(answer.decision.obligations)
    assert counted.asked[-1][0] == bureau.exporter
    entry = entry_of(abroad, answer)
    stands = {
        (stated["register"], stated["name"])
        for stated in (abroad.entry(index) for index in entry["border"])
        if stated["kind"] == "border_registered"
    }
    assert ("MECHANISM", bureau.mechanism) in stands
    assert {register for register, _ in stands} == {
        "MECHANISM",
        "ASSESSMENT",
        "PARTNER",
        "EXPORTER",
    }


async def test_a_company_crosses_without_any_of_it(abroad, counted):
    bureau = open_bureau(
        abroad,
        named=False,
        without=frozenset({"exporter", "assessment", "mechanism", "consent"}),
        bound="",
    )
    answer = Answer(await bureau.about_a_company())
    assert set(answer.table().schema.names) - {"dispute_flag"} == {"uscc", "name"}
    assert counted.asked == []  # nobody is counted for a company
    assert "count_export" not in answer.decision.obligations


# --- Steps 1 to 4 ---------------------------------------------------------------------------


async def test_a_foreign_authority_gets_nothing_at_all(abroad, counted):
    bureau = open_bureau(abroad)
    bureau.state(Register.PARTNER, judicial=True)
    for ask in (bureau.about_a_person, bureau.about_a_company):
        await refused(abroad, ask(), "XB_FOREIGN_AUTHORITY", DENIED, rule="R50")
    bureau.state(Register.PARTNER, judicial=False)  # a newer statement, signed anew
    assert Answer(await bureau.about_a_company()).table().num_rows == 1


async def test_a_restricted_recipient_gets_nothing_until_it_is_off_the_list(abroad, counted):
    bureau = open_bureau(abroad)
    bureau.state(Register.RESTRICTED)
    for ask in (bureau.about_a_person, bureau.about_a_company):
        await refused(abroad, ask(), "XB_RESTRICTED", DENIED, rule="R51")
    bureau.state(Register.RESTRICTED, listed=False)
    assert Answer(await bureau.about_a_company()).table().num_rows == 1


async def test_a_restriction_that_begins_later_ends_the_decision_then(abroad, counted):
    bureau = open_bureau(abroad)
    begins = bureau.now + 3_600
    bureau.state(Register.RESTRICTED, not_before=begins)
    answer = Answer(await bureau.about_a_company())
    assert answer.decision.valid_until.ToSeconds() <= begins


async def test_a_purpose_outside_the_agreement_or_one_that_may_not_cross(abroad, counted):
    bureau = open_bureau(abroad)
    call = bureau.about_a_company(purpose="SETTLEMENT_RISK")
    refusal = await refused(abroad, call, "OUT_OF_SCOPE", DENIED, rule="R32")
    assert ("R52", "XB_PURPOSE") in codes(refusal)
    call = bureau.about_a_company(purpose="CREDIT_REPORT")
    await refused(abroad, call, "XB_PURPOSE", DENIED, rule="R52")


async def test_an_agreement_that_is_over(open_site, clock):
    site = await open_site(clock_ms=clock)
    now = clock() // 1000
    bureau = open_bureau(site)
    claims = site.desk.licence_claims(
        bureau.member.party_id,
        LicenceKind.RECOGNITION_AGREEMENT,
        licence_id=bureau.member.licence_id,
        serial=2,
        purposes=("TRADE",),
        scenarios=("MUTUAL_RECOGNITION",),
        destinations=("SG",),
        agreement=AgreementClaims(
            agreement_id="A-2",
            not_before=now - DAY_S,
            not_after=now + 200,
            exporter=bureau.exporter,
        ),
    )

    site.desk.activate(sign(claims, site.desk.signing_key, LICENCE_TYPE))
    assert Answer(await bureau.about_a_company()).table().num_rows == 1
    clock.ahead_s = 201
    query = site.build(
        bureau.member,
        COMPANY_PRODUCT,
        ("uscc",),
        purpose="TRADE",
        scenario="MUTUAL_RECOGNITION",
        destination="SG",
    )
    query.context.time.FromSeconds(clock() // 1000)
    refusal = await refused(
        site, site.send(bureau.member, query), "OUT_OF_SCOPE", DENIED, rule="R32"
    )
    assert ("R52", "XB_PURPOSE") in codes(refusal)


async def test_important_data_needs_an_assessment_whose_scope_covers_it(abroad, counted):
    bureau = open_bureau(abroad)
    bureau.state(Register.IMPORTANT, fields=("reg_status",))
    try:
        assert Answer(await bureau.about_a_company()).table().num_rows == 1  # not touched
        asked = ("uscc", "reg_status")
        call = bureau.about_a_company(asked)
        await refused(abroad, call, "XB_IMPORTANT", DENIED, rule="R53")
        bureau.state(Register.MECHANISM, kind="ASSESSMENT", number=f"A-{bureau.mechanism}")
        assert Answer(await bureau.about_a_company(asked)).table().num_rows == 1
    finally:
        bureau.state(Register.IMPORTANT, notified=False)


async def test_more_than_one_subject_does_not_cross(abroad, counted):
    bureau = open_bureau(abroad)
    two = abroad.population.sample[:2]
    await refused(abroad, bureau.about_a_company(subjects=two), "XB_BULK", DENIED, rule="R53")


# --- Steps 5 to 8: fields and records -------------------------------------------------------


async def test_a_whitelist_withdrawn_meanwhile_lets_nothing_cross(abroad, counted):
    bureau = open_bureau(abroad)
    released(await bureau.about_a_person())
    partner = bureau.member.party_id
    abroad.desk.run(whitelists.withdraw, partner, PERSON_PRODUCT, 1)
    call = bureau.about_a_person()
    await refused(abroad, call, "XB_NOT_WHITELISTED", DENIED, rule="R54")


async def test_a_field_that_the_whitelist_does_not_name_is_dropped(abroad, counted):
    answer = Answer(await open_bureau(abroad).about_a_company(("uscc", "contact_phone")))
    told = {(r.rule, r.code) for r in answer.decision.reasons}
    assert ("R54", "XB_DEFAULT_DENY") in told  # its contract keeps it inside
    assert "contact_phone" not in answer.table().schema.names


# --- Steps 9 to 12: who exports, on whose consent, after which assessment -------------------


async def test_the_platform_is_never_the_exporter_of_persons(abroad, counted):
    bureau = open_bureau(abroad, named=False, bound="")
    refusal = await refused(abroad, bureau.about_a_person(), "XB_EXPORTER", DENIED, rule="R58")
    # The platform is a state organ until somebody states otherwise, and exports no persons.
    assert ("R58", "XB_STATE_PI") in codes(refusal)
    released(await bureau.about_a_company())


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        ({"without": frozenset({"exporter"})}, ("R59", "XB_CIIO")),
        ({"exporter_kind": LicenceKind.ENTERPRISE_CREDIT_FILING}, None),
    ],
)
async def test_an_exporter_that_is_not_known_or_not_licensed_for_persons(
    abroad, counted, words, extra
):
    bureau = open_bureau(abroad, **words)
    refusal = await refused(abroad, bureau.about_a_person(), "XB_EXPORTER", DENIED, rule="R58")
    assert extra is None or extra in codes(refusal)


async def test_an_exporter_whose_licence_is_suspended_exports_no_more(abroad, counted):
    bureau = open_bureau(abroad)
    released(await bureau.about_a_person())
    view = abroad.world.registry.view()
    (licence,) = view.licences_of(bureau.exporter, PERSON_PRODUCT)
    abroad.desk.run(licences.suspend, licence.licence_id)
    await refused(abroad, bureau.about_a_person(), "XB_EXPORTER", DENIED, rule="R58")


@pytest.mark.parametrize(
    ("flag", "code"), [("state_organ", ("R58", "XB_STATE_PI")), ("ciio", ("R59", "XB_CIIO"))]
)
async def test_a_state_organ_or_critical_infrastructure_needs_an_assessment(
    abroad, counted, flag, code
):
    bureau = open_bureau(abroad, exporter={flag: True})
    await refused(abroad, bureau.about_a_person(), code[1], DENIED, rule=code[0])
    bureau.state(Register.MECHANISM, kind="ASSESSMENT", number=f"A-{bureau.mechanism}")
    released(await bureau.about_a_person())


@pytest.mark.parametrize("words", [{"mode": "GENERAL"}, {"cross_border": None}])
async def test_a_consent_that_is_not_separate_or_not_for_abroad(abroad, counted, words):
    bureau = open_bureau(abroad, without=frozenset({"consent"}))
    bureau.consent_id = bureau.consent(**words)
    await refused(abroad, bureau.about_a_person(), "XB_CONSENT", DENIED, rule="R60")


async def test_a_consent_that_is_missing_withdrawn_or_names_another(abroad, counted):
    bureau, other = open_bureau(abroad), open_bureau(abroad)
    call = bureau.about_a_person(consent_id="")
    await refused(abroad, call, "XB_CONSENT", DENIED, rule="R60")
    call = bureau.about_a_person(consent_id=other.consent_id)
    await refused(abroad, call, "XB_CONSENT", DENIED, rule="R60")
    released(await bureau.about_a_person())
    abroad.desk.run(consents.withdraw, bureau.consent_id)
    await refused(abroad, bureau.about_a_person(), "XB_CONSENT", DENIED, rule="R60")


async def test_a_consent_that_was_given_to_another_exporter(abroad, counted):
    bureau, other = open_bureau(abroad), open_bureau(abroad)
    bureau.consent_id = bureau.consent(exporter=other.exporter)
    await refused(abroad, bureau.about_a_person(), "XB_CONSENT", DENIED, rule="R60")
    bureau.consent_id = bureau.consent(exporter=bureau.exporter)
    released(await bureau.about_a_person())


async def test_an_impact_assessment_that_is_missing_over_or_for_another_purpose(abroad, counted):
    bureau = open_bureau(abroad, without=frozenset({"assessment"}))
    await refused(abroad, bureau.about_a_person(), "XB_PIPIA", DENIED, rule="R61")
    bureau.state(Register.ASSESSMENT, bureau.exporter_key, purposes=("INVESTMENT_FINANCING",))
    await refused(abroad, bureau.about_a_person(), "XB_PIPIA", DENIED, rule="R61")
    kept = bureau.state(Register.ASSESSMENT, bureau.exporter_key)
    released(await bureau.about_a_person())
    bureau.change(statements.withdraw, Register.ASSESSMENT, kept.claims.name)
    await refused(abroad, bureau.about_a_person(), "XB_PIPIA", DENIED, rule="R61")


# --- Steps 13 to 16: exemptions, counts, mechanisms -----------------------------------------


async def test_an_exemption_that_the_exporter_states_needs_no_mechanism_and_no_count(
    abroad, counted
):
    bureau = open_bureau(abroad, without=frozenset({"mechanism"}), bound="")
    await refused(abroad, bureau.about_a_person(), "XB_MECHANISM", DENIED, rule="R65")
    kept = bureau.state(Register.EXEMPTION, bureau.exporter_key)
    answer = released(await bureau.about_a_person())
    assert "count_export" not in answer.decision.obligations
    assert kept.registered in entry_of(abroad, answer)["border"]  # the basis is recorded
    call = bureau.about_a_person(purpose="INVESTMENT_FINANCING")
    refusal = await refused(abroad, call, "XB_CONSENT", DENIED, rule="R60")
    assert ("R65", "XB_MECHANISM") in codes(refusal)  # the basis is for one purpose


async def test_the_same_person_is_counted_once(abroad, counted):
    counted.sensitive = 9_999
    bureau = open_bureau(abroad)
    counted.known = {bureau.person}
    released(await bureau.about_a_person())


async def test_a_mechanism_that_ends_lets_nothing_cross_from_its_last_second_on(open_site, clock):
    site = await open_site(clock_ms=clock)
    site.world.counts = Counted()
    ends = clock() // 1000 + 100
    bureau = open_bureau(site, mechanism={"not_after": ends})
    assert Answer(await bureau.about_a_person()).decision.valid_until.ToSeconds() <= ends
    clock.ahead_s = 100
    query = site.build(
        bureau.member,
        PERSON_PRODUCT,
        ("name",),
        subjects=[bureau.person],
        subject_kind="NATURAL_PERSON",
        consent_id=bureau.consent_id,
        purpose="TRADE",
        scenario="MUTUAL_RECOGNITION",
        destination="SG",
    )
    query.context.time.FromSeconds(clock() // 1000)
    call = site.send(bureau.member, query)
    refusal = await refused(site, call, "XB_MECHANISM", DENIED, rule="R65")
    assert ("R68", "XB_WHITELIST_MECHANISM") in codes(refusal)


@pytest.mark.parametrize(
    "narrower",
    [
        {"fields": ("name",)},
        {"purposes": ("INVESTMENT_FINANCING",)},
    ],
)
async def test_a_mechanism_whose_scope_is_narrower(abroad, counted, narrower):
    bureau = open_bureau(abroad, mechanism=narrower, bound="")
    await refused(abroad, bureau.about_a_person(), "XB_MECHANISM", DENIED, rule="R65")


async def test_a_mechanism_of_another_recipient_or_another_exporter(abroad, counted):
    other = open_bureau(abroad)
    bureau = open_bureau(abroad, without=frozenset({"mechanism"}), bound="")
    bureau.state(Register.MECHANISM, recipient=other.member.party_id)
    bureau.state(Register.MECHANISM, exporter=other.exporter)
    await refused(abroad, bureau.about_a_person(), "XB_MECHANISM", DENIED, rule="R65")


@pytest.mark.parametrize(("cap", "allowed"), [(5, False), (6, True), (0, True)])
async def test_a_mechanism_over_its_cap(abroad, counted, cap, allowed):
    counted.sensitive = 5
    bureau = open_bureau(abroad, mechanism={"scale_cap": cap})
    if allowed:
        released(await bureau.about_a_person())
    else:
        await refused(abroad, bureau.about_a_person(), "XB_MECHANISM", DENIED, rule="R65")


@pytest.mark.parametrize("change", [statements.suspend, statements.withdraw])
async def test_a_mechanism_that_was_suspended_or_withdrawn(abroad, counted, change):
    bureau = open_bureau(abroad)
    released(await bureau.about_a_person())
    bureau.change(change, Register.MECHANISM, bureau.mechanism)
    refusal = await refused(abroad, bureau.about_a_person(), "XB_MECHANISM", DENIED, rule="R65")
    assert ("R68", "XB_WHITELIST_MECHANISM") in codes(refusal)
    # Its whitelist is in effect for nothing any more, companies included.
    call = bureau.about_a_company()
    await refused(abroad, call, "XB_WHITELIST_MECHANISM", DENIED, rule="R68")


async def test_a_mechanism_that_was_resumed_holds_again(abroad, counted):
    bureau = open_bureau(abroad)
    bureau.change(statements.suspend, Register.MECHANISM, bureau.mechanism)
    bureau.change(statements.resume, Register.MECHANISM, bureau.mechanism)
    released(await bureau.about_a_person())


async def test_a_renewal_with_a_narrower_scope_outgrows_the_whitelist(abroad, counted):
    bureau = open_bureau(abroad)
    fields = tuple(name for name in SCOPE if name != "reg_status")
    bureau.state(Register.MECHANISM, number=bureau.mechanism, fields=fields)
    call = bureau.about_a_company()
    await refused(abroad, call, "XB_WHITELIST_MECHANISM", DENIED, rule="R68")
    released(await bureau.about_a_person())  # whose list still lies in it


async def test_a_whitelist_of_persons_bound_to_no_mechanism(abroad, counted):
    bureau = open_bureau(abroad, bound="")
    call = bureau.about_a_person()
    await refused(abroad, call, "XB_WHITELIST_UNAPPROVED", DENIED, rule="R68")


# --- R67: which road ------------------------------------------------------------------------


@pytest.mark.parametrize("country", ["HK", "MO", "TW"])
async def test_hong_kong_macao_and_taiwan_take_the_export_path(abroad, counted, country):
    bureau = open_bureau(abroad, country=country)
    answer = Answer(await bureau.about_a_person())
    assert {"border_record", "count_export"} <= set(answer.decision.obligations)
    bureau.change(statements.withdraw, Register.MECHANISM, bureau.mechanism)
    await refused(abroad, bureau.about_a_person(), "XB_MECHANISM", DENIED, rule="R65")


async def test_a_regional_partner_inside_the_country_never_takes_it(abroad, counted):
    words = {
        "purposes": ("CREDIT_CHECK",),
        "scenarios": ("MUTUAL_RECOGNITION",),
        "subject_kinds": (SubjectKind.LEGAL_ENTITY,),
    }
    kind = LicenceKind.RECOGNITION_AGREEMENT
    inside = abroad.desk.enrol(Role.REGIONAL_PARTNER, kind, **words)
    fields = ("uscc", "name", "legal_rep_name")
    ask = {"purpose": "CREDIT_CHECK", "scenario": "MUTUAL_RECOGNITION"}
    answer = Answer(await abroad.query(inside, COMPANY_PRODUCT, fields, **ask))
    assert "border_record" not in answer.decision.obligations
    assert "legal_rep_name" in answer.table().schema.names  # publicised at home
    assert "border" not in entry_of(abroad, answer)
    outside = abroad.desk.enrol(Role.REGIONAL_PARTNER, kind, destinations=("HK",), **words)
    call = abroad.query(outside, COMPANY_PRODUCT, fields, destination="HK", **ask)
    await refused(abroad, call, "XB_PURPOSE", DENIED, rule="R52")
    call = abroad.query(outside, COMPANY_PRODUCT, fields, destination="HK", **ask)
    refusal = await refused(abroad, call, "XB_PURPOSE", DENIED, rule="R52")
    assert ("R67", "XB_WRONG_PATH") in codes(refusal)


async def test_the_cast_s_partner_still_gets_its_whitelist(abroad, counted):
    ask = {"purpose": "TRADE", "scenario": "MUTUAL_RECOGNITION", "destination": "SG"}
    answer = Answer(await abroad.query(PARTNER, COMPANY_PRODUCT, PARTNER_FIELDS, **ask))
    assert answer.table().num_rows == 1


# --- Evidence -------------------------------------------------------------------------------


async def test_what_is_stated_approved_and_ended_stands_in_the_log(abroad, counted):
    bureau = open_bureau(abroad)
    answer = Answer(await bureau.about_a_person())
    bureau.change(statements.withdraw, Register.MECHANISM, bureau.mechanism)
    last = [entry for entry in abroad.entries() if entry["kind"] == "border_status"][-1]
    assert (last["name"], last["status"]) == (bureau.mechanism, "REVOKED")
    assert last["registered"] in entry_of(abroad, answer)["border"]
    assert set(CROSSING) <= set(SCOPE)


async def test_health_tells_of_a_renewal_that_is_due(open_site):
    site = await open_site()
    stub = health_pb2_grpc.HealthStub(site.channel(site.authority))
    request = health_pb2.HealthCheckRequest(service="xinguan.border")
    serving = health_pb2.HealthCheckResponse
    await site.gateway.renewals.look()
    assert (await stub.Check(request)).status == serving.SERVING
    open_bureau(site, mechanism={"not_after": site.desk.act.now + 10 * DAY_S})
    await site.gateway.renewals.look()
    assert (await stub.Check(request)).status == serving.NOT_SERVING
    (alarm,) = [entry for entry in site.entries() if entry["kind"] == "alarm"]
    assert alarm["code"] == "MECHANISM_RENEWAL_DUE"


async def test_a_pack_leads_to_the_mechanism_and_holds_without_us(open_site, tmp_path):
    site = await open_site()
    bureau = open_bureau(site, without=frozenset({"mechanism"}), bound="")
    proposal = bureau.claims(Register.MECHANISM)
    desk = site.desk
    desk.state.run(lambda tx: statements.propose(tx, proposal, desk.act, LAW))
    for player in (SECURITY, AUTHORITY):
        desk.state.run(
            lambda tx, who=player: statements.approve(
                tx, proposal, parties.find(tx, who.party_id), desk.act
            )
        )
    bureau.whitelist(PERSON_PRODUCT, CROSSING, proposal.name)
    answer = released(await bureau.about_a_person())
    entry = entry_of(site, answer)
    await published(site)
    told = await run(site, "chain", answer.decision.intent.index)
    kinds = {row["kind"] for row in told["steps"]}
    assert {"border_registered", "border_approved", "border_proposed"} <= kinds
    assert told["gaps"] == []
    path = tmp_path / "export.pack"
    words = ("--request", entry["request"], "--reason", "audit", "--out", path)
    await run(site, "evidence", *words)
    checked = check(path, "--replay", "--engine", "wasm", vkey=site.deployment.log_vkey)
    assert checked["holds"]
    texts = " ".join(each["text"] for each in checked["checked"])
    # The licence, and the statements on partner, exporter and assessment; the mechanism was
    # approved instead.
    assert "4 documents are signed" in texts
    assert "1 decisions made again" in texts
