"""What the repair commands share: publishing on a state that nobody serves, and who serves."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from audit.openings import OpeningStore
from gateway.cli.console import Session
from gateway.domain.errors import UnavailableError
from gateway.registry.catalogue import Catalogue
from gateway.release.gate import Gate
from gateway.repair.delays import Delays
from gateway.repair.feed_assembly import FeedAssembly
from gateway.repair.publish import Publisher
from gateway.server import prepare_snapshot, sealed_keys, wall_clock_ms
from gateway.serving_lock import hold_serving_lock
from gateway.snapshot.library import SnapshotLibrary


@dataclass(frozen=True, slots=True)
class OfflineParts:
    """What applies decisions while no gateway serves.

    Args:
        publisher: Applies decisions.
        delays: Writes their delays; it is closed before the command ends.
        feeds: Feeds and reconciler.
        library: The snapshots.
    """

    publisher: Publisher
    delays: Delays
    feeds: FeedAssembly
    library: SnapshotLibrary


def served(opened: Session) -> bool:
    """Tell whether a gateway serves this deployment now."""
    try:
        release = hold_serving_lock(opened.deployment.state_path.parent)
    except UnavailableError:
        return True
    release()
    return False


@contextmanager
def offline(opened: Session) -> Iterator[OfflineParts]:
    """Hold the deployment as a serving gateway would, so that none begins meanwhile.

    Raises:
        UnavailableError: `ALREADY_SERVED`: its gate must see the change, so it goes through it.
    """
    release = hold_serving_lock(opened.deployment.state_path.parent)
    try:
        yield _parts(opened, wall_clock_ms)
    finally:
        release()


def unheld(opened: Session) -> OfflineParts:
    """Return the parts without holding the deployment: for comparing, never for applying."""
    return _parts(opened, wall_clock_ms)


def _parts(opened: Session, clock_ms: Callable[[], int]) -> OfflineParts:
    deployment, state = opened.deployment, opened.state
    products = Catalogue.load().products
    library = SnapshotLibrary(
        deployment.snapshots_directory,
        lambda name: sealed_keys(state, name),
        prepare=lambda snapshot: prepare_snapshot(state, snapshot),
    )
    delays = Delays(state)
    publisher = Publisher(
        state.journal,
        library,
        Gate(),
        OpeningStore(deployment.secrets().opening_key),
        products=products,
        node=deployment.settings.node,
        gate_wait_ms=deployment.settings.limits.gate_wait_ms,
        clock_ms=clock_ms,
        cleared=delays.note,
    )
    feeds = FeedAssembly(deployment, state, publisher, library, products, clock_ms)
    return OfflineParts(publisher, delays, feeds, library)
