"""The steps that release data: agency, refusal, bank, partner, repair."""

import asyncio
import time
from typing import Any

import pyarrow as pa
import pyarrow.flight
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.demo.cast import (
    AGENCY,
    AUTHORITY,
    BANK,
    COMPANY_FIELDS,
    GRADE_FIELDS,
    PARTNER,
    PARTNER_FIELDS,
    PENALTY_FIELDS,
    WHITELIST,
)
from gateway.demo.scene import Scene, Told, expect, seconds
from gateway.founding import AUTHORITY_KEY
from gateway.identity.keyfiles import read_document_key
from gateway.registry.documents import sign
from gateway.repair.decision import REPAIR_TYPE, Origin, RepairClaims, Verdict
from xinguan.client import RefusedError

_TRIED_AGAIN = 3
_PAUSE_S = 1.0
_AGENCY = {
    "purpose": "CREDIT_REPORT",
    "scenario": "ENTERPRISE_REPORT",
    "operator": "demo-operator-7",
    "case_reference": "demo-case-2026-001",
}


async def agency_asks(scene: Scene) -> Told:
    """The agency asks about one company and gets its licensed fields, masked ones marked."""
    async with scene.client(AGENCY) as client:
        answer = await client.query(
            "legal_entity_base", COMPANY_FIELDS, subjects=[scene.company], **_AGENCY
        )
    scene.last_request = answer.decision.request_id
    actions = {field.name: field.action for field in answer.decision.fields}
    rows = answer.rows()
    expect(len(rows) == 1, "the company has exactly one record")
    expect(actions["uscc"] == "allow", "the code is a licensed field")
    expect(actions["contact_phone"] == "mask", "the telephone number is masked")
    outcome = answer.outcome
    expect(outcome and outcome.entry.index > answer.decision.intent.index, "intent, then outcome")
    table = [
        {"field": name, "action": actions.get(name, "label"), "value": _short(value)}
        for name, value in rows[0].items()
    ]
    return Told(
        "An agency asks about one company and gets exactly its licensed fields",
        [
            f"intent entry {answer.decision.intent.index} was durable before anything was read,",
            f"outcome entry {outcome.entry.index if outcome else -1} before the answer left",
        ],
        table,
        {"rows": len(rows), "actions": actions, "request_id": scene.last_request},
    )


async def agency_goes_too_far(scene: Scene) -> Told:
    """The agency asks out of scope and reads why, by which clause, and what would help."""
    async with scene.client(AGENCY) as client:
        refusal = await _refused(
            client.query(
                "public_credit_grade", ["uscc", "grade"], subjects=[scene.company], **_AGENCY
            )
        )
        again = await _refused(
            client.query(
                "legal_entity_base",
                ["uscc"],
                subjects=[scene.company],
                **(_AGENCY | {"purpose": "PUBLIC_EMPLOYMENT_VETTING"}),
            )
        )
    rows = [
        {
            "rule": reason.rule,
            "code": reason.code,
            "clause": f"{reason.clause_zh}\n{reason.clause_en}",
            "remedy": f"{reason.remedy_zh}\n{reason.remedy_en}",
        }
        for error in (refusal, again)
        for reason in error.reasons
    ]
    expect(refusal.status == "PERMISSION_DENIED", "an unlicensed product is denied")
    expect(all(row["clause"] and row["remedy"] for row in rows), "each refusal teaches")
    expect(refusal.refusal.denial_index >= 0, "the refusal stands in the log")
    return Told(
        "The same agency asks out of scope and reads why, by which clause, and what would help",
        [f"{refusal.code}: denial entry {refusal.refusal.denial_index}"],
        rows,
        {"codes": sorted({row["code"] for row in rows})},
    )


async def bank_pulls_portfolio(scene: Scene) -> Told:
    """A bank pulls a portfolio over Arrow Flight with pyarrow's own client."""
    query = scene.client(BANK).build_query(
        "public_credit_grade",
        GRADE_FIELDS,
        subjects=list(scene.portfolio),
        purpose="ENTERPRISE_CREDIT",
        scenario="CREDIT_LOAN",
        operator="demo-modeller-3",
        case_reference="demo-model-2026-01",
    )
    command = query.SerializeToString()
    table = await asyncio.to_thread(_pull, scene, command)
    codes = set(table.column("uscc").to_pylist())
    expect(table.num_rows > 0, "the portfolio has grades")
    expect(not codes & set(scene.portfolio), "the bank sees pseudonyms, not codes")
    rows = [
        {name: _short(value) for name, value in row.items()}
        for row in table.slice(0, 5).to_pylist()
    ]
    return Told(
        "A bank pulls a portfolio over Arrow Flight with pyarrow's own client",
        [f"{table.num_rows} rows of {len(scene.portfolio)} companies, subjects pseudonymous"],
        rows,
        {"rows": table.num_rows},
    )


