"""Fenced blocks of a Markdown page, and how what it shows is compared with what came."""

import re
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ANYTHING = "..."


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: its language and its text."""

    language: str
    text: str


def blocks(path: Path) -> list[Block]:
    """Return the fenced blocks of a page in order."""
    return [Block(*found) for found in _FENCE.findall(path.read_text(encoding="utf-8"))]


def prose(path: Path) -> str:
    """Return a page without its fenced blocks."""
    return _FENCE.sub("", path.read_text(encoding="utf-8"))


def missing_lines(shown: str, output: str) -> list[str]:
    """Return the lines that a page shows and the output lacks, in order; `...` is anything."""
    lines = iter(output.splitlines())
    missing = []
    for wanted in shown.splitlines():
        pattern = ".*".join(re.escape(part) for part in wanted.split(_ANYTHING))
        if not any(re.fullmatch(pattern, line) for line in lines):
            missing.append(wanted)
            break  # the iterator is used up; later lines would all be missing
    return missing
