"""What keeps the index of subjects of a serving node, and what reconciles its log."""

from collections.abc import Callable

from audit.openings import OpeningStore
from audit.reader import LogReader
from gateway.deployment import Deployment, Secrets
from gateway.store.state import State
from gateway.subjects.keeper import IndexKeeper
from gateway.subjects.monitor import ReconciliationMonitor
from gateway.subjects.reconciliation import MEMORY, limits_of


def open_subjects(
    deployment: Deployment, state: State, secrets: Secrets, clock_s: Callable[[], int]
) -> tuple[IndexKeeper, ReconciliationMonitor]:
    """Return both; the keeper is closed by whoever opened it.

    Args:
        deployment: The deployment.
        state: Its open state.
        secrets: Its keys.
        clock_s: Unix seconds.
    """
    settings, limits = deployment.settings, deployment.settings.limits
    keeper = IndexKeeper(state.journal, settings.node, clock_s, limits.index_interval_s)
    monitor = ReconciliationMonitor(
        state,
        LogReader(deployment.log_directory, deployment.log_vkey),
        OpeningStore(secrets.opening_key),
        limits_of(limits),
        deployment.state_path.parent / MEMORY,
        clock_s,
        limits.reconcile_interval_s,
    )
    return keeper, monitor
