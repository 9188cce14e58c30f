"""The port behind which a policy engine answers."""

from typing import Protocol


class Engine(Protocol):
    """Evaluates the entry point `xinguan/decision` of one bundle.

    `evaluate` is given one complete input as JSON and returns the answer as parsed JSON, unjudged:
    the decider parses it strictly. It is called concurrently. Whatever goes wrong (stopped, slow,
    undefined, unreadable) is an `UnavailableError`; nothing is ever allowed by a failure. A call
    after a failure tries anew, so recovery needs no restart.
    """

    async def evaluate(self, document: bytes) -> object:
        """Return the answer to one input, or raise `UnavailableError`."""

    async def close(self) -> None:
        """Release what the engine holds; it is not used afterwards."""
