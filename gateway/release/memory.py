"""Memory that large work has freed goes back to the system.

Arrow's pool and the C library's heaps, one for each thread, keep what was freed for the next time;
after a portfolio of a million that is hundreds of megabytes, which count as the process's own.
"""

import ctypes
from typing import Any

import pyarrow as pa

_arrow: Any = pa  # the published stubs lag behind pyarrow
# Of glibc; another C library has none, and keeps what it keeps.
_trim: Any = getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back() -> None:
    """Give it back; for a worker thread, as it takes milliseconds."""
    _arrow.default_memory_pool().release_unused()
    if _trim is not None:
        _trim(0)
