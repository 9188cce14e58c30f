"""What is handed in at the desk, and what came of it."""

from dataclasses import dataclass

from gateway.inbound.refreshing import Found
from gateway.ingest.loading import Loaded


@dataclass(frozen=True, slots=True)
class Handed:
    """A document as it was handed in.

    Args:
        name: What it is called in reports, for example its file's name.
        presentation: The document, compact.
    """

    name: str
    presentation: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one document that was handed in.

    Args:
        name: Of `Handed`.
        key: Its record key; empty when it was refused.
        code: Why it was refused; empty when it was not.
        message: The same in a sentence.
    """

    name: str
    key: str = ""
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Admitted:
    """What came of handing documents in.

    Args:
        outcomes: One for each document, in their order.
        replaced: Older records that were withdrawn because of newer ones.
        loaded: The snapshot that is served now; None when nothing changed.
    """

    outcomes: tuple[Outcome, ...]
    replaced: int
    loaded: Loaded | None


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What came of asking again.

    Args:
        found: Record key to what was found.
        index: Log index of the entry.
        loaded: The snapshot that is served now.
    """

    found: dict[str, Found]
    index: int
    loaded: Loaded

    def count(self, what: Found) -> int:
        """Return the number of records of which this was found."""
        return sum(1 for one in self.found.values() if one is what)
