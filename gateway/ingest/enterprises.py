"""Imports a published register of enterprises into `legal_entity_base`.

The file is as its publisher made it: Chinese headers, amounts with their units in words,
full-width characters, rows destroyed by an earlier conversion. Every row comes out exactly
once, as a record or in quarantine with its number and its reasons (R02 to R07); texts stay as
published, and what the source doesn't say stays null.
"""

import csv
import hashlib
import io
import json
import os
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gateway.domain.product import Product
from gateway.ingest.arrow_text import TextColumn
from gateway.ingest.content_hash import content_hashes
from gateway.ingest.encodings import EncodingError, decode
from gateway.ingest.enterprise_rows import HEADERS, OPTIONAL, Fault, ParsedRow, parse_row
from gateway.registry.arrow_schema import TIME_ZONE, arrow_schema
from gateway.registry.catalogue import Catalogue

PRODUCT = "legal_entity_base"
MAX_FILE_BYTES = 1 << 30
# UUIDs of imported records are names in this space (RFC 9562, version 5): importing the same
# row again gives the same record.
_RECORD_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:xinguan:legal_entity_base")
_PRIVATE = 0o600  # quarantined rows may hold anything


class ImportFileError(Exception):
    """The file as a whole can't be imported; nothing was written.

    Args:
        code: UNREADABLE, TOO_LARGE, NOT_TEXT, BROKEN_CSV or WRONG_HEADER.
        message: What is wrong and where, without values of the file.
    """

    def __init__(self, code: str, message: str) -> None:
        """Keep the code apart from the message."""
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a file; `rows` is always `imported` + `quarantined`.

    Args:
        path: The Parquet file of the records.
        quarantine: The CSV file of the rows that were held back, with numbers and reasons.
        summary: The JSON file of these numbers.
        rows: Rows of the file without its header.
        imported: Records written.
        quarantined: Rows held back.
        reasons: Code to the number of rows held back for it; a row may have several.
        notes: Code to the number of records that say less than one would wish.
        encoding: `utf-8` or `gb18030`.
        source_digest: SHA-256 of the file, hex.
    """

    path: Path
    quarantine: Path
    summary: Path
    rows: int
    imported: int
    quarantined: int
    reasons: Mapping[str, int]
    notes: Mapping[str, int]
    encoding: str
    source_digest: str


def import_enterprises(
    path: Path,
    out_dir: Path,
    *,
    now: int | None = None,
    catalogue: Catalogue | None = None,
) -> ImportReport:
    """Write the file's records as Parquet, and the rows held back beside them.

    Args:
        path: CSV file in UTF-8 or GB 18030 with the publisher's headers in any order.
        out_dir: Directory, made if missing; gets `legal_entity_base.parquet`,
            `legal_entity_base.quarantine.csv` and `legal_entity_base.import.json`.
        now: Unix seconds of the import; by default the clock's.
        catalogue: Contracts; by default those that ship with the policies.

    Raises:
        ImportFileError: When the file is no readable CSV with the expected header.
        OSError: When the results can't be written.
    """
    contracts = catalogue or Catalogue.load()
    product = contracts.product(PRODUCT)
    content = _read(path)
    text, encoding = _decode(content)
    header, rows = _open_csv(text)
    accepted: list[ParsedRow] = []
    held: list[tuple[int, int, list[str], tuple[Fault, ...]]] = []
    first: dict[str, ParsedRow] = {}
    total = 0
    for total, (line, cells) in enumerate(rows, start=1):
        parsed, faults = parse_row(header, cells)
        if parsed is not None and parsed.uscc in first:
            same = first[parsed.uscc] == parsed
            faults = (Fault.again(same=same),)
            parsed = None
        if parsed is None:
            held.append((total, line, cells, faults))
        else:
            first[parsed.uscc] = parsed
            accepted.append(parsed)
    moment = int(time.time()) if now is None else now
    digest = hashlib.sha256(content).hexdigest()
    unit = contracts.unit(product.manager_uscc)
    batch = _records(product, unit.name_zh, accepted, digest, moment)
    if total != batch.num_rows + len(held):
        raise AssertionError("rows in differ from rows out and rows quarantined")
    return _write(out_dir, header, batch, held, total, accepted, encoding, digest)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ImportFileError("TOO_LARGE", "the file is larger than 1 GiB")
        return path.read_bytes()
    except OSError as error:
        raise ImportFileError("UNREADABLE", f"the file can't be read: {error.strerror}") from error


def _decode(content: bytes) -> tuple[str, str]:
    try:
        return decode(content)
    except EncodingError as error:
        raise ImportFileError("NOT_TEXT", str(error)) from error


def _open_csv(text: str) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Return the header and the rows, each with the line it ends on."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
    except csv.Error as error:
        raise ImportFileError("BROKEN_CSV", "line 1 is not CSV") from error
    missing = [name for name in HEADERS if name not in header]
    known = set(HEADERS) | set(OPTIONAL)
    unknown = sum(1 for name in header if name not in known)
    if missing or unknown or len(set(header)) < len(header):
        raise ImportFileError(
            "WRONG_HEADER",
            f"line 1 is not the register's header: missing {'、'.join(missing) or 'none'}; "
            f"{unknown} unknown; {len(header) - len(set(header))} repeated",
        )
    return header, _rows(reader)


def _rows(reader: "csv._reader") -> Iterator[tuple[int, list[str]]]:  # type: ignore[name-defined]  # the module has no public name for it
    try:
        for cells in reader:
            if cells:  # csv gives an empty list for an empty line, which is no row
                yield reader.line_num, cells
    except csv.Error as error:
        raise ImportFileError(
            "BROKEN_CSV", f"the file is not CSV around line {reader.line_num}"
        ) from error


def _records(
    product: Product, unit_name: str, rows: list[ParsedRow], digest: str, now: int
) -> pa.RecordBatch:
    """Return the records under the contract's schema."""
    schema = arrow_schema(product)
    count = len(rows)
    constants: dict[str, object] = {
        "catalogue_item_id": "REGISTER-ENTERPRISES",
        "catalogue_version": "2024",
        "source_unit": unit_name,
        "source_unit_uscc": product.manager_uscc,
        "source_batch_no": digest[:16],
        # A later import of the register is a newer version of each of its records (R07).
        "source_version": now,
        "is_adverse": False,
        "severity": "NONE",
        "publicity_state": "PUBLIC",
        "share_state": "ACTIVE",
        "dispute_flag": False,
    }
    columns: dict[str, object] = {
        name: pa.repeat(pa.scalar(value, schema.field(name).type), count)
        for name, value in constants.items()
    }
    columns["ingested_at"] = pa.repeat(now, count).cast(pa.timestamp("s", TIME_ZONE))
    columns["record_id"] = [str(uuid.uuid5(_RECORD_SPACE, row.uscc)) for row in rows]
    columns["source_record_id"] = [row.uscc for row in rows]
    for name in ParsedRow.COLUMNS:
        columns[name] = [getattr(row, name) for row in rows]
    arrays = [_array(columns.get(field.name), field.type, count) for field in schema]
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
    place = schema.get_field_index("content_hash")
    return batch.set_column(place, schema.field(place), content_hashes(batch))


