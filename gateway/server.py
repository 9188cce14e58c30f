"""The composition root of a running gateway: the only place that knows concrete classes.

open      state, registry, catalogue, policy bundle and engine, snapshots, log
meet      the witnesses confirm what was signed last, or a restored state shows as one
announce  node, policy and contracts stand in the log before the port opens
serve     one port for every service, mutual TLS only
stop      the port first, then what is under way, then the log
"""

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

import structlog

from audit.errors import AuditError, AuditUnavailableError
from audit.openings import OpeningStore
from gateway.announcement import Announced, announce_start, announce_stop
from gateway.border.counters import open_counts
from gateway.border.renewals import RenewalWatch
from gateway.config import Profile, Settings
from gateway.decision.bundle import Bundle
from gateway.decision.bundle import load as load_bundle
from gateway.decision.decider import Decider
from gateway.decision.engine import Engine
from gateway.decision.law import LawTable
from gateway.decision.opa import OpaServerEngine
from gateway.decision.wasm import WasmEngine
from gateway.deployment import Deployment, Secrets
from gateway.doors.assembly import Doors
from gateway.doors.credential_desk import CredentialDesk
from gateway.doors.recall import RecallDesk
from gateway.doors.recognition_assembly import open_recognition
from gateway.log_keeper import LogKeeper
from gateway.registry import idempotency
from gateway.registry.call_rate import CallRate
from gateway.registry.catalogue import Catalogue
from gateway.registry.quotas import LicenceQuotas
from gateway.registry.registry import Registry
from gateway.release.context import Node
from gateway.release.evidence import Evidence, EvidenceKeys
from gateway.release.gate import Gate
from gateway.release.marks import open_marks
from gateway.release.pipeline import Exchange
from gateway.release.pseudonym import ConsumerKeys
from gateway.release.steady_clock import SteadyClock, steady_clock_ms
from gateway.release.world import World
from gateway.repair.delays import Delays
from gateway.repair.effect import SnapshotEffect
from gateway.repair.feed_assembly import FeedAssembly
from gateway.repair.publish import Cleared, Publisher
from gateway.repair.recall.assembly import open_recall
from gateway.repair.recall.board import NoticeBoard
from gateway.replicas.replica import Replica
from gateway.serving.border import keeper_of, open_store
from gateway.serving.credentials import CredentialRoom
from gateway.serving.port import open_port
from gateway.serving.portfolios import portfolio_rooms
from gateway.serving.standing import newest_time, open_library
from gateway.serving.subjects import open_subjects
from gateway.subjects.monitor import ReconciliationMonitor
from gateway.subjects.reconciliation import report_and_settle, warn_of
from gateway.wall_clock import wall_clock_ms

