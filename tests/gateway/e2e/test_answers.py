"""Answers over mutual TLS: what is released, what is said of it, and what proves it."""

import asyncio
import base64
import hashlib
import json
import time
from decimal import Decimal

import pyarrow as pa
import pytest

from audit.errors import ProofError
from audit.promise import verify_promise
from audit.verify import check_proof, verify_log
from gateway.demo.cast import AUDITOR, PARTNER, WHITELIST
from gateway.domain.vocabulary import LicenceKind, Role, SubjectKind
from gateway.registry import licences
from gateway.registry.licences import GrantClaims
from gateway.release.enforce import ACTION
from tests.gateway.e2e.serving import CASE, COMPANY, OPERATOR, PENALTY, Site
from tests.gateway.e2e.wire import drain, refused
from tests.simulator import uscc
from xinguan.client import Answer, RefusedError, SyncClient
from xinguan.v1 import admin_pb2, audit_pb2, exchange_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")

WORDS = {
    "purpose": "CREDIT_REPORT",
    "scenario": "ENTERPRISE_REPORT",
    "operator": OPERATOR,
    "case_reference": CASE,
}
CONTRACT = ("uscc", "contract_type", "amount", "breach_flag")


def check_promise(site: Site, promise) -> dict:
    """Check a promise by the log's public key and return the entry that stands at its index."""
    key = site.deployment.secrets().log_key.public_key()
    origin = site.deployment.settings.log.origin
    also = [(covered.index, covered.leaf_hash) for covered in promise.also]
    signed = (promise.leaf_hash, promise.signature, *also)
    verify_promise(key, origin, promise.index, *signed)
    with pytest.raises(ProofError):
        verify_promise(key, origin, promise.index + 1, *signed)
    body = site.bodies()[promise.index]
    assert hashlib.sha256(b"\0" + body).digest() == promise.leaf_hash
    return json.loads(body)


async def test_an_agency_gets_its_fields_and_sees_what_is_masked(site, agency):
    subject = site.population.sample[3]
    async with site.client(agency) as client:
        answer = await client.query("legal_entity_base", COMPANY, subjects=[subject], **WORDS)
    (row,) = answer.rows()
    assert row["uscc"] == subject
    assert row["name"].startswith("示例")
    assert row["contact_phone"].endswith("***")
    assert len(row["contact_phone"]) <= 4
    schema = answer.table().schema
    stated = {field.name: field.metadata[ACTION].decode() for field in schema}
    assert stated["contact_phone"] == "mask"
    assert {stated[name] for name in COMPANY if name != "contact_phone"} == {"allow"}
    told = {field.name: field.action for field in answer.decision.fields}
    assert told == {name: stated[name] for name in COMPANY}
    # What leaves is what was decided, and the dispute label that the law adds (R14).
    assert set(schema.names) == {*COMPANY, "dispute_flag"}
    assert "label_dispute" in answer.decision.obligations


async def test_the_entries_of_a_small_answer_and_their_promises(site, agency):
    answer = Answer(await site.query(agency, subjects=site.population.sample[:3]))
    outcome = check_promise(site, answer.outcome.entry)
    covered, promised = answer.outcome.entry.also[0], answer.decision.intent
    assert (covered.index, covered.leaf_hash) == (promised.index, promised.leaf_hash)
    intent = json.loads(site.bodies()[promised.index])
    assert hashlib.sha256(b"\0" + site.bodies()[promised.index]).digest() == promised.leaf_hash
    assert (intent["kind"], outcome["kind"]) == ("intent", "outcome")
    assert answer.decision.intent.index < answer.outcome.entry.index
    assert outcome["intent"] == answer.decision.intent.index
    assert (outcome["status"], outcome["rows"]) == ("delivered", 3)
    assert outcome["bytes"] == answer.outcome.bytes == len(answer.batches[0].arrow_ipc)
    assert intent["request"] == answer.decision.request_id
    assert intent["party"] == agency.party_id
    assert intent["managers"]
    assert intent["purpose"] == WORDS["purpose"]
    assert intent["subject_count"] == 3
    assert intent["fields"]["mask"] == ["contact_phone"]
    licence = site.entry(intent["licence"])
    assert (licence["kind"], licence["licence"]) == ("licence_activated", agency.licence_id)


async def test_subjects_without_anything_to_show_have_no_rows(site, agency):
    known = site.population.sample[:4]
    unknown = [uscc(number) for number in range(500, 510)]
    answer = Answer(await site.query(agency, subjects=[*unknown, *known]))
    assert sorted(row["uscc"] for row in answer.rows()) == sorted(known)
    assert answer.outcome.rows == 4
    nothing = Answer(await site.query(agency, subjects=unknown))
    assert nothing.rows() == []
    assert nothing.table().schema == answer.table().schema
    # The coverage says what "no rows" means; it is the product's, never a subject's.
    assert nothing.decision.coverage == answer.decision.coverage


