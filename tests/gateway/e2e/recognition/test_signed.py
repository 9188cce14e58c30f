"""The client of mutual recognition, and what both sides sign."""

import pytest

from tests.gateway.e2e import recognising as r
from tests.gateway.e2e.wire import refused
from xinguan.signing import sign_call
from xinguan.v1 import recognition_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")
DENIED, INVALID = "PERMISSION_DENIED", "INVALID_ARGUMENT"


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
        assert checked.status == recognition_pb2.REPORT_STATUS_VALID
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
