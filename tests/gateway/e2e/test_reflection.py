"""The contract shows itself: reflection, health, and the port that is one gateway's alone."""

import grpc
import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from gateway.demo.cast import AGENCY
from gateway.domain.errors import UnavailableError
from gateway.doors.assembly import SERVICES
from gateway.replicas.node_name import take_name
from gateway.server import Gateway
from tests.gateway.e2e.conftest import serve_site
from tests.gateway.e2e.serving import PENALTY, Site, copy_stage
from xinguan.client import Answer
from xinguan.v1 import repair_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")

BUSINESS = {
    "xinguan.v1.ExchangeService",
    "xinguan.v1.RepairService",
    "xinguan.v1.AuditService",
    "xinguan.v1.AdminService",
    "xinguan.v1.CredentialService",
    "xinguan.v1.RecognitionService",
    "arrow.flight.protocol.FlightService",
}


async def reflect(site: Site, *requests: reflection_pb2.ServerReflectionRequest):
    """Return the answers to reflection requests, as grpcurl would ask."""
    stub = reflection_pb2_grpc.ServerReflectionStub(site.channel(AGENCY))
    answers = [answer async for answer in stub.ServerReflectionInfo(iter(requests))]
    assert len(answers) == len(requests)
    return answers


async def test_reflection_lists_every_service(site):
    (answer,) = await reflect(site, reflection_pb2.ServerReflectionRequest(list_services="*"))
    listed = {service.name for service in answer.list_services_response.service}
    assert listed == BUSINESS | {
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    assert set(SERVICES) == BUSINESS


@pytest.mark.parametrize("name", sorted(BUSINESS))
async def test_a_service_can_be_described_from_reflection_alone(site, name):
    files = await _files_of(site, name)
    pool = DescriptorPool()
    for file in files:
        pool.AddSerializedFile(file)
    methods = [method.name for method in pool.FindServiceByName(name).methods]
    assert methods


async def _files_of(site: Site, symbol: str) -> list[bytes]:
    """Return the files behind a symbol, those that they import first."""
    known: dict[str, tuple[bytes, list[str]]] = {}
    (answer,) = await reflect(
        site, reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol)
    )
    wanted: list[str] = []
    while True:
        for raw in answer.file_descriptor_response.file_descriptor_proto:
            parsed = descriptor_pb2.FileDescriptorProto.FromString(raw)
            known[parsed.name] = (raw, list(parsed.dependency))
            wanted += parsed.dependency
        missing = [name for name in wanted if name not in known]
        if not missing:
            break
        (answer,) = await reflect(
            site, reflection_pb2.ServerReflectionRequest(file_by_filename=missing[0])
        )
        assert answer.HasField("file_descriptor_response")
    ordered: dict[str, bytes] = {}

    def add(name: str) -> None:
        if name not in ordered:
            for needed in known[name][1]:
                add(needed)
            ordered[name] = known[name][0]

    for name in known:
        add(name)
    return list(ordered.values())


@pytest.mark.parametrize("service", sorted(BUSINESS))
async def test_every_service_is_healthy(site, service):
    stub = health_pb2_grpc.HealthStub(site.channel(AGENCY))
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_an_unknown_service_has_no_health(site):
    stub = health_pb2_grpc.HealthStub(site.channel(AGENCY))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Check(health_pb2.HealthCheckRequest(service="no.such.Service"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_without_a_certificate_nothing_answers(site):
    authority = site.identity(AGENCY).authority
    credentials = grpc.ssl_channel_credentials(authority)
    async with grpc.aio.secure_channel(site.gateway.address, credentials) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=60
            )
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


# --- one port, one state, one gateway -------------------------------------------------------


async def test_a_port_in_use_is_told_by_name(site, stage, tmp_path):
    second = Gateway(copy_stage(stage, tmp_path / "home").deployment, listen=site.gateway.address)
    with pytest.raises(UnavailableError) as caught:
        await second.__aenter__()
    assert caught.value.code == "PORT_IN_USE"
    assert site.gateway.address in caught.value.message
    assert caught.value.hints
    # The first one serves on, and the second has let go of what it held and begun.
    assert second._background
    assert all(task.done() for task in second._background)
    assert (await site.query(site.desk.enrol()))[-1].outcome.rows == 1
    take_name(second._deployment.state_path.parent, "demo-1.1").release()


async def test_a_second_gateway_of_the_same_name_is_refused(site):
    """Two of one name could not be told apart in the leases."""
    before = len(site.entries())
    second = Gateway(site.deployment)
    with pytest.raises(UnavailableError) as caught:
        await second.__aenter__()
    assert caught.value.code == "NODE_NAME_TAKEN"
    assert caught.value.hints
    assert len(site.entries()) == before
    assert (await site.query(site.desk.enrol()))[-1].outcome.rows == 1


async def test_a_restarted_gateway_knows_what_was_repaired(stage, tmp_path):
    copied = copy_stage(stage, tmp_path / "home")
    subject = copied.population.penalised
    async with serve_site(copied) as site:
        member = site.desk.enrol()
        query = (member, "admin_penalty", PENALTY)
        assert Answer(await site.query(*query, subjects=[subject])).outcome.rows == 1
        snapshot = site.world.library.current("admin_penalty")
        record = str(snapshot.take(snapshot.locate([subject]), ["record_id"])["record_id"][0])
        await site.repairs(site.authority).Publish(
            repair_pb2.PublishRequest(decision=site.desk.repair("admin_penalty", record))
        )
    async with serve_site(copied) as site:
        assert Answer(await site.query(*query, subjects=[subject])).rows() == []
