"""Credentials over mutual TLS: issued through the road, refreshed by a repair, checked offline."""

import asyncio
import json
import stat
import time

import pytest
import pytest_asyncio

from audit.canonical import canonical
from audit.merkle import leaf_hash
from gateway.credential import sd_jwt
from gateway.credential.book import Place
from gateway.credential.errors import CredentialError
from gateway.credential.jws import Signer, to_jwk
from gateway.credential.key_binding import Binding, bind
from gateway.credential.places import Places
from gateway.credential.status_list import CredentialStatus
from gateway.demo.cast import AGENCY, PARTNER
from gateway.demo.stage import set_stage
from gateway.doors.credential_form import CredentialForm
from gateway.identity.keyfiles import new_document_key
from gateway.registry.documents import LICENCE_TYPE, sign
from gateway.registry.licences import GrantClaims
from gateway.replicas.changes import Noted, note_changes
from gateway.snapshot.library import POINTER
from tests.gateway.e2e.conftest import serve_site
from tests.gateway.e2e.credentials import (
    COMPANY,
    GRADE,
    ISSUER,
    check,
    enrol_partner,
    issue,
    issuing_site,
    list_text,
    published,
    regrade,
    until,
    with_issuer,
)
from tests.gateway.e2e.serving import CASE, OPERATOR
from tests.gateway.e2e.test_answers import check_promise
from tests.gateway.e2e.test_decisions import COURT, publish, shared_records
from tests.gateway.e2e.wire import refused
from xinguan.v1 import credential_pb2, credential_pb2_grpc

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def issuing(stage, tmp_path_factory):
    root = tmp_path_factory.mktemp("issuing") / "home"
    async with issuing_site(stage, root) as site:
        yield site
        log = b"\n".join(site.bodies())
        for secret in (OPERATOR, CASE, *site.population.sample):
            assert secret.encode() not in log


@pytest.fixture(scope="module")
def partner(issuing):
    return enrol_partner(issuing)


@pytest.fixture(autouse=True)
def fresh_publicity(request):
    if "issuing" in request.fixturenames:
        request.getfixturevalue("issuing").desk.check_publicity()


def status_of(site, credential) -> str:
    try:
        check(site, credential)
    except CredentialError as error:
        return error.code
    return "VALID"


async def ask_status(site, who, credential_id):
    stub = credential_pb2_grpc.CredentialServiceStub(site.channel(who))
    request = credential_pb2.GetCredentialStatusRequest(credential_id=credential_id)
    return await stub.GetCredentialStatus(request, timeout=60)


async def test_a_partner_gets_the_whitelisted_fields_each_by_itself(issuing, partner):
    subject = issuing.population.sample[3]
    credential = await issue(issuing, partner, subject)
    found = check(issuing, credential)
    assert set(found.shown) == set(credential.fields) >= {*COMPANY}
    assert found.claims["uscc"] == subject
    assert found.claims["iss"] == ISSUER
    assert found.status is CredentialStatus.VALID
    assert found.claims["exp"] == credential.expires_at.seconds
    assert credential.status_ttl_s == 300
    # Nothing of the record stands in the part that is always shown.
    bare = check(issuing, credential_pb2.IssuedCredential(
        sd_jwt=sd_jwt.select(credential.sd_jwt, ["name"]),
        status_list_uri=credential.status_list_uri))  # fmt: skip
    assert bare.shown == ("name",)
    assert subject not in json.dumps(bare.claims, ensure_ascii=False)


async def test_it_took_the_road_and_stands_in_the_log_without_names(issuing, partner):
    subject = issuing.population.sample[4]
    credential = await issue(issuing, partner, subject)
    intent = issuing.entry(credential.decision.intent.index)
    outcome = issuing.entry(credential.outcome.index)
    issued = issuing.entry(credential.entry.index)
    assert (intent["kind"], outcome["kind"]) == ("intent", "outcome")
    assert (outcome["status"], outcome["rows"], "field_root" in outcome) == ("delivered", 1, True)
    assert issued["kind"] == "credential_issued"
    assert issued["intent"] == credential.decision.intent.index
    assert issued["fields"] == len(credential.fields)
    text = json.dumps(issued)
    assert subject not in text
    assert credential.credential_id not in text


