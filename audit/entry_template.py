"""An entry of which most members are the same each time: encoded once, filled in each time.

The bytes are those of `audit.canonical.encode_entry` for the filled entry (a property test
compares them), at a fraction of its cost.
"""

import json.encoder
import re
from collections.abc import Collection, Mapping
from typing import Final

from audit.canonical import MAX_ENTRY_BYTES, canonical
from audit.entry_form import Entry
from audit.errors import EntryError

_MARK: Final = "\ue000"  # private use: it stands in no entry
_HOLE: Final = re.compile(f'"{_MARK}([a-z_]+){_MARK}"')
_text: Final = json.encoder.encode_basestring


class EntryTemplate:
    """An encoded entry with holes at the top level.

    Args:
        entry: An entry as `audit.entries` builds it; what stands in the holes doesn't matter.
        holes: Names of members that are filled in.

    Raises:
        EntryError: The entry has no canonical form, or lacks a member that is a hole.
    """

    __slots__ = ("_names", "_pieces")

    def __init__(self, entry: Entry, holes: Collection[str]) -> None:
        missing = set(holes) - entry.keys()
        if missing:
            raise EntryError("a hole is no member of the entry")
        marked = entry | {name: f"{_MARK}{name}{_MARK}" for name in holes}
        parts = _HOLE.split(canonical(marked).decode())
        self._pieces = parts[::2]
        self._names = parts[1::2]
        if sorted(self._names) != sorted(holes):
            raise EntryError("an entry holds the mark of a hole")

    def fill(self, values: Mapping[str, str | int]) -> bytes:
        """Return the bytes of the entry with these members.

        Args:
            values: Every hole's name to its text or integer (below 2**53).

        Raises:
            EntryError: The entry is longer than an entry bundle can hold.
        """
        filled = [self._pieces[0]]
        for name, piece in zip(self._names, self._pieces[1:], strict=True):
            value = values[name]
            filled += (_text(value) if isinstance(value, str) else str(value), piece)
        body = "".join(filled).encode()
        if len(body) > MAX_ENTRY_BYTES:
            raise EntryError("the entry is longer than an entry bundle can hold")
        return body
