"""The feeds that the settings name, put together."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.config import Feed as FeedSettings
from gateway.config import FeedKind
from gateway.deployment import Deployment
from gateway.domain.product import Product
from gateway.repair.feed import Feed
from gateway.repair.feed_runner import DocumentReading, FeedRunner, Reading, Scheduled
from gateway.repair.file_feed import FileFeed
from gateway.repair.intake import Intake
from gateway.repair.publicity_feed import PublicityReading
from gateway.repair.publish import Publisher
from gateway.repair.reconcile import Reconciler
from gateway.repair.table_feed import TableFeed, read_dsn
from gateway.snapshot.library import SnapshotLibrary
from gateway.store.state import State

INBOX = "inbox"  # name of the feed of what `xinguan reconcile` hands to a running gateway
_INBOX_POLL_MS = 250


class FeedAssembly:
    """Builds readers, the reconciler and the runner of one node."""

    def __init__(
        self,
        deployment: Deployment,
        state: State,
        publisher: Publisher,
        library: SnapshotLibrary,
        products: Mapping[str, Product],
        clock_ms: Callable[[], int],
    ) -> None:
        """Take what all of them share."""
        self._deployment = deployment
        self._state = state
        self._node = deployment.settings.node
        self._clock_ms = clock_ms
        authority: Callable[[str], Ed25519PublicKey | None] = deployment.authority_keys().get
        self._intake = Intake(state, publisher, authority, node=self._node, clock_ms=clock_ms)
        self.reconciler = Reconciler(
            state,
            publisher,
            library,
            authority,
            products=products,
            node=self._node,
            withheld_ppm=deployment.settings.limits.reconcile_withheld_ppm,
            clock_ms=clock_ms,
        )

    def runner(self) -> FeedRunner:
        """Return the runner of every configured feed, and of the inbox.

        Raises:
            FeedError: A feed's connection string can't be had.
        """
        feeds = {
            name: Scheduled(self._reading(name, feed), feed.poll_ms)
            for name, feed in self._deployment.settings.feeds.items()
        }
        inbox = self._deployment.inbox_directory
        reading = self._publicity(INBOX, inbox, consume=True)
        feeds.setdefault(INBOX, Scheduled(reading, _INBOX_POLL_MS))
        return FeedRunner(
            self._state,
            feeds,
            node=self._node,
            lease_s=self._deployment.settings.limits.feed_lease_s,
            clock_ms=self._clock_ms,
        )

    def _reading(self, name: str, feed: FeedSettings) -> Reading:
        place = self._deployment.directory / feed.path
        if feed.kind is FeedKind.PUBLICITY:
            return self._publicity(name, place, consume=False)
        source: Feed
        if feed.kind is FeedKind.FILE:
            source = FileFeed(place)
        else:
            file = self._deployment.directory / feed.dsn_file if feed.dsn_file else None
            dsn = read_dsn(file, feed.dsn_env, dict(os.environ))
            source = TableFeed(dsn, feed.table, timeout_ms=feed.timeout_ms)
        return DocumentReading(name, source, self._intake, self._state, feed.page_items)

    def _publicity(self, name: str, folder: Path, *, consume: bool) -> PublicityReading:
        return PublicityReading(
            name,
            folder,
            self.reconciler,
            self._state,
            node=self._node,
            clock_ms=self._clock_ms,
            consume=consume,
        )
