"""The room of recalls, simulated."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.repair.recall.simulated import Simulated


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[Simulated]:
    simulated = Simulated(tmp_path)
    yield simulated
    simulated.close()
