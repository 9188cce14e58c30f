"""What the log is told of a request: intent, evidence of batches, outcome, denial, repair.

Every method returns only after its entry is durable. What could be guessed from an entry is
committed to under a fresh salt; salts and the values that they open lie outside the log,
sealed, and can be destroyed. Released values are never kept.
"""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace

from audit import entries
from audit.commitment import Opening, SubjectLabels, commit, fields_root, snapshot_label
from audit.entries import Entry, Use
from audit.journal import Appended, Journal, Posting, Row, Rows, Transaction
from audit.merkle import leaf_hash
from audit.promise import sign_promise
from gateway.border.counters import Crossing
from gateway.domain.decision import Decision
from gateway.domain.errors import NotFoundError, UnavailableError, XinguanError
from gateway.domain.facts import Facts
from gateway.domain.licence import Licence
from gateway.registry import idempotency
from gateway.release.durably import append_with_rows, claim_of, durable
from gateway.release.evidence_parts import EvidenceKeys, Promised, Sent
from gateway.release.field_values import field_values
from gateway.release.form import Beside
from gateway.release.intent_entries import IntentEntries
from gateway.release.pace import Pace
from gateway.release.portfolio import portion_places
from gateway.release.reference_form import reference_form
from gateway.release.released_rows import encode_rows
from gateway.release.trail import Trail
from gateway.release.use import Openings, blinded, use_known

__all__ = ["Evidence", "EvidenceKeys", "Promised", "Sent"]

_SMALL_ROWS = 64
_MANY_SUBJECTS = 1_024  # from here on they are committed to beside the event loop
_INTO_REQUESTS = "INSERT INTO requests (request_id, party_id, intent, form) VALUES"
_INTO_INPUTS = "INSERT INTO decision_inputs (digest, body) VALUES"
_INPUT_ONCE = "ON CONFLICT (digest) DO NOTHING"
_INTO_INTENT_ENTRIES = "INSERT INTO intent_entries (intent, entry, kind) VALUES"
_INTO_DELIVERIES = "INSERT INTO deliveries (intent, sequence, snapshot_id, rows) VALUES"


