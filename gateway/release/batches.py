"""What is looked at together, and what of it leaves."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Portion:
    """Rows of the snapshot that are looked at together.

    Args:
        number: Number of the portion, on the rows of the snapshot or on the subjects of the
            portfolio, so that it stays when records are withheld.
        rows: Row numbers, ascending.
    """

    number: int
    rows: np.ndarray


@dataclass(frozen=True, slots=True)
class ReleasedBatch:
    """A batch as it leaves.

    Args:
        number: Number of its portion.
        batch: The enforced rows.
        message: Its encapsulated Arrow IPC message.
        digest: SHA-256 of `message`.
        rows: Their row numbers in the snapshot, in the order in which they leave.
        first_end: When the first of them stops being shareable, unix seconds.
    """

    number: int
    batch: pa.RecordBatch
    message: memoryview
    digest: bytes
    rows: np.ndarray
    first_end: int
