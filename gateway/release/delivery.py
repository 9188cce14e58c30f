"""One delivery under way: which rows, what was enforced, what has left, what the log knows.

Owner of the state: the one task that runs `Exchange.release`. A small answer, one portion, is
recorded by its outcome alone, before it leaves; a larger one has an evidence entry per batch
before that batch leaves, and its outcome after the last.
"""

import asyncio
import hashlib
from typing import Any

import numpy as np
import pyarrow as pa

from audit.commitment import delivery_digest
from gateway.border.counters import Crossing
from gateway.domain.decision import Decision
from gateway.domain.errors import DeniedError, UnavailableError, XinguanError, defect
from gateway.domain.facts import Facts
from gateway.release.batches import Portion, ReleasedBatch
from gateway.release.enforce import edge_check
from gateway.release.evidence import Promised, Sent
from gateway.release.form import MOST_TRIES, Beside, Form, FormMovedError
from gateway.release.gate import Hold
from gateway.release.ipc_message import encode
from gateway.release.marks import MARK
from gateway.release.part import Closing, Part
from gateway.release.plan import released_actions
from gateway.release.portfolio import portion_count, portion_places
from gateway.release.rows import matching
from gateway.release.trail import Trail
from gateway.release.world import Prepared, World
from gateway.snapshot.snapshot import Snapshot, SnapshotBatch

