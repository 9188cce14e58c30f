"""Keeps the log of a serving process: integrates, asks the witnesses, shows the log to others.

Of the processes that serve one state, one holds the integrator's lease. The others know what
the witnesses said from the files beside the log, as it does itself.
"""

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final

import structlog

from audit.errors import AuditUnavailableError, ForkClaimedError, LeaseHeldError
from gateway.deployment import Deployment, Secrets
from gateway.domain.errors import UnavailableError
from gateway.doors.log_site import Readers, open_log_sites
from gateway.identity.peer import CallerDirectory
from gateway.release.vouching import Unwitnessed, WitnessWatch
from gateway.stamping import stamp_always, timestamp_authority
from gateway.store.state import State
from gateway.witnesses import deployment_policy, make_integrator

_log = structlog.get_logger(__name__)
_FIRST_WORD_POLLS: Final = 60
_POLL_S: Final = 0.05


class LogKeeper:
    """Keeps the log of one process. Owner: the composition root; one event loop."""

    def __init__(
        self,
        deployment: Deployment,
        state: State,
        secrets: Secrets,
        clock_s: Callable[[], int],
        worker: int,
    ) -> None:
        """Read the trust policy and make the integrator; nothing is signed yet.

        Args:
            deployment: The deployment.
            state: Its open state.
            secrets: Its keys.
            clock_s: Unix seconds.
            worker: Number of this process among the workers of the node; the first one shows
                the log over HTTP and has it stamped.

        Raises:
            ConfigError: `BAD_POLICY` or `BAD_CERTIFICATE`.
        """
        self._deployment = deployment
        self._settings = deployment.settings
        self._state = state
        self._clock_s = clock_s
        self._first = worker == 1
        self._authority = timestamp_authority(deployment)
        self._tasks: list[asyncio.Task[None]] = []
        self._sites = AsyncExitStack()
        self.policy = deployment_policy(deployment)
        self.vouching = self._vouching()
        self.urls: dict[str, str] = {}
        self.integrator = make_integrator(
            deployment, state.journal, secrets, self.policy, self._clock_s
        )

    async def meet(self) -> None:
        """Let the witnesses confirm what was signed before, or a restored state shows as one.

        Raises:
            UnavailableError: `LOG_DISPUTED`; this state is older than what a witness has seen,
                or another history. It must not serve, let alone sign.
        """
        try:
            await asyncio.to_thread(self.integrator.meet_witnesses)
        except ForkClaimedError as error:
            raise UnavailableError(
                "LOG_DISPUTED", str(error), hints=("was the state restored from a backup?",)
            ) from None
        except AuditUnavailableError:
            _log.warning("witnesses_not_met")  # the gate stays shut until they are

    async def open(self, view: Callable[[], CallerDirectory]) -> None:
        """Begin to integrate; show the log and have it stamped where the settings say so.

        Args:
            view: Gives the registry as it stands.

        Raises:
            UnavailableError: `PORT_IN_USE`.
            ConfigError: As `open_log_sites`.
        """
        self._tasks.append(asyncio.create_task(self._integrate_always()))
        await self._first_word()
        if not self._first:
            return
        readers = Readers(view, self._state.journal, self._settings.node, self._clock_s)
        self.urls = await open_log_sites(self._sites, self._deployment, readers)
        if self._authority is not None and self._settings.timestamps.url:
            self._tasks.append(asyncio.create_task(stamp_always(self._deployment, self._authority)))

    async def stop(self) -> None:
        """End what runs by itself; nothing is published after it but by `publish_last`."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    async def publish_last(self) -> None:
        """Publish what was logged until now, when this process is the one that does.

        Raises:
            AuditError: It can't be published now.
        """
        # What this process logged, the one that holds the lease publishes.
        with contextlib.suppress(LeaseHeldError):
            await asyncio.to_thread(self.integrator.integrate_once)

    async def close(self) -> None:
        """Close the listeners and give up the lease.

        Raises:
            AuditUnavailableError: The lease can't be given up; it runs out by itself.
        """
        await self.stop()
        await self._sites.aclose()
        self.integrator.close()

    def _vouching(self) -> Unwitnessed | WitnessWatch:
        policy = self.policy
        if policy is None or not policy.demands_witnesses:
            return Unwitnessed()
        grace_s = self._settings.witnesses.grace_s
        deployment = self._deployment
        return WitnessWatch(deployment.log_directory, policy, deployment.log_vkey, grace_s)

    async def _first_word(self) -> None:
        """Wait a little for the first word of the witnesses, which opens the gate."""
        watch = self.vouching
        if not isinstance(watch, WitnessWatch):
            return
        for _ in range(_FIRST_WORD_POLLS):
            if watch.age(self._clock_s()) is not None:
                return
            await asyncio.sleep(_POLL_S)

    async def _integrate_always(self) -> None:
        """Publish a checkpoint at every interval; a failure is told and tried again.

        Promises rest on the journal, so a late checkpoint loses nothing; it is only later.
        """
        pause_s = self._settings.limits.checkpoint_interval_ms / 1000
        while True:
            try:
                await asyncio.to_thread(self.integrator.integrate_once)
                self._settle(disputed=False)
            except LeaseHeldError:
                pass  # another process of this state publishes them
            except Exception as error:  # noqa: BLE001 - it must go on; the type says enough
                self._settle(disputed=isinstance(error, ForkClaimedError))
                _log.error("checkpoint_failed", type=type(error).__name__)
            self._tell()
            await asyncio.sleep(pause_s)

    def _settle(self, *, disputed: bool) -> None:
        if isinstance(self.vouching, WitnessWatch):
            self.vouching.dispute() if disputed else self.vouching.settle()

    def _tell(self) -> None:
        watch, now = self.vouching, self._clock_s()
        due_s = 2 * self._settings.witnesses.refresh_s
        if isinstance(watch, WitnessWatch) and watch.turned(now, due_s):
            event = "witnesses_missing" if watch.overdue else "witnesses_back"
            _log.warning(event, age_s=watch.age(now))
