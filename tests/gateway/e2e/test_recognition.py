"""Mutual recognition over mutual TLS: each mode allowed, and refused outside the agreement."""

import asyncio
import datetime as dt
import hashlib
import json
import time

import grpc
import numpy as np
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import hashes

from audit.doctor import Limits
from audit.openings import OpeningStore
from audit.reader import LogReader
from gateway.domain.errors import XinguanError
from gateway.domain.recognition import Mode, Register
from gateway.domain.vocabulary import LicenceKind, Role, SubjectKind
from gateway.doors.recognition_report import ReportDesk
from gateway.identity.keyfiles import new_document_key
from gateway.recognition import register
from gateway.recognition.claims import EquivalenceClaims, IdentifiersClaims
from gateway.registry.documents import BadSignatureError, sign
from gateway.registry.licences import GrantClaims
from gateway.subjects.reconciliation import MEMORY, reconcile
from tests.gateway.e2e import recognising as r
from tests.gateway.e2e.serving import DAY_S, Member
from tests.gateway.e2e.wire import read_details, refused
from tests.simulator import uscc
from xinguan.signing import sign_call
from xinguan.v1 import recognition_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")
DENIED, INVALID = "PERMISSION_DENIED", "INVALID_ARGUMENT"
VALID, REFRESH, UNKNOWN = (
    recognition_pb2.REPORT_STATUS_VALID,
    recognition_pb2.REPORT_STATUS_REFRESH,
    recognition_pb2.REPORT_STATUS_UNKNOWN,
)
STRANGER = uscc(1)
PERSONS = (SubjectKind.LEGAL_ENTITY, SubjectKind.SOLE_PROP, SubjectKind.NATURAL_PERSON)


def codes(refusal):
    return {reason.code for reason in refusal.reasons}


async def denied(call):
    """Return the refusal of a call that has several reasons, whichever comes first."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return read_details(caught.value)[1]


@pytest.fixture
def partner(site):
    return r.enrol(site)


@pytest_asyncio.fixture(loop_scope="session")
async def abroad(open_site):
    """A site of the test's own: field tables hold for a whole destination."""
    site = await open_site()
    r.enact(site.desk, r.fields(site.desk))
    return site


# --- FULL_REPORT and HASH_CHECK -------------------------------------------------------------


async def test_a_report_joins_products_in_english_and_chinese(abroad):
    partner = r.enrol(abroad)
    firm = abroad.population.penalised
    answer = await partner.report(f"uscc:{firm}")
    document = json.loads(answer.document)
    base, penalty = document["sections"]
    assert base["records"][0]["uscc"] == {"value": firm}
    status = base["records"][0]["reg_status"]
    assert status["en"].startswith({"ACTIVE": "In operation"}.get(status["value"], ""))
    told = {field["field"]: field for field in base["fields"]}
    assert told["reg_status"]["name"] == "entity_status"
    assert told["reg_status"]["label"] == {"en": "Label of reg_status", "zh": "登记状态"}
    assert told["uscc"]["name"] == "uscc"  # a field that the table doesn't name keeps its own
    assert penalty["records"]
    assert document["onward_use"]["en"] == "No onward supply to third parties."
    assert document["dispute_contact"]
    assert document["versions"]["terms"] == {"agreement": "AGREEMENT-SG-1", "version": 1}
    assert document["versions"]["field_table"] == {"jurisdiction": "SG", "version": 1}
    assert document["report_no"] == answer.report_no
    assert answer.sha256 == hashlib.sha256(answer.document).digest()
    sm3 = hashes.Hash(hashes.SM3())
    sm3.update(answer.document)
    assert answer.sm3 == sm3.finalize()
    for basis in answer.sections:
        assert basis.terms.version == 1
        assert basis.whitelist.version == 1
        assert basis.field_table.name == "SG"
        assert abroad.entry(basis.terms.entry)["kind"] == "recognition_registered"
        assert abroad.entry(basis.intent.index)["kind"] == "intent"
        assert abroad.entry(basis.outcome.index)["status"] == "delivered"
    issued = [entry for entry in abroad.entries() if entry["kind"] == "report_issued"]
    assert issued[-1]["intents"] == sorted(basis.intent.index for basis in answer.sections)


