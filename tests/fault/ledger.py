"""What a process was told before it died, in memory that outlives it.

A record is written with plain stores and no system call, so that a fault injected into the
process's system calls never hits the record, and `kill -9` never loses it: what
stands here was acknowledged, and what was acknowledged stands here.
"""

import json
import mmap
from pathlib import Path
from typing import Any

_BYTES = 4 << 20
_HEAD = 8


class Ledger:
    """Records of one victim; read by its parent afterwards.

    Args:
        path: A file that both processes map; without one, memory that a fork shares.
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is None:
            self._memory = mmap.mmap(-1, _BYTES)
            return
        if not path.exists():
            path.write_bytes(bytes(_BYTES))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _BYTES)

    def write(self, kind: str, **members: Any) -> None:
        """Append one record; it counts once its length is stored, which happens last."""
        end = int.from_bytes(self._memory[:_HEAD], "big")
        data = json.dumps({"kind": kind, **members}).encode() + b"\n"
        start = _HEAD + end
        self._memory[start : start + len(data)] = data
        self._memory[:_HEAD] = (end + len(data)).to_bytes(_HEAD, "big")

    def read(self) -> list[dict[str, Any]]:
        """Return all records in their order."""
        end = int.from_bytes(self._memory[:_HEAD], "big")
        return [json.loads(line) for line in self._memory[_HEAD : _HEAD + end].splitlines()]

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
