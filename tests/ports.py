"""Ports for servers that can't be told to take any free one, or that come back at the same one."""

import os
import random
import socket

# Below the ports that the system itself hands out: between its choice and its use such a port
# would sooner or later be somebody's connection, even a caller's own that asks for it in vain.
_FIRST, _LAST = 12_000, 32_000
_dice = random.Random(os.urandom(8))  # noqa: S311 - another for each process, whatever is seeded


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    while True:
        port = _dice.randrange(_FIRST, _LAST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
