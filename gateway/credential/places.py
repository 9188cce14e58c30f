"""Entries of the status list for the credentials to come, found free a moment ago.

A credential names its entry and is signed before it is written down. So it is made with an entry
that looked free, and written only if it still is: see `gateway.doors.credential_ledger`.
"""

from typing import Final

from audit.errors import AuditError
from audit.store import Reader
from gateway.credential import book
from gateway.credential.book import Place
from gateway.domain.errors import UnavailableError

_AT_ONCE: Final = 64


class Places:
    """Entries that nobody had when they were drawn. Owner: the event loop.

    Each was drawn at random among all of the list, so their order here says nothing.
    """

    def __init__(self, reader: Reader) -> None:
        """Take a connection that reads the state; its maker closes it."""
        self._reader = reader
        self._free: list[Place] = []

    def take(self) -> Place:
        """Return an entry that wasn't returned before.

        Raises:
            UnavailableError: `AUDIT_UNAVAILABLE`; the state can't be read, or has no list.
        """
        if not self._free:
            try:
                # Half of a list is free at least: that none of so many is doesn't happen.
                self._free = book.free_places(self._reader, _AT_ONCE)
            except AuditError:
                raise _unavailable() from None
        if not self._free:
            raise _unavailable()
        return self._free.pop()

    def drop(self) -> None:
        """Forget those that are left: one of them was taken, or the list is full."""
        self._free.clear()


def _unavailable() -> UnavailableError:
    return UnavailableError("AUDIT_UNAVAILABLE", "the gateway's state can't be read now")