async def test_a_report_is_confirmed_by_either_digest_and_refreshed_by_a_repair(abroad):
    partner = r.enrol(abroad)
    firm = abroad.population.penalised
    answer = await partner.report(firm)
    assert (await partner.check(answer.report_no, answer.sha256)).status == VALID
    found = await partner.check(answer.report_no, answer.sm3, sm3=True)
    assert found.status == VALID
    assert found.valid_until == answer.valid_until
    assert found.basis.terms.version == 1
    record = next(
        value["decision_no"]["value"]
        for section in json.loads(answer.document)["sections"]
        if section["product"] == "admin_penalty"
        for value in section["records"]
    )
    assert record
    key = penalty_of(abroad, firm)
    async with abroad.client(abroad.authority) as authority:
        await authority.publish_repair(abroad.desk.repair("admin_penalty", key))
    found = await partner.check(answer.report_no, answer.sha256)
    assert found.status == REFRESH
    assert not found.HasField("valid_until")
    # A fresh one can be had at once, and is valid.
    again = await partner.report(firm)
    assert (await partner.check(again.report_no, again.sha256)).status == VALID


async def test_an_unknown_digest_looks_like_any_other_unknown(abroad):
    partner = r.enrol(abroad)
    answer = await partner.report(abroad.population.sample[3])
    other = hashlib.sha256(b"altered").digest()
    altered = await partner.check(answer.report_no, other)
    never = await partner.check("XG-" + "0" * 20, other)
    crossed = await partner.check(answer.report_no, answer.sha256, sm3=True)
    for found in (altered, never, crossed):
        assert found.status == UNKNOWN
        assert not found.HasField("valid_until")
    shape = [[field.name for field, _ in found.basis.ListFields()] for found in (altered, never)]
    assert shape[0] == shape[1]
    outcomes = [abroad.entry(f.basis.outcome.index) for f in (altered, never, crossed)]
    assert {entry["rows"] for entry in outcomes} == {0}


async def test_nothing_of_the_report_but_its_standing_is_in_a_check(abroad):
    partner = r.enrol(abroad)
    firm = abroad.population.sample[3]
    answer = await partner.report(firm)
    found = await partner.check(answer.report_no, answer.sha256)
    assert firm not in str(found)
    assert answer.sha256.hex() not in str(found)
    logged = b"\n".join(abroad.bodies())
    for secret in (firm.encode(), answer.sha256.hex().encode()):
        assert secret not in logged


async def test_a_check_reads_a_register_and_the_log_still_agrees(abroad, tmp_path):
    partner = r.enrol(abroad)
    answer = await partner.report(abroad.population.sample[4])
    found = await partner.check(answer.report_no, answer.sha256)
    deployment = abroad.deployment
    reader = LogReader(deployment.log_directory, deployment.log_vkey)
    for _ in range(1_200):
        if reader.checkpoint().size > found.basis.outcome.index:
            break
        await asyncio.sleep(0.1)
    connection = abroad.desk.state.connect()
    try:
        agreed = reconcile(
            reader,
            connection,
            OpeningStore(deployment.secrets().opening_key),
            Limits(index_lag_s=10**6),
            tmp_path / MEMORY,
            int(time.time()),
        )
    finally:
        connection.close()
    assert agreed == []


async def test_a_new_snapshot_refreshes_a_report(abroad):
    from gateway.ingest.loading import load_product
    from gateway.registry.catalogue import Catalogue

    partner = r.enrol(abroad)
    answer = await partner.report(
        abroad.population.sample[3], sections={"public_credit_grade": r.GRADE}
    )
    assert (await partner.check(answer.report_no, answer.sha256)).status == VALID
    load_product(
        abroad.desk.state,
        abroad.world.library,
        Catalogue.load().product("public_credit_grade"),
        abroad.population.files["public_credit_grade"].path,
        abroad.desk.act,
        batch_rows=16_384,
    )
    assert (await partner.check(answer.report_no, answer.sha256)).status == REFRESH


