"""The room of recalls, simulated on either store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.repair.recall.simulated import Simulated
from tests.postgres_server import PostgresServer
from tests.stores import Place


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server of this folder's own: the folder above means the feeds' by this name."""
    server = PostgresServer()
    yield server
    server.close()


@pytest.fixture
def sim(place: Place, tmp_path: Path) -> Iterator[Simulated]:
    simulated = Simulated(tmp_path, opened=place.state())
    yield simulated
    simulated.close()
