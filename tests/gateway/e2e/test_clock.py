"""A gateway that lost its clock, or its feed, serves no adverse data, and says so everywhere."""

import asyncio

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.wall_clock import wall_clock_ms
from tests.gateway.e2e.conftest import Clock, serve_site
from tests.gateway.e2e.feeding import with_settings
from tests.gateway.e2e.serving import COMPANY, PENALTY, Site, copy_stage
from tests.gateway.e2e.wire import drain, read_details, refused
from xinguan.v1 import exchange_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")

ADVERSE = ("admin_penalty", "judgement_debtor", "serious_dishonesty_list")
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest_asyncio.fixture(loop_scope="session")
async def timed(stage, tmp_path):
    """A gateway whose wall clock a test sets while its steady clock goes on."""
    clock = Clock()
    copied = with_settings(copy_stage(stage, tmp_path / "home"), {})
    async with serve_site(copied, clock_ms=clock, steady_ms=wall_clock_ms) as site:
        yield site, clock


async def status(site: Site, who, product: str) -> int:
    stub = health_pb2_grpc.HealthStub(site.channel(who))
    request = health_pb2.HealthCheckRequest(service=f"xinguan.product.{product}")
    return (await stub.Check(request)).status


async def wait_for(site: Site, who, product: str, wanted: int) -> None:
    for _ in range(3_000):
        if await status(site, who, product) == wanted:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the health of the product never changed")


def ask(site: Site, who, clock: Clock, product="admin_penalty", fields=PENALTY):
    query = site.build(who, product, fields)
    query.context.time.FromSeconds(clock() // 1000)
    return site.send(who, query)


async def answered(site: Site, who, clock: Clock, *what) -> None:
    """Ask until it is answered: a clock that goes back costs a caller a second's calls."""
    for _ in range(3_000):
        try:
            await ask(site, who, clock, *what)
        except grpc.aio.AioRpcError as error:
            if read_details(error)[0].reason != "RATE_LIMIT":
                raise
            await asyncio.sleep(0.02)
            continue
        return
    raise AssertionError("it was never answered")


async def unavailable(site: Site, call) -> None:
    await refused(site, call, "PRODUCT_UNAVAILABLE", "UNAVAILABLE", rule="R13", logged=False)


@pytest.mark.parametrize("step_s", [-240, -60, 60, 3_600])
async def test_a_clock_that_was_set_stops_adverse_data_and_nothing_else(timed, step_s):
    site, clock = timed
    agency = site.desk.enrol()
    await ask(site, agency, clock)
    clock.ahead_s = step_s
    await unavailable(site, ask(site, agency, clock))
    await answered(site, agency, clock, "legal_entity_base", COMPANY)  # no adverse data
    await wait_for(site, agency, "admin_penalty", NOT_SERVING)
    assert await status(site, agency, "legal_entity_base") == SERVING
    listed = await site.exchange(agency).ListProducts(exchange_pb2.ListProductsRequest())
    assert {p.name: p.available for p in listed.products} == {
        "admin_penalty": False, "legal_entity_base": True
    }  # fmt: skip
    explain = exchange_pb2.ExplainRequest(query=site.build(agency, "admin_penalty", PENALTY))
    explain.query.context.time.FromSeconds(clock() // 1000)
    told = await site.exchange(agency).Explain(explain)
    assert [(reason.rule, reason.code) for reason in told.reasons] == [
        ("R13", "PRODUCT_UNAVAILABLE")
    ]
    clock.ahead_s = 0  # put right again
    await answered(site, agency, clock)
    await wait_for(site, agency, "admin_penalty", SERVING)


async def test_a_running_stream_ends_when_the_clock_is_lost(timed):
    site, clock = timed
    agency = site.desk.enrol()
    site.world.batch_rows = 8
    hold = site.world.gate.hold
    passed = []

    def set_back(product):
        passed.append(product)
        if len(passed) == 3:
            clock.ahead_s = -600
        return hold(product)

    site.world.gate.hold = set_back
    snapshot = site.world.library.current("admin_penalty")
    rows = [r for n in range(snapshot.batch_count) for r in snapshot.batch(n).rows.to_pylist()]
    query = site.build(agency, "admin_penalty", PENALTY, subjects=sorted({r["uscc"] for r in rows}))
    call = site.exchange(agency).Query(query)
    await refused(site, drain(call), "PRODUCT_UNAVAILABLE", "UNAVAILABLE", rule="R13", logged=False)
    assert len(passed) == 3


async def test_a_stale_feed_is_told_by_name_in_health_and_lists(stage, tmp_path):
    """R13: ten minutes without a reconciliation; the clock itself is all right."""
    clock = Clock()
    copied = with_settings(copy_stage(stage, tmp_path / "home"), {})
    async with serve_site(copied, clock_ms=clock) as site:
        agency = site.desk.enrol()
        for product in (*ADVERSE, "legal_entity_base"):
            assert await status(site, agency, product) == SERVING
        watch = health_pb2_grpc.HealthStub(site.channel(agency)).Watch(
            health_pb2.HealthCheckRequest(service="xinguan.product.admin_penalty")
        )
        assert (await watch.read()).status == SERVING
        clock.ahead_s = 700
        assert (await asyncio.wait_for(watch.read(), 60)).status == NOT_SERVING
        watch.cancel()
        for product in ADVERSE:
            await wait_for(site, agency, product, NOT_SERVING)
        assert await status(site, agency, "legal_entity_base") == SERVING
        await unavailable(site, ask(site, agency, clock))
        whole = health_pb2.HealthCheckRequest(service="")
        stub = health_pb2_grpc.HealthStub(site.channel(agency))
        assert (await stub.Check(whole)).status == SERVING


async def test_a_gateway_that_starts_before_its_own_log_serves_no_adverse_data(stage, tmp_path):
    copied = with_settings(copy_stage(stage, tmp_path / "home"), {})
    clock = Clock()
    clock.ahead_s = -6 * 3_600  # before the last entry of the log, however long ago it was made
    async with serve_site(copied, clock_ms=clock, steady_ms=wall_clock_ms) as site:
        assert not site.world.clock.trusted()
        assert not any(site.gateway.health.serving(name) for name in ADVERSE)
        assert site.gateway.health.serving("legal_entity_base")
