"""What keeps an issuer's publications true while a gateway serves.

The lists are looked at ten times a second, since a repair's status holds at once and must be
published within one. Beside it, credentials are compared with snapshots that begin to serve.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import structlog

from audit.journal import Transaction
from audit.openings import OpeningStore
from gateway.credential import book, freshness
from gateway.credential.issuer import Issuer
from gateway.credential.keyring import Keyring
from gateway.credential.places import Places
from gateway.credential.publication import ListPublication, write_documents
from gateway.deployment import Deployment, Secrets
from gateway.domain.errors import XinguanError
from gateway.doors.credential_desk import CredentialDesk
from gateway.doors.credential_form import Workshop
from gateway.doors.credential_ledger import IssueLedger
from gateway.doors.credential_site import credential_app
from gateway.doors.log_site import open_site
from gateway.release.pipeline import Exchange
from gateway.release.world import World
from gateway.snapshot.library import SnapshotLibrary
from gateway.snapshot.snapshot import Snapshot
from gateway.store.state import State

_log = structlog.get_logger(__name__)
_FORGET_EVERY_S = 3_600
_AFTER_FAILURE_S = 1.0


class CredentialRoom:
    """Everything about credentials in one serving process. Owner of the keeper, if there is one.

    Where the settings name no issuer, the desk refuses and there is nothing to publish.
    """

    def __init__(
        self,
        deployment: Deployment,
        state: State,
        exchange: Exchange,
        world: World,
        secrets: Secrets,
        applied: Callable[[], int],
    ) -> None:
        """Read the keys; nothing is published yet.

        Args:
            deployment: Settings and folders.
            state: The state.
            exchange: The road that credentials are issued through.
            world: Catalogue, snapshots and clock.
            secrets: For the seal of openings.
            applied: Number of the newest change of a record that has taken effect here.

        Raises:
            KeyFileError: A key can't be used.
            UnavailableError: `NO_CREDENTIAL_KEY`.
        """
        settings = deployment.settings
        self._reader = state.connect()
        issuer = workshop = None
        if settings.credentials.issuer:
            folder = deployment.directory / settings.files.credential_keys
            issuer = Issuer(Keyring.open(folder), settings.credentials, world.products)
            workshop = Workshop(
                issuer,
                world,
                OpeningStore(secrets.opening_key),
                Places(self._reader),
                IssueLedger(settings.credentials.list_entries, world.node.name),
                settings.log.origin,
            )
        self.desk = CredentialDesk(exchange, world, self._reader, workshop, applied)
        self._keeper: CredentialKeeper | None = None
        if issuer is not None:
            self._keeper = CredentialKeeper(
                deployment, state, world.library, issuer, lambda: world.clock_ms() // 1000
            )

    async def open(self) -> None:
        """Publish everything once, and serve it where the settings say so.

        Raises:
            UnavailableError: `PORT_IN_USE`.
        """
        if self._keeper is not None:
            await self._keeper.open()

    async def run(self) -> None:
        """Publish and compare for ever."""
        if self._keeper is not None:
            await self._keeper.run()

    async def close(self) -> None:
        """Close the listener and the connections."""
        if self._keeper is not None:
            await self._keeper.close()
        self._reader.close()


class CredentialKeeper:
    """Publishes and compares. Owner: the task that runs `run`."""

    def __init__(
        self,
        deployment: Deployment,
        state: State,
        library: SnapshotLibrary,
        issuer: Issuer,
        clock_s: Callable[[], int],
    ) -> None:
        """Take the folder, the state and the snapshots.

        Args:
            deployment: Where the files go.
            state: The state.
            library: The snapshots that serve.
            issuer: Who signs.
            clock_s: Unix seconds.
        """
        self._folder = deployment.directory / deployment.settings.files.credentials
        self._node = deployment.settings.node
        self._state = state
        self._library = library
        self._issuer = issuer
        self._clock_s = clock_s
        self._reader = state.connect()
        self._lists = ListPublication(self._folder, issuer.signer, issuer.settings)
        self._forgot_at = 0
        self._sites = AsyncExitStack()
        self._closed = False
        self.url = ""

    async def open(self) -> None:
        """Publish everything once, and serve it where the settings say so.

        Raises:
            UnavailableError: `PORT_IN_USE`.
        """
        settings = self._issuer.settings
        await self._state.submit(lambda tx: book.ensure_list(tx, settings.list_entries))
        write_documents(self._folder, self._issuer.documents)
        await self.publish()
        if settings.http_listen:
            app = credential_app(self._folder, settings.ttl_s)
            self.url = await open_site(self._sites, app, settings.http_listen)
            _log.info("credentials_served", url=self.url)

    async def run(self) -> None:
        """Publish and compare until it is closed; a failure is told and tried again."""
        pause_s = self._issuer.settings.publish_interval_ms / 1000
        compared_at = 0
        while not self._closed:
            try:
                await self.publish()
                if self._clock_s() != compared_at:
                    compared_at = self._clock_s()
                    await self.compare()
            except Exception as error:  # noqa: BLE001 - it must go on; the type says enough
                _log.error("credentials_not_published", type=type(error).__name__)
                await asyncio.sleep(_AFTER_FAILURE_S)
            await asyncio.sleep(pause_s)

    async def publish(self) -> None:
        """Publish the lists that changed."""
        await asyncio.to_thread(self._lists.publish, self._reader, self._clock_s())

    async def compare(self) -> None:
        """Compare credentials with the snapshots that serve now; forget what ended long ago."""
        now = self._clock_s()
        for product in self._library.products():
            snapshot = self._readable(product)
            if snapshot is None:
                continue
            older = book.of_other_snapshots(
                self._reader, product, snapshot.snapshot_id, freshness.AT_ONCE
            )
            if not older:
                continue
            compared = await asyncio.to_thread(freshness.compare, snapshot, older, now)

            def apply(
                tx: Transaction,
                product: str = product,
                number: str = snapshot.snapshot_id,
                compared: freshness.Compared = compared,
            ) -> None:
                freshness.apply(tx, product, number, compared, self._node, now)

            await self._state.submit(apply)
        if now >= self._forgot_at + _FORGET_EVERY_S:
            self._forgot_at = now
            before = now - self._issuer.settings.keep_s
            await self._state.submit(lambda tx: book.forget(tx, before))

    def _readable(self, product: str) -> Snapshot | None:
        """Return the snapshot that serves; None of a damaged one, which keeps no other waiting."""
        try:
            return self._library.current(product)
        except XinguanError as error:
            _log.error("credentials_not_compared", product=product, reason=error.code)
            return None

    async def close(self) -> None:
        """Close the listener and the connection; whatever runs still ends by itself."""
        self._closed = True
        await self._sites.aclose()
        self._reader.close()
