"""The content digest of records (内容摘要): SM3 over the content columns.

Two copies of a record are the same when their digests are (R10, R11), so the digest covers
what the record says, not the envelope around it: who holds it, since when, in which state.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives import hashes

from gateway.ingest.arrow_text import TextColumn, joined

# Columns of the envelope say where a record stands, not what it says.
ENVELOPE = frozenset(
    {
        "record_id",
        "subject_type",
        "catalogue_item_id",
        "catalogue_version",
        "source_unit",
        "source_unit_uscc",
        "source_record_id",
        "source_batch_no",
        "source_version",
        "source_updated_at",
        "ingested_at",
        "is_adverse",
        "severity_basis",
        "publicity_state",
        "share_state",
        "dispute_flag",
        "dispute_id",
        "content_hash",
    }
)
# U+001F parts the columns and U+0000 stands for null; both are refused in texts at import,
# so no two different records join to the same text.
_SEPARATOR = "\x1f"
_NULL = "\x00"
_ITEM_SEPARATOR = "\x1e"
_TAG = b"xinguan/content/v1\x1f"


def content_columns(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names that the digest covers, sorted, so that order plays no part."""
    return tuple(sorted(name for name in names if name not in ENVELOPE))


def content_hashes(records: pa.RecordBatch) -> pa.StringArray:
    """Return the SM3 digest of each record's content, 64 hexadecimal digits.

    Args:
        records: Records with at least one content column; envelope columns are left out.
    """
    texts = [_text(records.column(name)) for name in content_columns(records.schema.names)]
    lines = joined(*texts, separator=_SEPARATOR)
    fresh = hashes.Hash(hashes.SM3())
    fresh.update(_TAG)
    digests = []
    for value in lines.cast(pa.binary()).to_numpy(zero_copy_only=False):
        state = fresh.copy()
        state.update(value)
        digests.append(state.finalize().hex())
    return pa.array(digests, pa.string())


def _text(column: TextColumn) -> TextColumn:
    """Return a column as text, the same for equal values whatever engine wrote them."""
    kind = column.type
    text: TextColumn
    if pa.types.is_list(kind):
        text = pc.binary_join(column, _ITEM_SEPARATOR)  # type: ignore[assignment]  # an array stays an array
    elif pa.types.is_timestamp(kind):
        text = column.cast(pa.timestamp("s", kind.tz)).cast(pa.int64()).cast(pa.string())
    elif pa.types.is_boolean(kind):
        text = pc.if_else(column, "true", "false")
    else:
        text = column.cast(pa.string())
    return text.fill_null(_NULL)
