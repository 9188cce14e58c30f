"""Decisions of the authority over the wire: what each does to the very next answer."""

import asyncio
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gateway.domain.vocabulary import LicenceKind, Role
from gateway.identity.keyfiles import new_document_key
from gateway.ingest.loading import load_product
from gateway.registry import document_keys
from gateway.registry.catalogue import Catalogue
from gateway.registry.documents import key_id, sign
from gateway.registry.licences import GrantClaims
from gateway.repair.decision import REPAIR_TYPE, RepairClaims
from gateway.snapshot.library import SnapshotLibrary
from tests.gateway.e2e.serving import Site
from tests.gateway.e2e.wire import refused
from xinguan.client import Answer
from xinguan.v1 import repair_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIELDS = ("uscc", "decision_no", "dispute_flag")
GRADE = ("uscc", "grade")
COURT = {"ruling": "SYN-RULING-1", "ends_at": int(time.time()) + 86_400 * 90}
DENIED, INVALID, CONFLICT = "PERMISSION_DENIED", "INVALID_ARGUMENT", "ALREADY_EXISTS"


@pytest.fixture
def agency(site):
    """An agency that may see the label of dispute."""
    return enrol(site)


def enrol(site: Site):
    grants = {
        "admin_penalty": GrantClaims(fields=FIELDS),
        "public_credit_grade": GrantClaims(fields=GRADE),
    }
    return site.desk.enrol(Role.BANK, LicenceKind.BANKING, grants=grants,
                           purposes=("ENTERPRISE_CREDIT",), scenarios=("CREDIT_LOAN",))  # fmt: skip


def shared_records(site: Site, product: str = "admin_penalty") -> list[tuple[str, str]]:
    """Return subject and record id of every record that may leave now."""
    snapshot = site.world.library.current(product)
    found = []
    for number in range(snapshot.batch_count):
        rows = snapshot.batch_rows(number)
        rows = rows[snapshot.shareable(rows, int(time.time()))]
        taken = snapshot.take(rows, ["uscc", "record_id", "subject_type"]).to_pylist()
        found += [
            (row["uscc"], row["record_id"])
            for row in taken
            if row["subject_type"] == "LEGAL_ENTITY"
        ]
    return found


def plain_record(site: Site) -> tuple[str, str]:
    """Return a shared record of a subject, undisputed and never decided on."""
    snapshot = site.world.library.current("admin_penalty")
    reader = site.desk.state.connect()
    used = {row[0] for row in reader.execute("SELECT record_key FROM record_states")}
    reader.close()
    for subject, record in shared_records(site):
        flag = snapshot.take(snapshot.rows_of([record]), ["dispute_flag"])[0][0].as_py()
        if not flag and record not in used:
            return subject, record
    raise AssertionError("no record is left to decide on")


async def publish(site: Site, record: str, product: str = "admin_penalty", **claims):
    document = site.desk.repair(product, record, **claims)
    return await site.repairs(site.authority).Publish(
        repair_pb2.PublishRequest(decision=document), timeout=20
    )


async def answer(site: Site, who, subject: str, product="admin_penalty", fields=FIELDS):
    words = {"subjects": [subject], "purpose": "ENTERPRISE_CREDIT", "scenario": "CREDIT_LOAN"}
    rows = Answer(await site.query(who, product, list(fields), **words)).rows()
    if product != "admin_penalty":
        return rows
    # The record's id is no field that leaves; the number of its decision is.
    snapshot = site.world.library.current(product)
    known = snapshot.take(snapshot.locate([subject]), ["decision_no", "record_id"]).to_pylist()
    ids = {row["decision_no"]: row["record_id"] for row in known}
    return {ids[row["decision_no"]]: row for row in rows}


def alarms(site: Site) -> list[dict]:
    return [entry for entry in site.entries() if entry["kind"] == "alarm"]


@pytest.mark.rule("R25", "effect")
@pytest.mark.rule("R29", "absence")
@pytest.mark.rule("R2A", "absence")
async def test_a_repair_says_where_the_record_stands_and_how_long_it_took(site, agency):
    subject, record = plain_record(site)
    assert record in await answer(site, agency, subject)
    decided_at = int(time.time()) - 7
    done = await publish(site, record, decided_at=decided_at)
    assert (done.state, done.withheld) == ("REPAIRED", True)
    assert 7_000 <= done.delay_ms < 20_000
    entry = site.entry(done.entry.index)
    assert entry["delay"] >= 7
    assert entry["state"] == "REPAIRED"
    assert entry["consequences"] == [
        "LIFT_RESTRICTIONS", "RECOMPUTE", "REFRESH_CREDENTIALS", "TOMBSTONE_FEATURES", "RECALL"
    ]  # fmt: skip
    assert record not in await answer(site, agency, subject)
    reader = site.desk.state.connect()
    (tombs,) = reader.execute(
        "SELECT count(*) FROM tombstones WHERE record_key = ?", (record,)
    ).fetchone()
    kinds = reader.execute(
        "SELECT kind FROM consequences WHERE record_key = ? ORDER BY kind", (record,)
    ).fetchall()
    reader.close()
    assert tombs == 1
    assert [kind for (kind,) in kinds] == ["LIFT_RESTRICTIONS", "REFRESH_CREDENTIALS"]


