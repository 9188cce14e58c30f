"""Waking up when any process changed something, instead of asking all the time."""

import asyncio
from contextlib import suppress

from gateway.store.state import State

_LOOK_EVERY_S = 0.005  # where the signal can't wake by itself


class Wake:
    """An event that is set by the state's shared signal or by this process. Owner: its loop."""

    def __init__(self, state: State) -> None:
        """Watch the signal of a state."""
        self._signal = state.signal
        self._event = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._watch = self._signal.watch()
        self._seen = self._signal.read()
        if self._watch is not None:
            self._loop.add_reader(self._watch.descriptor, self._raised)

    def set(self) -> None:
        """Wake up."""
        self._event.set()

    async def wait(self, longest_s: float) -> None:
        """Return when something may have changed, at the latest after some time."""
        if self._watch is None:
            await self._look(longest_s)
        else:
            # Not wait_for: it may swallow a cancellation that comes together with the event.
            with suppress(TimeoutError):
                async with asyncio.timeout(longest_s):
                    await self._event.wait()
        self._event.clear()

    def close(self) -> None:
        """Watch no more."""
        if self._watch is not None:
            self._loop.remove_reader(self._watch.descriptor)
            self._watch.close()
            self._watch = None

    def _raised(self) -> None:
        if self._watch is not None:
            self._watch.drain()
            self._event.set()

    async def _look(self, longest_s: float) -> None:
        end = self._loop.time() + longest_s
        while self._loop.time() < end:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._event.wait()
            present = self._signal.read()
            if self._event.is_set() or present != self._seen:
                self._seen = present
                return
