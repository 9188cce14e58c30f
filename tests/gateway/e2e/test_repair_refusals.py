"""What bad decisions get at the door: each its rule, an entry in the log, and nothing changed."""

import asyncio
import time

import pytest
import pytest_asyncio
from joserfc import jws
from joserfc.jwk import OKPKey

from gateway.demo.cast import AGENCY, AUDITOR, SECURITY
from gateway.identity.keyfiles import new_document_key, private_pem
from gateway.registry.documents import LICENCE_TYPE, key_id, sign
from gateway.repair.decision import REPAIR_TYPE, RepairClaims
from tests.gateway.e2e.conftest import serve_site
from tests.gateway.e2e.serving import Site, copy_stage
from tests.gateway.e2e.test_decisions import shared_records
from tests.gateway.e2e.wire import refused
from xinguan.v1 import repair_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")
INVALID, DENIED, CONFLICT = "INVALID_ARGUMENT", "PERMISSION_DENIED", "ALREADY_EXISTS"
TABLES = ("repairs", "repair_sequences", "record_states", "sealed_records", "repair_delays",
          "recomputations", "tombstones", "consequences", "recalls")  # fmt: skip


PENDING = "SELECT count(*) FROM recalls WHERE computed_at IS NULL"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def quiet(stage, tmp_path_factory):
    """A site that nothing else changes, so that its whole state can be compared."""
    async with serve_site(copy_stage(stage, tmp_path_factory.mktemp("quiet") / "home")) as site:
        yield site


def everything(site: Site) -> dict[str, list[tuple]]:
    """Return all that a decision could change: every table of it, and the live bits."""
    read = lambda tx, table: sorted(map(str, tx.execute(f"SELECT * FROM {table}").fetchall()))  # noqa: E731
    state = {t: site.desk.state.run(lambda tx, t=t: read(tx, t)) for t in TABLES}
    return state | {"shared": sorted(shared_records(site))}


async def settled(site: Site) -> dict[str, list[tuple]]:
    """Return the state once what follows a decision by itself, its recall, has been done."""
    await site.gateway.delays.close()
    for _ in range(1_200):
        if site.desk.state.run(lambda tx: tx.execute(PENDING).fetchone()) == (0,):
            return everything(site)
        await asyncio.sleep(0.05)
    pytest.fail("a recall was never computed")


def raw(site: Site, record: str, payload: bytes | None = None, **header: str) -> str:
    """Sign anything with the authority's own key, as a program with a fault would."""
    key = OKPKey.import_key(private_pem(site.desk.signing_key))
    fields = {"alg": "Ed25519", "kid": key_id(site.desk.signing_key.public_key())}
    body = payload if payload is not None else site.desk.repair("admin_penalty", record).encode()
    registry = jws.JWSRegistry(algorithms=["Ed25519"])
    return jws.serialize_compact(
        fields | {"typ": REPAIR_TYPE} | header, body, key, registry=registry
    )


def malformed(site: Site, record: str) -> dict[str, str]:
    good = site.desk.repair("admin_penalty", record)
    head, body, signature = good.split(".")
    claims = RepairClaims(
        repair_id="repair-forged", origin="AUTHORITY", sequence=time.time_ns() // 1_000,
        product="admin_penalty", record_id=record, verdict="APPROVED",
        deciding_unit="11460099000000043A", decided_at=int(time.time()),
    )  # fmt: skip
    return {
        "nothing": "",
        "no document": "hello",
        "two parts": f"{head}.{body}",
        "no JSON": raw(site, record, b"{"),
        "a list": raw(site, record, b"[]"),
        "a claim twice": raw(site, record, b'{"repair_id": "a", "repair_id": "b"}'),
        "claims missing": raw(site, record, b"{}"),
        "a claim too many": raw(
            site, record, claims.model_dump_json(exclude_none=True).encode()[:-1] + b',"more":1}'
        ),
        "an unknown verdict": raw(
            site, record, claims.model_dump_json().replace("APPROVED", "PAID").encode()
        ),
        "a negative sequence": raw(
            site, record, claims.model_dump_json().replace(str(claims.sequence), "-1").encode()
        ),
        "another type": sign(claims, site.desk.signing_key, LICENCE_TYPE),
        "too long": good + "A" * 70_000,
        "not ASCII": good + "\u4fe1",
        "signature cut": f"{head}.{body}.{signature[:-4]}",
        "another body": f"{head}.{body[:-4]}AAAA.{signature}",
        "a stranger's key": sign(claims, new_document_key(), REPAIR_TYPE),
    }