_log = structlog.get_logger(__name__)
_BATCH_ROWS = 32_768


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
        steady_ms: Callable[[], int] | None = None,
    ) -> None:
        """Read the deployment; nothing is opened yet.

        Args:
            deployment: What `xinguan init` made.
            listen: HOST:PORT instead of the settings'; port 0 takes a free one.
            opa_url: An OPA server instead of the settings'; both empty: the embedded engine.
            worker: Number of this process among the workers of the node.
            shares_port: Other workers listen on the same port.
            clock_ms: Unix milliseconds.
            steady_ms: The clock that `clock_ms` is held against; a simulated clock is its own.
        """
        self._worker = worker
        self._shares_port = shares_port
        self._deployment = deployment
        self._settings: Settings = deployment.settings
        self._listen = listen or self._settings.server.listen
        self._opa_url = opa_url or self._settings.server.opa_url
        self._clock_ms = clock_ms
        simulated = clock_ms is not wall_clock_ms
        self._steady_ms = steady_ms or (clock_ms if simulated else steady_clock_ms)
        self._background: list[asyncio.Task[None]] = []
        self._closing: list[Callable[[], Any]] = []
        self.address = ""
        self.keeper: LogKeeper

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._end_background()
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._notices.open = False  # streams that wait for notices would never end by themselves
        await self._server.stop(self._settings.limits.stop_grace_s)
        await self._recall.stop()
        await self._end_background()
        await self.keeper.stop()
        try:
            await announce_stop(self._state, self._settings.node, self._clock_s())
            await self.keeper.publish_last()
        except AuditError:
            # A log that can't be written is no reason to leave files and threads open.
            _log.error("stop_not_logged")
        finally:
            await self._close()

    async def _end_background(self) -> None:
        """End what runs beside requests, so that nothing reads a state that is closed next."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

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
        self.keeper = LogKeeper(deployment, self._state, secrets, self._clock_s, self._worker)
        self._closing.append(self.keeper.close)
        await self.keeper.meet()
        catalogue = Catalogue.load()
        self._clock = SteadyClock(
            self._clock_ms,
            self._steady_ms,
            step_ms=settings.limits.clock_step_ms,
            recorded_s=newest_time(self._state),
        )
        if self._replica.first:  # while others of this node serve, their intents are under way
            node, now = settings.node, self._clock_ms() // 1000
            warn_of(await self._state.submit(lambda tx: report_and_settle(tx, node, now)), node)
        announced = await announce_start(
            self._state, settings, catalogue.products, bundle, self._clock_s(),
            trust=None if self.keeper.policy is None else self.keeper.policy.digest,
        )  # fmt: skip
        engine = self._engine(bundle)
        self._closing.append(engine.close)
        world = self._world(secrets, law, bundle, engine, catalogue, announced)
        reader = self._state.connect()
        self._closing.append(reader.close)
        # Before any snapshot is opened: what was changed until now, opening reads.
        rounds = await self._replica.join(
            self._state, world.gate, SnapshotEffect(reader, world.library, self._apart.library)
        )
        self._closing.append(self._replica.leave)
        self._recall = await open_recall(
            deployment, secrets, self._state, world.consumer_keys, self._clock_ms
        )
        self.delays = Delays(self._state)
        self._closing.append(self.delays.close)
        self.publisher = publisher = Publisher(
            self._state.journal,
            world.library,
            rounds,
            OpeningStore(secrets.opening_key),
            products=catalogue.products,
            node=settings.node,
            clock_ms=self._clock_ms,
            cleared=self._note_cleared,
        )
        feeds = FeedAssembly(
            deployment,
            self._state,
            publisher,
            world.library,
            catalogue.products,
            self._clock_ms,
        )
        await self.keeper.open(world.registry.view)
        monitor = self._keep(secrets, world)
        self.renewals = RenewalWatch(self._state, settings.node, self._clock_s)
        exchange = Exchange(world)
        self._closing.append(exchange.close)
        doors = Doors(
            deployment,
            self._state,
            world,
            exchange,
            publisher,
            self._recall_desk(),
            law,
            secrets,
            catalogue,
            monitor,
            self._rooms.portfolios,
            await self._credentials(exchange, world, secrets),
            open_recognition(self._state, world, secrets, settings, self._closing),
            self.keeper.policy,
            self.renewals,
        )
        self._server, self.health, self.address = await open_port(
            deployment, self._listen, doors, shares_port=self._shares_port
        )
        await self._server.start()
        self._closing.append(self._recall.stop)
        self._recall.start()
        self._run(self.renewals.run())
        window_s = settings.limits.idempotency_window_s
        self._run(idempotency.sweep_always(self._state, window_s, self._clock_s))
        self._run(self.health.update_always(settings.limits.health_interval_ms))
        self.feeds = feeds.runner()
        self._run(self.feeds.run())
        _log.info("serving", address=self.address, node=settings.node, policy=bundle.digest[:16])

    def _note_cleared(self, cleared: Cleared) -> None:
        """Let whoever follows up on a change know that the gate is clear of it."""
        self.delays.note(cleared)
        self._recall.cleared(cleared)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the port until the gateway stops."""
        self._background.append(asyncio.create_task(work))

    async def _credentials(
        self, exchange: Exchange, world: World, secrets: Secrets
    ) -> CredentialDesk:
        """Return what issues credentials; one process of a node publishes their status."""
        room = CredentialRoom(
            self._deployment, self._state, exchange, world, secrets, self._replica.applied
        )
        self._closing.append(room.close)
        if self._replica.first:
            await room.open()
            self._run(room.run())
        return room.desk

    def _recall_desk(self) -> RecallDesk:
        reader = self._state.connect()
        self._closing.append(reader.close)
        self._notices = NoticeBoard(reader)
        return RecallDesk(self._state, self._notices, self._settings.profile is Profile.DEV)

    def _keep(self, secrets: Secrets, world: World) -> ReconciliationMonitor:
        """Run what looks after the index of subjects, the store apart and the log."""
        registry = Registry(self._state)
        self._closing.append(registry.close)
        index, monitor = open_subjects(self._deployment, self._state, secrets, self._clock_s)
        self.border = keeper_of(
            self._deployment, self._state, self._apart, world.products, registry.view,
            world.library, self._clock_s,
        )  # fmt: skip
        self._closing += (index.close, self.border.close)
        for work in (index, self.border, monitor):
            self._run(work.run())
        return monitor

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
        tags = settings.border.count_tags
        exports = open_counts(self._state, secrets.export_key, settings.node, tags)
        self._closing.append(exports.close)
        self._apart = open_store(self._deployment, self._state)
        library = open_library(self._deployment, self._state)
        self._rooms = rooms = portfolio_rooms(
            self._state, library, registry, catalogue, settings, secrets, self._clock_s
        )
        self._closing.append(rooms.close)
        self._run(rooms.sweep_always())
        return World(
            counts=exports,
            exports=exports,
            clock_ms=self._clock_ms,
            clock=self._clock,
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
            library=library,
            abroad=self._apart,
            marks=open_marks(self._deployment.directory / settings.files.mark_key),
            gate=Gate(sure=self._replica.membership.check),
            quotas=quotas,
            evidence=evidence,
            consumer_keys=lambda party: ConsumerKeys.derive(secrets.pseudonym_key, party),
            clock_skew_s=limits.clock_skew_s,
            batch_rows=_BATCH_ROWS,
            groups=rooms.groups,
            features=rooms.features,
            batch_bytes=limits.batch_bytes,
            witnesses=self.keeper.vouching,
        )

    def _clock_s(self) -> int:
        return self._clock_ms() // 1000

    async def _close(self) -> None:
        while self._closing:
            try:
                result = self._closing.pop()()
                if asyncio.iscoroutine(result):
                    await result
            except AuditUnavailableError:
                # The integrator's lease runs out by itself; the rest must be closed all the same.
                _log.error("close_not_logged")
