"""The road of one request. It runs straight through, once, in `Exchange.release`.

    (1) identity   who calls: a pinned key and the party that it speaks for
    (2) context    licence, product, consent, publicity, responsibility
    (3) decision   one hermetic policy decision for the whole request
    (4) plan       columns, conditions and field actions: a pure function
    (5) intent     durable in the log before anything is read
    (6) scan       rows of a pinned snapshot, located without a scan
    (7) gate       the epoch is held from filtering to handing over
    (8) enforce    shareable rows, conditions, field actions, the edge check
    (9) outcome    durable in the log: rows, bytes, digest, or failure

Nothing else releases data. The doors translate; they decide nothing.
"""

import asyncio
import os
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple, NoReturn

import structlog

from gateway.border.counters import Crossing
from gateway.border.counters_items import CountMovedError
from gateway.domain.decision import Decision
from gateway.domain.errors import DeniedError, UnavailableError, XinguanError, defect
from gateway.domain.facts import Facts
from gateway.identity.peer import identify
from gateway.release.ahead import Ahead, Spare
from gateway.release.context import speaks_as_before
from gateway.release.delivery import Delivery
from gateway.release.evidence import Promised
from gateway.release.form import Form
from gateway.release.groups import counts
from gateway.release.identifiers import request_id
from gateway.release.part import Part
from gateway.release.trail import Trail
from gateway.release.world import Ask, Planned, Prepared, World
from gateway.snapshot.bitmap import Rows
from gateway.snapshot.snapshot import Snapshot

_log = structlog.get_logger(__name__)

_MANY_SUBJECTS = 1_024  # from here on an intent is a large transaction
_TICK_S, _PATIENCE = 0.05, 200
_THREADS = max(2, min(8, os.cpu_count() or 2))
_MOVES = 4  # how often a request is decided anew because others were counted meanwhile
# A reason with this code (R13) means "not now", not "not you".
_NOT_NOW = frozenset({"PRODUCT_UNAVAILABLE"})


class Way(NamedTuple):
    """What a request is released by: facts, the decision on them, and its plan."""

    facts: Facts
    decision: Decision
    prepared: Prepared


