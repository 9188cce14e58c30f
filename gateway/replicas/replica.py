"""One serving process among those of a state: its name, its lease, its rounds, in order."""

import asyncio
from pathlib import Path

from gateway.config import Settings
from gateway.release.gate import Gate
from gateway.replicas.lease import read_leases
from gateway.replicas.membership import Membership
from gateway.replicas.node_name import take_name
from gateway.replicas.rounds import Effect, Rounds
from gateway.store.state import State


class Replica:
    """What makes a process one of several. Owner: the composition root."""

    def __init__(self, directory: Path, settings: Settings, worker: int) -> None:
        """Take the process's name.

        Args:
            directory: Where the state lies, or what belongs to it on this machine.
            settings: The deployment's settings.
            worker: Number of the worker process of this node, from 1.

        Raises:
            UnavailableError: `NODE_NAME_TAKEN`.
        """
        self._directory = directory
        self._settings = settings
        # A node's own name has no dot, so no node is called like another one's worker.
        self._name = take_name(directory, f"{settings.node}.{worker}")
        self._tasks: list[asyncio.Task[None]] = []
        self._rounds: Rounds | None = None
        self.first = False  # whether no other process of this node has a lease
        self.membership: Membership

    async def claim(self, state: State) -> None:
        """Make sure that no living process elsewhere has the name.

        Raises:
            UnavailableError: `NODE_NAME_TAKEN`.
        """
        self.membership = Membership(state, self._name, term_ms=self._settings.replicas.lease_ms)
        await self.membership.outlive_namesake()
        connection = state.connect()
        try:
            held = [lease.node for lease in read_leases(connection)]
        finally:
            connection.close()
        node = f"{self._settings.node}."
        self.first = not any(name.startswith(node) for name in held if name != self._name.name)

    async def join(self, state: State, gate: Gate, effect: Effect) -> Rounds:
        """Take the lease and begin to bring changes of all processes into effect."""
        settings = self._settings
        replicas, limits = settings.replicas, settings.limits
        rounds = self._rounds = Rounds(
            state,
            gate,
            effect,
            self.membership,
            directory=self._directory,
            gate_wait_ms=limits.gate_wait_ms,
            shared_gate_wait_ms=min(limits.gate_wait_ms, replicas.gate_wait_ms),
            term_ms=replicas.lease_ms,
        )
        await self.membership.join(rounds)
        self._tasks = [
            asyncio.create_task(rounds.run()), asyncio.create_task(self.membership.keep())
        ]  # fmt: skip
        return rounds

    def applied(self) -> int:
        """Return the newest change that whatever is filtered from now on has in it."""
        return 0 if self._rounds is None else self._rounds.flipped

    def places(self) -> int:
        """Return from how many directories this state is served, this one included."""
        elsewhere = self._rounds.others if self._rounds is not None else ()
        return len({self._name.place, *elsewhere})

    async def leave(self) -> None:
        """Give the lease up; nothing may leave this process any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._rounds is not None:
            self._rounds.close()
            await self.membership.leave()

    def release(self) -> None:
        """Let go of the name, last of all."""
        self._name.release()
