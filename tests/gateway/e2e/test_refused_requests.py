"""Refusals for the request itself, its caller, its quotas and the act: each reason code (R80)."""

import asyncio
import time

import grpc
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.demo.cast import AUDITOR, BANK, GRADE_FIELDS, SECURITY
from gateway.domain.vocabulary import LicenceKind, Role
from gateway.identity.certificates import CertificateAuthority
from gateway.identity.keyfiles import new_tls_key, private_pem
from gateway.registry import certificates, parties
from gateway.registry.documents import LICENCE_TYPE, sign
from gateway.registry.licences import QuotaClaims
from tests.gateway.e2e.serving import DAY_S
from tests.gateway.e2e.wire import check_refusal, drain, refused
from tests.simulator import uscc
from xinguan.client import Identity
from xinguan.v1 import admin_pb2, audit_pb2, exchange_pb2, repair_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")
DENIED, INVALID = "PERMISSION_DENIED", "INVALID_ARGUMENT"


# --- the gateway's own conditions: the request ----------------------------------------------


async def test_an_unknown_product(site, agency):
    await refused(site, site.query(agency, "no_such_product"), "UNKNOWN_PRODUCT", INVALID)


async def test_an_unknown_product_is_not_described(site, agency):
    stub = site.exchange(agency)
    for name in ("no_such_product", "self_declared_info"):
        call = stub.DescribeProduct(exchange_pb2.DescribeProductRequest(product=name))
        await refused(site, call, "UNKNOWN_PRODUCT", "NOT_FOUND")


async def test_an_unknown_field(site, agency):
    await refused(site, site.query(agency, fields=("uscc", "nothing")), "UNKNOWN_FIELD", INVALID)


async def test_a_malformed_identifier_is_named_by_its_place(site, agency):
    good, bad = site.population.sample[0], site.population.sample[1][:-1] + "I"
    refusal = await refused(site, site.query(agency, subjects=[good, bad]), "BAD_ID", INVALID)
    assert bad not in str(refusal)
    entry = site.entry(refusal.denial_index)
    assert entry["party"] == agency.party_id


async def test_a_wrong_check_digit(site, agency):
    code = site.population.sample[0]
    bad = code[:-1] + ("0" if code[-1] != "0" else "1")
    await refused(site, site.query(agency, subjects=[bad]), "BAD_ID", INVALID)


async def test_an_identity_number_never_enters_as_a_person(site, agency):
    call = site.query(agency, subjects=["460099199001011234"], subject_kind="NATURAL_PERSON")
    await refused(site, call, "BAD_REQUEST", INVALID)


async def test_a_batch_over_the_limit(site, agency):
    subjects = [uscc(number) for number in range(10_001)]
    await refused(site, site.query(agency, subjects=subjects), "BATCH_TOO_LARGE", INVALID)


async def test_a_query_without_subjects(site, agency):
    await refused(site, site.query(agency, subjects=[]), "BAD_REQUEST", INVALID)


async def test_an_encoding_that_is_unknown(site, agency):
    query = site.build(agency)
    query.encoding = 77
    await refused(site, site.send(agency, query), "BAD_REQUEST", INVALID)


@pytest.mark.parametrize("off_s", [-301, 301])
async def test_a_time_outside_the_window(site, agency, off_s):
    query = site.build(agency)
    query.context.time.FromSeconds(int(time.time()) + off_s + (2 if off_s > 0 else 0))
    await refused(site, site.send(agency, query), "STALE_REQUEST_TIME", INVALID)


async def test_a_replayed_request_names_the_first(site, agency):
    query = site.build(agency)
    (first,) = await site.send(agency, query)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await site.send(agency, query)
    assert first.decision.request_id in caught.value.details()
    await refused(site, site.send(agency, query), "REPLAYED", "ALREADY_EXISTS")


async def test_a_key_used_for_another_request(site, agency):
    query = site.build(agency)
    await site.send(agency, query)
    query.limit = 5
    await refused(site, site.send(agency, query), "CONFLICT", "ALREADY_EXISTS")


async def test_of_racing_replays_exactly_one_is_answered(site, agency):
    query = site.build(agency)
    results = await asyncio.gather(
        *(site.send(agency, query) for _ in range(8)), return_exceptions=True
    )
    answered = [result for result in results if isinstance(result, list)]
    assert len(answered) == 1
    assert all("REPLAYED" in error.details() for error in results if error is not answered[0])


async def test_a_filter_on_a_field_that_leaves_masked(site, agency):
    query = site.build(agency, where=[("contact_phone", "eq", "13800000000")])
    await refused(site, site.send(agency, query), "FILTER_ON_HIDDEN_FIELD", DENIED)


async def test_a_portfolio_under_the_minimum(site):
    call = site.query(
        BANK,
        "public_credit_grade",
        GRADE_FIELDS,
        subjects=site.population.sample[:9],
        purpose="ENTERPRISE_CREDIT",
        scenario="CREDIT_LOAN",
    )
    await refused(site, call, "PORTFOLIO_TOO_SMALL", DENIED)


