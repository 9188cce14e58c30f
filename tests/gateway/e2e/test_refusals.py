"""One refusal per reason code, provoked over mutual TLS and checked to the last detail.

`refused` (in `wire`) checks what all of them share: status, ErrorInfo, every reason with its
clause and its remedy in two languages, the size, the message that teaches alone, silence about
subjects, and the denial that stands in the log.
"""

import shutil
import time
from dataclasses import replace

import grpc
import pytest

from gateway.demo.cast import AUDITOR, SECURITY
from gateway.domain.vocabulary import LicenceKind, SubjectKind
from gateway.registry import licences
from gateway.registry.licences import AgreementClaims, GrantClaims
from tests.gateway.e2e.serving import PENALTY
from tests.gateway.e2e.wire import check_refusal, refused
from xinguan.v1 import admin_pb2, exchange_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")

DENIED = "PERMISSION_DENIED"


# --- R30: no licence that is in force -------------------------------------------------------


async def test_no_licence_at_all(site):
    stranger = site.desk.enrol(kind=None)
    refusal = await refused(site, site.query(stranger), "NO_LICENCE", DENIED, rule="R30")
    assert site.entry(refusal.denial_index)["party"] == stranger.party_id


async def test_a_licence_whose_term_is_over(open_site, clock):
    site = await open_site(clock_ms=clock)
    now = clock() // 1000
    member = site.desk.enrol(not_after=now + 3_600)
    assert await site.query(member)
    clock.ahead_s = 3_601
    query = site.build(member)
    query.context.time.FromSeconds(clock() // 1000)
    await refused(site, site.send(member, query), "NO_LICENCE", DENIED, rule="R30")


@pytest.mark.parametrize("change", [licences.suspend, licences.revoke])
async def test_a_licence_that_was_suspended_or_revoked(site, agency, change):
    assert await site.query(agency)
    site.desk.run(change, agency.licence_id)
    await refused(site, site.query(agency), "NO_LICENCE", DENIED, rule="R30")


async def test_a_licence_that_was_resumed_holds_again(site, agency):
    site.desk.run(licences.suspend, agency.licence_id)
    await refused(site, site.query(agency), "NO_LICENCE", DENIED, rule="R30")
    site.desk.run(licences.resume, agency.licence_id)
    assert (await site.query(agency))[-1].outcome.rows == 1


async def test_a_licence_of_a_kind_that_is_not_the_role_s(site):
    member = site.desk.enrol(kind=LicenceKind.BANKING)
    await refused(site, site.query(member), "NO_LICENCE", DENIED, rule="R30")


# --- R31: persons ---------------------------------------------------------------------------


async def test_a_person_without_a_personal_licence(site):
    member = site.desk.enrol(
        grants={"judgement_debtor": GrantClaims(fields=("name", "court"))},
        subject_kinds=(SubjectKind.NATURAL_PERSON,),
    )
    call = site.query(
        member,
        "judgement_debtor",
        ("name", "court"),
        subjects=[site.population.person],
        subject_kind="NATURAL_PERSON",
    )
    await refused(site, call, "NO_PERSONAL_LICENCE", DENIED, rule="R31")


async def test_an_individual_business_counts_as_a_person(site):
    member = site.desk.enrol(
        subject_kinds=(SubjectKind.LEGAL_ENTITY, SubjectKind.SOLE_PROP),
    )
    call = site.query(member, subject_kind="SOLE_PROP")
    await refused(site, call, "NO_PERSONAL_LICENCE", DENIED, rule="R31")


# --- R32: scope -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        {"purpose": "CREDIT_CHECK"},
        {"scenario": "SOMETHING_ELSE"},
        {"subject_kind": "SOCIAL_ORG"},
    ],
)
async def test_outside_the_licence_s_scope(site, agency, words):
    await refused(site, site.query(agency, **words), "OUT_OF_SCOPE", DENIED, rule="R32")


async def test_another_destination_than_the_licence_s(site, agency):
    refusal = await refused(
        site, site.query(agency, destination="SG"), "OUT_OF_SCOPE", DENIED, rule="R32"
    )
    # Who uses data abroad is on the path of an export, whatever it is at home.
    assert any(reason.code.startswith("XB_") for reason in refusal.reasons)


