"""Two gateways at the last free places under a threshold, over mutual TLS; one gets `kill -9`."""

import asyncio
import time
from collections import deque
from types import SimpleNamespace
from typing import Any

import grpc
import pyarrow.parquet as pq
import pytest
import pytest_asyncio

from gateway.border.counters_law import CountClass
from gateway.demo.stage import set_stage
from gateway.snapshot.library import SnapshotLibrary
from tests.fault.nodes import PATIENT, SETTINGS, Node
from tests.gateway.e2e.bureau import Bureau, open_bureau
from tests.gateway.e2e.serving import Desk, Site
from tests.gateway.e2e.wire import read_details

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow, pytest.mark.timeout(900),
]  # fmt: skip
PLACES, PERSONS, CALLERS, KILL_AFTER = 16, 40, 12, 5
THRESHOLD = 10_000


class Scene:
    """A bureau that asks two gateways of one state."""

    def __init__(self, home: Any, state_url: str) -> None:
        self.stage = set_stage(home, int(time.time()), companies=80, state_url=state_url)
        deployment = self.stage.deployment
        with (deployment.directory / "xinguan.toml").open("a") as settings:
            settings.write(SETTINGS.format(lease_ms=10_000) + PATIENT)
        self.desk = Desk(deployment, lambda: int(time.time()))
        tokens = pq.read_table(self.stage.population.files["golden_coconut_score"].path)
        self.persons = list(dict.fromkeys(tokens["person_token"].to_pylist()))[:PERSONS]
        self.sites: dict[int, Site] = {}
        self.ours = self.site(0, "")
        self.bureau = open_bureau(self.ours)
        self.bureau.consent_id = self.bureau.consent(subjects=self.persons)
        self.bureau.declare(CountClass.SENSITIVE, THRESHOLD - 1 - PLACES)
        self.nodes = [Node(home, name) for name in ("alpha", "beta")]
        self.answered: list[str] = []
        self.refused: list[str] = []
        self.lost = 0

    def site(self, pid: int, address: str) -> Site:
        """Return the site whose gateway is this other process."""
        if pid in self.sites:
            return self.sites[pid]
        library = SnapshotLibrary(self.stage.deployment.snapshots_directory)
        world = SimpleNamespace(library=library)
        border = SimpleNamespace(look=lambda: None)  # each gateway copies when it starts
        gateway: Any = SimpleNamespace(address=address, world=world, border=border)
        made = self.sites[pid] = Site(gateway, self.stage, self.desk)
        return made

    async def ask_all(self) -> None:
        """Ask about everybody at both gateways until each is answered or refused for good."""
        waiting = deque(enumerate(self.persons))
        killed = asyncio.Event()

        async def caller() -> None:
            while waiting:
                number, person = waiting.popleft()
                if not await self._asked(self.nodes[number % 2], person):
                    self.lost += 1
                    waiting.append((number + 1, person))  # at the other one
                    await asyncio.sleep(0.05)
                if len(self.answered) >= KILL_AFTER and not killed.is_set():
                    killed.set()
                    await self.nodes[1].kill()
                    await self.nodes[1].start()  # and settles its earlier life

        await asyncio.gather(*[caller() for _ in range(CALLERS)])
        assert killed.is_set()

    async def _asked(self, node: Node, person: str) -> bool:
        site = self.site(node.pid, node.address)
        ours = self.bureau
        bureau = Bureau(site, ours.member, ours.exporter, ours.country, ours.exporter_key)
        (found,) = await asyncio.gather(
            bureau.about_a_person(subjects=[person], consent_id=ours.consent_id),
            return_exceptions=True,
        )
        if not isinstance(found, BaseException):
            self.answered.append(person)
            return True
        assert isinstance(found, grpc.aio.AioRpcError), found
        if found.code() is grpc.StatusCode.PERMISSION_DENIED:
            assert read_details(found)[0].reason == "XB_MECHANISM"
            self.refused.append(person)
            return True
        assert found.code() is grpc.StatusCode.UNAVAILABLE, found
        return False


@pytest_asyncio.fixture(params=["sqlite", "postgres"], loop_scope="module")
async def scene(request, tmp_path):
    url = ""
    if request.param == "postgres":
        url = request.getfixturevalue("postgres").database().conninfo
    made = Scene(tmp_path / "home", url)
    await asyncio.gather(*[node.start() for node in made.nodes])
    yield made
    for node in made.nodes:
        await node.kill()
    for site in made.sites.values():
        await site.close()
    made.desk.close()


async def test_two_gateways_give_each_place_once_and_a_kill_takes_none_away(scene):
    await scene.ask_all()
    assert len(set(scene.answered)) == len(scene.answered) == PLACES
    assert len(set(scene.refused)) == len(scene.refused) == PERSONS - PLACES
    assert scene.bureau.counts() == (0, THRESHOLD - 1)
    # The killed one settled its open intents when it began anew, so nothing is held any more.
    held = scene.desk.state.run(lambda tx: tx.execute("SELECT 1 FROM export_holds").fetchall())
    assert held == []
