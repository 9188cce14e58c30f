"""The Source port: where records really are, read as Arrow record batches.

An adapter derives from `GuardedSource` and implements three methods; the template around
them holds every adapter to the same contract: only `SourceError` escapes, batches have the
asked-for columns in the asked-for order, keys hold no nulls, no batch is larger than asked
for, and an abandoned scan frees what it held. `tests/adapters/test_source_contract.py` is
that contract as tests; it runs on every adapter.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Protocol, TypeVar

import pyarrow as pa

from adapters.errors import SourceError
from adapters.predicate import Predicate, check

_T = TypeVar("_T")

__all__ = ["GuardedSource", "Source", "SourceError", "cut"]


class Source(Protocol):
    """One product's records somewhere.

    - `schema` is the schema of every record that `scan` can give.
    - `scan` gives all records that meet the predicate, each once; a null meets no
      comparison. It reads no more than it must (projection and predicate are pushed down),
      keeps the source's order, gives no empty batch and none above `batch_bytes` unless a
      single record is larger. It may be abandoned at any time with `close()`. Scans are
      independent of each other and may run in several threads.
    - `version` names the state that is read; equal versions give equal records. A source
      that changes under a scan fails the scan.
    - Every failure is a `SourceError` whose text holds no value, path or credential.
    """

    def schema(self) -> pa.Schema:
        """Return the schema of the records."""
        ...

    def scan(
        self, columns: Sequence[str] | None, predicate: Predicate | None, batch_bytes: int
    ) -> Iterator[pa.RecordBatch]:
        """Return the records that meet the predicate, projected to the columns (None: all)."""
        ...

    def version(self) -> str:
        """Return the digest or the etag of what is read."""
        ...


class GuardedSource(ABC):
    """The template of all adapters."""

    @abstractmethod
    def _schema(self) -> pa.Schema:
        """Return the schema of the records."""

    @abstractmethod
    def _version(self) -> str:
        """Return the name of the state that is read."""

    @abstractmethod
    def _batches(
        self, columns: Sequence[str], predicate: Predicate | None
    ) -> Iterator[pa.RecordBatch]:
        """Yield batches of any size; `predicate` is bound to the schema already.

        A generator; its `finally` frees what the scan holds.
        """

    def close(self) -> None:  # noqa: B027 - most sources hold nothing between scans
        """Free what the source holds between scans; scans that run end with an error."""

    def schema(self) -> pa.Schema:
        """Return the schema of the records.

        Raises:
            SourceError: When the source can't be read or its schema is not the expected one.
        """
        return _guard(self._schema)

    def version(self) -> str:
        """Return the name of the state that is read.

        Raises:
            SourceError: When the source can't be read or changed since it was opened.
        """
        return _guard(self._version)

    def scan(
        self, columns: Sequence[str] | None, predicate: Predicate | None, batch_bytes: int
    ) -> Iterator[pa.RecordBatch]:
        """Return the records that meet the predicate, projected to the columns.

        Args:
            columns: Column names in the order wanted, or None for all.
            predicate: Condition on any columns, or None for all records.
            batch_bytes: Greatest size of a batch in bytes.

        Raises:
            SourceError: At once for an unknown column, a wrong predicate or size; while
                iterating when reading fails.
        """
        schema = self.schema()
        names = list(schema.names) if columns is None else list(columns)
        if not names or len(set(names)) < len(names) or not set(names) <= set(schema.names):
            raise SourceError("BAD_PROJECTION", "the projection is empty or names a wrong column")
        if batch_bytes < 1:
            raise SourceError("BAD_PROJECTION", "a batch needs at least one byte")
        if predicate is not None:
            check(predicate, schema)
        wanted = pa.schema([schema.field(name) for name in names])
        return self._stream(wanted, predicate, batch_bytes)

    def _stream(
        self, wanted: pa.Schema, predicate: Predicate | None, batch_bytes: int
    ) -> Iterator[pa.RecordBatch]:
        source = self._batches(wanted.names, predicate)
        # A generator has `close`; closing it runs its `finally`, even after an error here.
        with closing(source):  # type: ignore[type-var]  # the abstract method promises a generator
            while True:
                batch = _guard(lambda: _conforming(next(source, None), wanted))
                if batch is None:
                    return
                yield from cut(batch, batch_bytes)


def cut(batch: pa.RecordBatch, batch_bytes: int) -> Iterator[pa.RecordBatch]:
    """Yield slices of at most `batch_bytes`, or of one record; nothing is copied."""
    if batch.num_rows == 0:
        return
    if batch.num_rows == 1 or batch.nbytes <= batch_bytes:
        yield batch
        return
    rows = max(1, min(batch.num_rows - 1, batch_bytes * batch.num_rows // batch.nbytes))
    for start in range(0, batch.num_rows, rows):
        # Records differ in size, so a slice may still be too large and is cut again.
        yield from cut(batch.slice(start, rows), batch_bytes)


def _conforming(batch: pa.RecordBatch | None, wanted: pa.Schema) -> pa.RecordBatch | None:
    """Return the batch under the wanted schema, or None after the last one.

    An adapter's own check may be wrong, and formats without checksums may hold anything:
    offsets outside of their buffer would crash the process, broken UTF-8 a client.
    """
    if batch is None:
        return None
    batch.validate(full=True)
    if batch.schema.names != wanted.names or batch.schema.types != wanted.types:
        raise SourceError("SCHEMA_DRIFT", "the source gave other columns than its schema says")
    for number, field in enumerate(wanted):
        if not field.nullable and batch.column(number).null_count:
            raise SourceError("NULL_KEY", f"column {field.name} must not be empty")
    return pa.RecordBatch.from_arrays(batch.columns, schema=wanted)


def _guard(read: Callable[[], _T]) -> _T:
    """Return what `read` returns, or raise only `SourceError`.

    The cause is dropped on purpose: Arrow's messages quote values and paths.
    """
    try:
        return read()
    except SourceError:
        raise
    except Exception as error:  # noqa: BLE001 - the template's purpose is to let nothing else out
        raise SourceError(
            "SOURCE_FAILED", f"the source could not be read ({type(error).__name__})"
        ) from None
