"""The one error that an adapter may raise."""


class SourceError(Exception):
    """A source can't be read, or was asked for something it doesn't have.

    Args:
        code: SOURCE_FAILED, NOT_FOUND, SCHEMA_DRIFT, SOURCE_CHANGED, NULL_KEY, BAD_PROJECTION,
            BAD_PREDICATE or BAD_LOCATION.
        message: A constant text, at most with names of columns and types: it may be shown to
            callers, so it holds no value, path, address or credential.
    """

    def __init__(self, code: str, message: str) -> None:
        """Keep the code apart from the message."""
        super().__init__(message)
        self.code = code
        self.message = message
