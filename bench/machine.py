"""The machine that a number was measured on; a ratio means little without it."""

import os
import platform
from pathlib import Path

import numpy as np
import pyarrow as pa


def machine() -> dict[str, object]:
    """Return cores, processor, memory and versions, and all of it as one line."""
    facts: dict[str, object] = {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "python": platform.python_version(),
        "pyarrow": pa.__version__,
        "numpy": np.__version__,
    }
    line = "{cores} cores {processor}, {memory_gib} GiB, Python {python}, pyarrow {pyarrow}"
    return facts | {"text": line.format(**facts)}


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
