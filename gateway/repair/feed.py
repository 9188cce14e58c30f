"""The port of a feed: signed documents in the order in which their origins made them.

A feed carries, a feed decides nothing: each document is verified as if it had come through
`RepairService.Publish`. Two kinds travel in it: decisions, and assurances of an origin that
everything it decided up to a moment is in the feed (`gateway.repair.assurance`).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

MAX_CONTENT_BYTES = 64 << 10  # of one item, as of every signed document


class ItemKind(StrEnum):
    """What an item of a feed is."""

    DECISION = "decision"
    ASSURANCE = "assurance"
    BROKEN = "broken"  # nothing that the feed's format knows


class FeedError(Exception):
    """A feed can't be read now, or isn't the one that was read before.

    Args:
        code: `FEED_UNREADABLE`, or `FEED_REWOUND` when what was read is no longer there as it
            was: nothing of it is applied before a person looked.
    """

    def __init__(self, code: str, message: str) -> None:
        """Keep the code and words that name no value and no place."""
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class FeedItem:
    """One item.

    Args:
        place: Where it stands, for people: file and line, or row.
        kind: What it is.
        content: The signed document, or what stands in its place.
        position: The feed's position after it.
    """

    place: str
    kind: ItemKind
    content: str
    position: str


@dataclass(frozen=True, slots=True)
class Page:
    """The next items.

    Args:
        items: In the feed's order.
        position: Position after all of them; it may have moved although there are none.
        at_end: Nothing else is there now.
    """

    items: tuple[FeedItem, ...]
    position: str
    at_end: bool


class Feed(Protocol):
    """A source of signed documents. Used by one thread at a time; it may block.

    What stood before a position never changes and never moves, so reading from the same
    position gives the same items. A feed that sees that this doesn't hold raises
    `FEED_REWOUND`. What isn't complete yet isn't an item yet.
    """

    def read(self, position: str, limit: int) -> Page:
        """Return up to `limit` items after a position; the empty one is the beginning.

        Raises:
            FeedError: See there.
        """
        ...

    def close(self) -> None:
        """Let go of what is open; reading again opens it again."""
        ...