async def test_a_consent_that_was_never_registered(site, agency):
    await refused(site, site.query(agency, consent_id="no-such"), "CONSENT_UNKNOWN", INVALID)


# --- identity -------------------------------------------------------------------------------


async def test_a_certificate_that_was_never_pinned(site):
    party_id = site.desk.register(Role.AGENCY)
    stranger = site.desk.issue(party_id, pinned=False)
    refusal = await refused(site, site.query(stranger), "UNKNOWN_CERTIFICATE", "UNAUTHENTICATED")
    entry = site.entry(refusal.denial_index)
    assert "party" not in entry
    assert entry["certificate"]


@pytest.mark.parametrize("door", ["list", "checkpoint", "stop", "repair", "explain"])
async def test_every_door_demands_a_pinned_certificate(site, door):
    stranger = site.desk.issue(site.desk.register(Role.AGENCY), pinned=False)
    calls = {
        "list": lambda: site.exchange(stranger).ListProducts(exchange_pb2.ListProductsRequest()),
        "checkpoint": lambda: site.audit(stranger).GetCheckpoint(audit_pb2.GetCheckpointRequest()),
        "stop": lambda: site.admin(stranger).StopEgress(admin_pb2.StopEgressRequest()),
        "repair": lambda: site.repairs(stranger).Publish(repair_pb2.PublishRequest()),
        "explain": lambda: site.exchange(stranger).Explain(
            exchange_pb2.ExplainRequest(query=site.build(stranger))
        ),
    }
    await refused(site, calls[door](), "UNKNOWN_CERTIFICATE", "UNAUTHENTICATED")


async def test_a_certificate_that_names_another_party_than_its_pin(site, agency):
    # The key is pinned, but the certificate on the line names somebody else.
    other = site.desk.register(Role.AGENCY)
    key = load_pem_private_key(agency.identity.key, None)
    pem = site.desk._authority.issue_party(other, key.public_key(), int(time.time()), 10)
    posing = Identity(pem, agency.identity.key, agency.identity.authority, other)
    await refused(site, site.query(posing), "UNKNOWN_CERTIFICATE", "UNAUTHENTICATED")


async def test_a_certificate_of_a_foreign_authority_fails_in_tls(site, agency):
    foreign = CertificateAuthority.create(new_tls_key(), "foreign", int(time.time()))
    key = new_tls_key()
    pem = foreign.issue_party(agency.party_id, key.public_key(), int(time.time()), 10)
    identity = Identity(pem, private_pem(key), agency.identity.authority, agency.party_id)
    before = len(site.entries())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await site.query(identity)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "grpc-status-details-bin" not in dict(caught.value.trailing_metadata() or ())
    assert all(entry["kind"] != "denial" for entry in site.entries()[before:])


async def test_a_revoked_certificate(site, agency):
    assert await site.query(agency)
    site.desk.run(certificates.revoke, agency.fingerprint)
    await refused(site, site.query(agency), "CERTIFICATE_REVOKED", "UNAUTHENTICATED")


async def test_a_replaced_certificate_leaves_the_licence_untouched(site, agency):
    renewed = site.desk.issue(agency.party_id, pinned=False)
    site.desk.run(certificates.replace, renewed.certificate, agency.fingerprint)
    await refused(site, site.query(agency), "CERTIFICATE_REVOKED", "UNAUTHENTICATED")
    assert (await site.query(renewed))[-1].outcome.rows == 1


