"""One delivery under way: which rows, what was enforced, what has left, what the log knows.

Owner of the state: the one task that runs `Exchange.release`. A small answer, one portion, is
recorded by its outcome alone, before it leaves; a larger one has an evidence entry per batch
before that batch leaves, and its outcome after the last.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from gateway.domain.decision import Decision
from gateway.domain.errors import XinguanError
from gateway.domain.facts import Facts
from gateway.release.evidence import Promised, Sent
from gateway.release.gate import Hold
from gateway.release.rows import matching
from gateway.release.trail import Trail
from gateway.release.world import Prepared, World
from gateway.snapshot.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Portion:
    """Rows of the snapshot that are looked at together.

    Args:
        number: Number of the portion; for a whole product the snapshot's batch number, so
            that it stays when records are withheld.
        rows: Row numbers, ascending.
        only: True when the answer has no other portion.
    """

    number: int
    rows: np.ndarray
    only: bool


@dataclass(frozen=True, slots=True)
class ReleasedBatch:
    """A batch as it leaves.

    Args:
        number: Number of its portion.
        batch: The enforced rows.
        message: Its encapsulated Arrow IPC message.
        digest: SHA-256 of `message`.
    """

    number: int
    batch: pa.RecordBatch
    message: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Closing:
    """How a delivery ended: totals and the promise of the outcome entry."""

    rows: int
    bytes: int
    promise: Promised


@dataclass(frozen=True, slots=True)
class Part:
    """What is handed over at once.

    Args:
        delivery: The delivery that it belongs to: decision, plan, intent.
        first: True in the first part.
        batch: Rows, or None in a part that only closes.
        evidence: The entry of this batch's evidence; None in a small answer.
        closing: The outcome, in the last part.
    """

    delivery: "Delivery"
    first: bool
    batch: ReleasedBatch | None
    evidence: Promised | None
    closing: Closing | None

    def confirm(self) -> None:
        """Look once more whether it may leave; the last thing before the transport has it.

        A door frames a part before it hands it over, and a process may be stopped meanwhile.

        Raises:
            XinguanError: It may leave no more, see `Hold.confirm`.
        """
        hold = self.delivery.hold
        if self.batch is not None and hold is not None:
            hold.confirm()


class Delivery:
    """The state of one delivery; see the module."""

    def __init__(
        self,
        world: World,
        trail: Trail,
        facts: Facts,
        decision: Decision,
        prepared: Prepared,
        snapshot: Snapshot,
        intent: Promised,
    ) -> None:
        """Begin; the intent stands in the log."""
        self.world = world
        self.trail = trail
        self.facts = facts
        self.decision = decision
        self.prepared = prepared
        self.snapshot = snapshot
        self.intent = intent
        self.open = True
        self.hold: Hold | None = None
        self._first = True
        self._rows = 0
        self._bytes = 0
        self._left = prepared.plan.limit
        self._released_rows = np.empty(0, dtype=np.int64)
        self._digest = hashlib.sha256(b"xinguan/delivery/v1\0")

    def portions(self, batches: range | None) -> Iterator[Portion]:
        """Yield the rows to look at, one portion at a time.

        Args:
            batches: Batches of the snapshot that are wanted, or None for all; only where the
                request names no subjects.
        """
        subjects = self.facts.request.subjects
        if subjects:
            rows = self.snapshot.locate(subjects)
            size = self.world.batch_rows
            count = max(1, -(-len(rows) // size))
            for number in range(count):
                if self._exhausted():
                    return
                yield Portion(number, rows[number * size : (number + 1) * size], count == 1)
            return
        wanted = range(self.snapshot.batch_count) if batches is None else batches
        for number in wanted:
            if self._exhausted():
                return
            yield Portion(number, self.snapshot.batch_rows(number), False)

    def enforce(self, portion: Portion) -> ReleasedBatch:
        """Return what may leave of a portion: shareable rows, conditions, field actions.

        Called while the gate's epoch is held, so the bitmap read here is the one that a
        repair would have to wait for.

        Raises:
            ExhaustedError: When the licence's rows of the day are used up.
            InternalError: `EDGE_CHECK` when the batch is not what the decision named.
        """
        now = self.world.clock_ms() // 1000
        plan = self.prepared.plan
        rows = portion.rows[self.snapshot.shareable(portion.rows, now)]
        rows = self.world.row_masks.select(
            self.snapshot, rows, plan.policy_rows, self.prepared.policy_rows
        )
        batch = self.snapshot.take(rows, plan.columns)
        mask = matching(batch, self.prepared.caller_rows)
        if mask is not None:
            batch = batch.filter(mask)
            rows = rows[mask.to_numpy(zero_copy_only=False)]
        if plan.limit:
            batch, rows = batch.slice(0, self._left), rows[: self._left]
            self._left -= len(rows)
        if plan.shuffle and len(rows) > 1:
            order = np.random.default_rng().permutation(len(rows))
            batch = batch.take(order)
        self.world.quotas.take_rows(self.facts.licence, len(rows), self.trail.now_ms)
        released = self.prepared.enforcer.apply(batch)
        message = released.serialize().to_pybytes()
        self._released_rows = rows
        return ReleasedBatch(portion.number, released, message, hashlib.sha256(message).digest())

    async def record(self, batch: ReleasedBatch, portion: Portion) -> Part:
        """Make a batch's evidence durable and return the part that may now leave."""
        self._rows += batch.batch.num_rows
        self._bytes += len(batch.message)
        self._digest.update(batch.digest)
        first, self._first = self._first, False
        if portion.only:
            closing = await self._outcome("delivered", batch)
            return Part(self, first, batch, None, closing)
        if first:
            self.intent = self.world.evidence.promise(self.intent)
        sent = self._sent("", batch, batch.batch.num_rows, len(batch.message), batch.digest)
        evidence = await self.world.evidence.batch(self.trail, self.intent, sent, batch.number)
        return Part(self, first, batch, evidence, None)

    async def close(self) -> Part:
        """Record the outcome of a delivery in several batches and return its last part."""
        closing = await self._outcome("delivered", None)
        first, self._first = self._first, False
        if first:
            self.intent = self.world.evidence.promise(self.intent)
        return Part(self, first, None, None, closing)

    async def fail(self, failure: BaseException) -> None:
        """Record how far a delivery got when it did not complete; nothing after the outcome."""
        if self.open:
            await self._outcome(_status(failure), None)

    async def _outcome(self, status: str, batch: ReleasedBatch | None) -> Closing:
        self.open = False
        sent = self._sent(status, batch, self._rows, self._bytes, self._digest.digest())
        promise = await self.world.evidence.outcome(
            self.trail, self.facts.licence, self.intent, sent
        )
        return Closing(self._rows, self._bytes, promise)

    def _sent(
        self, status: str, batch: ReleasedBatch | None, rows: int, size: int, digest: bytes
    ) -> Sent:
        return Sent(
            status=status,
            rows=rows,
            size=size,
            digest=digest,
            snapshot_id=self.snapshot.snapshot_id,
            small=None if batch is None else batch.batch,
            row_numbers=None if batch is None else self._released_rows,
        )

    def _exhausted(self) -> bool:
        return self.prepared.plan.limit > 0 and self._left <= 0


def _status(failure: BaseException) -> str:
    """Return the outcome's word for a failure: its reason code, never its message."""
    if isinstance(failure, XinguanError):
        return failure.code
    # What isn't an Exception is the end of the stream by the other side (or of the process).
    return "INTERNAL" if isinstance(failure, Exception) else "cancelled"
