"""What goes into the entries of requests and comes out of them; see `gateway.release.evidence`."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.openings import OpeningStore


@dataclass(frozen=True, slots=True)
class Promised:
    """A durable entry and the log key's promise that it stands at its index.

    Args:
        index: Log index.
        leaf_hash: RFC 6962 leaf hash, 32 bytes.
        signature: Over this entry and those of `also`; empty until it is signed.
        also: Index and leaf hash of further entries under the same signature.
    """

    index: int
    leaf_hash: bytes
    signature: bytes = b""
    also: tuple[tuple[int, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class EvidenceKeys:
    """Keys of the log and of what lies beside it.

    Args:
        origin: Name of the log.
        log_key: Signs promises.
        openings: Seals what opens commitments.
        index_key: 32 bytes; labels subjects in the index of accesses.
    """

    origin: str
    log_key: Ed25519PrivateKey = field(repr=False)
    openings: OpeningStore = field(repr=False)
    index_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sent:
    """How a delivery ended.

    Args:
        status: `delivered`, `cancelled`, or the reason code of a failure.
        rows: Rows that were handed over.
        size: Bytes of Arrow IPC that were handed over.
        digest: SHA-256 over the digests of the batches.
        snapshot_id: Snapshot that they come from.
        small: The batch of an answer in one part, or None.
        row_numbers: Rows of the snapshot that `small` holds, in its order.
        left: False when it failed before anything was handed over.
    """

    status: str
    rows: int
    size: int
    digest: bytes
    snapshot_id: str
    small: pa.RecordBatch | None = None
    row_numbers: np.ndarray | None = None
    left: bool = True
