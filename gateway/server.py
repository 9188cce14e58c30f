"""The composition root of a running gateway: the only place that knows concrete classes.

open      state, registry, catalogue, policy bundle and engine, snapshots, log
announce  node, policy and contracts stand in the log before the port opens
serve     one port for every service, mutual TLS only
stop      the port first, then what is under way, then the log
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self

import grpc
import structlog

from audit.errors import AuditUnavailableError, LeaseHeldError
from audit.integrator import Integrator
from audit.note import Ed25519Signer
from audit.openings import OpeningStore
from gateway.announcement import Announced, announce_start, announce_stop
from gateway.config import Settings
from gateway.decision.bundle import Bundle
from gateway.decision.bundle import load as load_bundle
from gateway.decision.decider import Decider
from gateway.decision.engine import Engine
from gateway.decision.law import LawTable
from gateway.decision.opa import OpaServerEngine
from gateway.decision.wasm import WasmEngine
from gateway.deployment import Deployment, Secrets
from gateway.domain.errors import UnavailableError
from gateway.doors.assembly import Doors, add_services
from gateway.registry.call_rate import CallRate
from gateway.registry.catalogue import Catalogue
from gateway.registry.quotas import LicenceQuotas
from gateway.registry.registry import Registry
from gateway.release.context import Node
from gateway.release.evidence import Evidence, EvidenceKeys
from gateway.release.gate import Gate
from gateway.release.pipeline import Exchange
from gateway.release.pseudonym import ConsumerKeys
from gateway.release.world import World
from gateway.repair.consequences import prepare
from gateway.repair.effect import SnapshotEffect
from gateway.repair.publish import Publisher
from gateway.replicas.replica import Replica
from gateway.snapshot.library import SnapshotLibrary
from gateway.snapshot.snapshot import Snapshot
from gateway.store.state import State

_log = structlog.get_logger(__name__)
_BATCH_ROWS = 32_768
_INTEGRATOR_LEASE_S = 6  # how late a checkpoint may be when the process that makes them dies


def wall_clock_ms() -> int:
    """Return unix milliseconds: the one clock of a serving gateway."""
    return time.time_ns() // 1_000_000


class Gateway:
    """A gateway that serves; an asynchronous context manager.

    Owner of everything that is open: it closes all of it, in the reverse order.
    """

    def __init__(
        self,
        deployment: Deployment,
        *,
        listen: str = "",
        opa_url: str = "",
        worker: int = 1,
        shares_port: bool = False,
        clock_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        """Read the deployment; nothing is opened yet.

        Args:
            deployment: What `xinguan init` made.
            listen: HOST:PORT instead of the settings'; port 0 takes a free one.
            opa_url: An OPA server instead of the settings'; both empty: the embedded engine.
            worker: Number of this process among the workers of the node.
            shares_port: Other workers listen on the same port.
            clock_ms: Unix milliseconds.
        """
        self._worker = worker
        self._shares_port = shares_port
        self._deployment = deployment
        self._settings: Settings = deployment.settings
        self._listen = listen or self._settings.server.listen
        self._opa_url = opa_url or self._settings.server.opa_url
        self._clock_ms = clock_ms
        self._closing: list[Callable[[], Any]] = []
        self.address = ""

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._server.stop(self._settings.limits.stop_grace_s)
        self._integrating.cancel()
        await asyncio.gather(self._integrating, return_exceptions=True)
        try:
            await announce_stop(self._state, self._settings.node, self._clock_ms() // 1000)
            await asyncio.to_thread(self._integrate)
        except LeaseHeldError:
            pass  # what this process logged, the one that holds the lease publishes
        except AuditUnavailableError:
            # A log that can't be written is no reason to leave files and threads open.
            _log.error("stop_not_logged")
        finally:
            await self._close()

    async def wait(self) -> None:
        """Wait until the server has stopped."""
        await self._server.wait_for_termination()

    async def _start(self) -> None:
        deployment, settings = self._deployment, self._settings
        deployment.require_profile()
        secrets = deployment.secrets()
        law = LawTable.load()
        settings.refuse_unknown_switches(law.switches)
        bundle = load_bundle()
        self._replica = Replica(deployment.state_path.parent, settings, self._worker)
        self._closing.append(self._replica.release)
        self._state = deployment.open_state()
        self._closing.append(self._state.close)
        await self._replica.claim(self._state)
        catalogue = Catalogue.load()
        announced = await announce_start(
            self._state, settings, catalogue.products, bundle, self._clock_ms() // 1000
        )
        engine = self._engine(bundle)
        self._closing.append(engine.close)
        world = self._world(secrets, law, bundle, engine, catalogue, announced)
        reader = self._state.connect()
        self._closing.append(reader.close)
        # Before any snapshot is opened: what was changed until now, opening reads.
        rounds = await self._replica.join(
            self._state, world.gate, SnapshotEffect(reader, world.library)
        )
        self._closing.append(self._replica.leave)
        publisher = Publisher(
            self._state.journal,
            world.library,
            rounds,
            OpeningStore(secrets.opening_key),
            products=catalogue.products,
            node=settings.node,
            clock_ms=self._clock_ms,
        )
        self._integrator = Integrator(
            self._state.journal,
            deployment.log_directory,
            settings.log.origin,
            Ed25519Signer(settings.log.origin, secrets.log_key),
            lambda: self._clock_ms() // 1000,
            lease_s=_INTEGRATOR_LEASE_S,
        )
        self._closing.append(self._integrator.close)
        self._integrating = asyncio.create_task(self._integrate_always())
        doors = Doors(
            deployment, self._state, world, Exchange(world), publisher, law, secrets, catalogue
        )
        self._server = await self._open_port(doors)
        await self._server.start()
        _log.info("serving", address=self.address, node=settings.node, policy=bundle.digest[:16])

    def _engine(self, bundle: Bundle) -> Engine:
        deadline_ms = self._settings.limits.policy_deadline_ms
        if self._opa_url:
            return OpaServerEngine(self._opa_url, deadline_ms=deadline_ms)
        return WasmEngine(bundle, deadline_ms=deadline_ms)

    def _world(
        self,
        secrets: Secrets,
        law: LawTable,
        bundle: Bundle,
        engine: Engine,
        catalogue: Catalogue,
        announced: Announced,
    ) -> World:
        settings, limits = self._settings, self._settings.limits
        registry = Registry(self._state)
        self._closing.append(registry.close)
        reader = self._state.connect()
        self._closing.append(reader.close)
        rate = CallRate.open(self._deployment.state_path.with_suffix(".calls"))
        self._closing.append(rate.close)
        quotas = LicenceQuotas(
            reader,
            calls_per_second=limits.calls_per_second,
            rows_per_day=limits.rows_per_day,
            rate=rate,
            places=self._replica.places,
        )
        decider = Decider(
            engine,
            bundle,
            law,
            limits.policy_deadline_ms,
            memo_size=limits.decision_cache_entries,
        )
        evidence = Evidence(
            self._state.journal,
            EvidenceKeys(
                settings.log.origin,
                secrets.log_key,
                OpeningStore(secrets.opening_key),
                secrets.index_key,
            ),
            node=settings.node,
            idempotency_window_s=limits.idempotency_window_s,
            count_row=quotas.count_row,
            inputs=decider.input_for,
            policy=announced.policy,
        )
        return World(
            clock_ms=self._clock_ms,
            registry=registry,
            products=catalogue.products,
            node=Node(
                name=settings.node,
                transmitter=announced.transmitter,
                managers=announced.managers,
                switches=law.settle(settings.switches),
                consent_key=secrets.consent_key,
            ),
            decider=decider,
            library=SnapshotLibrary(
                self._deployment.snapshots_directory,
                lambda name: sealed_keys(self._state, name),
                prepare=lambda snapshot: prepare_snapshot(self._state, snapshot),
            ),
            gate=Gate(sure=self._replica.membership.check),
            quotas=quotas,
            evidence=evidence,
            consumer_keys=lambda party: ConsumerKeys.derive(secrets.pseudonym_key, party),
            clock_skew_s=limits.clock_skew_s,
            batch_rows=_BATCH_ROWS,
        )

    async def _open_port(self, doors: Doors) -> grpc.aio.Server:
        limits = self._settings.limits
        server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", limits.max_request_bytes),
                ("grpc.max_metadata_size", 16 << 10),
                # A second gateway on the same port must fail, not share it unseen; workers of
                # one node share it on purpose, and their parent made sure that it was free.
                ("grpc.so_reuseport", int(self._shares_port)),
            ]
        )
        await add_services(server, doors)
        tls = self._deployment.tls()
        credentials = grpc.ssl_server_credentials(
            [(tls.key, tls.certificate)], tls.client_ca, require_client_auth=True
        )
        host = self._listen.rpartition(":")[0]
        try:
            port = server.add_secure_port(self._listen, credentials)
        except RuntimeError:
            port = 0
        if port == 0:
            raise UnavailableError(
                "PORT_IN_USE",
                f"can't listen on {self._listen}",
                hints=("another program listens there, or the address is not this machine's",),
            )
        self.address = f"{host}:{port}"
        return server

    async def _integrate_always(self) -> None:
        """Publish a checkpoint at every interval; a failure is told and tried again.

        Promises rest on the journal, so a late checkpoint loses nothing; it is only later.
        """
        pause_s = self._settings.limits.checkpoint_interval_ms / 1000
        while True:
            try:
                await asyncio.to_thread(self._integrate)
            except LeaseHeldError:
                pass  # another process of this state publishes them
            except Exception as error:  # noqa: BLE001 - it must go on; the type says enough
                _log.error("checkpoint_failed", type=type(error).__name__)
            await asyncio.sleep(pause_s)

    def _integrate(self) -> None:
        self._integrator.integrate_once()

    async def _close(self) -> None:
        while self._closing:
            try:
                result = self._closing.pop()()
                if asyncio.iscoroutine(result):
                    await result
            except AuditUnavailableError:
                # The integrator's lease runs out by itself; the rest must be closed all the same.
                _log.error("close_not_logged")


def prepare_snapshot(state: State, snapshot: Snapshot) -> None:
    """Label and withhold in a snapshot what durable state says, before it serves (R14, R27)."""
    connection = state.connect()
    try:
        prepare(connection, snapshot)
    finally:
        connection.close()


def sealed_keys(state: State, product: str) -> Iterable[str]:
    """Return the records of a product that may never leave again (R27)."""
    connection = state.connect()
    try:
        rows = connection.execute(
            "SELECT record_key FROM sealed_records WHERE product = ?", (product,)
        ).fetchall()
    finally:
        connection.close()
    return [row[0] for row in rows]