async def test_an_agency_gives_its_customer_a_report_that_a_partner_confirms(abroad):
    partner = r.enrol(abroad)
    agency = abroad.desk.enrol(
        grants={"legal_entity_base": GrantClaims(fields=r.FIRM)},
    )
    inside = r.Partner(agency, abroad, "CN")
    answer = await inside.report(
        abroad.population.sample[3],
        sections={"legal_entity_base": r.FIRM},
        purpose="CREDIT_REPORT",
        scenario="ENTERPRISE_REPORT",
    )
    document = json.loads(answer.document)
    assert document["versions"]["terms"] is None
    assert document["sections"][0]["records"]
    assert (await partner.check(answer.report_no, answer.sha256)).status == VALID


async def test_a_firm_without_records_looks_like_an_unknown_one(abroad):
    partner = r.enrol(abroad)
    one = json.loads((await partner.report(STRANGER)).document)
    other = json.loads((await partner.report("lei:5493001KJTIIGC8Y1R12")).document)
    for document in (one, other):
        assert document["subject"]["identifiers"] == {}
        assert all(not section["records"] for section in document["sections"])
    skeleton = [
        [(s["product"], s["fields"], s["dropped"]) for s in each["sections"]]
        for each in (one, other)
    ]
    assert skeleton[0] == skeleton[1]


async def test_a_report_needs_a_field_table_and_an_enterprise(site, abroad):
    bare = r.enrol(abroad, country="TH")
    await refused(abroad, bare.report(STRANGER), "XB_FIELD_TABLE", DENIED, rule="R54")
    partner = r.enrol(abroad, subject_kinds=PERSONS)
    call = partner.report("token-of-somebody", kind="NATURAL_PERSON")
    refusal = await denied(call)
    assert "XB_ENTERPRISE_ONLY" in codes(refusal)


# --- STATUS_ONLY ----------------------------------------------------------------------------


async def test_a_status_is_shown_or_not(partner):
    found = await partner.status(partner.site.population.sample[3], "REGISTERED", "SERIOUS_LIST")
    registered, listed = found.answers
    assert registered.title_zh
    assert registered.basis.terms.version == 1
    gone = (await partner.status(STRANGER, "REGISTERED", "SERIOUS_LIST")).answers
    assert [answer.shown for answer in gone] == [False, False]
    shown = []
    for firm in partner.site.population.sample:
        answers = (await partner.status(firm, "REGISTERED", "DEREGISTERED")).answers
        shown.append(tuple(answer.shown for answer in answers))
    assert (True, True) not in shown
    assert (True, False) in shown
    assert listed.status == "SERIOUS_LIST"


async def test_a_firm_on_a_list_is_shown(partner):
    snapshot = partner.site.world.library.current("serious_dishonesty_list")
    rows = snapshot.rows_of(
        [str(k) for k in snapshot.take(snapshot.piece_rows(0, 0), ["record_id"]).column(0)]
    )
    held = snapshot.take(
        rows[snapshot.shareable(rows, partner.site.desk.act.now)],
        ["uscc", "status", "subject_type"],
    ).to_pylist()
    firm = next(
        row["uscc"]
        for row in held
        if row["status"] == "LISTED" and row["subject_type"] == "LEGAL_ENTITY"
    )
    (answer,) = (await partner.status(firm, "SERIOUS_LIST")).answers
    assert answer.shown
    assert firm not in str(answer)


