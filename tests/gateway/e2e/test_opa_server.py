"""The policy in an OPA server beside the gateway: answers, a stop, a denial in time, recovery."""

import asyncio
import contextlib
import time

import pytest

from gateway.decision.bundle import load
from gateway.demo.cast import AGENCY
from gateway.demo.stage import Stage
from gateway.server import Gateway
from tests.gateway.e2e.feeding import with_settings
from tests.gateway.e2e.serving import COMPANY, copy_stage, patient
from tests.policies.engines import opa_server
from tests.ports import free_port
from xinguan.client import Client, RefusedError

WORDS = {
    "purpose": "CREDIT_REPORT",
    "scenario": "ENTERPRISE_REPORT",
    "operator": "operator-1",
    "case_reference": "case-1",
}
DEADLINE_S = 20


@pytest.mark.opa
async def test_an_opa_server_decides_and_its_absence_denies(stage: Stage, tmp_path):
    copied = copy_stage(stage, tmp_path / "home")
    archive, port = load().archive, free_port()
    with contextlib.ExitStack() as opa:
        await asyncio.to_thread(opa.enter_context, opa_server(archive, port))
        timed = patient(with_settings(copied, {}, policy_deadline_ms=DEADLINE_S * 1_000))
        async with (
            Gateway(
                timed.deployment,
                opa_url=f"http://127.0.0.1:{port}",
            ) as gateway,
            Client(gateway.address, copied.identity(AGENCY)) as client,
        ):
            subjects = [copied.population.clean]
            answer = await client.query("legal_entity_base", COMPANY, subjects=subjects, **WORDS)
            assert len(answer.rows()) == 1
            assert answer.decision.bundle_digest == load().digest

            await asyncio.to_thread(opa.close)
            began = time.monotonic()
            with pytest.raises(RefusedError) as refused:  # other fields: nothing remembered helps
                await client.query("legal_entity_base", ["name"], subjects=subjects, **WORDS)
            assert refused.value.code in {"POLICY_UNAVAILABLE", "POLICY_TIMEOUT"}
            assert refused.value.status == "UNAVAILABLE"
            assert refused.value.refusal.denial_index >= 0
            assert time.monotonic() - began < 3 * DEADLINE_S

            await asyncio.to_thread(opa.enter_context, opa_server(archive, port))
            again = await client.query("legal_entity_base", ["name"], subjects=subjects, **WORDS)
            assert len(again.rows()) == 1
