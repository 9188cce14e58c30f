"""Grades of many organisations, and a bank that asks about them."""

import pytest
import pytest_asyncio

from tests.gateway.e2e.portfolios.uploading import BATCH_ROWS, admit_grades
from tests.gateway.e2e.serving import Member, Site
from tests.gateway.e2e.test_flight import make_bank


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def wide(site, tmp_path_factory) -> Site:
    """The session's site with grades of many organisations in many batches."""
    admit_grades(site, tmp_path_factory.mktemp("grades"), 230, BATCH_ROWS)
    return site


@pytest.fixture
def bank(wide) -> Member:
    return make_bank(wide, pseudonymous=False)
