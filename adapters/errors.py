"""The one error that an adapter may raise."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """One column that isn't as its contract says.

    Args:
        column: Its name, or that it has an unusual one.
        found: What the source has; empty for nothing.
        expected: What the contract has; empty for nothing.
        sentence: The difference as a sentence without its full stop.
    """

    column: str
    found: str
    expected: str
    sentence: str


class SourceError(Exception):
    """A source can't be read, or was asked for something it doesn't have.

    Args:
        code: SOURCE_FAILED, NOT_FOUND, SCHEMA_DRIFT, SOURCE_CHANGED, NULL_KEY, BAD_PROJECTION,
            BAD_PREDICATE or BAD_LOCATION.
        message: A constant text, at most with names of columns and types: it may be shown to
            callers, so it holds no value, path, address or credential.
        differences: Of a SCHEMA_DRIFT, as far as they can be told one by one.
    """

    def __init__(self, code: str, message: str, differences: Sequence[Difference] = ()) -> None:
        """Keep the code apart from the message."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.differences = tuple(differences)
