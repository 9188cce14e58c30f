"""Putting a source's rows into (subject, record) order within bounded memory.

The rows go to a spool file as they come and are mapped from there; only the two key
columns are held for sorting. Output is then gathered a run at a time.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from gateway.snapshot.bitmap import Rows
from gateway.snapshot.errors import AdmissionError
from gateway.snapshot.index import MAX_KEY_BYTES

_arrow: Any = pa  # the published stubs lag behind pyarrow and are wrong in places
pc: Any = pyarrow.compute
RUN_BATCHES = 8  # output batches gathered together: the bound on memory


@dataclass(frozen=True, slots=True)
class Spool:
    """The source's rows in their own order, mapped from the spool file.

    Args:
        batches: The batches as they came, empty ones left out.
        subjects: Subject keys of all rows, large_string.
        records: Record keys of all rows, large_string.
    """

    batches: tuple[Any, ...]
    subjects: Any
    records: Any


def spool(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, path: Path, keys: tuple[str, str]
) -> Spool:
    """Write the batches to a spool file and map it.

    Args:
        batches: Batches of exactly this schema.
        schema: The contract's Arrow schema.
        path: Where the spool goes; the caller removes it.
        keys: Names of the subject key and the record key.

    Raises:
        AdmissionError: A key is null, empty, too long, or holds a NUL.
    """
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for batch in batches:
            if batch.num_rows:
                writer.write_batch(batch)
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    mapped = tuple(reader.get_batch(number) for number in range(reader.num_record_batches))
    subjects, records = (_key_column(mapped, name) for name in keys)
    return Spool(mapped, subjects, records)


def _key_column(batches: tuple[Any, ...], name: str) -> Any:
    chunks = [batch.column(name).cast(pa.large_string()) for batch in batches]
    column = _arrow.concat_arrays(chunks) if chunks else pa.array([], pa.large_string())
    if column.null_count:
        raise AdmissionError("SOURCE_FAILED", f"rows have no {name}", hints=(name,))
    lengths = pc.binary_length(column)
    if len(column) and not (
        pc.min(lengths).as_py() > 0 and pc.max(lengths).as_py() <= MAX_KEY_BYTES
    ):
        raise AdmissionError(
            "SOURCE_FAILED", f"a {name} is empty or over {MAX_KEY_BYTES} bytes", hints=(name,)
        )
    if len(column) and pc.any(pc.match_substring(column, "\x00")).as_py():
        raise AdmissionError("SOURCE_FAILED", f"a {name} holds a NUL", hints=(name,))
    return column


def order_of(held: Spool) -> Rows:
    """Return the permutation that sorts the rows by (subject, record), stable."""
    table = pa.table({"s": held.subjects, "r": held.records})
    order = pc.sort_indices(table, sort_keys=[("s", "ascending"), ("r", "ascending")])
    rows: Rows = order.to_numpy().astype(np.int64)
    return rows


def in_order(held: Spool, order: Rows, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows in this order, in batches of `batch_rows` rows (the last one shorter)."""
    starts = np.cumsum([0, *(batch.num_rows for batch in held.batches)])
    run_rows = batch_rows * RUN_BATCHES
    for first in range(0, len(order), run_rows):
        run = _gather(held.batches, starts, order[first : first + run_rows])
        for offset in range(0, run.num_rows, batch_rows):
            # Joined with nothing, so that its buffers hold its own rows only: the same rows
            # have the same bytes, whatever lies around them.
            yield _arrow.concat_batches([run.slice(offset, batch_rows), run.slice(0, 0)])


def _gather(batches: tuple[Any, ...], starts: NDArray[Any], wanted: Rows) -> Any:
    """Pick rows out of many batches: each batch once, forwards, then put into order."""
    by_place = np.argsort(wanted, kind="stable")
    places = wanted[by_place]
    cuts = np.searchsorted(places, starts)
    parts: list[Any] = [
        batches[number].take(pa.array(places[low:high] - starts[number]))
        for number, (low, high) in enumerate(pairwise(cuts))
        if low < high
    ]
    joined = parts[0] if len(parts) == 1 else _arrow.concat_batches(parts)
    back = np.empty(len(wanted), dtype=np.int64)
    back[by_place] = np.arange(len(wanted))
    return joined if np.all(back[1:] > back[:-1]) else joined.take(pa.array(back))
