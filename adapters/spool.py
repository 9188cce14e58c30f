"""Records kept aside while they are admitted, for sources that can't name their state."""

import hashlib
import tempfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import ipc

from adapters.predicate import Predicate, to_arrow

_VERSION_TAG: Final = b"xinguan/spool/v1\n"
_BATCH_ROWS: Final = 16_384


class Spool:
    """Records in a file of this process that has no name, and their digest.

    It is written to the directory for temporary files (`TMPDIR`), which needs the room.

    Args:
        file: The file, an Arrow stream, open.
        digest: SHA-256 of its content.
    """

    def __init__(self, file: Any, digest: str) -> None:
        self._file = file
        self.digest = digest

    @classmethod
    def of(cls, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> "Spool":
        """Write batches to a new spool, cut anew so that equal records give equal bytes."""
        # The caller owns what this returns, and closes it.
        file = tempfile.TemporaryFile(prefix="xinguan-spool-")  # noqa: SIM115
        try:
            sink: Any = _Hashing(file)  # Any: Arrow takes whatever writes
            with ipc.new_stream(pa.PythonFile(sink, mode="w"), schema) as writer:
                for batch in _recut(batches, schema):
                    writer.write_batch(batch)
            file.flush()
        except BaseException:
            file.close()
            raise
        return cls(file, sink.digest.hexdigest())

    def batches(
        self, columns: Sequence[str], predicate: Predicate | None
    ) -> Generator[pa.RecordBatch, None, None]:
        """Yield the records that meet the predicate, projected, in their order."""
        # A second description of the open file has a position of its own.
        own = Path(f"/proc/self/fd/{self._file.fileno()}")
        with own.open("rb") as stream, ipc.open_stream(stream) as reader:
            condition = None if predicate is None else to_arrow(predicate, reader.schema)
            for batch in reader:
                if condition is None:
                    yield batch.select(list(columns))
                else:
                    found = ds.dataset(pa.Table.from_batches([batch])).to_table(
                        columns=list(columns), filter=condition
                    )
                    yield from found.to_batches()

    def close(self) -> None:
        """Remove it."""
        self._file.close()


class _Hashing:
    """A file that is digested as it is written."""

    closed = False

    def __init__(self, file: Any) -> None:
        self._file = file
        self.digest = hashlib.sha256(_VERSION_TAG)

    def write(self, content: Any) -> int:
        self.digest.update(content)
        return int(self._file.write(content))

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self.closed = True


def _recut(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        waiting.append(batch.cast(schema))
        rows += batch.num_rows
        while rows >= _BATCH_ROWS:
            whole = pa.Table.from_batches(waiting, schema)
            yield from _copied(whole.slice(0, _BATCH_ROWS))
            rest = whole.slice(_BATCH_ROWS)
            waiting, rows = rest.to_batches(), rest.num_rows
    if rows:
        yield from _copied(pa.Table.from_batches(waiting, schema))


def _copied(table: pa.Table) -> list[pa.RecordBatch]:
    return table.combine_chunks().to_batches()
