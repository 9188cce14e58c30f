"""Deployments that serve: one for the session, and fresh copies for tests that change much."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from gateway.demo.stage import Stage, set_stage
from gateway.wall_clock import wall_clock_ms
from tests.gateway.e2e.observing import begin_day
from tests.gateway.e2e.serving import (
    CASE,
    OPERATOR,
    Desk,
    Member,
    OpenGateway,
    Site,
    copy_stage,
    patient,
)

OpenSite = Callable[..., Awaitable[Site]]
SERVED: list[Desk] = []  # of the sites that are served now


class Clock:
    """Unix milliseconds, as the world has them plus what a test adds."""

    def __init__(self) -> None:
        self.ahead_s = 0

    def __call__(self) -> int:
        return wall_clock_ms() + self.ahead_s * 1000


@pytest.fixture(autouse=True)
def _day() -> None:
    """The observation dates of each test are those of its own day."""
    begin_day()


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A deployment with cast and records that nobody serves; only copied."""
    return set_stage(tmp_path_factory.mktemp("stage") / "home", int(time.time()), companies=240)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """The deployment that most tests call; each of them with parties of its own."""
    copied = copy_stage(stage, tmp_path_factory.mktemp("site") / "home")
    async with serve_site(copied) as served:
        yield served
        # Whatever the tests asked: nothing of it stands in the log in the clear (invariant 6).
        log = b"\n".join(served.bodies())
        for secret in (OPERATOR, CASE, *served.population.sample):
            assert secret.encode() not in log


@pytest_asyncio.fixture(loop_scope="session")
async def open_site(
    stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[OpenSite]:
    """Serve a fresh copy of the deployment, tampered with as a test asks."""
    async with AsyncExitStack() as stack:

        async def serve(prepare: Callable[[Stage], None] | None = None, **words: Any) -> Site:
            copied = copy_stage(stage, tmp_path_factory.mktemp("copy") / "home")
            if prepare is not None:
                prepare(copied)
            return await stack.enter_async_context(serve_site(copied, **words))

        yield serve


@pytest.fixture(autouse=True)
def publicity(request: pytest.FixtureRequest) -> None:
    """Keep the publicity of sites that outlive a test as fresh as a feed does.

    The session's site and those of modules are there before this runs, and a test's own isn't.
    """
    if "site" in request.fixturenames:
        request.getfixturevalue("site")
    for desk in SERVED:
        desk.check_publicity()


@pytest.fixture
def agency(site: Site) -> Member:
    """An agency of this test alone, with an ordinary licence."""
    return site.desk.enrol()


@pytest.fixture
def clock() -> Clock:
    """A clock that a test can move; it goes into a site of the test's own."""
    return Clock()


async def copied_abroad(gateway: OpenGateway, rounds: int = 1) -> None:
    """Wait until the gateway has looked after its store apart so often."""
    deadline = time.monotonic() + 90
    while gateway.border.rounds < rounds:
        assert time.monotonic() < deadline, "the store apart was not looked after"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def serve_site(stage: Stage, **words: Any) -> AsyncIterator[Site]:
    """Serve a deployment until the end of the context; `words` are `OpenGateway`'s."""
    now, stage = words.get("clock_ms", wall_clock_ms), patient(stage)
    async with AsyncExitStack() as stack:
        desk = Desk(stage.deployment, lambda: now() // 1000)
        stack.callback(desk.close)
        gateway = await stack.enter_async_context(OpenGateway(stage.deployment, **words))
        await copied_abroad(gateway)
        served = Site(gateway, stage, desk)
        stack.push_async_callback(served.close)
        SERVED.append(desk)
        stack.callback(SERVED.remove, desk)
        yield served
