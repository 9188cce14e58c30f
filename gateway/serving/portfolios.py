"""The uploaded portfolios of a serving node."""

from collections.abc import Callable

from gateway.deployment import Deployment, Secrets
from gateway.release.portfolio import Portfolios
from gateway.store.state import State


def open_portfolios(
    deployment: Deployment, state: State, secrets: Secrets, clock_s: Callable[[], int]
) -> tuple[Portfolios, Callable[[], None]]:
    """Return what keeps portfolios, and what closes it."""
    reader, limits = state.connect(), deployment.settings.limits
    kept = Portfolios(
        state.journal,
        reader,
        secrets.ticket_key,
        life_s=limits.portfolio_lifetime_s,
        per_party=limits.portfolio_entries,
        clock_s=clock_s,
    )
    return kept, reader.close
