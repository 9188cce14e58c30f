"""Connections to PostgreSQL: encrypted unless local, durable, and never waited for without end."""

from collections.abc import Generator
from typing import Any, Final, TypeVar

import psycopg
from psycopg.adapt import Dumper, Loader
from psycopg.pq import TransactionStatus

from audit.errors import AuditError, AuditUnavailableError, StatementError, StoreFailedError
from audit.postgres_address import Address, is_local

T = TypeVar("T")
_DURABLE: Final = frozenset({"on", "remote_apply"})
_INT8: Final = 20  # the object id of bigint
# SQLSTATE classes that are the database's trouble and not the statement's: connection, rolled
# back by the server, resources, not in this state (a lock), operator, system, internal.
_STORE_FAILURES: Final = frozenset({"08", "40", "53", "55", "57", "58", "F0", "XX"})
_CLOSED: Final = frozenset({"25P03", "25P04"})  # cut off for idling inside a transaction
_LONGEST_PAUSE_IN_TRANSACTION_MS: Final = 10_000


class Connection(psycopg.Connection[Any]):
    """A connection that gives up on a server which doesn't answer.

    The server's own timers don't run when it hangs or when the network is cut; this one does.
    After it ran out the connection is closed, because its state is unknown.
    """

    limit_s = 2.0

    def wait(
        self,
        gen: Generator[Any, Any, T],
        interval: float = 0.1,
        timeout: float | None = None,
    ) -> T:
        """Consume a generator of psycopg's, at most for `limit_s`."""
        limit = self.limit_s if timeout is None else timeout
        try:
            return super().wait(gen, interval=interval, timeout=limit)
        except psycopg.errors._WaitTimeout as error:  # noqa: SLF001 - it has no public name
            self.pgconn.finish()
            raise psycopg.OperationalError("the state database doesn't answer") from error


class _BoolDumper(Dumper):
    """A truth value is 0 or 1, as in SQLite; the columns are integers."""

    oid = _INT8

    def dump(self, obj: bool) -> bytes:
        return b"1" if obj else b"0"


class _WholeLoader(Loader):
    """A sum of integers is an `int`, as in SQLite, though PostgreSQL makes it a numeric."""

    def load(self, data: Any) -> int | float:  # Any: psycopg's buffer
        text = bytes(data).decode()
        return float(text) if "." in text or "N" in text else int(text)


def connect(address: Address, *, read_only: bool, lock_wait_ms: int = 0) -> Connection:
    """Open a connection, checked and set up.

    Args:
        address: Where.
        read_only: Whether it may only read.
        lock_wait_ms: How long a statement may wait for a lock; 0 for as long as it may take.

    Raises:
        AuditUnavailableError: It can't be opened, isn't protected, or wouldn't be durable.
    """
    address.check()
    seconds = max(2, -(-address.deadline_ms // 1000))
    words: dict[str, Any] = {
        "connect_timeout": seconds,  # libpq takes no less than two
        "tcp_user_timeout": address.deadline_ms,
        "keepalives_idle": 2,
        "keepalives_interval": 1,
        "keepalives_count": 2,
        "target_session_attrs": "read-write",
        "application_name": "xinguan",
        "client_encoding": "UTF8",
    }
    if address.password:
        words["password"] = address.password
    try:
        connection = Connection.connect(
            address.conninfo, autocommit=True, cursor_factory=psycopg.RawCursor, **words
        )
    except (psycopg.Error, OSError, UnicodeError) as error:
        raise AuditUnavailableError("the state database can't be reached") from error
    try:
        connection.limit_s = address.deadline_ms / 1000
        _check_peer(connection)
        _set_up(connection, read_only=read_only, lock_wait_ms=lock_wait_ms)
    except psycopg.Error as error:
        connection.close()
        raise AuditUnavailableError("the state database can't be opened") from error
    except AuditUnavailableError:
        connection.close()
        raise
    connection.adapters.register_dumper(bool, _BoolDumper)
    connection.adapters.register_loader("numeric", _WholeLoader)
    return connection


def told(error: Exception) -> AuditError:
    """Return the port's error for one of the driver's; neither text nor values are in it."""
    state = getattr(error, "sqlstate", None) or ""
    lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and not state
    if lost or state[:2] in _STORE_FAILURES or state in _CLOSED:
        return StoreFailedError("the state database failed")
    return StatementError("the state database refused a statement")


def is_lost(connection: Connection) -> bool:
    """Tell whether a connection can't be used any more."""
    unknown = TransactionStatus.UNKNOWN
    return connection.closed or connection.pgconn.transaction_status == unknown


def _check_peer(connection: Connection) -> None:
    """Check what was connected to, whatever services and environments had a say in it."""
    pgconn = connection.pgconn
    host = connection.info.hostaddr or connection.info.host
    if not pgconn.ssl_in_use and not is_local(host):
        raise AuditUnavailableError("the connection to the state database is not encrypted")


def _set_up(connection: Connection, *, read_only: bool, lock_wait_ms: int) -> None:
    durable = _setting(connection, "synchronous_commit")
    words = {
        "TimeZone": "UTC",
        "lock_timeout": str(lock_wait_ms),
        "client_connection_check_interval": "1000",
        # A paused process must not hold the lock of all writers for ever.
        "idle_in_transaction_session_timeout": str(_LONGEST_PAUSE_IN_TRANSACTION_MS),
        "default_transaction_isolation": "repeatable read" if read_only else "read committed",
        "default_transaction_read_only": "on" if read_only else "off",
    }
    if durable not in _DURABLE:
        words["synchronous_commit"] = "on"
    for name, value in words.items():
        connection.execute("SELECT set_config($1, $2, false)", (name, value))
    if _setting(connection, "synchronous_commit") not in _DURABLE:
        raise AuditUnavailableError("the state database doesn't commit durably")
    if not read_only and _setting(connection, "fsync") != "on":
        raise AuditUnavailableError("the state database doesn't write through to its disk")
    if _setting(connection, "server_encoding") != "UTF8":
        raise AuditUnavailableError("the state database isn't encoded in UTF-8")


def _setting(connection: Connection, name: str) -> str:
    row = connection.execute("SELECT current_setting($1)", (name,)).fetchone()
    return str(row[0]) if row else ""