async def test_unknown_statuses_and_persons_are_refused(partner):
    site = partner.site
    await refused(site, partner.status(STRANGER, "NO_SUCH"), "BAD_REQUEST", INVALID)
    await refused(site, partner.status(STRANGER), "BAD_REQUEST", INVALID)
    await refused(site, partner.status("91460099", "REGISTERED"), "BAD_ID", INVALID)
    of_persons = r.enrol(site, subject_kinds=PERSONS)
    call = of_persons.status(STRANGER, "REGISTERED", kind="SOLE_PROP")
    refusal = await denied(call)
    assert "XB_ENTERPRISE_ONLY" in codes(refusal)


# --- GRADE_MAP ------------------------------------------------------------------------------


def graded(site, count=12):
    """Firms whose grade may leave now: other tests on the same site repair records of some."""
    snapshot = site.world.library.current("public_credit_grade")
    rows = np.arange(snapshot.rows)
    found = snapshot.take(
        rows[snapshot.shareable(rows, int(time.time()))], ["uscc", "subject_type"]
    ).to_pylist()
    return [row["uscc"] for row in found if row["subject_type"] == "LEGAL_ENTITY"][:count]


async def test_a_grade_in_the_partners_scale(partner):
    table = r.mapping(partner.site.desk, partner.party_id)
    r.enact(partner.site.desk, table)
    answers = [await partner.grade(firm) for firm in graded(partner.site)]
    rows = {row.grade: row.equals or None for row in table.rows}
    assert any(answer.found for answer in answers)
    for answer in answers:
        if answer.found:
            assert (answer.grade or None) == rows[answer.original]
            assert answer.no_equivalent == (rows[answer.original] is None)
            assert answer.as_of
        assert (answer.scale, answer.basis.mapping.name) == ("Example Bureau scale", "HN-SG-1")
        assert answer.basis.mapping.version == 1
    unknown = await partner.grade(STRANGER)
    assert not unknown.found
    assert unknown.scale == "Example Bureau scale"


async def test_an_unknown_mapping_and_a_withdrawn_one(partner):
    site, desk = partner.site, partner.site.desk
    firm = site.population.sample[3]
    await refused(site, partner.grade(firm), "XB_MAPPING", DENIED, rule="R52")
    table = r.mapping(desk, partner.party_id)
    r.enact(desk, table)
    assert (await partner.grade(firm)).scale
    r.withdraw(desk, table)
    await refused(site, partner.grade(firm), "XB_MAPPING", DENIED, rule="R52")
    r.enact(desk, r.mapping(desk, partner.party_id))
    assert (await partner.grade(firm)).basis.mapping.version == 2


async def test_a_grade_whose_field_is_not_whitelisted(partner):
    desk = partner.site.desk
    r.enact(desk, r.mapping(desk, partner.party_id))
    r.whitelist(desk, partner.party_id, "public_credit_grade", ("uscc", "as_of"))
    call = partner.grade(partner.site.population.sample[3])
    await refused(partner.site, call, "XB_NOT_WHITELISTED", DENIED, rule="R54")


async def test_a_forged_table_is_not_put_in_effect(partner):
    desk = partner.site.desk
    claims = r.mapping(desk, partner.party_id)
    document = sign(claims, new_document_key(), register.document_type(Register.MAPPING))
    keys = desk.deployment.authority_keys().get
    with pytest.raises(BadSignatureError):
        desk.state.run(
            lambda tx: register.enact(
                tx, document, Register.MAPPING, desk.act, key_of=keys, known=r.known(tx)
            )
        )
    call = partner.grade(partner.site.population.sample[3])
    await refused(partner.site, call, "XB_MAPPING", DENIED, rule="R52")


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


# --- What changes while an answer is made ---------------------------------------------------


def meanwhile(monkeypatch, event):
    """Let something happen after a report was registered, before it is handed over."""
    real = ReportDesk.issue

    async def issue(desk, *words):
        done = await real(desk, *words)
        monkeypatch.undo()
        await event()
        return done

    monkeypatch.setattr(ReportDesk, "issue", issue)


def penalty_of(site, firm):
    """Return the key of a penalty that is shared now."""
    snapshot = site.world.library.current("admin_penalty")
    rows = snapshot.locate([firm])
    shared = rows[snapshot.shareable(rows, site.desk.act.now)]
    return str(snapshot.take(shared, ["record_id"]).column(0).to_pylist()[0])