class Exchange:
    """Releases data, or the decision alone, for one caller at a time."""

    def __init__(self, world: World) -> None:
        """Take the ports; the composition root has built them."""
        self._world = world
        # Its own threads: whatever else waits in a thread doesn't keep batches waiting.
        self._threads = ThreadPoolExecutor(_THREADS, "enforce")
        self._spare = Spare(_THREADS)
        # Portfolios are counted, and compared with consents, beside both.
        self._beside = ThreadPoolExecutor(_THREADS, "portfolio")

    def close(self) -> None:
        """End the threads; nothing is under way any more."""
        for threads in (self._threads, self._beside):
            threads.shutdown(wait=False, cancel_futures=True)

    async def release(
        self, peer: bytes, ask: Ask, form: Form | None = None
    ) -> AsyncGenerator[Part, None]:
        """Answer one query, batch by batch.

        Args:
            peer: The caller's certificate, PEM, as the transport verified it.
            ask: What a door received.
            form: Another form that an answer of one portion takes before it leaves.

        Yields:
            Parts of the answer; each is handed to the transport before the next is made.

        Raises:
            XinguanError: A refusal; it stands in the log.
        """
        world = self._world
        clock_ms = world.clock_ms()
        trail = Trail(request_id(clock_ms, os.urandom(10)), clock_ms, peer)
        try:
            # (1) identity, (2) context, (3) decision, (4) plan
            facts, decision, prepared, snapshot = await self._decided(trail, ask)
            world.check_fresh(facts, snapshot, trail.now)
            world.witnesses.check(trail.now)
            world.quotas.check(facts.licence, trail.now_ms)
            while not await self._taken(ask):
                facts, decision, prepared, snapshot = await self._decided(trail, ask)
            way = Way(facts, decision, prepared)
            way, crossing, intent = await self._intent(trail, way, snapshot, ask)  # (5) intent
            facts, decision, prepared = way
        except Exception as failure:  # noqa: BLE001 - refused and logged, whatever it was
            await self._refused(failure, trail)
        delivery = Delivery(
            world, trail, facts, decision, prepared, snapshot, intent, crossing, form
        )
        ahead = Ahead(world.gate, delivery, self._threads, self._spare)
        try:
            await self._caught_up(facts)
            # (6) scan, (7) gate, (8) enforce
            ahead.begin(delivery.numbers(ask.batches))
            while (made := await ahead.take()) is not None:
                hold, batch = made
                delivery.hold = hold
                await self._caught_up(facts)
                await self._still_allowed(trail, delivery)
                hold.confirm()  # or the log would tell of a release that never was
                part = await delivery.record(batch)  # evidence before hand-over
                await self._caught_up(facts)
                hold.confirm()
                delivery.confirm_unexpired(batch)
                yield part
                await self._caught_up(facts)
                ahead.handed_over(hold)
            if delivery.open:
                yield await delivery.close()  # (9) outcome
        except BaseException as failure:
            ended = _ended(failure, revoked=ahead.revoked)
            if isinstance(ended, XinguanError):
                # The outcome stands in the log instead of a denial; the receipt is found by this.
                ended.request_id = trail.request_id
            try:
                await delivery.fail(ended)
            except UnavailableError:
                # The log fails as well: the intent stays open, which audits report.
                _log.error("outcome_not_logged")
            if ended is failure:
                raise
            raise ended from None
        finally:
            ahead.close()

    async def explain(self, peer: bytes, ask: Ask) -> Decision:
        """Return the decision that `release` would act on; nothing is read.

        Raises:
            XinguanError: When the caller is unknown, the request malformed, or no decision
                can be had. A denial is returned, not raised.
        """
        clock_ms = self._world.clock_ms()
        trail = Trail(request_id(clock_ms, os.urandom(10)), clock_ms, peer)
        facts = await self._facts(trail, ask)
        decision = await self._world.decider.decide(facts)
        if not (decision.allow and counts(facts)):
            return decision
        prepared = self._world.prepare(facts, decision)
        snapshot = self._world.snapshot(facts, prepared, ask.pinned_snapshot)
        return await self._world.decider.decide(
            await self._counted(trail, ask, facts, prepared, snapshot)
        )

    async def plan(self, peer: bytes, ask: Ask) -> Planned:
        """Return what a Flight ticket seals: the decision and the snapshot, without reading.

        Raises:
            XinguanError: A refusal; it stands in the log.
        """
        world = self._world
        clock_ms = world.clock_ms()
        trail = Trail(request_id(clock_ms, os.urandom(10)), clock_ms, peer)
        try:
            facts, decision, prepared, snapshot = await self._decided(trail, ask)
        except Exception as failure:  # noqa: BLE001 - refused and logged, whatever it was
            await self._refused(failure, trail)
        computed = ask.memory.features
        return Planned(facts, decision, prepared, snapshot, trail.request_id, computed)

    async def _decided(self, trail: Trail, ask: Ask) -> tuple[Facts, Decision, Prepared, Snapshot]:
        """Steps one to four, and the snapshot that the answer comes from.

        Where a licence has a minimum of subjects, what can be shown of them is counted once the
        request is allowed as far as it goes, and the decision is made again with the count.
        """
        world = self._world
        facts = await self._facts(trail, ask)
        trail.decision = decision = await world.decider.decide(facts)
        refuse_denied(decision)
        prepared = world.prepare(facts, decision)
        snapshot = await world.source_of(facts, prepared, ask)
        if counts(facts):
            facts = await self._counted(trail, ask, facts, prepared, snapshot)
            trail.decision = decision = await world.decider.decide(facts)
            refuse_denied(decision)
            prepared = world.prepare(facts, decision)
        return facts, decision, prepared, snapshot

    async def _counted(
        self, trail: Trail, ask: Ask, facts: Facts, prepared: Prepared, snapshot: Snapshot
    ) -> Facts:
        """Return the facts with what an answer would show; counted once for a whole reading."""
        memory, world = ask.memory, self._world
        if memory.standing is None:

            def select(rows: Rows) -> Rows:
                return world.row_masks.select(
                    snapshot, rows, prepared.plan.policy_rows, prepared.policy_rows
                )

            memory.standing = await asyncio.get_running_loop().run_in_executor(
                self._beside, world.groups.standing, facts, snapshot, trail.now, select
            )
        known, smallest = memory.standing.known, memory.standing.smallest
        return replace(facts, known_subjects=known, smallest_group=smallest)

    async def _caught_up(self, facts: Facts) -> None:
        """Wait, not for long, for a renewal of the lease that stood behind a large intent.

        What comes after checks it as ever: nothing leaves while it isn't sure, and a repair
        resets a held batch meanwhile.
        """
        if facts.request.concerned_count <= _MANY_SUBJECTS:
            return
        for _ in range(_PATIENCE):
            try:
                self._world.gate.sure()
            except UnavailableError:
                await asyncio.sleep(_TICK_S)
            else:
                return

    async def _taken(self, ask: Ask) -> bool:
        """Keep what an answer under pseudonyms will have shown, before it is given.

        Returns:
            False when another answer to the same party came between, so that this one has to be
            looked at anew; each such round lets one through, so it comes to an end.
        """
        memory = ask.memory
        standing = memory.standing
        if standing is None or standing.after is None:
            return True
        kept = await self._world.groups.take(standing)
        memory.standing = replace(standing, after=None) if kept else None
        return kept

    async def _facts(self, trail: Trail, ask: Ask) -> Facts:
        """Steps one and two: from a certificate and a message to the facts of a decision."""
        world = self._world
        view = world.registry.view()
        trail.view_version = view.version
        trail.caller = caller = identify(trail.peer, view, trail.now)
        trail.product = ask.product
        product = world.product(ask.product)
        trail.request = request = ask.parse(trail.request_id, product)
        if ask.replay_digest is not None:
            world.check_time(request, trail.now)
        ask.check_signature(caller, trail.peer)
        memory = ask.memory
        if not (request.portfolio and request.consent_id) or memory.covered is not None:
            return world.gather(view, caller, request, product, trail.now, memory.covered)
        facts = await asyncio.get_running_loop().run_in_executor(  # subject by subject
            self._beside, world.gather, view, caller, request, product, trail.now
        )
        memory.covered = facts.consent_covers
        return facts

    async def _intent(
        self, trail: Trail, way: Way, snapshot: Snapshot, ask: Ask
    ) -> tuple[Way, Crossing | None, Promised]:
        """Record the intent; where others were counted for export meanwhile, decide anew first.

        Raises:
            CountMovedError: `XB_COUNT_MOVED`; the count moved under every attempt.
            XinguanError: A refusal.
        """
        world = self._world
        for last in (False,) * _MOVES + (True,):
            crossing = world.crossing(way.facts, way.decision)
            try:
                intent = await world.evidence.intent(
                    trail, way.facts, way.decision, snapshot.snapshot_id, ask.replay_digest,
                    crossing,
                )  # fmt: skip
            except CountMovedError:
                if last:
                    raise
                way = await self._anew(trail, way)
            else:
                return way, crossing, intent
        raise AssertionError

    async def _anew(self, trail: Trail, way: Way) -> Way:
        """Decide a request once more, on the counts as they are now."""
        world, before = self._world, way.facts
        view = world.registry.view()
        trail.view_version = view.version
        caller = identify(trail.peer, view, trail.now)
        facts = world.gather(view, caller, before.request, before.product, trail.now)
        known, smallest = before.known_subjects, before.smallest_group
        facts = replace(facts, known_subjects=known, smallest_group=smallest)
        trail.decision = decision = await world.decider.decide(facts)
        refuse_denied(decision)
        return Way(facts, decision, world.prepare(facts, decision))

    async def _still_allowed(self, trail: Trail, delivery: Delivery) -> None:
        """Authorise anew before a batch when anything signed has changed, or time has passed.

        A suspension, a withdrawal, a stop (R87), the end of a term or the start of a newer version
        holds for the next batch of a running stream. The decision must come out the same, or the
        stream ends; and so it does with the year, in which another count begins.
        """
        world = self._world
        facts, decision = delivery.facts, delivery.decision
        delivery.confirm_year()
        view = world.registry.view()
        now = world.clock_ms() // 1000
        world.check_fresh(facts, delivery.snapshot, now)
        world.witnesses.check(now)
        same_view = view.version == trail.view_version
        if same_view and now < decision.valid_until and speaks_as_before(view, facts, now):
            return
        caller = identify(trail.peer, view, now)
        same = facts.consent_covers if facts.request.portfolio else None
        fresh = world.gather(view, caller, facts.request, facts.product, now, same)
        # What was counted when the reading began stands for all of it.
        known, smallest = facts.known_subjects, facts.smallest_group
        fresh = replace(fresh, known_subjects=known, smallest_group=smallest)
        refuse_changed(await world.decider.decide(fresh), decision)
        if fresh.recipient_key != facts.recipient_key:
            # No matter of the decision, and yet nothing is encrypted to a key that was revoked.
            raise DeniedError("LICENCE_CHANGED", "the key of sealed answers changed meanwhile")
        trail.view_version = view.version

    async def _refused(self, failure: Exception, trail: Trail) -> NoReturn:
        """Log a refusal and raise it; a defect of ours is a refusal too, and told as no more."""
        refusal = failure if isinstance(failure, XinguanError) else defect()
        refusal.request_id = trail.request_id
        refusal.denial_index = await self._world.evidence.denial(trail, refusal)
        if refusal is failure:
            raise refusal
        raise refusal from failure


