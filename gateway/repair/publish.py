"""Publishing decisions: durable first, then the bits, then the gate; acknowledged last.

After a decision is acknowledged, no batch that held a record that it ended can be released any
more: not in a new request, not in a stream already running, and not by another process (DESIGN,
invariant 5).

What is handed in while the log writes is gathered and goes together next: one look-up of the
records, one transaction, one flip of the bits, one wait for the gate. A decision that comes alone
goes alone and at once; where many come, a few more milliseconds are waited for more of them, since
a transaction costs nearly the same for one and for many. Each is decided in its order on what the
ones before it left, and each is refused or acknowledged for itself.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import structlog

from audit.errors import AuditUnavailableError
from audit.journal import Journal, Transaction
from audit.openings import OpeningStore
from gateway.domain.errors import UnavailableError, XinguanError
from gateway.domain.product import Product
from gateway.registry.documents import Verified
from gateway.repair.alarms import raise_alarm
from gateway.repair.apply import Handed, Prepared, Published, apply_decisions
from gateway.repair.decision import RepairClaims
from gateway.repair.origins import IllegalDeletionError
from gateway.repair.preparation import Preparation
from gateway.snapshot.library import SnapshotLibrary
from gateway.store.bulk import insert_rows

__all__ = ["Cleared", "Handed", "Lane", "Published", "Publisher", "Rounds"]

_log = structlog.get_logger(__name__)
_AT_ONCE = 128  # decisions of one transaction; other writers wait for it
_CROWD = 4  # decisions that came together; from here on more are worth waiting for
_GATHER_S = 0.015
T = TypeVar("T")
Result = Published | Exception


@dataclass(frozen=True, slots=True)
class Cleared:
    """A change of which the gate has let nothing older out."""

    repair: int
    origin: str
    decided_at: int
    effective_ms: int


class Rounds(Protocol):
    """Brings changes into effect in every process; see `gateway.replicas.rounds`."""

    async def clear(self, number: int) -> None:
        """Return once no process can release anything older than a change."""
        ...


@dataclass(slots=True)
class Lane:
    """Decisions that one caller hands in in their order, without waiting for each.

    None of them is applied behind one that could not be written: its sequence would be stale when
    it comes again, and it would be lost.
    """

    broken: bool = False


@dataclass(frozen=True, slots=True)
class _Waiting:
    handed: Handed
    lane: Lane | None
    answer: asyncio.Future[Published]


class Publisher:
    """Applies decisions handed in at one process; they hold in all. Owner: the event loop."""

    def __init__(
        self,
        journal: Journal,
        library: SnapshotLibrary,
        rounds: Rounds,
        openings: OpeningStore,
        *,
        products: Mapping[str, Product],
        node: str,
        clock_ms: Callable[[], int],
        cleared: Callable[[Cleared], None] = lambda _: None,
    ) -> None:
        """Take the log, the snapshots and the rounds that a decision goes through.

        Args:
            journal: The one writer.
            library: The snapshots.
            rounds: Brings a change into effect, here and in every other process.
            openings: Keeps what opens commitments.
            products: The catalogue.
            node: Name of this node.
            clock_ms: Unix milliseconds.
            cleared: Told of each change once the gate is clear of it.
        """
        self._journal = journal
        self._preparation = Preparation(library, products)
        self._rounds = rounds
        self._openings = openings
        self._products = products
        self._node = node
        self._clock_ms = clock_ms
        self._cleared = cleared
        self._waiting: deque[_Waiting] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writing = False

    async def publish(
        self,
        decision: Verified[RepairClaims],
        actor: str,
        now: int,
        *,
        signer_party: str = "",
        sequenced: bool = True,
    ) -> Published:
        """Apply a verified decision and return once it holds.

        Args:
            decision: The decision, its signature verified.
            actor: Party id of the caller.
            now: Unix seconds.
            signer_party: As of `Handed`.
            sequenced: As of `Handed`.

        Raises:
            IllegalDeletionError: `ILLEGAL_DELETION`; an alarm stands in the log (R29).
            InvalidRequestError: `EXCESS_MATERIALS` (R2A) or `DECIDED_IN_FUTURE`.
            NotFoundError: `NOT_FOUND` when no admitted record has that id.
            ConflictError: `STALE_SEQUENCE`, `CONTRADICTION`, `OUTRANKED` when another publicity
                authority prevails for the record (R11), or `CONFLICT` when the id was used for
                another decision. State is unchanged.
            UnavailableError: `REPLICA_UNCONFIRMED` when some process didn't confirm in time; the
                decision stands, and the same one published again waits for it again.
        """
        return await self.hand_in(Handed(decision, actor, now, signer_party, sequenced))

    def hand_in(self, handed: Handed, lane: Lane | None = None) -> asyncio.Future[Published]:
        """Take a decision behind those that were handed in before; returns at once.

        Args:
            handed: The decision.
            lane: Those that must not be applied behind one that couldn't be written.

        Returns:
            What `publish` returns or raises. Nobody need wait for it.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Published] = loop.create_future()
        self._waiting.append(_Waiting(handed, lane, answer))
        if not self._writing:
            self._writing = True
            self._start(self._write_all())
        return answer

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write_all(self) -> None:
        """Write what waits, one transaction after another, until nothing does."""
        try:
            while self._waiting:
                count = min(len(self._waiting), _AT_ONCE)
                some = [self._waiting.popleft() for _ in range(count)]
                try:
                    results = await self._together(some)
                except Exception as error:  # noqa: BLE001 - handed to every caller
                    results = [_settled(one, error) for one in some]
                self._start(self._confirm(list(zip(some, results, strict=True))))
                if count >= _CROWD and len(self._waiting) < _AT_ONCE:
                    await asyncio.sleep(_GATHER_S)
        finally:
            self._writing = False

    async def _together(self, some: Sequence[_Waiting]) -> list[Result]:
        """Return what became of decisions of one transaction, each written or refused."""
        results: dict[int, Result] = {}
        fresh: dict[int, tuple[_Waiting, Prepared]] = {}
        prepared = self._preparation.prepare([one.handed for one in some])
        for place, (one, found) in enumerate(zip(some, prepared, strict=True)):
            if one.lane is not None and one.lane.broken:
                results[place] = _behind()
            elif isinstance(found, Prepared):
                fresh[place] = (one, found)
            else:
                results[place] = _settled(one, await self._refused(one.handed, found))
        written = await self._write(list(fresh.values())) if fresh else []
        results.update(zip(fresh, written, strict=True))
        return [results[place] for place in range(len(some))]

    async def _refused(self, handed: Handed, refusal: XinguanError) -> XinguanError:
        """Return a refusal once its alarm stands in the log, where it has one."""
        if isinstance(refusal, IllegalDeletionError):
            try:
                await self._durably(lambda tx: self._illegal(tx, handed))
            except UnavailableError as error:
                return error
        return refusal

    async def _write(self, fresh: Sequence[tuple[_Waiting, Prepared]]) -> list[Result]:
        """Write prepared decisions in one transaction, or each in its own when one can't be."""
        alone = len(fresh) == 1
        try:
            return list(await self._durably(lambda tx: self._apply(tx, [one for _, one in fresh])))
        except UnavailableError as error:
            return [_settled(waiting, _again(error)) for waiting, _ in fresh]
        except Exception as error:  # noqa: BLE001 - handed to its caller, once it is clear whose it is
            if alone:
                return [_settled(fresh[0][0], error)]
            _log.error("decisions_not_written_together", type=type(error).__name__)
        results: list[Result] = []
        for waiting, prepared in fresh:
            broken = waiting.lane is not None and waiting.lane.broken
            results += [_behind()] if broken else await self._write([(waiting, prepared)])
        return results

    def _apply(self, tx: Transaction, prepared: Sequence[Prepared]) -> list[Result]:
        results: list[Result] = list(apply_decisions(tx, prepared, self._node))
        rows = [
            row
            for one, result in zip(prepared, results, strict=True)
            if isinstance(result, Published) and not result.repeated
            for row in self._openings.rows(result.appended.index, {"record": one.opening}, ())
        ]
        if rows:
            insert_rows(tx, rows[0].into, [row.values for row in rows])
        return results

    async def _confirm(self, results: Sequence[tuple[_Waiting, Result]]) -> None:
        """Acknowledge what was written once it holds everywhere.

        The transaction came first: a crash from here on leaves the records as decided at the next
        start. The bits and the epoch come second, the acknowledgement last.
        """
        published: list[tuple[_Waiting, Published]] = []
        for waiting, result in results:
            if isinstance(result, Published):
                published.append((waiting, result))
            else:
                _refuse(waiting, result)
        if not published:
            return
        try:
            await self._rounds.clear(max(result.change for _, result in published))
        except UnavailableError as error:
            for waiting, _ in published:
                _refuse(waiting, _again(error))
            return
        except Exception as error:  # noqa: BLE001 - handed to every caller
            for waiting, _ in published:
                _refuse(waiting, error)
            return
        effective_ms = self._clock_ms()
        for waiting, result in published:
            self._acknowledge(waiting, result, effective_ms)

    def _acknowledge(self, waiting: _Waiting, result: Published, effective_ms: int) -> None:
        claims = waiting.handed.decision.claims
        if not result.repeated:
            self._cleared(
                Cleared(result.appended.index, claims.origin, claims.decided_at, effective_ms)
            )
        if not waiting.answer.done():
            delay_ms = max(0, effective_ms - claims.decided_at * 1000)
            waiting.answer.set_result(replace(result, delay_ms=delay_ms))

    def _illegal(self, tx: Transaction, handed: Handed) -> None:
        claims = handed.decision.claims
        raise_alarm(
            tx,
            rule="R29",
            code="ILLEGAL_DELETION",
            now=handed.now,
            node=self._node,
            actor=handed.actor,
            product=claims.product if claims.product in self._products else "",
            document=handed.decision.digest,
        )

    async def _durably(self, job: Callable[[Transaction], T]) -> T:
        try:
            return await self._journal.submit(job)
        except AuditUnavailableError:
            raise UnavailableError(
                "AUDIT_UNAVAILABLE", "the audit log can't be written; nothing changed"
            ) from None


def _settled(waiting: _Waiting, error: Exception) -> Exception:
    """Return an error; what isn't a refusal of the decision itself ends its lane."""
    refused = isinstance(error, XinguanError) and not isinstance(error, UnavailableError)
    if waiting.lane is not None and not refused:
        waiting.lane.broken = True
    return error


def _refuse(waiting: _Waiting, error: Exception) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(error)


def _again(error: UnavailableError) -> UnavailableError:
    """Return the same error for another caller; each is raised in its own call."""
    return UnavailableError(error.code, error.message, reasons=error.reasons, hints=error.hints)


def _behind() -> UnavailableError:
    return UnavailableError(
        "AUDIT_UNAVAILABLE", "a decision before this one could not be written; nothing changed"
    )
