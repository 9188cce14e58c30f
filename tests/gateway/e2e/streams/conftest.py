"""A site whose streams stand still wherever a test wants them to."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from gateway.release.world import World
from tests.gateway.e2e.conftest import Clock, serve_site
from tests.gateway.e2e.serving import Member, copy_stage
from tests.gateway.e2e.streams.streaming import (
    BATCH_ROWS,
    Hold,
    Streams,
    Turnstile,
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def streams(stage, tmp_path_factory) -> AsyncIterator[Streams]:
    copied = copy_stage(stage, tmp_path_factory.mktemp("streams") / "home")
    settings = copied.deployment.settings
    # Unless a test waits for it, no stream is reset because the machine does other work.
    limits = settings.limits.model_copy(update={"gate_wait_ms": 60_000})
    deployment = replace(copied.deployment, settings=settings.model_copy(update={"limits": limits}))
    before, inside, clock = Turnstile(), Turnstile(), Clock()
    served: list[Streams] = []

    def tamper(world: World) -> None:
        world.batch_rows = BATCH_ROWS
        hold, batch = world.gate.hold, world.evidence.batch

        async def slow_batch(*parts):
            await inside.passed()
            served[0].recording += 1
            try:
                return await batch(*parts)
            finally:
                served[0].recording -= 1

        world.gate.hold = lambda product: Hold(hold(product), before)
        world.evidence.batch = slow_batch

    async with serve_site(
        replace(copied, deployment=deployment), tamper=tamper, clock_ms=clock
    ) as site:
        served.append(Streams(site, before, inside, clock))
        yield served[0]


@pytest.fixture
def soon_reset(streams, monkeypatch) -> None:
    """A repair waits a quarter of a second for batches under way, then resets their streams."""
    monkeypatch.setattr(streams.site.gateway.publisher._rounds, "_gate_wait_s", 0.25)


@pytest.fixture
def member(streams) -> Member:
    """An agency of this test alone."""
    return streams.site.desk.enrol()


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def settled(streams) -> AsyncIterator[None]:
    """No test leaves a stream behind, nor an intent without an outcome."""
    yield
    await streams.settle()