async def test_a_product_that_no_licence_names(site, agency):
    call = site.query(agency, "admin_licence", ("uscc", "doc_no"))
    await refused(site, call, "NO_LICENCE", DENIED, rule="R30")


async def test_an_agreement_that_is_over(open_site, clock):
    site = await open_site(clock_ms=clock)
    now = clock() // 1000
    agreement = AgreementClaims(
        agreement_id="AGREEMENT-SHORT", not_before=now - 10, not_after=now + 3_600
    )
    member = site.desk.enrol(agreement=agreement)
    clock.ahead_s = 3_601
    query = site.build(member)
    query.context.time.FromSeconds(clock() // 1000)
    await refused(site, site.send(member, query), "OUT_OF_SCOPE", DENIED, rule="R32")


async def test_nothing_but_fields_outside_the_grant(site):
    member = site.desk.enrol(grants={"legal_entity_base": GrantClaims(fields=("uscc",))})
    refusal = await refused(
        site, site.query(member, fields=("name", "lei")), "OUT_OF_SCOPE", DENIED, rule="R32"
    )
    assert sorted(refusal.reasons[0].fields) == ["lei", "name"]


async def test_a_field_outside_the_grant_is_dropped_and_explained(site):
    member = site.desk.enrol(grants={"legal_entity_base": GrantClaims(fields=("uscc", "name"))})
    (answer,) = await site.query(member, fields=("uscc", "name", "lei"))
    actions = {field.name: field.action for field in answer.decision.fields}
    assert actions == {"uscc": "allow", "name": "allow", "lei": "drop"}
    assert [(r.rule, r.code, list(r.fields)) for r in answer.decision.reasons] == [
        ("R32", "OUT_OF_SCOPE", ["lei"])
    ]


# --- R33, R34: products ---------------------------------------------------------------------


async def test_an_unregistered_product(open_site):
    def unregister(world):
        product = world.products["legal_entity_base"]
        world.products = {
            **world.products,
            "legal_entity_base": replace(product, registration_code=""),
        }

    site = await open_site(tamper=unregister)
    member = site.desk.enrol()
    await refused(site, site.query(member), "UNREGISTERED_PRODUCT", DENIED, rule="R33")


async def test_raw_public_data_that_is_not_publicised(site):
    fields = ("record_id", "source_record_id")
    member = site.desk.enrol(grants={"legal_entity_base": GrantClaims(fields=fields)})
    refusal = await refused(
        site, site.query(member, fields=fields), "RAW_EGRESS", DENIED, rule="R34"
    )
    assert sorted(refusal.reasons[0].fields) == sorted(fields)


# --- R80 to R87: responsibility -------------------------------------------------------------


async def test_no_responsible_transmitter(open_site):
    def forget(world):
        world.node = replace(world.node, transmitter=None)

    site = await open_site(tamper=forget)
    member = site.desk.enrol()
    await refused(site, site.query(member), "NO_RESPONSIBILITY", DENIED, rule="R80")


@pytest.mark.parametrize(
    "unnamed", [{"operator": ""}, {"operator": "  "}, {"case_reference": ""}], ids=str
)
async def test_no_operator_or_no_case_named(site, agency, unnamed):
    call = site.query(agency, **unnamed)
    await refused(site, call, "LOG_FIELDS_MISSING", DENIED, rule="R82")


async def test_a_role_that_administers_may_not_query(site):
    await refused(site, site.query(AUDITOR), "NO_LICENCE", DENIED, rule="R30")


async def test_a_stop_of_one_organisation(site, agency):
    other = site.desk.enrol()
    stub = site.admin(SECURITY)
    scope = f"org:{agency.party_id}"
    await stub.StopEgress(
        admin_pb2.StopEgressRequest(idempotency_key=f"stop-{time.time_ns()}", scope=scope)
    )
    await refused(site, site.query(agency), "EMERGENCY_STOP", DENIED, rule="R87")
    assert await site.query(other)
    await stub.ResumeEgress(
        admin_pb2.ResumeEgressRequest(idempotency_key=f"go-{time.time_ns()}", scope=scope)
    )
    assert await site.query(agency)


@pytest.mark.parametrize("scope", ["all", "product:legal_entity_base"])
async def test_a_stop_of_everything_or_of_a_product(site, agency, scope):
    stub = site.admin(SECURITY)
    key = str(time.time_ns())
    done = await stub.StopEgress(
        admin_pb2.StopEgressRequest(idempotency_key=f"stop-{key}", scope=scope, reason="drill")
    )
    try:
        await refused(site, site.query(agency), "EMERGENCY_STOP", DENIED, rule="R87")
        penalties = site.query(agency, "admin_penalty", PENALTY)
        if scope == "all":
            await refused(site, penalties, "EMERGENCY_STOP", DENIED, rule="R87")
        else:
            assert await penalties
    finally:
        await stub.ResumeEgress(
            admin_pb2.ResumeEgressRequest(idempotency_key=f"go-{key}", scope=scope)
        )
    logged = site.entry(done.entry.index)
    assert (logged["scope"], logged["reason"]) == (scope, "drill")
    assert await site.query(agency)


# --- R81: the log ---------------------------------------------------------------------------


@pytest.mark.rule("R81", "effect")
async def test_a_log_without_room(open_site):
    site = await open_site()
    member = site.desk.enrol()
    assert await site.query(member)
    journal = site.gateway._state.journal

    def greatest_pages(pages: int) -> None:
        # On the writer's own thread and connection; 1 means: no larger than it is now.
        journal.run(
            lambda _: journal._writer.connection.execute(f"PRAGMA max_page_count = {pages}")
        )

    greatest_pages(1)
    refusal, answered = None, 0
    for _ in range(200):  # until the last page is full
        try:
            answered += bool(await site.query(member))
        except grpc.aio.AioRpcError as error:
            refusal = check_refusal(site, error, "AUDIT_UNAVAILABLE", "UNAVAILABLE", logged=False)
            break
    assert refusal is not None
    # What was refused is no intent: as many answers as outcomes.
    delivered = [e for e in site.entries() if e["kind"] == "outcome" and e["rows"]]
    assert len(delivered) == answered + 1
    # With room again, the next request is answered without a restart.
    greatest_pages(1 << 20)
    assert (await site.query(member))[-1].outcome.rows == 1


async def test_a_log_that_is_closed(open_site):
    site = await open_site()
    member = site.desk.enrol()
    assert await site.query(member)
    site.gateway._state.journal.close()
    before = len(site.entries())
    refusal = await refused(
        site, site.query(member), "AUDIT_UNAVAILABLE", "UNAVAILABLE", logged=False
    )
    assert refusal.denial_index == -1
    assert len(site.entries()) == before
    # An administrative act needs the log just as much.
    stop = site.admin(SECURITY).StopEgress(
        admin_pb2.StopEgressRequest(idempotency_key="stop-without-log", scope="all")
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stop
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "AUDIT_UNAVAILABLE" in (caught.value.details() or "")
    assert len(site.entries()) == before


# --- R13: freshness -------------------------------------------------------------------------


async def test_a_stale_feed_makes_the_product_unavailable_by_name(open_site, clock):
    site = await open_site(clock_ms=clock)
    member = site.desk.enrol()
    assert await site.query(member, "admin_penalty", PENALTY)
    clock.ahead_s = 700
    query = site.build(member, "admin_penalty", PENALTY)
    query.context.time.FromSeconds(clock() // 1000)
    await refused(site, site.send(member, query), "PRODUCT_UNAVAILABLE", "UNAVAILABLE", rule="R13")
    listed = await site.exchange(member).ListProducts(exchange_pb2.ListProductsRequest())
    assert {product.name: product.available for product in listed.products} == {
        "legal_entity_base": True,
        "admin_penalty": False,
    }
    # What needs no feed is answered as before.
    other = site.build(member)
    other.context.time.FromSeconds(clock() // 1000)
    assert await site.send(member, other)


async def test_a_product_without_a_snapshot(open_site):
    def remove(stage):
        shutil.rmtree(stage.deployment.snapshots_directory / "legal_entity_base")

    site = await open_site(remove)
    member = site.desk.enrol()
    await refused(site, site.query(member), "PRODUCT_UNAVAILABLE", "UNAVAILABLE")
