"""Calls per second of each licence, counted by all processes of a deployment together.

One file beside the state, mapped by every process: per licence the time at which its bucket will be
full again (the generic cell rate algorithm). A call costs a few loads and one store of eight bytes,
and waits for nobody: also not for a process that was stopped. Two processes that count at the very
same instant may lose one call; a limit is a brake, not evidence.
"""

import hashlib
import mmap
import os
import threading
from pathlib import Path
from typing import Self

from gateway.domain.errors import ExhaustedError

_SLOTS = 16_384  # licences that are remembered; beyond, the one longest at rest is forgotten
_PROBES = 16
_WIDTH = 16
_SECOND = 1.0
_HAIR_S = 1e-6  # what adding fractions of a second may err by


class CallRate:
    """A token bucket per licence: one second's calls may come at once, no more.

    Owner of the file: whichever process opens it first makes it.
    """

    def __init__(self, shared: mmap.mmap | bytearray | None = None) -> None:
        """Use shared memory; without it, count for this process alone."""
        memory = memoryview(bytearray(_SLOTS * _WIDTH) if shared is None else shared)
        self._memory = memory
        # The same bytes, as names and as times: one aligned store each.
        self._names, self._full_at = memory.cast("Q"), memory.cast("d")
        self._shared = shared
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Map a file, made when missing.

        Raises:
            OSError: It can't be made or mapped.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o600)
        try:
            if os.fstat(descriptor).st_size < _SLOTS * _WIDTH:
                os.ftruncate(descriptor, _SLOTS * _WIDTH)
            return cls(mmap.mmap(descriptor, _SLOTS * _WIDTH))
        finally:
            os.close(descriptor)

    def take(self, licence_id: str, calls_per_second: float, now_s: float) -> None:
        """Take one call.

        Args:
            licence_id: Whose bucket.
            calls_per_second: Its size, at least one, and its refill per second.
            now_s: Seconds, of a clock that the processes share; one that goes back refills nothing.

        Raises:
            ExhaustedError: `RATE_LIMIT` when the bucket is empty.
        """
        with self._lock:
            place = self._place(licence_id)
            # A time further ahead than a full bucket's was written by a clock since set back.
            longest = now_s + max(_SECOND, 1.0 / calls_per_second)
            # It is written down as a second's calls, or it would refuse until time caught up.
            self._full_at[place] = min(self._full_at[place], longest)
            full_at = max(self._full_at[place], now_s) + 1.0 / calls_per_second
            allowed = full_at <= longest + _HAIR_S
            if allowed:
                self._full_at[place] = full_at
        if not allowed:
            raise ExhaustedError(
                "RATE_LIMIT",
                "the licence's calls per second are used up",
                hints=(f"at most {calls_per_second:g} calls a second; retry after one second",),
            )

    def close(self) -> None:
        """Unmap the file."""
        with self._lock:
            for view in (self._names, self._full_at, self._memory):
                view.release()
            if isinstance(self._shared, mmap.mmap):
                self._shared.close()

    def _place(self, licence_id: str) -> int:
        """Return where a licence's time is: in its own slot, or a free one, or the oldest."""
        digest = hashlib.blake2b(licence_id.encode("utf-8", "surrogatepass"), digest_size=8)
        name = int.from_bytes(digest.digest(), "big") | 1  # never the name of a free slot
        names = self._names
        oldest, found = float("inf"), 0
        for probe in range(_PROBES):
            slot = (name + probe) % _SLOTS
            here = names[slot * 2]
            if here == name:
                return slot * 2 + 1
            if here == 0:
                found = slot
                break
            if self._full_at[slot * 2 + 1] < oldest:
                oldest, found = self._full_at[slot * 2 + 1], slot
        self._full_at[found * 2 + 1] = 0.0
        names[found * 2] = name
        return found * 2 + 1
