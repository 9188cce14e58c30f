"""A publicity statement: what an authority shows of a product's records, as a signed file.

The statement is a document of the authority's (`xinguan-publicity+jwt`) with the digest of the
file beside it, so that neither a cut file nor another authority's passes. The file is Parquet,
CSV or Arrow IPC with exactly these columns:

    record_id        the record's key, each once
    publicity_state  PUBLIC, ENDED, REPAIRED or WITHDRAWN
    content_hash     digest of the content, as the source states it
    publicity_end    last day of publicity, or null
"""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from pydantic import Field

from gateway.domain.errors import InvalidRequestError
from gateway.registry.documents import Claims

_arrow: Any = pa  # the published stubs lag behind pyarrow and are wrong in places
PUBLICITY_TYPE = "xinguan-publicity+jwt"
STATES = ("PUBLIC", "ENDED", "REPAIRED", "WITHDRAWN")
SCHEMA: pa.Schema = _arrow.schema(
    {
        "record_id": pa.string(),
        "publicity_state": pa.string(),
        "content_hash": pa.string(),
        "publicity_end": pa.date32(),
    }
)
SUFFIXES = (".parquet", ".csv", ".arrow")
_LARGEST_BYTES = 4 << 30


class PublicityClaims(Claims):
    """What a publicity statement says.

    Args:
        v: Version of the document.
        authority: The publicity authority, an origin of R29.
        unit: USCC of the unit that states it.
        product: The product.
        as_of: Unix seconds at which the file was right.
        records: Number of its rows.
        sha256: SHA-256 of its bytes, hex.
    """

    v: Literal[1]
    authority: Annotated[str, Field(pattern=r"^[A-Z][A-Z_]{1,31}$")]
    unit: Annotated[str, Field(min_length=18, max_length=18)]
    product: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,63}$")]
    as_of: Annotated[int, Field(ge=0, le=2**53 - 1)]
    records: Annotated[int, Field(ge=0, le=2**40)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class BadPublicityError(InvalidRequestError):
    """`BAD_PUBLICITY`: the file is not the one that was stated, or not of the form."""

    def __init__(self, message: str) -> None:
        """Keep the one reason code."""
        super().__init__("BAD_PUBLICITY", message)


@dataclass(frozen=True, slots=True)
class PublicityFile:
    """A publicity file, read: its rows and the digest of its bytes, hex."""

    table: pa.Table
    sha256: str


def read_publicity(path: Path) -> PublicityFile:
    """Read a publicity file; the bytes that are digested are the ones that are parsed.

    Raises:
        BadPublicityError: It can't be read, has other columns, repeats a record or uses an
            unknown state.
    """
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise BadPublicityError("the publicity file is larger than 4 GiB")
        raw = path.read_bytes()
    except OSError:
        raise BadPublicityError("the publicity file can't be read") from None
    try:
        table = _parse(path.suffix, raw)
    except (pa.ArrowException, OSError, ValueError, KeyError):
        raise BadPublicityError("the publicity file is not of its form") from None
    _check(table)
    return PublicityFile(table, hashlib.sha256(raw).hexdigest())


def check_stated(file: PublicityFile, claims: PublicityClaims) -> None:
    """Check that a file is the one that a statement is about.

    Raises:
        BadPublicityError: It isn't.
    """
    if (file.sha256, file.table.num_rows) != (claims.sha256, claims.records):
        raise BadPublicityError("the publicity file is not the one that was signed")


def _parse(suffix: str, raw: bytes) -> pa.Table:
    buffer = pa.BufferReader(raw)
    if suffix == ".parquet":
        table = pyarrow.parquet.read_table(buffer, page_checksum_verification=True)
    elif suffix == ".arrow":
        table = _arrow.ipc.open_file(buffer).read_all()
    elif suffix == ".csv":
        types = {field.name: field.type for field in SCHEMA}
        convert = pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=True)
        table = pyarrow.csv.read_csv(io.BytesIO(raw), convert_options=convert)
    else:
        raise BadPublicityError("a publicity file is .parquet, .csv or .arrow")
    if sorted(table.schema.names) != sorted(SCHEMA.names):
        raise BadPublicityError(f"a publicity file has the columns {', '.join(SCHEMA.names)}")
    ordered = table.select(SCHEMA.names)
    cast: pa.Table = _arrow.Table.from_arrays(
        [column.cast(field.type) for column, field in zip(ordered.columns, SCHEMA, strict=True)],
        schema=SCHEMA,
    ).combine_chunks()
    return cast


def _check(table: pa.Table) -> None:
    compute = _arrow.compute
    keys = table.column("record_id")
    if keys.null_count or len(compute.unique(keys)) != len(keys):
        raise BadPublicityError("a record id is missing or stands there twice")
    states = compute.is_in(table.column("publicity_state"), value_set=pa.array(STATES))
    if not compute.all(states, min_count=0).as_py():
        raise BadPublicityError(f"a publicity state is one of {', '.join(STATES)}")
