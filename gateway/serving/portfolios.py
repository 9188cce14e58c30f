"""What a serving process answers portfolios with: their groups, and their features."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from audit.store import Reader
from gateway.config import Settings
from gateway.deployment import Secrets
from gateway.portfolio.build import Workshop
from gateway.portfolio.definitions import load_definitions
from gateway.registry.catalogue import Catalogue
from gateway.registry.registry import Registry
from gateway.release.feature_desk import Desk
from gateway.release.groups import Groups
from gateway.release.portfolio import Portfolios
from gateway.release.pseudonym import ConsumerKeys
from gateway.snapshot.library import SnapshotLibrary
from gateway.store.state import State


@dataclass(frozen=True, slots=True)
class PortfolioRooms:
    """What portfolios need.

    Args:
        portfolios: Those that banks uploaded.
        groups: What each bank was shown under pseudonyms.
        features: Computes features of portfolios with observation dates.
        readers: The connections that these read with.
    """

    portfolios: Portfolios
    groups: Groups
    features: Desk
    readers: tuple[Reader, ...]

    def close(self) -> None:
        """Close what is open; nothing is under way any more."""
        self.features.close()
        for reader in self.readers:
            reader.close()

    async def sweep_always(self) -> None:
        """Delete what has expired, every minute, until cancelled."""
        await asyncio.gather(self.portfolios.sweep_always(), self.features.sweep_always())


def portfolio_rooms(
    state: State,
    library: SnapshotLibrary,
    registry: Registry,
    catalogue: Catalogue,
    settings: Settings,
    secrets: Secrets,
    clock_s: Callable[[], int],
) -> PortfolioRooms:
    """Return what portfolios are answered with."""
    definitions = load_definitions(catalogue)
    readers = state.connect(), state.connect()
    limits = settings.limits
    kept = Portfolios(
        state.journal,
        readers[0],
        secrets.ticket_key,
        life_s=limits.portfolio_lifetime_s,
        per_party=limits.portfolio_entries,
        clock_s=clock_s,
    )
    groups = Groups(
        state.journal, readers[1], lambda name: ConsumerKeys.derive(secrets.pseudonym_key, name)
    )
    features = Desk(
        lambda: Workshop(state, library, registry.view(), catalogue, definitions),
        node=settings.node,
        key=secrets.ticket_key,
        life_s=limits.portfolio_lifetime_s,
        clock_s=clock_s,
    )
    return PortfolioRooms(kept, groups, features, readers)
