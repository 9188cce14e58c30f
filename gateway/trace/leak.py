"""Reading what is said to be a leaked copy, or a part: JSON, JSON lines, CSV, Arrow, Parquet.

Nothing in it is trusted: it is only compared. What isn't understood is left out and counted as
nothing; a file in none of these forms is refused by name, never by content.
"""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from gateway.domain.errors import InvalidRequestError

MAX_BYTES = 256 << 20
MAX_ROWS = 1_000_000
_ARROW_FILE, _PARQUET = b"ARROW1", b"PAR1"


@dataclass(frozen=True, slots=True)
class LeakedRow:
    """One row as it stands in the copy.

    Args:
        names: Names of its fields, in the order in which they stand.
        texts: Their values as text, in the same order.
    """

    names: tuple[str, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leak:
    """A copy, read.

    Args:
        content: Its bytes, in which a mark is looked for.
        rows: Its rows, in the order in which they stand.
    """

    content: bytes
    rows: tuple[LeakedRow, ...]


def read_leak(path: Path) -> Leak:
    """Read a leaked copy.

    Raises:
        InvalidRequestError: `BAD_REQUEST` when it can't be read, is too large, or is in none of
            the forms.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidRequestError("BAD_REQUEST", "the copy is larger than 256 MiB; cut it")
        content = path.read_bytes()
    except OSError:
        raise InvalidRequestError("BAD_REQUEST", "the copy can't be read") from None
    rows, metadata = parse(content)
    return Leak(content + metadata, tuple(rows[:MAX_ROWS]))


def parse(content: bytes) -> tuple[list[LeakedRow], bytes]:
    """Return the rows of a copy, and what stands beside them in another form than its bytes.

    Raises:
        InvalidRequestError: `BAD_REQUEST`.
    """
    try:
        table = _table(content)
        if table is not None:
            beside = b"\n".join((table.schema.metadata or {}).values())
            return [_of_object(row) for row in table.to_pylist()], beside
        text = content.decode("utf-8-sig")
    except (ValueError, OSError, UnicodeDecodeError, pa.ArrowException):
        raise InvalidRequestError(
            "BAD_REQUEST", "the copy is no JSON, CSV, Arrow or Parquet file in UTF-8"
        ) from None
    return [*_json_rows(text)] or _csv_rows(text), b""


def _table(content: bytes) -> Any:
    """Return the table in Arrow or Parquet bytes, or None when they are neither."""
    if content.startswith(_ARROW_FILE):
        return pa.ipc.open_file(pa.py_buffer(content)).read_all()
    if content.startswith(b"\xff\xff\xff\xff"):
        return pa.ipc.open_stream(pa.py_buffer(content)).read_all()
    if content.startswith(_PARQUET):
        return pyarrow.parquet.read_table(io.BytesIO(content))
    return None


def _json_rows(text: str) -> Iterator[LeakedRow]:
    """Yield every object that holds plain values, wherever it stands in the document."""
    documents = []
    try:
        documents.append(json.loads(text))
    except (ValueError, RecursionError):
        for line in text.splitlines():
            try:
                documents.append(json.loads(line))
            except (ValueError, RecursionError):
                continue
    waiting: list[Any] = documents[::-1]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            row = _of_object(each)
            if row.names:
                yield row
            waiting.extend(value for value in reversed(each.values()) if _nested(value))
        elif isinstance(each, list):
            waiting.extend(value for value in reversed(each) if _nested(value))


def _nested(value: object) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(item, dict | list) for item in value)
    )


def _of_object(values: dict[str, Any]) -> LeakedRow:
    plain = {name: value for name, value in values.items() if not _nested(value)}
    return LeakedRow(
        tuple(plain), tuple("" if value is None else str(value) for value in plain.values())
    )


def _csv_rows(text: str) -> list[LeakedRow]:
    """Return the rows of a CSV text; without a head the names mean nothing, and match nothing.

    Raises:
        InvalidRequestError: `BAD_REQUEST`.
    """
    try:
        dialect: Any = csv.Sniffer().sniff(text[:8_192], ",;\t|")
    except csv.Error:
        dialect = csv.excel
    try:
        lines = [line for line in csv.reader(io.StringIO(text), dialect) if line]
    except csv.Error:
        raise InvalidRequestError(
            "BAD_REQUEST",
            "the copy can't be read as CSV: a line of it is broken, or a field is longer than"
            f" {csv.field_size_limit():,} characters",
        ) from None
    if not lines:
        return []
    head = tuple(lines[0])
    return [LeakedRow(head[: len(line)], tuple(line[: len(head)])) for line in lines]
