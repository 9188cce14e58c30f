"""The change signal of a state on PostgreSQL: a thread that listens.

The database itself tells of an act when it commits (`NOTIFY` in the transaction), so no crash
of the writer can come between. The thread is one per process; it only changes a number. While
it can't listen the number changes at every try, since something may have been missed.
"""

import os
import selectors
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import psycopg

from audit.errors import AuditUnavailableError
from audit.postgres_address import Address
from audit.postgres_connection import Connection, connect
from audit.postgres_store import CHANNEL
from gateway.store.signal import Watch

_TRY_AGAIN_S: Final = 0.2
_STILL_THERE_S: Final = 5.0  # how often a silent connection is asked for a sign of life
_JOIN_S: Final = 5.0


class EventWatch:
    """A counter of the system that is readable while a raise hasn't been taken note of."""

    def __init__(self, forget: Callable[["EventWatch"], None]) -> None:
        """Open the counter; `forget` is told when its user closes it."""
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._forget = forget

    def wake(self) -> None:
        """Make the descriptor readable."""
        os.eventfd_write(self.descriptor, 1)

    def drain(self) -> None:
        """Take note of what was raised so far."""
        with suppress(BlockingIOError):
            os.eventfd_read(self.descriptor)

    def close(self) -> None:
        """Watch no more."""
        self._forget(self)
        os.close(self.descriptor)


class PostgresSignal:
    """A `Signal` that is raised by every act of every process on the database.

    It starts to listen at the first look, so a command that only writes needs no thread.
    """

    def __init__(self, address: Address) -> None:
        """Keep the address; nothing is opened yet.

        Args:
            address: The state database.
        """
        self._address = address
        self._number = os.urandom(8)
        self._lock = threading.Lock()
        self._watches: set[EventWatch] = set()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._wake_end, self._wake = os.pipe2(os.O_CLOEXEC)

    def read(self) -> bytes:
        """Return the present number."""
        if self._thread is None:
            self._start()
        return self._number

    def raise_it(self) -> None:
        """Change the number of this process; the database has told the others already."""
        self._number = os.urandom(8)
        with self._lock:
            for watch in self._watches:
                watch.wake()

    def watch(self) -> Watch | None:
        """Return what wakes its user at each raise."""
        made = EventWatch(self._unwatch)
        with self._lock:
            self._watches.add(made)
        return made

    def close(self) -> None:
        """Stop the thread."""
        with self._lock:
            if self._stop.is_set():
                return
            self._stop.set()
        os.write(self._wake, b"x")
        if self._thread is not None:
            self._thread.join(_JOIN_S)
        os.close(self._wake)
        if self._thread is None or not self._thread.is_alive():
            os.close(self._wake_end)

    def _unwatch(self, watch: EventWatch) -> None:
        with self._lock:
            self._watches.discard(watch)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(
                    target=self._listen_always, name="state-signal", daemon=True
                )
                self._thread.start()

    def _listen_always(self) -> None:
        while not self._stop.is_set():
            with suppress(AuditUnavailableError, psycopg.Error, OSError):
                connection = connect(self._address, read_only=True)
                try:
                    self._listen(connection)
                finally:
                    connection.close()
            self.raise_it()
            self._stop.wait(_TRY_AGAIN_S)

    def _listen(self, connection: Connection) -> None:
        # A statement of our own may meet notifications as well; the driver hands them here.
        connection.add_notify_handler(lambda _: self.raise_it())
        connection.execute(f"LISTEN {CHANNEL}")
        # Whatever was committed before this moment is seen by asking the database now.
        self.raise_it()
        with selectors.DefaultSelector() as selector:
            selector.register(connection.fileno(), selectors.EVENT_READ)
            selector.register(self._wake_end, selectors.EVENT_READ)
            while not self._stop.is_set():
                if not selector.select(_STILL_THERE_S):
                    connection.execute("SELECT 1")
                else:
                    connection.pgconn.consume_input()
                while connection.pgconn.notifies() is not None:
                    self.raise_it()