async def test_a_holder_proves_its_key_to_one_verifier(issuing, partner):
    holder = Signer.of(new_document_key())
    jwk = json.dumps(to_jwk(holder.key.public_key()))
    credential = await issue(issuing, partner, issuing.population.sample[5], holder_jwk=jwk)
    wanted = Binding("https://bank.example.sg", "n-0S6_WzA2Mj")
    shown = bind(credential.sd_jwt, holder, wanted, int(time.time()))
    presented = credential_pb2.IssuedCredential(
        sd_jwt=shown, status_list_uri=credential.status_list_uri
    )
    assert check(issuing, presented, binding=wanted).holder_proved
    for other in (Binding("https://else.example", wanted.nonce), Binding(wanted.audience, "n-1")):
        with pytest.raises(CredentialError, match="holds its key"):
            check(issuing, presented, binding=other)
    with pytest.raises(CredentialError):
        check(issuing, credential, binding=wanted)


async def test_a_repaired_firm_ends_with_a_better_usable_credential(issuing, partner, tmp_path):
    graded = {row for row, _ in shared_records(issuing)}
    snapshot = issuing.world.library.current("public_credit_grade")
    poor = [
        row["uscc"]
        for number in range(snapshot.batch_count)
        for row in snapshot.take(snapshot.batch_rows(number), ["uscc", "grade"]).to_pylist()
        if row["grade"] in "CD" and row["uscc"] in graded
    ]
    subject, old = "", None
    for code in poor:
        try:
            old = await issue(issuing, partner, code, "public_credit_grade", GRADE)
        except Exception:  # noqa: BLE001, S112 - its grade is withheld or has ended
            continue
        subject = code
        break
    assert old is not None
    company = await issue(issuing, partner, subject)
    before = check(issuing, old).claims["grade"]
    assert before in "CD"

    record = next(key for code, key in shared_records(issuing) if code == subject)
    done = await publish(issuing, record)
    told = await ask_status(issuing, partner, old.credential_id)
    assert told.status == credential_pb2.CREDENTIAL_STATUS_REFRESH  # at once
    await until(lambda: status_of(issuing, old) == "CREDENTIAL_REFRESH")
    assert status_of(issuing, company) == "VALID"  # it says nothing that the repair touches
    assert "REFRESH_CREDENTIALS" in issuing.entry(done.entry.index)["consequences"]
    settled = issuing.desk.state.run(
        lambda tx: tx.execute(
            "SELECT settled_index FROM consequences WHERE record_key = ? AND kind = ?",
            (record, "REFRESH_CREDENTIALS"),
        ).fetchone()
    )
    assert settled == (done.entry.index,)

    # Until it is computed anew, the old grade can't be had any more; then the better one can.
    again = issue(issuing, partner, subject, "public_credit_grade", GRADE,
                  credential_id=old.credential_id)  # fmt: skip
    await refused(issuing, again, "NOTHING_TO_ATTEST", "NOT_FOUND", logged=False)
    await asyncio.to_thread(regrade, issuing, subject, "A", tmp_path)
    await asyncio.to_thread(issuing.copy_abroad)  # as the gateway does within a second
    fresh = await issue(
        issuing, partner, subject, "public_credit_grade", GRADE, credential_id=old.credential_id
    )
    after = check(issuing, fresh)
    assert after.claims["grade"] == "A" < before
    assert after.status is CredentialStatus.VALID
    assert status_of(issuing, old) == "CREDENTIAL_REFRESH"


async def test_a_new_grade_refreshes_whom_it_concerns_and_nobody_else(issuing, partner, tmp_path):
    snapshot = issuing.world.library.current("public_credit_grade")
    rows = snapshot.batch_rows(0)
    now = int(time.time())
    free = snapshot.take(rows[snapshot.shareable(rows, now)], ["uscc", "grade"]).to_pylist()
    chosen = []
    for row in free:
        try:
            made = await issue(issuing, partner, row["uscc"], "public_credit_grade", GRADE)
        except Exception:  # noqa: BLE001, S112 - a person behind a business code, a stale grade
            continue
        chosen.append((row, made))
        if len(chosen) == 2:
            break
    (changed, one), (_, other) = chosen
    grade = "B" if changed["grade"] != "B" else "A"
    await asyncio.to_thread(regrade, issuing, changed["uscc"], grade, tmp_path)
    await until(lambda: status_of(issuing, one) == "CREDENTIAL_REFRESH")
    assert status_of(issuing, other) == "VALID"
    (entry,) = [e for e in issuing.entries() if e["kind"] == "credential_status"
                and e["reason"] == "SNAPSHOT"][-1:]  # fmt: skip
    # A grade that another test had changed is back as well.
    assert entry["status"] == "REFRESH"
    assert entry["count"] in {1, 2}