class Evidence:
    """Writes the entries of requests. One per node; used by one event loop."""

    def __init__(
        self,
        journal: Journal,
        keys: EvidenceKeys,
        *,
        node: str,
        idempotency_window_s: int,
        count_row: Callable[[str, int, int], Row],
        inputs: Callable[[str], bytes],
        policy: int | None = None,
    ) -> None:
        """Take the journal and what goes into entries.

        Args:
            journal: The one writer.
            keys: Keys of the log.
            node: Name of this node.
            idempotency_window_s: How long a key is remembered.
            count_row: Released rows of a licence as a row of the outcome's transaction.
            inputs: Input digest to the canonical input of a recent decision.
            policy: Index of the entry that activated the policy in force.
        """
        self._journal = journal
        self._keys = keys
        self._node = node
        self._window_s = idempotency_window_s
        self._count_row = count_row
        self._inputs = inputs
        self._kept_inputs: set[str] = set()
        self._policy = policy
        self._intents = IntentEntries(node, policy)
        self._subject_labels = SubjectLabels(keys.index_key)
        # One large transaction at a time: several in one group would add up.
        self._large = asyncio.Semaphore(1)
        self.pace = Pace()

    async def intent(
        self,
        trail: Trail,
        facts: Facts,
        decision: Decision,
        snapshot_id: str,
        replay_digest: bytes | None,
        crossing: Crossing | None = None,
    ) -> Promised:
        """Record that data is about to leave, before anything is read.

        Args:
            trail: The request on its way.
            facts: What the decision was made on.
            decision: The decision.
            snapshot_id: The snapshot that will be read.
            replay_digest: Claims the idempotency key for this request; None for a ticket.
            crossing: What is kept of an export, the persons whom it counts among it.

        Raises:
            CountMovedError: `XB_COUNT_MOVED`; the decision was made on another count.
            ConflictError: `REPLAYED` or `CONFLICT`; the key was used before.
            UnavailableError: `AUDIT_UNAVAILABLE`; nothing may leave.
        """
        request, party_id = facts.request, facts.caller.party.party_id
        # A part of a portfolio takes a while to commit to; others are answered meanwhile.
        beside = request.concerned_count > _MANY_SUBJECTS
        openings, blinds = await asyncio.to_thread(blinded, request) if beside else blinded(request)
        entry = self._intents.encode(trail, facts, decision, snapshot_id, blinds)
        wanted = claim_of(trail, request, party_id, replay_digest, self._window_s)
        # A request for a whole product is found by its snapshot, and through the rows released
        # by whoever stands in them.
        labels = (
            await asyncio.to_thread(self._labels, openings.subjects)
            if beside
            else self._labels(openings.subjects)
        ) or [self._snapshot_label(snapshot_id)]
        document = self._unkept_input(decision)
        form = reference_form(facts.product, decision)

        def rows(index: int) -> list[Row | Rows]:
            made = self._keys.openings.rows(index, openings.members, labels, openings.singly)
            made.append(Row(_INTO_REQUESTS, (trail.request_id, party_id, index, form)))
            if document is not None:
                made.append(Row(_INTO_INPUTS, (decision.input_digest, document), _INPUT_ONCE))
            if crossing is not None:
                made.append(crossing.intent_row(index))
            return made

        def alone(tx: Transaction) -> Appended:
            if wanted is not None:
                idempotency.claim(tx, wanted)
            return append_with_rows(tx, entry, rows)

        def together(index: int) -> list[Row | Rows]:
            claimed = [] if wanted is None else [idempotency.claim_row(wanted)]
            return rows(index) + claimed

        # Signed with the first batch, or together with the outcome of a small answer.
        posting = None if crossing is None else crossing.reserve()
        postings = () if posting is None else (posting,)
        async with self._large if beside else nullcontext():
            began, most = time.monotonic(), len(portion_places(0, self.pace.portions))
            promised = await durable(
                self._journal.record(entry, together, alone, _unsigned, postings)
            )
        if beside:
            full = request.concerned_count >= most
            self.pace.note(time.monotonic() - began, full=full)
        self._kept_inputs.add(decision.input_digest)
        return promised

    async def batch(self, trail: Trail, intent: Promised, sent: Sent, number: int) -> Promised:
        """Record one batch of a stream before it leaves.

        Args:
            trail: The request on its way.
            intent: Its intent.
            sent: The batch: rows, row numbers, the digest of its IPC message.
            number: Number of the batch.

        Raises:
            UnavailableError: `AUDIT_UNAVAILABLE`; the batch may not leave.
        """
        runs = encode_rows(sent.row_numbers)
        openings = {
            "content": Opening("content", sent.digest, os.urandom(32)),
            "delivered": Opening("rows", runs, os.urandom(32)),
        }
        entry = entries.batch(
            time=trail.now,
            node=self._node,
            intent=intent.index,
            number=number,
            rows=sent.rows,
            content=commit(openings["content"]),
            delivered=commit(openings["delivered"]),
        )

        def rows(index: int) -> list[Row | Rows]:
            delivered = (intent.index, number, sent.snapshot_id, runs)
            return [
                *self._keys.openings.rows(index, openings, ()),
                Row(_INTO_DELIVERIES, delivered),
                Row(_INTO_INTENT_ENTRIES, (intent.index, index, "batch")),
            ]

        return await self._append(entry, rows, self.promise)

    async def outcome(
        self,
        trail: Trail,
        licence: Licence | None,
        intent: Promised,
        sent: Sent,
        crossing: Crossing | None = None,
        beside: Beside | None = None,
    ) -> Promised:
        """Record how a delivery ended; of an answer in one part, before it leaves.

        Args:
            trail: The request on its way.
            licence: Whose rows of the day are counted.
            intent: The intent that it closes.
            sent: How it ended.
            crossing: The export that the intent was recorded with.
            beside: What another form of the answer writes with it, in the same transaction.

        Returns:
            The promise of the outcome; the entry of `beside` is the last one that it covers too.

        Raises:
            FormMovedError: Nothing was written; the form has to be made anew.
            XinguanError: The form is refused, and nothing was written.
            UnavailableError: `AUDIT_UNAVAILABLE`; an answer in one part may not leave.
        """
        openings, runs, root = _opened(sent)
        entry = entries.outcome(
            time=trail.now,
            node=self._node,
            intent=intent.index,
            status=sent.status,
            rows=sent.rows,
            size=sent.size,
            content=commit(openings["content"]),
            field_root=root,
            delivered=commit(openings["delivered"]) if runs else None,
        )

        def rows(index: int) -> list[Row | Rows]:
            made = self._keys.openings.rows(index, openings, ())
            made.append(Row(_INTO_INTENT_ENTRIES, (intent.index, index, "outcome")))
            if runs:
                made.append(Row(_INTO_DELIVERIES, (intent.index, 0, sent.snapshot_id, runs)))
            if sent.rows and licence is not None:
                made.append(self._count_row(licence.licence_id, sent.rows, trail.now_ms))
            if crossing is not None:
                row = crossing.outcome_row(
                    intent.index, index, sent.status, left=sent.left, rows=sent.rows, size=sent.size
                )
                made.append(row)
            if beside is not None:
                made += beside.rows(index + 1)
            return made

        behind = b"" if beside is None else beside.entry
        covered = ((intent.index, intent.leaf_hash),) if sent.small is not None else ()

        def after(appended: Appended) -> Promised:
            also = ((appended.index + 1, leaf_hash(behind)),) if behind else ()
            return self.promise(appended, *covered, *also)

        settled = None if crossing is None else crossing.settle(intent.index, left=sent.left)
        postings = [settled, None if beside is None else beside.posting]
        given = [posting for posting in postings if posting is not None]
        return await self._append(entry, rows, after, given, behind)

    async def denial(self, trail: Trail, refusal: XinguanError) -> int:
        """Record a refusal, with as much as was known; return its log index.

        Returns:
            The index, or -1 when the log itself is what fails: nothing leaves either way.
        """
        request = trail.request
        step = len(portion_places(0, self.pace.portions))
        if request is None or request.concerned_count <= min(step, _MANY_SUBJECTS):
            return await self._denial(trail, refusal, *use_known(trail, self._policy))
        # A refused portfolio is committed to as a read one is: whole, and in parts.
        first = -1
        part = request.part or range(len(request.subjects))
        for start in range(part.start, part.stop, step):
            some = range(start, min(start + step, part.stop))
            of_part = replace(trail, request=replace(request, part=some))
            use, openings = await asyncio.to_thread(use_known, of_part, self._policy)
            async with self._large:
                index = await self._denial(of_part, refusal, use, openings)
            first = index if start == part.start else first
        return first

    async def _denial(
        self, trail: Trail, refusal: XinguanError, use: Use, openings: Openings
    ) -> int:
        entry = entries.denial(
            time=trail.now,
            node=self._node,
            use=use,
            reasons=[(reason.rule, reason.code) for reason in refusal.reasons],
        )
        labels = (
            await asyncio.to_thread(self._labels, openings.subjects)
            if openings.singly
            else self._labels(openings.subjects)
        )
        decision = trail.decision
        document = None if decision is None else self._input_at_hand(decision)

        def rows(index: int) -> list[Row | Rows]:
            made = self._keys.openings.rows(index, openings.members, labels, openings.singly)
            if decision is not None and document is not None:
                made.append(Row(_INTO_INPUTS, (decision.input_digest, document), _INPUT_ONCE))
            return made

        try:
            denied = await self._append(entry, rows, _unsigned)
        except UnavailableError:
            return -1
        if decision is not None and document is not None:
            self._kept_inputs.add(decision.input_digest)
        return denied.index

    def promise(self, entry: Appended | Promised, *also: tuple[int, bytes]) -> Promised:
        """Return the log key's promise on a durable entry, and on further ones with it."""
        keys = self._keys
        signature = sign_promise(keys.log_key, keys.origin, entry.index, entry.leaf_hash, *also)
        return Promised(entry.index, entry.leaf_hash, signature, also)

    async def _append(
        self,
        entry: Entry,
        rows: Callable[[int], list[Row | Rows]],
        after: Callable[[Appended], Promised],
        postings: Sequence[Posting] = (),
        behind: bytes = b"",
    ) -> Promised:
        def alone(tx: Transaction) -> Appended:
            return append_with_rows(tx, entry, rows, behind)

        return await durable(self._journal.record(entry, rows, alone, after, postings, behind))

    def _labels(self, subjects: Sequence[str]) -> list[bytes]:
        return [self._subject_labels.of(subject) for subject in subjects]

    def _snapshot_label(self, snapshot_id: str) -> bytes:
        return snapshot_label(self._keys.index_key, snapshot_id)

    def _unkept_input(self, decision: Decision) -> bytes | None:
        """Return a decision's input when it may not be in the store yet, for replay."""
        if decision.input_digest in self._kept_inputs:
            return None
        if len(self._kept_inputs) > 100_000:  # noqa: PLR2004 - 10 MB of digests; then start over
            self._kept_inputs.clear()
        return self._inputs(decision.input_digest)

    def _input_at_hand(self, decision: Decision) -> bytes | None:
        """Return the input of a refused request, unless it is kept or no longer remembered.

        A refusal must be logged whether or not it can be replayed; replay names what it misses.
        """
        try:
            return self._unkept_input(decision)
        except NotFoundError:
            return None


def _unsigned(appended: Appended) -> Promised:
    return Promised(appended.index, appended.leaf_hash)


def _opened(sent: Sent) -> tuple[dict[str, Opening], bytes, bytes | None]:
    """Return what opens an outcome, its runs of rows, and the root of a small answer's fields."""
    runs = b"" if sent.small is None else encode_rows(sent.row_numbers)
    salts = os.urandom(96)
    openings = {"content": Opening("content", sent.digest, salts[:32])}
    if runs:
        openings["delivered"] = Opening("rows", runs, salts[32:64])
    if sent.small is None or sent.rows > _SMALL_ROWS:
        return openings, runs, None
    seed = salts[64:]
    # The seed opens fields one by one; the values themselves are not kept.
    openings["field_root"] = Opening("seed", b"", seed)
    return openings, runs, fields_root(field_values(sent.small), seed)
