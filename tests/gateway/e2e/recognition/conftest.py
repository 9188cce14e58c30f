"""Partners of mutual recognition, at the session's site and at one of the test's own."""

import pytest
import pytest_asyncio

from tests.gateway.e2e import recognising as r


@pytest.fixture
def partner(site):
    return r.enrol(site)


@pytest_asyncio.fixture(loop_scope="session")
async def abroad(open_site):
    """A site of the test's own: field tables hold for a whole destination."""
    site = await open_site()
    r.enact(site.desk, r.fields(site.desk))
    return site
