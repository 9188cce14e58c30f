"""The signed notice: what a receiver is told, in words that it has, and nothing of the content.

Compact JWS, Ed25519, type `xinguan-recall+jwt`, by the gateway's notice key, whose public half
stands in the log and is given to whoever asks (`RepairService.ListNoticeKeys`).
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import Field

from gateway.registry.documents import ALGORITHM, Claims, key_id

NOTICE_TYPE = "xinguan-recall+jwt"
MAX_NAMED = 1_000  # rows in the notice itself; all of them are in its list
_Text = Annotated[str, Field(max_length=256)]


class Form(StrEnum):
    """How a receiver has the rows. A notice never mixes the two, or it would link them."""

    CLEAR = "CLEAR"
    PSEUDONYM = "PSEUDONYM"


class RowClaims(Claims):
    """One row that was delivered.

    Args:
        request: The receiver's request.
        batch: Number of the batch, as the answer numbered it.
        position: Place of the row in that batch, from 0.
        snapshot: The snapshot that answered: which version of the record it was.
        record_hash: Digest of the content, where the receiver got it with the row.
    """

    request: _Text
    batch: int
    position: int
    snapshot: _Text
    record_hash: _Text = ""


class NoticeClaims(Claims):
    """What a notice says. Times are unix seconds.

    Args:
        v: Version of this structure.
        notice_id: Random.
        issuer: Name of the gateway's log.
        party: The receiver.
        kind: STOP_USE, SUSPEND_USE or RESUME_USE.
        reason: Class of the reason: REPAIRED, WITHDRAWN or MASKED.
        product: Product of the record.
        effective_at: Since when the record may not be used.
        issued_at: When this was signed.
        due_at: By when it is to be acknowledged.
        form: How the receiver has the rows.
        record_key: The record's key, where the receiver got it.
        subject: The subject's pseudonym, where the receiver got that.
        rows: How many rows it concerns.
        named: The first of them.
        list_sha256: Digest of the list of all of them, hex.
    """

    v: Literal[1] = 1
    notice_id: _Text
    issuer: _Text
    party: _Text
    kind: Literal["STOP_USE", "SUSPEND_USE", "RESUME_USE"]
    reason: _Text
    product: _Text
    effective_at: int
    issued_at: int
    due_at: int
    form: Annotated[Form, Field(strict=False)]
    record_key: _Text = ""
    subject: _Text = ""
    rows: int
    named: Annotated[tuple[RowClaims, ...], Field(strict=False, max_length=MAX_NAMED)]
    list_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class DeliveredRow:
    """One row as it goes into a notice and its list.

    Args:
        intent: Log index of the intent.
        request_id: The receiver's request.
        batch: Number of the batch.
        position: Place in the batch, from 0.
        snapshot_id: The snapshot.
        record_key: The record's key, or empty where the receiver hasn't got it.
        record_hash: Digest of the content, or empty as well.
        subject: The subject's pseudonym, or empty.
    """

    intent: int
    request_id: str
    batch: int
    position: int
    snapshot_id: str
    record_key: str = ""
    record_hash: str = ""
    subject: str = ""


_FIELDS: Sequence["pa.Field[Any]"] = (
    pa.field("request_id", pa.string(), nullable=False),
    pa.field("batch", pa.int64(), nullable=False),
    pa.field("position", pa.int64(), nullable=False),
    pa.field("intent", pa.int64(), nullable=False),  # its log index, as the answer promised it
    pa.field("snapshot_id", pa.string(), nullable=False),
    pa.field("record_key", pa.string()),
    pa.field("record_hash", pa.string()),
    pa.field("subject", pa.string()),
)
LIST_SCHEMA = pa.schema(_FIELDS, metadata={b"xinguan.recall-list": b"v1"})


def encode_list(rows: list[DeliveredRow]) -> bytes:
    """Return the rows of one notice as an Arrow IPC stream."""
    columns: list[pa.Array[Any]] = [
        pa.array([row.request_id for row in rows], pa.string()),
        pa.array([row.batch for row in rows], pa.int64()),
        pa.array([row.position for row in rows], pa.int64()),
        pa.array([row.intent for row in rows], pa.int64()),
        pa.array([row.snapshot_id for row in rows], pa.string()),
        pa.array([row.record_key or None for row in rows], pa.string()),
        pa.array([row.record_hash or None for row in rows], pa.string()),
        pa.array([row.subject or None for row in rows], pa.string()),
    ]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, LIST_SCHEMA) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=LIST_SCHEMA))
    return sink.getvalue().to_pybytes()


def decode_list(stream: bytes) -> pa.Table:
    """Return the rows of one notice as a table."""
    return pa.ipc.open_stream(stream).read_all()


class NoticeSigner:
    """Signs notices; what all of them share is made once, since a recall may have thousands.

    Args:
        key: The notice key.
    """

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        header = {"alg": ALGORITHM, "kid": key_id(key.public_key()), "typ": NOTICE_TYPE}
        self._begin = _encoded(json.dumps(header, separators=(",", ":")).encode()) + b"."

    def sign(self, claims: NoticeClaims) -> str:
        """Return a notice in compact form (RFC 7515, section 7.1)."""
        signed = self._begin + _encoded(claims.model_dump_json().encode())
        return (signed + b"." + _encoded(self._key.sign(signed))).decode()


def _encoded(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