async def test_a_damaged_product_keeps_no_other_product_s_credentials_valid(
    issuing, partner, tmp_path
):
    library = issuing.world.library
    snapshot = library.current("public_credit_grade")
    rows = snapshot.batch_rows(0)
    free = rows[snapshot.shareable(rows, int(time.time()))]
    for row in snapshot.take(free, ["uscc", "grade"]).to_pylist():
        try:
            made = await issue(issuing, partner, row["uscc"], "public_credit_grade", GRADE)
        except Exception:  # noqa: BLE001, S112 - as above
            continue
        break
    damaged = library._directory / "admin_licence" / POINTER
    assert library.products()[0] == "admin_licence"  # compared before the grades
    pointed = damaged.read_bytes()
    damaged.write_bytes(b"0" * len(pointed))
    try:
        grade = "B" if row["grade"] != "B" else "A"
        await asyncio.to_thread(regrade, issuing, row["uscc"], grade, tmp_path)
        await until(lambda: status_of(issuing, made) == "CREDENTIAL_REFRESH")
    finally:
        damaged.write_bytes(pointed)


async def test_masking_during_reorganisation_refreshes_and_never_suspends(issuing, partner):
    one = [code for code, _ in shared_records(issuing)]
    subject = next(code for code in one if one.count(code) == 1)
    record = next(key for code, key in shared_records(issuing) if code == subject)
    credential = await issue(issuing, partner, subject, "admin_penalty", ("uscc", "decision_no"))
    await publish(issuing, record, verdict="TEMP_MASK", origin="COURT", **COURT)
    await until(lambda: status_of(issuing, credential) == "CREDENTIAL_REFRESH")


async def test_a_repair_that_comes_between_leaves_no_old_credential(issuing, partner, monkeypatch):
    """It turns valid ones to refresh; one that wasn't written down yet must not be written."""
    subject = issuing.population.sample[8]
    whole = CredentialForm.make

    def late(form, *parts):
        made = whole(form, *parts)
        issuing.desk.state.run(
            lambda tx: note_changes(tx, [Noted("admin_penalty", "x", subject, ended=True)])
        )
        return made

    monkeypatch.setattr(CredentialForm, "make", late)
    call = issue(issuing, partner, subject)
    await refused(issuing, call, "STOPPED_STREAM", "PERMISSION_DENIED", logged=False)
    monkeypatch.undo()
    # The log tells that nothing left, and of no credential.
    entries = issuing.entries()
    outcome = next(each for each in reversed(entries) if each["kind"] == "outcome")
    assert (outcome["status"], outcome["rows"], outcome["bytes"]) == ("STOPPED_STREAM", 0, 0)
    issues = [each for each in entries if each["kind"] == "credential_issued"]
    assert outcome["intent"] not in {each["intent"] for each in issues}
    assert status_of(issuing, await issue(issuing, partner, subject)) == "VALID"


async def test_an_entry_of_the_list_that_is_taken_meanwhile_is_drawn_anew(
    issuing, partner, monkeypatch
):
    first = check(issuing, await issue(issuing, partner, issuing.population.sample[3]))
    taken = Place(1, first.claims["status"]["status_list"]["idx"])
    whole, drawn = Places.take, []

    def take(places):
        drawn.append(taken if not drawn else whole(places))
        return drawn[-1]

    monkeypatch.setattr(Places, "take", take)
    second = check(issuing, await issue(issuing, partner, issuing.population.sample[3]))
    assert len(drawn) == 2
    assert second.claims["status"]["status_list"]["idx"] == drawn[1].place != taken.place
    outcomes = [each["intent"] for each in issuing.entries() if each["kind"] == "outcome"]
    assert len(outcomes) == len(set(outcomes))


async def test_one_signature_covers_the_three_entries_of_an_issue(issuing, partner):
    credential = await issue(issuing, partner, issuing.population.sample[4])
    intent, outcome, entry = credential.decision.intent, credential.outcome, credential.entry
    assert check_promise(issuing, outcome)["kind"] == "outcome"
    assert [(each.index, each.leaf_hash) for each in outcome.also] == [
        (intent.index, intent.leaf_hash), (entry.index, entry.leaf_hash),
    ]  # fmt: skip
    assert entry.index == outcome.index + 1
    assert entry.leaf_hash == leaf_hash(canonical(issuing.entry(entry.index)))
    assert not entry.signature


