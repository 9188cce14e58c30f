"""How an answer about many subjects is cut into batches tells nothing of what is withheld."""

import numpy as np
import pytest
import pytest_asyncio

from tests.gateway.e2e.conftest import serve_site
from tests.gateway.e2e.serving import PENALTY, copy_stage

pytestmark = pytest.mark.asyncio(loop_scope="session")
BATCH_ROWS = 8


@pytest_asyncio.fixture(loop_scope="session")
async def narrow(stage, tmp_path):
    """A site whose answers come in small batches."""

    def tamper(world) -> None:
        world.batch_rows = BATCH_ROWS

    copied = copy_stage(stage, tmp_path / "home")
    async with serve_site(copied, tamper=tamper) as site:
        yield site


async def test_batches_of_named_subjects_are_full_whatever_is_withheld(narrow):
    snapshot = narrow.world.library.current("admin_penalty")
    rows = np.arange(snapshot.rows, dtype=np.int64)
    codes = sorted(set(snapshot.take(rows, ["uscc"]).column(0).to_pylist()))
    member = narrow.desk.enrol()
    query = narrow.build(member, "admin_penalty", PENALTY, subjects=codes)
    sizes = [
        message.batch.rows
        async for message in narrow.exchange(member).Query(query)
        if message.HasField("batch")
    ]
    assert sum(sizes) < snapshot.rows  # some are withheld
    assert len(sizes) > 2
    assert sizes[:-1] == [BATCH_ROWS] * (len(sizes) - 1)
    assert 0 < sizes[-1] <= BATCH_ROWS