async def test_an_early_repair_is_applied_and_raises_an_alarm(site):
    _, record = plain_record(site)
    before = len(alarms(site))
    done = await publish(site, record, decided_at=1_000_000_000)
    assert done.state == "REPAIRED"
    new = alarms(site)[before:]
    assert [(alarm["rule"], alarm["code"]) for alarm in new] == [("R22", "EARLY_REPAIR")]
    assert new[0]["cause"] == done.entry.index


@pytest.mark.rule("R26", "effect")
@pytest.mark.rule("R26", "absence")
async def test_a_mask_gives_back_exactly_what_it_covered(site, agency):
    subject, record = plain_record(site)
    masked = await publish(site, record, verdict="TEMP_MASK", origin="COURT", **COURT)
    assert (masked.state, masked.withheld) == ("TEMP_MASKED", True)
    assert record not in await answer(site, agency, subject)
    failed = await publish(site, record, verdict="UNMASK", plan="FAILED")
    assert (failed.state, failed.withheld) == ("ACTIVE", False)
    assert record in await answer(site, agency, subject)
    statement = {"statement": "示例声明", **COURT}
    stated = await publish(site, record, verdict="STATEMENT", origin="COURT", **statement)
    assert stated.state == "TEMP_MASKED"
    completed = await publish(site, record, verdict="UNMASK", plan="COMPLETED")
    assert completed.state == "REPAIRED"
    assert record not in await answer(site, agency, subject)


async def test_a_dispute_is_carried_by_every_answer_until_it_is_closed(site, agency):
    subject, record = plain_record(site)
    assert (await answer(site, agency, subject))[record]["dispute_flag"] is False
    opened = await publish(
        site, record, verdict="DISPUTE_OPENED", origin="OBJECTION", dispute_id="SYN-D-9"
    )
    assert (opened.state, opened.withheld) == ("DISPUTED", False)
    assert (await answer(site, agency, subject))[record]["dispute_flag"] is True
    pending = await publish(site, record, verdict="ACCEPTED")
    assert pending.state == "REPAIR_PENDING"
    assert (await answer(site, agency, subject))[record]["dispute_flag"] is True
    await publish(site, record, verdict="REJECTED")
    closed = await publish(site, record, verdict="DISPUTE_CLOSED", origin="OBJECTION")
    assert closed.state == "ACTIVE"
    assert (await answer(site, agency, subject))[record]["dispute_flag"] is False


async def test_a_grade_older_than_the_repair_is_withheld_until_a_newer_one_comes(open_site):
    site = await open_site()
    bank = enrol(site)
    graded = {subject for subject, _ in shared_records(site, "public_credit_grade")}
    subject, record = next(pair for pair in shared_records(site) if pair[0] in graded)
    ask = (site, bank, subject, "public_credit_grade", GRADE)
    assert await answer(*ask)
    await publish(site, record)
    assert not await answer(*ask)
    # A snapshot of the same old grades changes nothing: they were computed with the record.
    old = site.population.files["public_credit_grade"].path
    await asyncio.to_thread(load_grades, site, old)
    assert not await answer(*ask)
    table = pq.read_table(old)
    place = table.schema.get_field_index("source_updated_at")
    kind = table.schema.field(place).type
    later = pa.array([int(time.time()) + 60] * table.num_rows, pa.timestamp("s", "UTC")).cast(kind)
    new = old.with_name("newer.parquet")
    pq.write_table(table.set_column(place, table.schema.field(place), later), new)
    await asyncio.to_thread(load_grades, site, new)
    assert await answer(*ask)


def load_grades(site: Site, path) -> None:
    """Admit grades in the desk's process, as `xinguan load` beside a serving gateway does."""
    library = SnapshotLibrary(site.deployment.snapshots_directory)
    product = Catalogue.load().product("public_credit_grade")
    load_product(site.desk.state, library, product, path, site.desk.act)