async def test_an_expired_certificate(open_site, clock):
    site = await open_site(clock_ms=clock)
    party_id = site.desk.register(Role.AGENCY)
    site.desk.license(party_id, LicenceKind.ENTERPRISE_CREDIT_FILING)
    identity = site.desk.issue(party_id, days=10)
    assert await site.query(identity)
    clock.ahead_s = 11 * DAY_S
    query = site.build(identity)
    query.context.time.FromSeconds(clock() // 1000)
    await refused(site, site.send(identity, query), "CERTIFICATE_EXPIRED", "UNAUTHENTICATED")


async def test_a_suspended_party(site, agency):
    site.desk.run(parties.suspend, agency.party_id)
    await refused(site, site.query(agency), "PARTY_SUSPENDED", "UNAUTHENTICATED")
    site.desk.run(parties.resume, agency.party_id)
    assert await site.query(agency)


async def test_a_signature_of_another_key(site, agency):
    other = site.desk.enrol()
    query = site.build(agency)
    query.context.signature = site.build(other, sign_it=True).context.signature
    await refused(site, site.send(agency, query), "BAD_SIGNATURE", "UNAUTHENTICATED")


async def test_a_request_changed_after_it_was_signed(site, agency):
    query = site.build(agency, sign_it=True)
    query.subjects.append(site.population.sample[5])
    await refused(site, site.send(agency, query), "BAD_SIGNATURE", "UNAUTHENTICATED")


async def test_a_licence_that_demands_signatures(site):
    member = site.desk.enrol(signed_requests=True)
    await refused(site, site.query(member), "SIGNATURE_REQUIRED", "UNAUTHENTICATED")
    assert (await site.query(member, sign_it=True))[-1].outcome.rows == 1


# --- quotas ---------------------------------------------------------------------------------


async def test_more_calls_than_granted(site):
    member = site.desk.enrol(quotas=QuotaClaims(calls_per_second=2))
    results = await asyncio.gather(*(site.query(member) for _ in range(12)), return_exceptions=True)
    errors = [result for result in results if isinstance(result, grpc.aio.AioRpcError)]
    assert 2 <= len(results) - len(errors) < 12
    for error in errors:
        check_refusal(site, error, "RATE_LIMIT", "RESOURCE_EXHAUSTED")


async def test_more_rows_than_granted(site):
    member = site.desk.enrol(quotas=QuotaClaims(rows_per_day=3))
    assert (await site.query(member, subjects=site.population.sample[:3]))[-1].outcome.rows == 3
    refusal = await refused(
        site, site.query(member), "ROW_QUOTA", "RESOURCE_EXHAUSTED", logged=False
    )
    # The intent was durable already, so its outcome says how it ended.
    intents = [
        (index, entry)
        for index, entry in enumerate(site.entries())
        if entry["kind"] == "intent" and entry["request"] == refusal.request_id
    ]
    ((index, _),) = intents
    (outcome,) = site.of_intent(index)
    assert (outcome["status"], outcome["rows"]) == ("ROW_QUOTA", 0)


# --- duties ---------------------------------------------------------------------------------


async def test_only_the_authority_publishes_repairs(site, agency):
    decision = site.desk.repair("admin_penalty", "any-record")
    for who in (agency, SECURITY, AUDITOR):
        call = site.repairs(who).Publish(repair_pb2.PublishRequest(decision=decision))
        await refused(site, call, "NOT_AUTHORITY", DENIED)


async def test_a_repair_of_an_unknown_record(site):
    decision = site.desk.repair("admin_penalty", "no-such-record")
    call = site.repairs(site.authority).Publish(repair_pb2.PublishRequest(decision=decision))
    await refused(site, call, "NOT_FOUND", "NOT_FOUND")


@pytest.mark.parametrize("document", ["", "not a document", "a.b.c"])
async def test_a_repair_that_is_no_document(site, document):
    call = site.repairs(site.authority).Publish(repair_pb2.PublishRequest(decision=document))
    await refused(site, call, "BAD_DOCUMENT", INVALID)


async def test_roles_that_may_not_do_an_act(site, agency):
    stop = admin_pb2.StopEgressRequest(idempotency_key="stop-forbidden", scope="all")
    read = audit_pb2.ListEntriesRequest(start=0, count=5)
    accesses = audit_pb2.ListAccessesRequest(subject=site.population.sample[0], reason="audit")
    consent = admin_pb2.RegisterConsentRequest(idempotency_key="consent-forbidden", document="x")
    licence = admin_pb2.ActivateLicenceRequest(idempotency_key="licence-forbidden", document="x")
    for who in (agency, AUDITOR):
        await refused(site, site.admin(who).StopEgress(stop), "ROLE_FORBIDDEN", DENIED)
        await refused(site, site.admin(who).ActivateLicence(licence), "ROLE_FORBIDDEN", DENIED)
    for who in (agency, SECURITY):
        await refused(site, drain(site.audit(who).ListEntries(read)), "ROLE_FORBIDDEN", DENIED)
        await refused(site, site.audit(who).ListAccesses(accesses), "ROLE_FORBIDDEN", DENIED)
        await refused(site, site.admin(who).RegisterConsent(consent), "ROLE_FORBIDDEN", DENIED)


async def test_a_tampered_licence(site, agency):
    claims = site.desk.licence_claims(agency.party_id, LicenceKind.ENTERPRISE_CREDIT_FILING)
    head, body, signature = sign(claims, site.desk.signing_key, LICENCE_TYPE).split(".")
    forged = ".".join((head, body[:-4] + "AAAA", signature))
    call = site.admin(SECURITY).ActivateLicence(
        admin_pb2.ActivateLicenceRequest(idempotency_key=f"act-{time.time_ns()}", document=forged)
    )
    await refused(site, call, "BAD_SIGNATURE", INVALID)


async def test_many_reasons_still_fit(site):
    """The worst request that one can make is refused with its reasons, and the trailer fits."""
    member = site.desk.enrol(kind=None)
    refusal = await refused(
        site,
        site.query(
            member,
            "judgement_debtor",
            ("subject_code", "name", "legal_rep_name", "record_id", "court"),
            subjects=[site.population.person],
            subject_kind="NATURAL_PERSON",
            purpose="SPECIAL_REPORT",
            scenario="ONWARD_SUPPLY",
            destination="SG",
            operator="",
        ),
        "NO_LICENCE",
        DENIED,
        rule="R30",
    )
    assert len(refusal.reasons) + refusal.omitted >= 8