async def test_the_coverage_statement(site, agency):
    answer = Answer(await site.query(agency, "admin_penalty", PENALTY))
    coverage = answer.decision.coverage
    manifest = site.world.library.current("admin_penalty").manifest
    assert coverage.product == "admin_penalty"
    assert list(coverage.sources) == sorted(
        {field.unit_uscc for field in site.world.products["admin_penalty"].fields.values()}
    )
    assert coverage.as_of.seconds == manifest.as_of
    assert 0 <= coverage.feed_age_s <= 600
    assert coverage.snapshot_id == site.world.library.current("admin_penalty").snapshot_id
    base = Answer(await site.query(agency))
    assert base.decision.coverage.feed_age_s == -1


async def test_typed_rows_say_what_arrow_says(site, agency):
    subjects = site.population.sample
    for product, fields in (("legal_entity_base", COMPANY), ("admin_penalty", PENALTY)):
        arrow = Answer(await site.query(agency, product, fields, subjects=subjects))
        typed = Answer(
            await site.query(agency, product, fields, subjects=subjects, encoding="ROWS")
        )
        assert typed.outcome.rows == arrow.outcome.rows > 0
        assert typed.outcome.bytes == arrow.outcome.bytes
        assert [batch.digest for batch in typed.batches] == [b.digest for b in arrow.batches]
        assert not any(batch.arrow_ipc or batch.arrow_schema for batch in typed.batches)
        names = arrow.table().schema.names
        expected = [[as_typed(row[name]) for name in names] for row in arrow.rows()]
        got = [
            [plain(value) for value in row.values]
            for batch in typed.batches
            for row in batch.typed_rows
        ]
        assert got == expected


def as_typed(value):
    """Return what the contract of `Value` makes of an Arrow value."""
    if isinstance(value, list):
        return [as_typed(item) for item in value]
    if isinstance(value, Decimal):
        return format(value, "f")
    if value is None or isinstance(value, str | bool | int):
        return value
    return value.isoformat()


def plain(value: exchange_pb2.Value):
    """Return the value of the oneof, None when none is set."""
    kind = value.WhichOneof("kind")
    if kind == "list":
        return [plain(item) for item in value.list.values]
    return None if kind is None else getattr(value, kind)


async def test_conditions_and_limit_hold_after_the_policy(site, agency):
    subjects = site.population.sample
    every = Answer(await site.query(agency, subjects=subjects)).rows()
    wanted = every[0]["reg_status"]
    some = Answer(
        await site.query(agency, subjects=subjects, where=[("reg_status", "eq", wanted)])
    ).rows()
    assert some == [row for row in every if row["reg_status"] == wanted]
    few = Answer(await site.query(agency, subjects=subjects, limit=2))
    assert few.rows() == every[:2]
    assert few.outcome.rows == 2


async def test_explain_is_the_same_decision_and_reads_and_logs_nothing(site, agency, monkeypatch):
    query = site.build(agency, fields=(*COMPANY, "lei"))
    answer = Answer(await site.send(agency, query))
    before = len(site.entries())
    monkeypatch.setattr(site.world, "library", None)  # reading would raise
    explained = await site.exchange(agency).Explain(exchange_pb2.ExplainRequest(query=query))
    assert len(site.entries()) == before
    assert explained.allow
    decision = answer.decision
    assert list(explained.fields) == list(decision.fields)
    assert list(explained.reasons) == list(decision.reasons)
    assert explained.reasons[0].code == "OUT_OF_SCOPE"
    assert explained.bundle_digest == decision.bundle_digest
    assert explained.valid_until == decision.valid_until
    assert list(explained.obligations) == list(decision.obligations)


async def test_explain_of_a_denial_names_what_query_names(site, agency):
    query = site.build(agency, purpose="CREDIT_CHECK", operator="")
    explained = await site.exchange(agency).Explain(exchange_pb2.ExplainRequest(query=query))
    refusal = await refused(
        site, site.send(agency, query), "OUT_OF_SCOPE", "PERMISSION_DENIED", rule="R32"
    )
    assert not explained.allow
    assert list(explained.reasons) == list(refusal.reasons)


async def test_explain_does_not_tell_whether_a_subject_is_known(site, agency):
    answers = []
    for subject in (site.population.sample[0], uscc(501)):
        query = site.build(agency, subjects=[subject])
        answers.append(
            await site.exchange(agency).Explain(exchange_pb2.ExplainRequest(query=query))
        )
    assert answers[0] == answers[1]