def _ended(failure: BaseException, *, revoked: bool) -> BaseException:
    """Return what ended a delivery.

    The gate resets a stream by cancelling its task, and so does the transport when the client is
    gone. Only the first has a client that waits to be told, so it becomes a refusal.
    """
    if not revoked or isinstance(failure, Exception):
        return failure
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
    return DeniedError("STOPPED_STREAM", "the stream was reset by a withdrawal of records")


def _terms(decision: Decision) -> tuple[object, ...]:
    """Return what a stream under way has to keep to: fields, rows and duties."""
    return decision.actions, decision.row_predicates, decision.obligations


def refuse_changed(again: Decision, before: Decision) -> None:
    """Raise when a decision on the same request is a denial by now, or came out otherwise.

    Raises:
        UnavailableError, DeniedError: As `refuse_denied`; `LICENCE_CHANGED`.
    """
    refuse_denied(again)
    if _terms(again) != _terms(before):
        raise DeniedError("LICENCE_CHANGED", "what the licence allows changed meanwhile")


def refuse_denied(decision: Decision) -> None:
    """Raise when a decision is a denial.

    Raises:
        UnavailableError: When every reason is one that passes without the caller doing anything.
        DeniedError: Otherwise, with all reasons.
    """
    if decision.allow:
        return
    reasons = decision.reasons
    if reasons and all(reason.code in _NOT_NOW for reason in reasons):
        raise UnavailableError(
            "PRODUCT_UNAVAILABLE", "the product can't be served truthfully now", reasons=reasons
        )
    code = reasons[0].code if reasons else "POLICY_UNKNOWN_ANSWER"
    raise DeniedError(code, "the policy does not allow this request", reasons=reasons)
