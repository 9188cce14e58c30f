"""Fetching a status list from an issuer abroad, as `gateway.strangers` asks anybody.

The address was compared with the register's prefixes before (`Checker.status`). What comes back is
a token that still has to be verified.
"""

import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

import structlog

from gateway.credential.jws import LONGEST_LIST
from gateway.strangers import Bounds, MalformedError, UnreachableError, ask_stranger

_log = structlog.get_logger(__name__)
_HEADERS = {"Accept": "application/statuslist+jwt"}


@dataclass(frozen=True, slots=True)
class HttpsLists:
    """Fetches status list tokens.

    Args:
        timeout_ms: For everything together.
        max_bytes: Of the answer's body.
        loopback: Allow this machine's own addresses, in development.
        tls: Which authorities are trusted; the system's by default.
    """

    timeout_ms: int = 5_000
    max_bytes: int = LONGEST_LIST
    loopback: bool = False
    tls: ssl.SSLContext | None = None

    def __call__(self, uri: str) -> str | None:
        """Return the token at an address, or None. Blocks for `timeout_ms` at most."""
        bounds = Bounds(self.timeout_ms, self.max_bytes, self.loopback, self.tls)
        try:
            token = ask_stranger("GET", _checked(uri), _HEADERS, bounds).decode("ascii").strip()
        except (UnreachableError, MalformedError, ValueError) as error:
            _log.warning("status_list_not_fetched", type=type(error).__name__)
            return None
        return token


def _checked(uri: str) -> str:
    """Return an address that is HTTPS in development too, and names no user.

    Raises:
        UnreachableError: It is another one.
        ValueError: It is none.
    """
    parts = urlsplit(uri)
    if parts.scheme != "https" or parts.username is not None:
        raise UnreachableError
    return uri