async def test_only_granted_products_and_fields_are_shown(site):
    member = site.desk.enrol(
        grants={"legal_entity_base": GrantClaims(fields=("uscc", "name", "contact_phone"))}
    )
    async with site.client(member) as client:
        (summary,) = await client.products()
        assert (summary.name, summary.available) == ("legal_entity_base", True)
        described = await client.describe("legal_entity_base")
        assert {f.name for f in described.fields} == {"uscc", "name", "contact_phone"}
        assert all(field.title_zh and field.unit_uscc for field in described.fields)
        assert list(described.purposes) == ["CREDIT_REPORT"]
        assert described.contract_digest == site.world.products["legal_entity_base"].digest
        with pytest.raises(RefusedError, match="UNKNOWN_PRODUCT"):
            await client.describe("admin_penalty")


async def test_a_suspended_licence_shows_no_products(site, agency):
    site.desk.run(licences.suspend, agency.licence_id)
    async with site.client(agency) as client:
        assert await client.products() == []


async def test_a_partner_abroad_gets_the_whitelist_and_no_more(site):
    fields = ("uscc", "name", "registered_capital", "legal_rep_name", "contact_phone")
    answer = Answer(
        await site.query(
            PARTNER,
            "legal_entity_base",
            fields,
            purpose="TRADE",
            scenario="MUTUAL_RECOGNITION",
            destination="SG",
        )
    )
    left = set(answer.table().schema.names) - {"dispute_flag"}
    assert left == set(fields) & set(WHITELIST)
    assert {r.code for r in answer.decision.reasons} >= {"XB_NOT_WHITELISTED"}


async def test_a_consent_opens_what_it_covers_until_it_is_withdrawn(site):
    grants = {"contract_performance": GrantClaims(fields=CONTRACT)}
    member = site.desk.enrol(grants=grants)
    issuer = site.desk.enrol(Role.CONSENT_ISSUER, kind=None)
    subject, other = site.population.sample[1], site.population.sample[2]
    document = site.desk.consent(issuer.party_id, member.party_id, [subject])
    stub = site.admin(issuer)
    request = admin_pb2.RegisterConsentRequest(
        idempotency_key=f"consent-{time.time_ns()}", document=document
    )
    registered = await stub.RegisterConsent(request)
    assert await stub.RegisterConsent(request) == registered  # answered from the first outcome
    entry = check_promise(site, registered.entry)
    assert entry["kind"] == "consent_registered"
    assert subject not in json.dumps(entry)

    async def ask(subjects, consent_id):
        call = site.query(
            member, "contract_performance", CONTRACT, subjects=subjects, consent_id=consent_id
        )
        return Answer(await call)

    without = await ask([subject], "")
    assert set(without.table().schema.names) - {"dispute_flag"} == {"uscc"}
    assert {r.code for r in without.decision.reasons} == {"NO_ENTERPRISE_AUTH"}
    with_it = await ask([subject], registered.consent_id)
    assert set(with_it.table().schema.names) - {"dispute_flag"} == set(CONTRACT)
    assert site.entry(with_it.decision.intent.index)["consent"] == registered.entry.index
    beyond = await ask([subject, other], registered.consent_id)
    assert set(beyond.table().schema.names) - {"dispute_flag"} == {"uscc"}

    await stub.WithdrawConsent(
        admin_pb2.WithdrawConsentRequest(
            idempotency_key=f"withdraw-{time.time_ns()}", consent_id=registered.consent_id
        )
    )
    after = site.query(
        member,
        "contract_performance",
        CONTRACT[1:],
        subjects=[subject],
        consent_id=registered.consent_id,
    )
    await refused(site, after, "NO_ENTERPRISE_AUTH", "PERMISSION_DENIED", rule="R41")


async def test_a_consent_of_another_issuer_is_not_one_s_own(site, agency):
    issuer, other = (site.desk.enrol(Role.CONSENT_ISSUER, kind=None) for _ in range(2))
    document = site.desk.consent(issuer.party_id, agency.party_id, [site.population.sample[0]])
    call = site.admin(other).RegisterConsent(
        admin_pb2.RegisterConsentRequest(
            idempotency_key=f"consent-{time.time_ns()}", document=document
        )
    )
    await refused(site, call, "ROLE_FORBIDDEN", "PERMISSION_DENIED")


