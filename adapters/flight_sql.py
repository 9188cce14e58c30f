"""Any Flight SQL server as a source, by ADBC: how an installation grows past one machine.

Flight SQL has no name for the state that a query reads. So a scan reads the upstream as it is
then, with projection and predicate pushed to it; and who asks for the version gets a spool: the
records are read once, into a nameless private file, whose digest is the version and from which
all later scans read. Admission asks for the version first and reads the upstream once.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final
from urllib.parse import urlsplit

import pyarrow as pa

from adapters.errors import SourceError
from adapters.loopback import is_local
from adapters.normalise import normalised, require_schema
from adapters.predicate import Predicate
from adapters.source import GuardedSource
from adapters.spool import Spool
from adapters.sql import FLIGHT_SQL, relation, select

_MAX_MESSAGE_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class FlightAccess:
    """What an upstream asks of its clients; none of it is in any message.

    Args:
        authorization: Value of the `authorization` header, such as `Bearer …`.
        ca: Certificates to verify the server by, PEM; empty: those of the machine.
        certificate: The client's own certificate chain, PEM.
        key: Its private key, PEM.
    """

    authorization: str = field(default="", repr=False)
    ca: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)

    def options(self) -> dict[str, str]:
        """Return the driver's options."""
        given = {
            "adbc.flight.sql.authorization_header": self.authorization,
            "adbc.flight.sql.client_option.tls_root_certs": self.ca,
            "adbc.flight.sql.client_option.mtls_cert_chain": self.certificate,
            "adbc.flight.sql.client_option.mtls_private_key": self.key,
        }
        return {name: value for name, value in given.items() if value}


class FlightSqlSource(GuardedSource):
    """A table or view of a Flight SQL server.

    Args:
        location: `grpc+tls://HOST:PORT`; without TLS (`grpc+tcp`) only on this machine.
        table: `[catalog.][schema.]table`.
        expected: Schema that the records must have.
        access: What the upstream asks of its clients.
        deadline_s: Longest time to plan a query, and to read a whole result.

    Close it when done: until then it keeps its spool.
    """

    def __init__(
        self,
        location: str,
        table: str,
        *,
        expected: pa.Schema,
        access: FlightAccess | None = None,
        deadline_s: int = 3_600,
    ) -> None:
        self._location = _checked(location)
        self._table = table
        self._expected = expected
        limits = {
            f"adbc.flight.sql.rpc.timeout_seconds.{call}": str(float(deadline_s))
            for call in ("fetch", "query", "update")
        }
        size = {"adbc.flight.sql.client_option.with_max_msg_size": str(_MAX_MESSAGE_BYTES)}
        self._options = {**(access or FlightAccess()).options(), **limits, **size}
        self._known = False
        self._spool: Spool | None = None
        self._running: set[Any] = set()
        self._closed = False
        self._lock = Lock()
        self._spooling = Lock()  # apart, so that `close` need not wait for it

    def close(self) -> None:
        """Cancel what runs, in whatever thread, and remove the spool."""
        with self._lock:
            self._closed = True
            for cursor in self._running:
                with suppress(Exception):
                    cursor.adbc_cancel()
            spool, self._spool = self._spool, None
        if spool is not None:
            spool.close()

    def _schema(self) -> pa.Schema:
        if not self._known:
            with self._cursor() as cursor:
                # The schema of a query comes with its plan; nothing is read.
                actual = cursor.adbc_execute_schema(f"SELECT * FROM {relation(self._table)}")
            require_schema(actual, self._expected)
            self._known = True
        return self._expected

    def _version(self) -> str:
        with self._spooling:
            if self._spool is None:
                self._schema()
                with closing(self._upstream(self._expected.names, None)) as batches:
                    spool = Spool.of(batches, self._expected)
                with self._lock:
                    self._spool = spool
                if self._closed:
                    spool.close()
            return self._spool.digest

    def _batches(
        self, columns: Sequence[str], predicate: Predicate | None
    ) -> Iterator[pa.RecordBatch]:
        spool = self._spool
        chosen = self._upstream if spool is None else spool.batches
        with closing(chosen(columns, predicate)) as batches:
            yield from batches

    def _upstream(
        self, columns: Sequence[str], predicate: Predicate | None
    ) -> Generator[pa.RecordBatch, None, None]:
        statement = select(FLIGHT_SQL, self._table, columns, predicate, self._expected)
        wanted = pa.schema([self._expected.field(name) for name in columns])
        with self._cursor() as cursor:
            cursor.execute(statement.text, statement.row())
            for batch in cursor.fetch_record_batch():
                yield normalised(batch, wanted)

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        from adbc_driver_flightsql import dbapi

        if self._closed:
            raise SourceError("SOURCE_FAILED", "the source was closed")
        connection = dbapi.connect(self._location, db_kwargs=self._options, autocommit=True)
        cursor = None
        try:
            cursor = connection.cursor()
            with self._lock:
                self._running.add(cursor)
            yield cursor
        finally:
            with self._lock:
                self._running.discard(cursor)
            if cursor is not None:
                with suppress(Exception):
                    cursor.close()
            with suppress(Exception):
                connection.close()


def _checked(location: str) -> str:
    """Return the location.

    Raises:
        SourceError: `BAD_LOCATION` for another scheme, for one without TLS to another machine,
            or for one that carries credentials or options.
    """
    try:
        parts = urlsplit(location)
        host = parts.hostname or ""
    except ValueError:
        raise SourceError("BAD_LOCATION", "the location is no URL") from None
    if parts.scheme not in ("grpc+tls", "grpc+tcp", "grpc") or not host:
        raise SourceError("BAD_LOCATION", "a Flight SQL location is grpc+tls://HOST:PORT")
    if "@" in parts.netloc or parts.query or parts.fragment or parts.path.strip("/"):
        raise SourceError("BAD_LOCATION", "a location must not carry credentials or options")
    if parts.scheme != "grpc+tls" and not is_local(host):
        raise SourceError("BAD_LOCATION", "a server on another machine needs grpc+tls")
    return location
