"""Marks of deliveries across the border: a leaked copy names the delivery it came from (M23, R23).

Three, each as strong as what is left of a copy:

    text    `xg1.<request id>.<MAC>`, in the answer and in the metadata of its Arrow schema. Nobody
            makes one without the key; whoever has a copy can take it out, or put it elsewhere.
    rows    the order of the rows of each batch, which means nothing: a permutation that the key
            draws for each delivery anew. It survives other formats, lost columns and lost rows,
            and not sorting.
    fields  the order of the fields of an answer of `Query`, drawn likewise; what survives of it is
            the order of the keys of JSON objects, also of single rows. Not over Arrow Flight,
            whose schema is stated before.

The order is made before the digest: what leaves is what the evidence is of, and the evidence keeps
the order of the rows. No value is changed, added or left out. See `gateway.trace.tracer`.
"""

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gateway.identity.keyfiles import (
    PRIVATE_MODE,
    KeyFileError,
    new_secret,
    read_secret,
    write_new,
)

MARK = b"xinguan.mark"  # key in the metadata of an Arrow schema
TEXT = re.compile(rb"xg1\.([0-9A-HJKMNP-TV-Z]{26})\.([A-Za-z0-9_-]{22})(?![A-Za-z0-9_-])")
_TAG = b"xinguan/delivery-mark/v1\n"
_MAC_BYTES = 16
Order = NDArray[np.int64]


class Marks:
    """Makes and recognises marks. It holds a key and no state."""

    def __init__(self, key: bytes) -> None:
        """Take the 32-byte key of marks."""
        # Begun once and copied: `hmac.digest` gives up the interpreter's lock each time.
        self._begun = hmac.new(key, _TAG, "sha256")

    def text(self, request_id: str) -> str:
        """Return the mark of a delivery as text."""
        mac = urlsafe_b64encode(self._mac("text", request_id)[:_MAC_BYTES]).decode().rstrip("=")
        return f"xg1.{request_id}.{mac}"

    def find(self, content: bytes) -> tuple[list[str], int]:
        """Return the request ids of the marks in any bytes, each once, and how many are forged."""
        genuine: dict[str, None] = {}
        forged = 0
        for match in TEXT.finditer(content):
            request_id = match[1].decode()
            if hmac.compare_digest(match[0], self.text(request_id).encode()):
                genuine[request_id] = None
            else:
                forged += 1
        return list(genuine), forged

    def rows(self, request_id: str, number: int, count: int) -> Order:
        """Return the order in which the rows of a batch leave.

        Args:
            request_id: The delivery.
            number: Number of the batch.
            count: Rows in it; they stand by ascending row number before.
        """
        stream = hashlib.shake_256(self._mac("rows", f"{request_id}/{number}")).digest(8 * count)
        return np.argsort(np.frombuffer(stream, "<u8"), kind="stable").astype(np.int64)

    def fields(self, request_id: str, names: Sequence[str]) -> tuple[str, ...]:
        """Return the order in which the fields of an answer leave, whatever theirs was before.

        Any two of them stand as they stand in any other selection, so that what is left of a copy
        can be compared.
        """
        return tuple(sorted(names, key=lambda name: self._mac("field", f"{request_id}/{name}")))

    def _mac(self, what: str, about: str) -> bytes:
        begun = self._begun.copy()
        begun.update(what.encode() + b"\n" + about.encode())
        return begun.digest()


def open_marks(path: Path) -> Marks:
    """Return the marks of a deployment; their key is drawn now when there is none.

    Raises:
        KeyFileError: `BAD_FILE_MODE` or `BAD_KEY`.
    """
    if not path.exists():
        try:
            write_new(path, new_secret(), PRIVATE_MODE)
        except KeyFileError as error:  # another process of this node was quicker
            if error.code != "FILE_EXISTS":
                raise
    return Marks(read_secret(path))