UNSIGNED = {"signature cut", "another body", "a stranger's key"}
NAMES = ("nothing", "no document", "two parts", "no JSON", "a list", "a claim twice",
         "claims missing", "a claim too many", "an unknown verdict", "a negative sequence",
         "another type", "too long", "not ASCII", *sorted(UNSIGNED))  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
async def test_malformed_and_wrongly_signed_decisions(quiet, name):
    record = shared_records(quiet)[0][1]
    before = await settled(quiet)
    documents = malformed(quiet, record)
    assert set(documents) == set(NAMES)
    stub = quiet.repairs(quiet.authority)
    code = "BAD_SIGNATURE" if name in UNSIGNED else "BAD_DOCUMENT"
    call = stub.Publish(repair_pb2.PublishRequest(decision=documents[name]))
    refusal = await refused(quiet, call, code, INVALID)
    assert record not in str(refusal)
    assert quiet.entry(refusal.denial_index)["kind"] == "denial"
    assert await settled(quiet) == before


@pytest.mark.parametrize(
    ("claims", "rule", "code", "status"),
    [
        ({"record_id": "no-such-record"}, "GATE", "NOT_FOUND", "NOT_FOUND"),
        ({"product": "no_such_product"}, "GATE", "NOT_FOUND", "NOT_FOUND"),
        ({"product": "judgement_debtor"}, "GATE", "NOT_FOUND", "NOT_FOUND"),
        ({"sequence": 1}, "R25", "STALE_SEQUENCE", CONFLICT),
        ({"verdict": "DISPUTE_CLOSED"}, "R25", "CONTRADICTION", CONFLICT),
        ({"verdict": "UNMASK", "plan": "COMPLETED"}, "R25", "CONTRADICTION", CONFLICT),
        ({"decided_at": int(time.time()) + 86_400}, "R25", "DECIDED_IN_FUTURE", INVALID),
        ({"materials": ("FULFILMENT_PROOF", "BUSINESS_PLAN")}, "R2A", "EXCESS_MATERIALS", INVALID),
        ({"origin": "ENTERPRISE_PUBLICITY", "verdict": "HOLD"}, "R11", "OUTRANKED", CONFLICT),
        ({"origin": "COURT"}, "R29", "ILLEGAL_DELETION", DENIED),
        ({"origin": "MEDIATOR"}, "R29", "ILLEGAL_DELETION", DENIED),
    ],
)
async def test_stale_unknown_and_contradictory_decisions(quiet, claims, rule, code, status):
    records = [record for _, record in shared_records(quiet)]
    stub = quiet.repairs(quiet.authority)
    first = quiet.desk.repair("admin_penalty", records[0], verdict="ACCEPTED")
    await stub.Publish(repair_pb2.PublishRequest(decision=first))
    before = await settled(quiet)
    words = {"product": "admin_penalty", "record_id": records[1]} | claims
    token = quiet.desk.repair(words.pop("product"), words.pop("record_id"), **words)
    call = stub.Publish(repair_pb2.PublishRequest(decision=token))
    await refused(quiet, call, code, status, rule=rule)
    assert await settled(quiet) == before


@pytest.mark.parametrize("who", [AGENCY, AUDITOR, SECURITY])
async def test_nobody_but_the_authority_publishes(quiet, who):
    record = shared_records(quiet)[0][1]
    before = await settled(quiet)
    token = quiet.desk.repair("admin_penalty", record)
    call = quiet.repairs(who).Publish(repair_pb2.PublishRequest(decision=token))
    await refused(quiet, call, "NOT_AUTHORITY", DENIED)
    assert await settled(quiet) == before


async def test_out_of_order_duplicate_and_replayed_decisions_leave_the_record_repaired(quiet):
    record = shared_records(quiet)[-1][1]
    stub = quiet.repairs(quiet.authority)
    base = time.time_ns() // 1_000
    accepted = quiet.desk.repair("admin_penalty", record, verdict="ACCEPTED", sequence=base + 7)
    approved = quiet.desk.repair("admin_penalty", record, sequence=base + 8)
    done = await stub.Publish(repair_pb2.PublishRequest(decision=approved))
    assert done.state == "REPAIRED"
    call = stub.Publish(repair_pb2.PublishRequest(decision=accepted))
    await refused(quiet, call, "STALE_SEQUENCE", CONFLICT, rule="R25")
    again = await stub.Publish(repair_pb2.PublishRequest(decision=approved))
    assert (again.repeated_decision, again.entry) == (True, done.entry)
    released = quiet.desk.repair("admin_penalty", record, verdict="RELEASE", sequence=base + 9)
    call = stub.Publish(repair_pb2.PublishRequest(decision=released))
    await refused(quiet, call, "CONTRADICTION", CONFLICT, rule="R25")
    assert record not in {found for _, found in shared_records(quiet)}