async def test_a_signature_is_verified_and_its_digest_is_in_the_intent(site):
    member = site.desk.enrol(signed_requests=True)
    query = site.build(member, sign_it=True)
    answer = Answer(await site.send(member, query))
    intent = site.entry(answer.decision.intent.index)
    digest = hashlib.sha256(query.context.signature.encode()).digest()
    assert intent["signature"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    unsigned = Answer(await site.query(site.desk.enrol()))
    assert "signature" not in site.entry(unsigned.decision.intent.index)


async def test_a_receipt_proves_the_intent_and_is_its_caller_s_alone(site, agency):
    answer = Answer(await site.query(agency))
    async with site.client(agency) as client:
        receipt = await client.receipt(answer.decision.request_id)
    vkey = site.deployment.log_vkey
    proved, checkpoint = check_proof(receipt.proof, receipt.entry, vkey)
    assert proved.index == answer.decision.intent.index < checkpoint.size
    assert json.loads(receipt.entry)["request"] == answer.decision.request_id
    with pytest.raises(ProofError):
        check_proof(receipt.proof, receipt.entry.replace(b"intent", b"denial"), vkey)
    for who in (site.desk.enrol(), AUDITOR):
        call = site.audit(who).GetReceipt(
            audit_pb2.GetReceiptRequest(request_id=answer.decision.request_id)
        )
        others = await refused(site, call, "NOT_FOUND", "NOT_FOUND")
        never = await refused(
            site,
            site.audit(who).GetReceipt(audit_pb2.GetReceiptRequest(request_id="0" * 26)),
            "NOT_FOUND",
            "NOT_FOUND",
        )
        assert list(others.reasons) == list(never.reasons)


async def test_an_auditor_reads_entries_and_the_reading_is_one(site, agency):
    answer = Answer(await site.query(agency))
    async with site.client(agency) as client:
        await client.receipt(answer.decision.request_id)
    start = answer.decision.intent.index
    read = audit_pb2.ListEntriesRequest(start=start, count=1)
    (got,) = await drain(site.audit(AUDITOR).ListEntries(read))
    assert got.index == start
    assert got.entry == site.bodies()[start]
    reading = site.entries()[-1]
    assert (reading["kind"], reading["what"]) == ("audit_read", "entries")
    assert (reading["actor"], reading["start"]) == (AUDITOR.party_id, start)


async def test_an_auditor_sees_who_asked_about_a_subject_refusals_included(site, agency):
    subject = site.population.sample[7]
    await site.query(agency, subjects=[subject])
    denied = await refused(
        site,
        site.query(agency, subjects=[subject], purpose="CREDIT_CHECK"),
        "OUT_OF_SCOPE",
        "PERMISSION_DENIED",
        rule="R32",
    )
    async with site.client(AUDITOR) as client:
        with pytest.raises(RefusedError, match="BAD_ID"):
            await client.accesses(subject[:-1] + "#", "complaint 42")
        typed = await client.accesses(f" uscc:{subject.lower()}", "complaint 42")
        accesses = await client.accesses(subject, "complaint 42")
    assert [access.index for access in typed] == [access.index for access in accesses]
    mine = [access for access in accesses if access.party == agency.party_id]
    allowed, refusal = mine
    assert (allowed.product, allowed.purpose) == ("legal_entity_base", "CREDIT_REPORT")
    assert "contact_phone:mask" in allowed.fields
    assert not allowed.refused
    assert refusal.index == denied.denial_index
    assert "OUT_OF_SCOPE" in refusal.refused
    reading = site.entries()[-1]
    assert (reading["kind"], reading["what"]) == ("audit_read", "accesses")
    assert reading["reason"] == "complaint 42"
    assert subject not in json.dumps(reading)


async def test_the_published_log_verifies_and_says_that_it_is_unwitnessed(site, agency):
    answer = Answer(await site.query(agency))
    async with site.client(agency) as client:
        await client.receipt(answer.decision.request_id)
    checkpoint = await site.audit(agency).GetCheckpoint(audit_pb2.GetCheckpointRequest())
    assert not checkpoint.witnessed
    report = await asyncio.to_thread(
        verify_log, site.deployment.log_directory, site.deployment.log_vkey
    )
    report.check()
    assert report.checkpoint.size > answer.decision.intent.index


async def test_personal_data_with_a_personal_licence(site):
    fields = ("name", "court")
    member = site.desk.enrol(
        kind=LicenceKind.PERSONAL_CREDIT_LICENCE,
        grants={"judgement_debtor": GrantClaims(fields=fields)},
        subject_kinds=(SubjectKind.NATURAL_PERSON,),
    )
    answer = Answer(
        await site.query(
            member,
            "judgement_debtor",
            fields,
            subjects=[site.population.person],
            subject_kind="NATURAL_PERSON",
        )
    )
    assert {field.action for field in answer.decision.fields} == {"allow"}
    assert isinstance(answer.table(), pa.Table)


async def test_the_synchronous_client_does_the_same(site, agency):
    def ask():
        with SyncClient(site.gateway.address, agency.identity) as client:
            return client.query(
                "legal_entity_base", COMPANY, subjects=[site.population.sample[3]], **WORDS
            )

    answer = await asyncio.to_thread(ask)
    assert answer.rows()[0]["uscc"] == site.population.sample[3]