async def test_a_record_repaired_before_the_hand_over_is_in_no_report(abroad, monkeypatch):
    partner, firm = r.enrol(abroad), abroad.population.penalised
    wanted = {"admin_penalty": r.PENALTY, "legal_entity_base": r.FIRM}
    key = penalty_of(abroad, firm)
    before = json.loads((await partner.report(firm, sections=wanted)).document)["sections"][0]

    async def repair():
        async with abroad.client(abroad.authority) as authority:
            await authority.publish_repair(abroad.desk.repair("admin_penalty", key))

    meanwhile(monkeypatch, repair)
    await refused(abroad, partner.report(firm, sections=wanted), "STOPPED_STREAM", DENIED)
    after = json.loads((await partner.report(firm, sections=wanted)).document)["sections"][0]
    assert len(after["records"]) == len(before["records"]) - 1


async def test_terms_withdrawn_before_the_hand_over_stop_the_answer(abroad, monkeypatch):
    partner, firm = r.enrol(abroad), abroad.population.sample[3]
    found = abroad.world.registry.view().recognitions.terms(partner.party_id, abroad.desk.act.now)

    async def withdraw():
        abroad.desk.run(register.withdraw, Register.TERMS, partner.party_id, found.effect.version)

    meanwhile(monkeypatch, withdraw)
    await refused(abroad, partner.report(firm), "XB_TERMS", DENIED, rule="R52")


async def test_a_field_taken_from_the_whitelist_before_the_hand_over_is_in_no_report(
    abroad, monkeypatch
):
    partner, firm = r.enrol(abroad), abroad.population.sample[3]
    wanted = {"legal_entity_base": r.FIRM}
    narrower = tuple(name for name in r.FIRM if name != "reg_status")

    async def narrow():
        r.whitelist(abroad.desk, partner.party_id, "legal_entity_base", narrower)

    meanwhile(monkeypatch, narrow)
    await refused(abroad, partner.report(firm, sections=wanted), "LICENCE_CHANGED", DENIED)
    abroad.copy_abroad()
    (section,) = json.loads((await partner.report(firm, sections=wanted)).document)["sections"]
    assert "reg_status" not in section["records"][0]


# --- The client, and what both sides sign ---------------------------------------------------

WORDS = {
    "purpose": "TRADE",
    "scenario": "MUTUAL_RECOGNITION",
    "destination": "SG",
    "operator": "analyst-1",
    "case_reference": "case-9",
}


async def test_the_client_asks_in_every_mode_and_signs(abroad):
    partner = r.enrol(abroad, signed_requests=True)
    r.enact(abroad.desk, r.mapping(abroad.desk, partner.party_id))
    firm = f"uscc:{abroad.population.sample[3]}"
    async with abroad.client(partner.member) as client:
        issued = await client.report(firm, {"legal_entity_base": r.FIRM}, **WORDS)
        checked = await client.check_report(issued.report_no, issued.document, **WORDS)
        assert checked.status == VALID
        found = await client.check_status(firm, ["REGISTERED"], **WORDS)
        assert set(found) == {"REGISTERED"}
        assert (await client.map_grade(firm, **WORDS)).scale == "Example Bureau scale"
        assert (await client.tables()).terms.in_effect
    assert "signature" in abroad.entry(checked.basis.intent.index)
    call = partner.status(firm, "REGISTERED")
    await refused(abroad, call, "SIGNATURE_REQUIRED", "UNAUTHENTICATED")


