"""Mutual recognition over mutual TLS, mode by mode."""

import asyncio
import hashlib
import json
import time

import grpc
import numpy as np
import pytest
from cryptography.hazmat.primitives import hashes

from audit.doctor import Limits
from audit.openings import OpeningStore
from audit.reader import LogReader
from gateway.domain.recognition import Register
from gateway.domain.vocabulary import SubjectKind
from gateway.identity.keyfiles import new_document_key
from gateway.recognition import register
from gateway.registry.documents import BadSignatureError, sign
from gateway.registry.licences import GrantClaims
from gateway.subjects.reconciliation import MEMORY, reconcile
from tests.gateway.e2e import recognising as r
from tests.gateway.e2e.wire import read_details, refused
from tests.simulator import uscc
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
    key = r.penalty_of(abroad, firm)
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