DELIVERED = "delivered"
_NO_ROWS = np.empty(0, dtype=np.int64)


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
        crossing: Crossing | None = None,
        form: Form | None = None,
    ) -> None:
        """Begin; the intent stands in the log."""
        self.crossing = crossing
        self._form = form
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
        self._digest = delivery_digest()
        self._halvings = 0
        self._located = _NO_ROWS
        # What crosses the border is marked; without a mark nothing does.
        self.marks = None if facts.border is None else world.marks
        self._fields: tuple[str, ...] = ()  # in their order, where that is a mark
        if self.marks is not None and facts.request.sealable:
            self._fields = self.marks.fields(trail.request_id, prepared.enforcer.schema.names)
        self.only = False  # true when the answer is one portion about subjects that were named

    @property
    def streams(self) -> bool:
        """True when the answer may be long: a whole product or a portfolio."""
        request = self.facts.request
        return not request.subjects or request.portfolio

    def numbers(self, batches: range | None) -> range:
        """Return the numbers of the portions to look at.

        Args:
            batches: Those that a ticket names, or None for all.
        """
        request, snapshot = self.facts.request, self.snapshot
        count = count_portions(self.facts, self.prepared, snapshot, self.world)
        if request.subjects and not request.portfolio:
            self._located = self._shown(snapshot.locate(request.subjects))
            count, batches = max(1, -(-len(self._located) // self.world.batch_rows)), None
        elif not request.subjects:
            columns = self.prepared.plan.columns
            self._halvings = snapshot.halvings(columns, self.world.batch_bytes)
        self.only = bool(request.subjects) and count == 1
        if batches is None:
            return range(count)
        return range(batches.start, min(batches.stop, count))

    def _shown(self, rows: np.ndarray) -> np.ndarray:
        """Return rows without those that are withheld, where the answer may be of several portions.

        Cut through them, the number of portions and the size of each would tell how many they are.
        """
        if len(rows) <= self.world.batch_rows:
            return rows
        snapshot, plan = self.snapshot, self.prepared.plan
        rows = rows[np.flatnonzero(snapshot.shareable(rows, self.world.clock_ms() // 1000))]
        return self.world.row_masks.select(
            snapshot, rows, plan.policy_rows, self.prepared.policy_rows
        )

    def portion(self, number: int) -> Portion:
        """Return the rows of one portion; nothing is read of them yet."""
        request = self.facts.request
        if request.portfolio:
            places = portion_places(number, number + 1)
            part = request.subjects[places.start : places.stop]
            return Portion(number, self.snapshot.locate(part))
        if request.subjects:
            size = self.world.batch_rows
            return Portion(number, self._located[number * size : (number + 1) * size])
        return Portion(number, self.snapshot.piece_rows(number, self._halvings))

    def enforce(self, number: int) -> ReleasedBatch | None:
        """Return what may leave of a portion: shareable rows, conditions, field actions.

        Called while the gate's epoch is held, so the bitmap read here is the one that a
        repair would have to wait for; or on trial, see `gateway.release.ahead`. One portion
        after the other, in any thread.

        Args:
            number: Number of the portion.

        Returns:
            The batch, or None when the limit of rows was reached before it.

        Raises:
            InternalError: `EDGE_CHECK` when the batch is not what the decision named.
        """
        if self._exhausted():
            return None
        portion = self.portion(number)
        now = self.world.clock_ms() // 1000
        plan = self.prepared.plan
        shareable = self.snapshot.shareable(portion.rows, now)
        # Most batches hold nothing that is withheld; their rows stay one run, which isn't copied.
        rows = portion.rows if shareable.all() else portion.rows[np.flatnonzero(shareable)]
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
        if (plan.shuffle or self.marks is not None) and len(rows) > 1:
            order = self._order(number, len(rows))
            batch, rows = batch.take(order), rows[order]
        first_end = self.snapshot.first_end(rows)
        codec = self.facts.request.compression
        plain = not plan.shuffle and self.marks is None
        if plain and not codec and not self.prepared.enforcer.transforms:
            whole = self.snapshot.whole_batch(rows, plan.columns)
            if whole is not None and mask is None and len(plan.columns) == len(plan.released):
                return self._untouched(number, whole, rows, first_end)
        released: Any = self.prepared.enforcer.apply(batch)
        if self._fields:
            released = released.select(list(self._fields))
            edge_check(released.schema, released_actions(plan))
        message = encode(released, codec)
        digest = hashlib.sha256(message).digest()
        return ReleasedBatch(number, released, message, digest, rows, first_end)

    def _order(self, number: int, count: int) -> np.ndarray:
        """Return the order in which rows leave that have none: a mark, or chance."""
        if self.marks is not None:
            return self.marks.rows(self.trail.request_id, number, count)
        return np.random.default_rng().permutation(count)

    @property
    def schema_ipc(self) -> bytes:
        """The IPC schema message of this delivery; of a marked one it carries the mark."""
        if self.marks is None:
            return self.prepared.schema_ipc
        schema = self.prepared.enforcer.schema
        if self._fields:
            schema = pa.schema([schema.field(name) for name in self._fields])
        about = {MARK: self.marks.text(self.trail.request_id).encode()}
        return schema.with_metadata(about).serialize().to_pybytes()

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the released fields in the order in which they leave."""
        return self._fields or tuple(self.prepared.enforcer.schema.names)

    def _untouched(
        self, number: int, whole: SnapshotBatch, rows: np.ndarray, first_end: int
    ) -> ReleasedBatch:
        """Return a batch that leaves as it was admitted; its digest is computed once."""
        message = encode(whole.rows)
        if whole.digest:
            digest = bytes.fromhex(whole.digest)
        else:
            digest = hashlib.sha256(message).digest()
            self.snapshot.remember_digest(whole.number, self.prepared.plan.columns, digest.hex())
        return ReleasedBatch(number, whole.rows, message, digest, rows, first_end)

    def meter(self, batch: ReleasedBatch) -> None:
        """Count the rows of a batch that is about to leave.

        Raises:
            ExhaustedError: When the licence's rows of the day are used up.
        """
        self.world.quotas.take_rows(self.facts.licence, batch.batch.num_rows, self.trail.now_ms)

    def confirm_year(self) -> None:
        """Check that persons who are counted for export leave in the year they are counted in.

        Raises:
            CountMovedError: `XB_COUNT_MOVED`; asked again, they count in the year that began.
        """
        if self.crossing is not None:
            self.crossing.confirm_year(self.world.clock_ms() // 1000)

    def confirm_unexpired(self, batch: ReleasedBatch) -> None:
        """Check, right before the hand-over, that nothing ended while the evidence was written.

        The filter asked the clock before; at midnight in between, the batch must not leave.

        Raises:
            DeniedError: `STOPPED_STREAM`; asked again, the answer is without the row.
            CountMovedError: See `confirm_year`.
        """
        if self.world.clock_ms() // 1000 >= batch.first_end:
            raise DeniedError("STOPPED_STREAM", "the sharing of a record ended by date meanwhile")
        self.confirm_year()

    async def record(self, batch: ReleasedBatch) -> Part:
        """Make a batch's evidence durable and return the part that may now leave."""
        self._rows += batch.batch.num_rows
        self._bytes += len(batch.message)
        self._digest.update(batch.digest)
        first, self._first = self._first, False
        if self.only:
            return Part(self, first, batch, None, await self._outcome_in_form(batch))
        if first:
            self.intent = self.world.evidence.promise(self.intent)
        sent = self._sent("", batch, batch.batch.num_rows, len(batch.message), batch.digest)
        evidence = await self.world.evidence.batch(self.trail, self.intent, sent, batch.number)
        return Part(self, first, batch, evidence, None)

    async def close(self) -> Part:
        """Record the outcome of a delivery in several batches and return its last part."""
        closing = await self._outcome(DELIVERED, None)
        first, self._first = self._first, False
        if first:
            self.intent = self.world.evidence.promise(self.intent)
        return Part(self, first, None, None, closing)

    async def fail(self, failure: BaseException) -> None:
        """Record how far a delivery got when it did not complete; nothing after the outcome.

        It is recorded even when whoever waits for it is cancelled.
        """
        if self.open:
            await asyncio.shield(self._outcome(_status(failure), None))

    async def _outcome_in_form(self, batch: ReleasedBatch) -> Closing:
        """Record the outcome of an answer of one portion with the other form that it takes."""
        form = self._form
        if form is None:
            return await self._outcome(DELIVERED, batch)
        for _ in range(MOST_TRIES):
            try:
                beside = form.make(self, batch)
            except Exception:
                self._nothing_left()
                raise
            try:
                return await self._outcome(DELIVERED, batch, beside)
            except FormMovedError:
                continue
            except UnavailableError:
                raise  # nobody knows what was written
            except XinguanError:
                self._nothing_left()
                raise
        self._nothing_left()
        raise defect()

    def _nothing_left(self) -> None:
        """Take back what was told of a batch that was refused before it was handed over."""
        self.open = self._first = True
        self._rows = self._bytes = 0
        self._digest = delivery_digest()

    async def _outcome(
        self, status: str, batch: ReleasedBatch | None, beside: Beside | None = None
    ) -> Closing:
        self.open = False
        sent = self._sent(status, batch, self._rows, self._bytes, self._digest.digest())
        promise = await self.world.evidence.outcome(
            self.trail, self.facts.licence, self.intent, sent, self.crossing, beside
        )
        form = None if beside is None else Promised(*promise.also[-1])
        return Closing(self._rows, self._bytes, promise, form)

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
            row_numbers=None if batch is None else batch.rows,
            # A complete answer without rows tells something too; a failed one tells nothing
            # unless a part of it was handed over before.
            left=status == DELIVERED or not self._first,
        )

    def _exhausted(self) -> bool:
        return self.prepared.plan.limit > 0 and self._left <= 0


def count_portions(facts: Facts, prepared: Prepared, snapshot: Snapshot, world: World) -> int:
    """Return in how many portions an answer is looked at, for the ranges of tickets.

    It depends on what was asked and admitted, never on what is withheld.
    """
    request = facts.request
    if request.portfolio:
        return portion_count(len(request.subjects))
    if request.subjects:
        return 1  # one ticket reads all of them
    return snapshot.batch_count << snapshot.halvings(prepared.plan.columns, world.batch_bytes)


def _status(failure: BaseException) -> str:
    """Return the outcome's word for a failure: its reason code, never its message."""
    if isinstance(failure, XinguanError):
        return failure.code
    # What isn't an Exception is the end of the stream by the other side (or of the process).
    return "INTERNAL" if isinstance(failure, Exception) else "cancelled"