def _pull(scene: Scene, command: bytes) -> pa.Table:
    identity = scene.stage.identity(BANK)
    client = pyarrow.flight.FlightClient(
        f"grpc+tls://{scene.address}",
        tls_root_certs=identity.authority.decode(),
        cert_chain=identity.certificate.decode(),
        private_key=identity.key.decode(),
    )
    try:
        for _ in range(_TRIED_AGAIN):
            try:
                return _read(client, command)
            except pyarrow.flight.FlightUnavailableError:
                # A gateway that couldn't renew its lease in time says so and asks to come again.
                time.sleep(_PAUSE_S)
        return _read(client, command)
    finally:
        client.close()


def _read(client: pyarrow.flight.FlightClient, command: bytes) -> pa.Table:
    info = client.get_flight_info(pyarrow.flight.FlightDescriptor.for_command(command))
    return pa.concat_tables(
        [client.do_get(endpoint.ticket).read_all() for endpoint in info.endpoints]
    )


async def partner_asks(scene: Scene) -> Told:
    """A partner abroad gets only whitelisted fields; amounts cross as bands, persons not at all."""
    async with scene.client(PARTNER) as client:
        answer = await client.query(
            "legal_entity_base",
            PARTNER_FIELDS,
            subjects=[scene.company],
            purpose="TRADE",
            scenario="MUTUAL_RECOGNITION",
            destination="SG",
            operator="demo-analyst-1",
            case_reference="demo-trade-2026-9",
        )
    actions = {field.name: field.action for field in answer.decision.fields}
    rows = answer.rows()
    released = set(rows[0]) if rows else set()
    expect(len(rows) == 1, "the company has exactly one record")
    expect(released <= set(WHITELIST), "nothing outside the whitelist crosses")
    expect(actions.get("legal_rep_name") == "drop", "no person's name crosses")
    expect(actions.get("registered_capital") == "generalise", "an amount crosses as a band")
    table = [
        {
            "field": name,
            "action": actions.get(name, "label"),
            "value": _short(rows[0].get(name)) if name in rows[0] else "(did not cross)",
        }
        for name in PARTNER_FIELDS
    ]
    return Told(
        "A partner across the border gets only whitelisted fields",
        ["the whitelist has two approvals of different roles, each an entry of the log (R68)"],
        table,
        {"released": sorted(released)},
    )


async def penalty_is_repaired(scene: Scene) -> Told:
    """A penalty is repaired and is gone from the very next answer."""
    company = scene.stage.population.penalised
    fields = [name for name in PENALTY_FIELDS if name != "record_id"]
    ask = {"subjects": [company], **_AGENCY}
    async with scene.client(AGENCY) as agency, scene.client(AUTHORITY) as authority:
        before = (await agency.query("admin_penalty", fields, **ask)).rows()
        expect(before, "the penalty is public before its repair")
        for number, record_id in enumerate(_shared_penalties(scene, company), start=1):
            document = repair_document(scene, record_id, number)
            acknowledged = await authority.publish_repair(document)
        after = (await agency.query("admin_penalty", fields, **ask)).rows()
    expect(not after, "the penalty is gone from the very next answer")
    return Told(
        "A penalty of a synthetic company is repaired and gone from the very next answer",
        [
            f"before: {len(before)} record(s), decision {before[0]['decision_no']}",
            f"repair entry {acknowledged.entry.index}, acknowledged",
            f"after: {len(after)} record(s); a repaired record looks like one that never was",
        ],
        [],
        {"before": len(before), "after": len(after), "entry": acknowledged.entry.index},
    )


def _shared_penalties(scene: Scene, company: str) -> list[str]:
    snapshot = scene.stage.loaded["admin_penalty"].snapshot
    rows = snapshot.locate([company])
    shareable = rows[snapshot.shareable(rows, seconds())]
    return [str(key) for key in snapshot.take(shareable, ["record_id"]).column(0).to_pylist()]


def repair_document(scene: Scene, record_id: str, sequence: int) -> str:
    """Return a repair of a penalty, signed by the development authority."""
    dev = scene.stage.deployment.dev_authority
    key: Ed25519PrivateKey = read_document_key(dev / AUTHORITY_KEY)
    claims = RepairClaims(
        repair_id=f"demo-repair-{sequence:04d}",
        origin=Origin.AUTHORITY,
        sequence=sequence,
        product="admin_penalty",
        record_id=record_id,
        verdict=Verdict.APPROVED,
        deciding_unit=AUTHORITY.party_id.removeprefix("uscc:"),
        decided_at=seconds(),
    )
    return sign(claims, key, REPAIR_TYPE)


async def _refused(call: Any) -> RefusedError:
    try:
        await call
    except RefusedError as error:
        return error
    expect(False, "a request out of scope is refused")
    raise AssertionError


def _short(value: object) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= 40 else text[:39] + "…"  # noqa: PLR2004 - the width of a cell
