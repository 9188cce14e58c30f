"""What was freed goes back to the system."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from gateway.release.memory import give_back


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_freed_memory_is_given_back():
    # Small blocks lie in the heap, which keeps them; large ones would go back by themselves.
    held = [np.ones(1_000) for _ in range(20_000)]
    held += [pa.array(range(100)) for _ in range(1_000)]
    last = np.ones(1_000)
    before = resident()
    del held
    give_back()
    assert resident() < before - 100_000_000
    assert last.sum() == 1_000
