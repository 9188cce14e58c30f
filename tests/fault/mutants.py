"""Gateways with a safeguard taken out, to prove that the tests and the checker notice."""

from gateway.replicas.membership import Membership
from gateway.replicas.rounds import Rounds


def no_wait() -> None:
    """Acknowledge a publish as soon as it is durable."""

    async def clear(self: Rounds, number: int) -> None:
        self._state.signal.raise_it()

    Rounds.clear = clear  # type: ignore[method-assign]  # what a mutant is


def no_fence() -> None:
    """Release whether the lease holds or not, and catch up late."""
    Membership.check = lambda self: None  # type: ignore[method-assign]  # what a mutant is
