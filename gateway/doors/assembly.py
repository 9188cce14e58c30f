"""All doors of the one port: exchange, credentials, recognition, Flight, repair, audit, admin."""

from dataclasses import dataclass

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from audit.openings import OpeningStore
from audit.reader import LogReader
from audit.trust_policy import TrustPolicy
from gateway.border.renewals import RenewalWatch
from gateway.decision.law import LawTable
from gateway.deployment import Deployment, Secrets
from gateway.doors.accesses import AccessDesk, SubjectKeys
from gateway.doors.admin import AdminDoor, AdminKeys
from gateway.doors.audit import AuditDoor
from gateway.doors.cosigned import LogWitnesses
from gateway.doors.credential import CredentialDoor
from gateway.doors.credential_desk import CredentialDesk
from gateway.doors.exchange import ExchangeDoor, add_query
from gateway.doors.flight import SERVICE as FLIGHT_SERVICE
from gateway.doors.flight import FlightDoor, add_flight, readers
from gateway.doors.flight_actions import FlightActions, actions
from gateway.doors.flight_sql import SqlDesk
from gateway.doors.flight_uploads import FlightUploads, UploadLimits, uploads
from gateway.doors.product_health import ProductHealth
from gateway.doors.recall import RecallDesk
from gateway.doors.recognition import RecognitionDesk, RecognitionDoor
from gateway.doors.repair import RepairDoor
from gateway.registry.catalogue import Catalogue
from gateway.release.pipeline import Exchange
from gateway.release.portfolio import Portfolios
from gateway.release.world import World
from gateway.repair.publish import Publisher
from gateway.store.state import State
from gateway.subjects.monitor import ReconciliationMonitor
from xinguan.v1 import (
    admin_pb2,
    admin_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    credential_pb2,
    credential_pb2_grpc,
    exchange_pb2,
    exchange_pb2_grpc,
    recognition_pb2,
    recognition_pb2_grpc,
    repair_pb2,
    repair_pb2_grpc,
)

SERVICES = (
    exchange_pb2.DESCRIPTOR.services_by_name["ExchangeService"].full_name,
    repair_pb2.DESCRIPTOR.services_by_name["RepairService"].full_name,
    audit_pb2.DESCRIPTOR.services_by_name["AuditService"].full_name,
    admin_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name,
    credential_pb2.DESCRIPTOR.services_by_name["CredentialService"].full_name,
    recognition_pb2.DESCRIPTOR.services_by_name["RecognitionService"].full_name,
    FLIGHT_SERVICE,
)
RECONCILIATION = "xinguan.reconciliation"
RENEWALS = "xinguan.border"


@dataclass(frozen=True, slots=True)
class Doors:
    """What stands behind the doors."""

    deployment: Deployment
    state: State
    world: World
    exchange: Exchange
    publisher: Publisher
    recall: RecallDesk
    law: LawTable
    secrets: Secrets
    catalogue: Catalogue
    monitor: ReconciliationMonitor
    portfolios: Portfolios
    credentials: CredentialDesk
    recognition: RecognitionDesk
    policy: TrustPolicy | None = None  # whose cosignatures count; None for an unwitnessed log
    renewals: RenewalWatch | None = None


async def add_services(server: grpc.aio.Server, doors: Doors) -> ProductHealth:
    """Register every service on a server; return what keeps the health of products up to date."""
    world, law, limits = doors.world, doors.law, doors.deployment.settings.limits
    authority = doors.deployment.authority_keys()
    exchange = ExchangeDoor(doors.exchange, world, law, max_subjects=limits.max_batch_subjects)
    add_query(exchange, server)
    exchange_pb2_grpc.add_ExchangeServiceServicer_to_server(exchange, server)
    recognition_pb2_grpc.add_RecognitionServiceServicer_to_server(
        RecognitionDoor(doors.exchange, world, law, doors.recognition), server
    )
    flight = FlightDoor(
        doors.exchange,
        world,
        law,
        max_subjects=limits.max_batch_subjects,
        ticket_key=doors.secrets.ticket_key,
        ticket_life_s=limits.ticket_lifetime_s,
        portfolios=doors.portfolios,
        sql=SqlDesk(
            doors.exchange,
            world,
            max_subjects=limits.max_batch_subjects,
            max_sql_bytes=limits.max_sql_bytes,
            ticket_key=doors.secrets.ticket_key,
            ticket_life_s=limits.ticket_lifetime_s,
        ),
    )
    upload_limits = UploadLimits(
        limits.portfolio_subjects, limits.portfolio_bytes, limits.upload_deadline_s
    )
    puts, acts = FlightUploads(flight, upload_limits), FlightActions(flight)
    add_flight(readers(flight) | uploads(puts) | actions(acts), server)
    repair_pb2_grpc.add_RepairServiceServicer_to_server(
        RepairDoor(doors.publisher, world, law, authority.get, doors.recall), server
    )
    reader = LogReader(doors.deployment.log_directory, doors.deployment.log_vkey)
    subject_keys = SubjectKeys(
        doors.secrets.log_key, doors.secrets.index_key, doors.secrets.consent_key
    )
    audit_pb2_grpc.add_AuditServiceServicer_to_server(
        AuditDoor(
            doors.state,
            world,
            law,
            reader,
            OpeningStore(doors.secrets.opening_key),
            AccessDesk(doors.state, world, reader, subject_keys, doors.monitor),
            LogWitnesses(doors.policy, doors.deployment.log_vkey),
        ),
        server,
    )
    credential_pb2_grpc.add_CredentialServiceServicer_to_server(
        CredentialDoor(doors.credentials, world, law), server
    )
    keys = AdminKeys(
        authority=authority.get,
        consent=doors.secrets.consents,
        catalogue={
            name: frozenset(product.fields) for name, product in doors.catalogue.products.items()
        },
    )
    admin_pb2_grpc.add_AdminServiceServicer_to_server(
        AdminDoor(doors.state, world, law, keys, window_s=limits.idempotency_window_s), server
    )
    servicer = health.aio.HealthServicer()
    for name in SERVICES:
        await servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    # Whether log and evidence agree with each other; it says nothing about serving.
    await servicer.set(RECONCILIATION, health_pb2.HealthCheckResponse.UNKNOWN)

    async def tell_health(agrees: bool) -> None:
        status = health_pb2.HealthCheckResponse
        await servicer.set(RECONCILIATION, status.SERVING if agrees else status.NOT_SERVING)

    doors.monitor.told = tell_health
    if doors.renewals is not None:
        await _tell_renewals(servicer, doors.renewals)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    reflection.enable_server_reflection(
        (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), server
    )
    products = ProductHealth(servicer, world)
    await products.update()
    return products


async def _tell_renewals(servicer: health.aio.HealthServicer, watch: RenewalWatch) -> None:
    """Keep the health of `xinguan.border`: NOT_SERVING while a mechanism awaits its renewal."""
    status = health_pb2.HealthCheckResponse
    await servicer.set(RENEWALS, status.UNKNOWN)

    async def tell(none_due: bool) -> None:
        await servicer.set(RENEWALS, status.SERVING if none_due else status.NOT_SERVING)

    watch.told = tell
