"""An answer, put together from its messages and checked against its evidence."""

import hashlib
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from xinguan.sealing import DecryptionKey, SealedAnswerError
from xinguan.v1 import exchange_pb2

_LABEL_DUTY, _LABEL = "label_dispute", "dispute_flag"


class Answer:
    """The records of one query, with decision and evidence.

    Attributes:
        decision: The decision that it rests on; its request id fetches the receipt.
        outcome: Rows, bytes and the promise of the outcome entry.
        batches: The batch messages as they came.
    """

    def __init__(
        self,
        messages: Iterable[exchange_pb2.QueryResponse],
        key: DecryptionKey | None = None,
    ) -> None:
        """Take the messages in order.

        Args:
            messages: As they came.
            key: Opens batches that are encrypted.

        Raises:
            SealedAnswerError: A batch is encrypted, and the key doesn't open it or isn't given.
            ValueError: When the answer ends without its outcome, or a batch does not match
                the digest of its evidence.
        """
        self.decision = exchange_pb2.DecisionSummary()
        self.outcome: exchange_pb2.Outcome | None = None
        self._key = key
        self.batches: list[exchange_pb2.Batch] = []
        for message in messages:
            if message.HasField("decision"):
                self.decision = message.decision
            if message.HasField("batch"):
                self._take(message.batch)
            if message.HasField("outcome"):
                self.outcome = message.outcome
        if self.outcome is None:
            raise ValueError("the answer was cut short: it has no outcome")

    def _take(self, batch: exchange_pb2.Batch) -> None:
        if batch.jwe:
            if self._key is None:
                raise SealedAnswerError("the answer is encrypted and no key was given")
            batch = self._key.open(batch, self.decision.request_id)
        if batch.arrow_ipc and hashlib.sha256(batch.arrow_ipc).digest() != batch.digest:
            raise ValueError("a batch does not match the digest of its evidence")
        self.batches.append(batch)

    def table(self) -> pa.Table:
        """Return the records as an Arrow table; the fields' metadata names their actions."""
        stream = b"".join(batch.arrow_schema + batch.arrow_ipc for batch in self.batches)
        return pa.ipc.open_stream(stream).read_all()

    def rows(self) -> list[dict[str, Any]]:
        """Return the records as dictionaries, whichever encoding was asked for."""
        if any(batch.arrow_ipc for batch in self.batches):
            return self.table().to_pylist()
        names = list(self.decision.released) or self._names()
        return [
            dict(zip(names, map(_plain, row.values), strict=True))
            for batch in self.batches
            for row in batch.typed_rows
        ]

    @property
    def mark(self) -> str:
        """The mark that names this delivery; empty for what doesn't cross the border."""
        return self.decision.mark

    def _names(self) -> list[str]:
        names = [field.name for field in self.decision.fields if field.action != "drop"]
        if _LABEL_DUTY in self.decision.obligations and _LABEL not in names:
            names.append(_LABEL)  # it leaves with disputed records, asked for or not (R14)
        return names


def _plain(value: exchange_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind is None:
        return None
    if kind == "list":
        return [_plain(item) for item in value.list.values]
    return getattr(value, kind)
