"""One gateway of the demonstration's cast, for everything that the documents show."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from gateway.demo.stage import set_stage
from gateway.registry.act import Act
from gateway.server import Gateway
from tests.docs.running import Served
from tests.publicity import check_publicity


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """The demonstration's deployment, served in this process on a free port."""
    root = tmp_path_factory.mktemp("documents") / "home"
    stage = await asyncio.to_thread(set_stage, root, int(time.time()), companies=100)
    async with Gateway(stage.deployment) as gateway:
        yield Served(stage, gateway.address)


@pytest.fixture(autouse=True)
def publicity(request: pytest.FixtureRequest) -> None:
    """Keep the publicity of what is served for the whole session as fresh as a feed does."""
    if "served" not in request.fixturenames:
        return
    deployment = request.getfixturevalue("served").stage.deployment
    state = deployment.open_state()
    try:
        check_publicity(state, Act(int(time.time()), deployment.settings.node))
    finally:
        state.close()
