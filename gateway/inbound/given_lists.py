"""Status lists by address: those given with a document first, then whatever a fetcher brings."""

from collections.abc import Callable, Iterable

from gateway.inbound.errors import ForeignDocumentError
from gateway.inbound.status import stated_uri

Fetch = Callable[[str], str | None]


class GivenLists:
    """Status list tokens for the length of one command; nothing in them is believed yet."""

    def __init__(self, tokens: Iterable[str] = (), fetch: Fetch | None = None) -> None:
        """Take what was given.

        Args:
            tokens: Status list tokens; one that is none is passed over, and missed later.
            fetch: Address to token, or None when nothing is fetched.
        """
        self._tokens: dict[str, str | None] = {}
        self._fetch = fetch
        for token in tokens:
            self.add(token)

    def add(self, token: str) -> None:
        """Take one more token."""
        try:
            self._tokens[stated_uri(token)] = token
        except ForeignDocumentError:
            return

    def token(self, uri: str) -> str | None:
        """Return the token of a list, fetched once when it wasn't given; None without one."""
        if uri not in self._tokens:
            self._tokens[uri] = self._fetch(uri) if self._fetch is not None else None
        return self._tokens[uri]
