"""Ports for servers that can't be told to take any free one, or that come back at the same one."""

import os
import random
import socket

# Below the ports that the system itself hands out: between its choice and its use such a port
# would sooner or later be somebody's connection, even a caller's own that asks for it in vain.
# None of them ends in a port that a page of docs/ names.
_FIRST, _LAST, _WORKERS = 12_000, 18_400, 8
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
_dice = random.Random(os.urandom(8))  # noqa: S311 - another for each process, whatever is seeded
_given: set[int] = set()


def free_port() -> int:
    """Return a port of the loopback that nobody listens on, and no other of these tests gets."""
    while True:
        port = _dice.randrange(_FIRST + _worker, _LAST, _WORKERS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _given:
            _given.add(port)
            return port
