"""A source whose records are screened as they are read: nothing is dropped silently.

What breaks a rule of entry (`gateway.ingest.record_rules`) is held back: its row, its record id,
the rules and their codes stand in a quarantine file. A record that is older than the one stored
is ignored, and the stored one is kept (R07). So rows in = rows out + rows held back.
"""

import csv
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from adapters.predicate import Predicate
from adapters.source import Source
from gateway.domain.product import Product
from gateway.ingest.record_rules import breaches
from gateway.snapshot.snapshot import Snapshot

_PRIVATE = 0o600
_HEADER = ("row", "record_id", "rules", "codes")
_VERSION, _DIGEST = "source_version", "content_hash"
_IGNORED = ("R07", "OLDER_VERSION")
Flags = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Screened:
    """What the screening of one scan found.

    Args:
        rows: Rows that came in.
        held: Rows that were held back.
        codes: Reason code to number of rows; a row with several counts under each.
    """

    rows: int = 0
    held: int = 0
    codes: Counter[str] = field(default_factory=Counter)


class ScreeningSource:
    """A source that holds back what may not enter; see the module.

    The predicate is pushed to the source below; admission scans without one. One scan at a time:
    `found` and the quarantine file are those of the last one.

    Args:
        source: The source below.
        product: Contract of its records.
        quarantine: File for the rows held back; written only when there are some, 0600.
        stored: The snapshot that is served now, or None.
    """

    def __init__(
        self, source: Source, product: Product, quarantine: Path, stored: Snapshot | None = None
    ) -> None:
        self._source = source
        self._product = product
        self._quarantine = quarantine
        # Another contract may have other columns: its records are all delivered anew.
        same = stored is not None and stored.manifest.contract_digest == product.digest
        self._stored = stored if same else None
        self.found = Screened()

    def schema(self) -> pa.Schema:
        """Return the schema of the source below."""
        return self._source.schema()

    def version(self) -> str:
        """Return the version of the source below."""
        return self._source.version()

    def scan(
        self, columns: Sequence[str] | None, predicate: Predicate | None, batch_bytes: int
    ) -> Iterator[pa.RecordBatch]:
        """Yield what may enter; in place of what is older than stored, what is stored."""
        self.found = found = Screened()
        partial = self._quarantine.with_name(self._quarantine.name + ".partial")
        partial.unlink(missing_ok=True)
        try:
            with ExitStack() as stack:
                held: Any = None
                for batch in self._source.scan(columns, predicate, batch_bytes):
                    marks = self._marks(batch)
                    bad = np.logical_or.reduce([rows for _, _, rows in marks])
                    if bad.any():
                        held = held or csv.writer(stack.enter_context(_private(partial)))
                        self._hold(held, batch, marks, bad)
                    found.rows += batch.num_rows
                    yield from self._entering(batch, marks, bad)
                if held is not None:
                    stack.close()
                    partial.replace(self._quarantine)
        finally:
            partial.unlink(missing_ok=True)

    def _marks(self, batch: pa.RecordBatch) -> list[tuple[str, str, Flags]]:
        found = [
            (breach.rule, breach.code, breach.rows) for breach in breaches(batch, self._product)
        ]
        if self._stored is not None:
            found.append((*_IGNORED, self._older(batch, self._stored)))
        return found

    def _entering(
        self, batch: pa.RecordBatch, marks: list[tuple[str, str, Flags]], bad: Flags
    ) -> Iterator[pa.RecordBatch]:
        if not bad.any():
            yield batch
            return
        kept = batch.filter(pa.array(~bad))
        if kept.num_rows:
            yield kept
        older = marks[-1][2] if marks[-1][:2] == _IGNORED else np.zeros(len(bad), np.bool_)
        if self._stored is not None and older.any():
            keys = batch.column(self._product.record_key).filter(pa.array(older))
            yield self._stored.take(self._stored.rows_of(_texts(keys)), batch.schema.names)

    def _older(self, batch: pa.RecordBatch, stored: Snapshot) -> Flags:
        """R07: not newer than what is stored, or the same version with another content."""
        if _VERSION not in stored.schema.names or _VERSION not in batch.schema.names:
            return np.zeros(batch.num_rows, np.bool_)
        key = self._product.record_key
        keys: Any = batch.column(key)
        present = stored.take(stored.rows_of(_texts(keys)), [key, _VERSION, _DIGEST])
        place: Any = pc.index_in(keys, value_set=present.column(0).cast(keys.type))
        versions: Any = present.column(1).take(place)
        digests: Any = present.column(2).take(place)
        newer: Any = pc.greater(versions, batch.column(_VERSION))
        other: Any = pc.and_(
            pc.equal(versions, batch.column(_VERSION)),
            pc.not_equal(digests, batch.column(_DIGEST)),
        )
        older: Any = pc.or_kleene(newer, other)
        return np.asarray(older.fill_null(False).to_numpy(zero_copy_only=False), dtype=np.bool_)

    def _hold(
        self, sink: Any, batch: pa.RecordBatch, marks: list[tuple[str, str, Flags]], bad: Flags
    ) -> None:
        if not self.found.held:
            sink.writerow(_HEADER)
        keys: Any = batch.column(self._product.record_key)
        rows = np.flatnonzero(bad)
        for row, key in zip(rows.tolist(), keys.take(pa.array(rows)).to_pylist(), strict=True):
            broken = [(rule, code) for rule, code, flags in marks if flags[row]]
            self.found.codes.update(code for _, code in broken)
            rules, codes = (";".join(words) for words in zip(*broken, strict=True))
            sink.writerow((self.found.rows + row + 1, key, rules, codes))
        self.found.held += len(rows)


def _texts(column: Any) -> list[str]:
    """Return a column of keys, which holds no nulls, as a list."""
    texts: list[str] = column.to_pylist()
    return texts


def _private(path: Path) -> TextIO:
    """Open a file for its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
    return os.fdopen(descriptor, "w", encoding="utf-8", newline="")