async def test_a_signature_over_another_call_is_refused(partner):
    firm = f"uscc:{partner.site.population.sample[3]}"
    request = recognition_pb2.CheckStatusRequest(
        context=partner.context(), subject=firm, statuses=["REGISTERED"],
        subject_kind="SUBJECT_KIND_LEGAL_ENTITY",
    )  # fmt: skip
    identity = partner.member.identity
    for method in ("MapGrade", "CheckStatus"):
        request.context.idempotency_key = f"key-of-{method}-{partner.party_id[-8:]}"
        name = f"xinguan.v1.RecognitionService/{method}"
        request.context.signature = sign_call(name, request, identity.party_id, identity.key)
        if method == "CheckStatus":
            assert await partner.stub.CheckStatus(request)
            request.statuses.append("DEREGISTERED")
        call = partner.stub.CheckStatus(request)
        await refused(partner.site, call, "BAD_SIGNATURE", "UNAUTHENTICATED")


async def test_a_call_is_answered_once(partner):
    request = recognition_pb2.CheckStatusRequest(
        context=partner.context(),
        subject=partner.site.population.sample[3],
        statuses=["REGISTERED", "SERIOUS_LIST"],
        subject_kind="SUBJECT_KIND_LEGAL_ENTITY",
    )
    assert len((await partner.stub.CheckStatus(request)).answers) == 2
    await refused(partner.site, partner.stub.CheckStatus(request), "REPLAYED", "ALREADY_EXISTS")
    request.statuses.pop()
    await refused(partner.site, partner.stub.CheckStatus(request), "CONFLICT", "ALREADY_EXISTS")


# --- Destination law ------------------------------------------------------------------------


def firm_with_an_old_penalty(site) -> tuple[str, str]:
    """Return a firm with a penalty of more than a year ago that is shown now, and its date."""
    snapshot, now = site.world.library.current("admin_penalty"), int(time.time())
    for number in range(snapshot.batch_count):
        rows = snapshot.batch_rows(number)
        rows = rows[snapshot.shareable(rows, now)]
        columns = ["uscc", "decided_on", "subject_type", "publicity_state"]
        for row in snapshot.take(rows, columns).to_pylist():
            shown = (row["subject_type"], row["publicity_state"]) == ("LEGAL_ENTITY", "PUBLIC")
            if shown and row["decided_on"] < dt.date.fromtimestamp(now) - dt.timedelta(400):
                return row["uscc"], row["decided_on"].isoformat()
    raise AssertionError("the synthetic records have no old penalty")


async def test_the_destination_drops_a_field_and_an_old_record(abroad):
    partner = r.enrol(abroad)
    firm, old = firm_with_an_old_penalty(abroad)
    sections = {"admin_penalty": r.PENALTY}
    before = json.loads((await partner.report(firm, sections=sections)).document)["sections"][0]
    assert before["records"]
    assert "authority" in before["records"][0]
    r.enact(
        abroad.desk,
        r.fields(abroad.desk, r.row("admin_penalty", "authority", forbidden=True)),
    )
    after = json.loads((await partner.report(firm, sections=sections)).document)["sections"][0]
    assert len(after["records"]) == len(before["records"])
    assert "authority" not in after["records"][0]
    assert after["dropped"] == {"authority": "XB_DESTINATION"}
    assert old in [each["decided_on"]["value"] for each in before["records"]]
    r.enact(
        abroad.desk,
        r.fields(abroad.desk, r.row("admin_penalty", "decided_on", oldest_years=1)),
    )
    found = json.loads((await partner.report(firm, sections=sections)).document)["sections"][0]
    kept = [each["decided_on"]["value"] for each in found["records"]]
    limit = (dt.date.today() - dt.timedelta(366)).isoformat()
    assert len(kept) < len(before["records"])
    assert all(day >= limit for day in kept)


async def test_a_withdrawn_field_table_lets_nothing_out(abroad):
    partner = r.enrol(abroad)
    firm = abroad.population.sample[3]
    claims = r.fields(abroad.desk)
    r.enact(abroad.desk, claims)
    assert await partner.status(firm, "REGISTERED")
    r.withdraw(abroad.desk, claims)
    call = partner.status(firm, "REGISTERED")
    await refused(abroad, call, "XB_FIELD_TABLE", DENIED, rule="R54")


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
