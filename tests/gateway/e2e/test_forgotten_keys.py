"""Keys of requests past their window don't stay in the state for ever."""

import pytest

from gateway.registry import idempotency
from tests.gateway.e2e.conftest import Clock, serve_site
from tests.gateway.e2e.feeding import query, until, with_settings
from tests.gateway.e2e.serving import copy_stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_keys_of_exchanges_are_forgotten_after_their_window(stage, tmp_path, monkeypatch):
    monkeypatch.setattr(idempotency, "SWEEP_S", 0.05)
    copied = with_settings(copy_stage(stage, tmp_path / "home"), {}, idempotency_window_s=600)
    clock = Clock()
    async with serve_site(copied, clock_ms=clock) as site:
        agency = site.desk.enrol()
        for _ in range(3):
            await site.query(agency)
        kept = "SELECT claimed_at FROM idempotency"
        assert len(query(site, kept)) >= 3
        clock.ahead_s = 1_200
        await until(lambda: not query(site, kept))
