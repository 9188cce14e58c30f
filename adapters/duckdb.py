"""A DuckDB database file as a source: a table or view of it, read in place.

The engine runs in this process, so what the file says is kept in bounds before it is read: no
other file, no network, no extension, and no way to change that. The file is pinned when it is
opened, like the files of `adapters.files`; its content digest is the version.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, Final

import duckdb
import pyarrow as pa

from adapters.errors import SourceError
from adapters.normalise import normalised, require_schema
from adapters.predicate import Predicate
from adapters.source import GuardedSource
from adapters.sql import DUCKDB, relation, select

_VERSION_TAG: Final = b"xinguan/duckdb/v1\n"
_BATCH_ROWS: Final = 16_384
_CATALOG: Final = "source"
_Pin = tuple[tuple[int, int], tuple[int, int]]  # size and time of the file and of its log


class DuckDbSource(GuardedSource):
    """A table or view of a DuckDB file, read only.

    Args:
        location: Path of the database file.
        table: `[schema.]table`, a view too; the schema is `main` by default.
        expected: Schema that the records must have.
        memory_mib: Memory that the engine may use; it writes nothing to disk instead.
        threads: Threads that the engine may use.

    Close it when done: until then no other process can write to the file.
    """

    def __init__(
        self,
        location: str,
        table: str,
        *,
        expected: pa.Schema,
        memory_mib: int = 256,
        threads: int = 1,
    ) -> None:
        self._path = Path(location).absolute()
        self._table = f"{_CATALOG}.{table}" if "." in table else f"{_CATALOG}.main.{table}"
        self._expected = expected
        self._settings = {"memory_limit": f"{memory_mib:d}MiB", "threads": str(threads)}
        self._opened: tuple[duckdb.DuckDBPyConnection, _Pin] | None = None
        self._running: set[Any] = set()
        self._digest = ""
        self._closed = False
        self._lock = Lock()

    def close(self) -> None:
        """Interrupt what runs, in whatever thread, and give the file free."""
        with self._lock:
            self._closed = True
            for cursor in self._running:
                with suppress(duckdb.Error):
                    cursor.interrupt()
            opened, self._opened = self._opened, None
            # An engine that is at work refuses to be closed; the last scan does it then.
            idle = not self._running
        if opened is not None and idle:
            opened[0].close()

    def _schema(self) -> pa.Schema:
        self._open()
        return self._expected

    def _version(self) -> str:
        _, pin = self._open()
        with self._lock:
            self._digest = self._digest or _digest(self._path)
        self._require_unchanged(pin)
        return self._digest

    def _batches(
        self, columns: Sequence[str], predicate: Predicate | None
    ) -> Iterator[pa.RecordBatch]:
        statement = select(DUCKDB, self._table, columns, predicate, self._expected)
        wanted = pa.schema([self._expected.field(name) for name in columns])
        connection, pin = self._open()
        self._require_unchanged(pin)
        cursor = connection.cursor()
        with self._lock:
            self._running.add(cursor)
        try:
            found = cursor.sql(statement.text, params=statement.values() or None)
            reader = found.to_arrow_reader(_BATCH_ROWS)
            for batch in reader:
                yield normalised(batch, wanted)
        finally:
            cursor.close()
            with self._lock:
                self._running.discard(cursor)
                last = self._closed and not self._running
            if last:
                connection.close()
        self._require_unchanged(pin)

    def _open(self) -> tuple[duckdb.DuckDBPyConnection, _Pin]:
        with self._lock:
            if self._closed:
                raise SourceError("SOURCE_FAILED", "the source was closed")
            if self._opened is None:
                pin = _pin(self._path)
                connection = self._attach()
                try:
                    actual = connection.sql(f"SELECT * FROM {relation(self._table)} LIMIT 0")
                    with actual.to_arrow_reader(1) as reader:
                        require_schema(reader.schema, self._expected)
                except duckdb.CatalogException:
                    connection.close()
                    raise SourceError("NOT_FOUND", "the database has no such table") from None
                except BaseException:
                    connection.close()
                    raise
                self._opened = (connection, pin)
            return self._opened

    def _attach(self) -> duckdb.DuckDBPyConnection:
        """Open the file beside an empty database: only then every source has an engine of its own.

        Two connections to one path would share one, also when the path leads to another file now.
        """
        off = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
        connection = duckdb.connect(":memory:", config={**self._settings, **off})
        try:
            name = str(self._path).replace("'", "''")
            connection.execute(f"ATTACH '{name}' AS {_CATALOG} (READ_ONLY, TYPE duckdb)")
            connection.execute("SET temp_directory = ''")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
        except BaseException:
            connection.close()
            raise
        return connection

    def _require_unchanged(self, pin: _Pin) -> None:
        if _pin(self._path) != pin:
            raise SourceError("SOURCE_CHANGED", "the file changed since the source was opened")


def _pin(path: Path) -> _Pin:
    if not path.is_file():
        raise SourceError("NOT_FOUND", "there is nothing at the source's location")
    return _mark(path), _mark(_log(path))


def _mark(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return -1, 0
    return found.st_size, found.st_mtime_ns


def _log(path: Path) -> Path:
    """Return where a database keeps what a writer that died had not merged yet."""
    return path.with_name(path.name + ".wal")


def _digest(path: Path) -> str:
    """Return the SHA-256 over the digests of the file and of its log."""
    whole = hashlib.sha256(_VERSION_TAG)
    for part in (path, _log(path)):
        if part.exists():
            with part.open("rb") as stream:
                whole.update(hashlib.file_digest(stream, "sha256").digest())
    return whole.hexdigest()