def _array(values: Any, kind: Any, count: int) -> TextColumn:
    """Return a column of the contract's type; the stubs don't know types chosen at run time."""
    column: TextColumn
    if values is None:
        column = pa.nulls(count, kind)
    else:
        column = values if isinstance(values, pa.Array) else pa.array(values, kind)
    return column


def _write(
    out_dir: Path,
    header: list[str],
    batch: pa.RecordBatch,
    held: list[tuple[int, int, list[str], tuple[Fault, ...]]],
    total: int,
    accepted: list[ParsedRow],
    encoding: str,
    digest: str,
) -> ImportReport:
    """Write all three files under temporary names, then give them their own."""
    out_dir.mkdir(parents=True, exist_ok=True)
    report = ImportReport(
        path=out_dir / f"{PRODUCT}.parquet",
        quarantine=out_dir / f"{PRODUCT}.quarantine.csv",
        summary=out_dir / f"{PRODUCT}.import.json",
        rows=total,
        imported=batch.num_rows,
        quarantined=len(held),
        reasons=_count(fault.code for *_, faults in held for fault in faults),
        notes=_count(note for row in accepted for note in row.notes),
        encoding=encoding,
        source_digest=digest,
    )
    parquet = io.BytesIO()
    table = pa.Table.from_batches([batch])
    pq.write_table(table, parquet, compression="zstd", write_page_checksum=True)
    _put(report.path, parquet.getvalue())
    _put(report.quarantine, _quarantine(header, held).encode())
    _put(report.summary, _summary(report).encode())
    return report


def _count(codes: Iterator[str]) -> Mapping[str, int]:
    return MappingProxyType(dict(sorted(Counter(codes).items())))


def _quarantine(
    header: list[str], held: list[tuple[int, int, list[str], tuple[Fault, ...]]]
) -> str:
    """Return the rows held back as CSV: where they stood, why, and what stood there."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["row", "line", "rules", "codes", "fields", "reasons", *header])
    for number, line, cells, faults in held:
        writer.writerow(
            [
                number,
                line,
                ";".join(fault.rule for fault in faults),
                ";".join(fault.code for fault in faults),
                ";".join(fault.field for fault in faults),
                "; ".join(fault.message for fault in faults),
                *cells,
            ]
        )
    return text.getvalue()


def _summary(report: ImportReport) -> str:
    return json.dumps(
        {
            "product": PRODUCT,
            "rows": report.rows,
            "imported": report.imported,
            "quarantined": report.quarantined,
            "reasons": dict(report.reasons),
            "notes": dict(report.notes),
            "encoding": report.encoding,
            "source_sha256": report.source_digest,
        },
        indent=2,
        sort_keys=True,
    )


def _put(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, readable for its owner only."""
    partial = path.with_name(path.name + ".partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