@pytest.mark.rule("R29", "effect")
@pytest.mark.rule("R2A", "effect")
@pytest.mark.rule("R25", "absence")
@pytest.mark.parametrize(
    ("claims", "rule", "code", "status"),
    [
        ({"origin": "REPUTATION_AGENT"}, "R29", "ILLEGAL_DELETION", DENIED),
        ({"origin": "COURT"}, "R29", "ILLEGAL_DELETION", DENIED),
        ({"origin": "SUBJECT", "verdict": "WITHDRAWN"}, "R29", "ILLEGAL_DELETION", DENIED),
        (
            {"materials": ("FULFILMENT_PROOF", "NOTARISED_LETTER")},
            "R2A",
            "EXCESS_MATERIALS",
            INVALID,
        ),
        ({"decided_at": int(time.time()) + 86_400}, "R25", "DECIDED_IN_FUTURE", INVALID),
        ({"sequence": 1}, "R25", "STALE_SEQUENCE", CONFLICT),
        ({"verdict": "DISPUTE_CLOSED"}, "R25", "CONTRADICTION", CONFLICT),
        ({"verdict": "UNMASK", "plan": "FAILED"}, "R25", "CONTRADICTION", CONFLICT),
    ],
)
async def test_what_may_not_be_is_refused_with_its_rule_and_changes_nothing(
    site, agency, claims, rule, code, status
):
    subject, record = plain_record(site)
    if code == "STALE_SEQUENCE":
        await publish(site, plain_record(site)[1], verdict="ACCEPTED")
    before = len(alarms(site))
    refusal = await refused(site, publish(site, record, **claims), code, status, rule=rule)
    assert record in await answer(site, agency, subject)
    raised = [(alarm["rule"], alarm["code"]) for alarm in alarms(site)[before:]]
    assert raised == ([("R29", "ILLEGAL_DELETION")] if rule == "R29" else [])
    assert site.entry(refusal.denial_index)["kind"] == "denial"


async def test_terminal_stays_terminal(site):
    _, record = plain_record(site)
    await publish(site, record)
    again = await publish(site, record, verdict="WITHDRAWN", origin="RECONSIDERATION")
    assert again.state == "REPAIRED"
    for claims in ({"verdict": "ACCEPTED"}, {"verdict": "UNMASK", "plan": "FAILED"}):
        call = publish(site, record, **claims)
        await refused(site, call, "CONTRADICTION", CONFLICT, rule="R25")


@pytest.mark.parametrize(
    "claims",
    [
        {"verdict": "TEMP_MASK"},
        {"verdict": "UNMASK"},
        {"plan": "FAILED"},
        {"verdict": "STATEMENT", **COURT},
        {"verdict": "DISPUTE_OPENED"},
    ],
)
async def test_a_verdict_without_what_it_rests_on_is_no_document(site, claims):
    values = {"verdict": "APPROVED"} | claims
    with pytest.raises(ValueError, match=r"mask|plan|words|number"):
        site.desk.repair("admin_penalty", plain_record(site)[1], **values)


async def test_a_subject_takes_back_what_it_declared_itself_and_nothing_else(site):
    subject, record = shared_records(site, "self_declared_info")[0]
    other = next(key for code, key in shared_records(site, "self_declared_info") if code != subject)
    party = site.desk.register(Role.SUBJECT, party_id=f"uscc:{subject}")
    identity = site.desk.issue(party)
    key = new_document_key()
    site.desk.run(document_keys.register, party, key.public_key())

    def document(record_id: str, product: str = "self_declared_info") -> str:
        claims = RepairClaims(
            repair_id=f"own-{key_id(key.public_key())[:8]}-{record_id[-12:]}",
            origin="SUBJECT",
            sequence=time.time_ns() // 1000,
            product=product,
            record_id=record_id,
            verdict="WITHDRAWN",
            deciding_unit=subject,
            decided_at=int(time.time()),
        )
        return sign(claims, key, REPAIR_TYPE)

    def call(text: str):
        return site.repairs(identity).Publish(repair_pb2.PublishRequest(decision=text), timeout=60)

    for text in (document(other), document(plain_record(site)[1], "admin_penalty")):
        await refused(site, call(text), "ILLEGAL_DELETION", DENIED, rule="R29")
    assert (await call(document(record))).state == "WITHDRAWN"
    assert record not in {key for _, key in shared_records(site, "self_declared_info")}


@pytest.mark.rule("R27", "effect")
async def test_states_are_applied_again_before_a_restored_gateway_serves(open_site):
    first = await open_site()
    _, masked = shared_records(first)[0]
    _, unmasked = shared_records(first)[1]
    _, disputed = shared_records(first)[2]
    for record in (masked, unmasked):
        await publish(first, record, verdict="TEMP_MASK", origin="COURT", **COURT)
    await publish(first, unmasked, verdict="UNMASK", plan="FAILED")
    await publish(
        first, disputed, verdict="DISPUTE_OPENED", origin="OBJECTION", dispute_id="SYN-D-1"
    )
    # A second library over the same files is what a restart, or a restore of old files, opens.
    fresh = SnapshotLibrary(
        first.deployment.snapshots_directory,
        first.world.library._sealed_keys,
        prepare=first.world.library._prepare,
    )
    snapshot = fresh.current("admin_penalty")
    now = int(time.time())
    rows = {key: snapshot.rows_of([key]) for key in (masked, unmasked, disputed)}
    assert not snapshot.shareable(rows[masked], now).any()
    assert snapshot.shareable(rows[unmasked], now).all()
    assert snapshot.take(rows[disputed], ["dispute_flag", "dispute_id"]).to_pylist() == [
        {"dispute_flag": True, "dispute_id": "SYN-D-1"}
    ]
