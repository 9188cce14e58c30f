"""What the repair commands share: publishing beside whoever serves, and whether anybody does."""

from dataclasses import dataclass

from audit.openings import OpeningStore
from gateway.cli.console import Session
from gateway.registry.catalogue import Catalogue
from gateway.repair.delays import Delays
from gateway.repair.feed_assembly import FeedAssembly
from gateway.repair.publish import Publisher
from gateway.replicas.bystander import Bystander, is_served
from gateway.serving.standing import prepare_snapshot, sealed_keys
from gateway.snapshot.library import SnapshotLibrary
from gateway.wall_clock import wall_clock_ms


@dataclass(frozen=True, slots=True)
class PublishingParts:
    """What applies decisions from the command line.

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
    """Tell whether any process serves this deployment's state now."""
    return is_served(opened.state)


def parts_of(opened: Session) -> PublishingParts:
    """Return what applies decisions from a process that serves nothing.

    Whoever serves the state meanwhile brings each change into effect at its own gate before the
    command tells of success (`gateway.replicas.bystander`).
    """
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
        Bystander(state, deployment.state_path.parent),
        OpeningStore(deployment.secrets().opening_key),
        products=products,
        node=deployment.settings.node,
        clock_ms=wall_clock_ms,
        cleared=delays.note,
    )
    feeds = FeedAssembly(deployment, state, publisher, library, products, wall_clock_ms)
    return PublishingParts(publisher, delays, feeds, library)