async def test_a_credential_ends_with_what_it_rests_on(issuing, partner):
    now = int(time.time())
    credential = await issue(issuing, partner, issuing.population.sample[9])
    assert now + 7 * 86_400 - 60 < credential.expires_at.seconds <= now + 7 * 86_400 + 60
    row = issuing.world.registry.view().licence_for(partner.party_id, "legal_entity_base")
    short = now + 3_600
    claims = issuing.desk.licence_claims(
        partner.party_id, row.kind, licence_id=row.licence_id, serial=2,
        grants={p: GrantClaims(fields=tuple(g.fields)) for p, g in row.grants.items()},
        purposes=tuple(row.purposes), scenarios=tuple(row.scenarios), destinations=("SG",),
        not_after=short,
    )  # fmt: skip
    issuing.desk.activate(sign(claims, issuing.desk.signing_key, LICENCE_TYPE))
    credential = await issue(issuing, partner, issuing.population.sample[9])
    assert credential.expires_at.seconds == short


async def test_who_may_have_one(issuing, partner):
    subject = issuing.population.sample[3]
    words = {"purpose": "CREDIT_REPORT", "scenario": "ENTERPRISE_REPORT", "destination": "CN"}
    await refused(
        issuing,
        issue(issuing, AGENCY, subject, fields=("uscc", "name"), query=words),
        "CREDENTIAL_NOT_FOR_YOU",
        "PERMISSION_DENIED",
    )
    # The policy decides what a partner gets: a purpose outside its agreement is a denial.
    await refused(
        issuing,
        issue(issuing, partner, subject, query={"purpose": "CREDIT_REPORT"}),
        "OUT_OF_SCOPE",
        "PERMISSION_DENIED",
        rule="R32",
    )


async def test_somebody_elses_credential_is_nobodys(issuing, partner):
    credential = await issue(issuing, partner, issuing.population.sample[6])
    for call in (
        ask_status(issuing, PARTNER, credential.credential_id),
        issue(issuing, PARTNER, issuing.population.sample[6], fields=("uscc", "name"),
              credential_id=credential.credential_id),
    ):  # fmt: skip
        await refused(issuing, call, "NOT_FOUND", "NOT_FOUND")


async def test_what_is_no_single_record_makes_no_credential(issuing, partner):
    several = [code for code, _ in shared_records(issuing)]
    subject = next(code for code in several if several.count(code) > 1)
    call = issue(issuing, partner, subject, "admin_penalty", ("uscc", "decision_no"))
    await refused(issuing, call, "SEVERAL_RECORDS", "INVALID_ARGUMENT", logged=False)
    call = issue(issuing, partner, "914600990900099995"[:17] + "X")
    await refused(issuing, call, "BAD_ID", "INVALID_ARGUMENT")
    call = issue(issuing, partner, subject, query={"limit": 1})
    await refused(issuing, call, "BAD_REQUEST", "INVALID_ARGUMENT")


async def test_on_postgresql_a_repair_refreshes_as_well(postgres, tmp_path_factory):
    root = tmp_path_factory.mktemp("postgres") / "home"
    url = postgres.database().conninfo
    stage = set_stage(root, int(time.time()), companies=60, state_url=url)
    async with serve_site(with_issuer(stage)) as site:
        member = enrol_partner(site)
        # Another handle registered it: a notification is on its way.
        await until(lambda: site.world.registry.view().licence(member.licence_id) is not None)
        one = [code for code, _ in shared_records(site)]
        subject, record = next(pair for pair in shared_records(site) if one.count(pair[0]) == 1)
        words = ("admin_penalty", ("uscc", "decision_no"))
        credential = await issue(site, member, subject, *words)
        assert status_of(site, credential) == "VALID"
        assert site.entry(credential.entry.index)["kind"] == "credential_issued"
        await publish(site, record)
        await until(lambda: status_of(site, credential) == "CREDENTIAL_REFRESH")


async def test_a_gateway_without_an_issuer_says_so(site):
    call = issue(site, PARTNER, site.population.sample[3], fields=("uscc", "name"))
    await refused(site, call, "CREDENTIALS_OFF", "UNIMPLEMENTED")


async def test_the_lists_tell_nothing_but_a_status(issuing, partner):
    credential = await issue(issuing, partner, issuing.population.sample[7])
    token = list_text(issuing, credential)
    payload = json.loads(sd_jwt.decode(token.split(".")[1]))
    assert payload.keys() == {"sub", "iat", "exp", "ttl", "status_list"}
    assert payload["status_list"].keys() == {"bits", "lst"}
    keys = issuing.deployment.directory / "keys/credential"
    assert [stat.S_IMODE(path.stat().st_mode) for path in keys.iterdir()] == [0o600]
    assert (published(issuing) / "vct/legal_entity_base").is_dir()
