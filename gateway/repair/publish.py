"""Publishing a decision: durable first, then the bits, then the gate; acknowledged last.

After `publish` returns, no batch that held a record that ended can be released any more: not in
a new request, not in a stream already running, and not by another process (DESIGN, invariant 5).
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from audit.commitment import Opening
from audit.errors import AuditUnavailableError
from audit.journal import Journal, Transaction
from audit.openings import OpeningStore
from gateway.domain.errors import (
    InvalidRequestError,
    NotFoundError,
    Reason,
    UnavailableError,
)
from gateway.domain.product import Product
from gateway.registry.documents import Verified
from gateway.registry.periods import lawful_periods
from gateway.repair.alarms import raise_alarm
from gateway.repair.apply import Published, apply_decision
from gateway.repair.decision import Origin, RepairClaims
from gateway.repair.origins import IllegalDeletionError, check_competence, check_materials
from gateway.repair.record import Record, read_record
from gateway.snapshot.library import SnapshotLibrary

_T = TypeVar("_T")
_LEEWAY_S = 300  # of an authority's clock ahead of ours


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


class Publisher:
    """Applies decisions handed in at one process; they hold in all."""

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
        self._library = library
        self._rounds = rounds
        self._openings = openings
        self._products = products
        self._node = node
        self._clock_ms = clock_ms
        self._cleared = cleared

    async def publish(
        self, decision: Verified[RepairClaims], actor: str, now: int, *, signer_party: str = ""
    ) -> Published:
        """Apply a verified decision and return once it holds.

        Args:
            decision: The decision, its signature verified.
            actor: Party id of the caller.
            now: Unix seconds.
            signer_party: Party whose registered key signed it; empty for the authority's own.

        Raises:
            IllegalDeletionError: `ILLEGAL_DELETION`; an alarm stands in the log (R29).
            InvalidRequestError: `EXCESS_MATERIALS` (R2A) or `DECIDED_IN_FUTURE`.
            NotFoundError: `NOT_FOUND` when no admitted record has that id.
            ConflictError: `STALE_SEQUENCE`, `CONTRADICTION`, or `CONFLICT` when the id was used
                for another decision. State is unchanged.
            UnavailableError: `REPLICA_UNCONFIRMED` when some process didn't confirm in time; the
                decision stands, and the same one published again waits for it again.
        """
        claims = decision.claims
        try:
            check_competence(claims)
            record = self._record(claims)
            _check_signer(claims, record, signer_party)
        except IllegalDeletionError:
            await self._durably(lambda tx: self._illegal(tx, decision, actor, now))
            raise
        check_materials(claims)
        if claims.decided_at > now + _LEEWAY_S:
            raise InvalidRequestError(
                "DECIDED_IN_FUTURE",
                "the decision is dated after now",
                reasons=[Reason("R25", "DECIDED_IN_FUTURE")],
            )
        opening = Opening("record", claims.record_id.encode(), os.urandom(32))

        def job(tx: Transaction) -> Published:
            published = apply_decision(tx, decision, record, opening, actor, self._node, now)
            if not published.repeated:
                self._openings.record(tx, published.appended.index, {"record": opening}, ())
            return published

        published = await self._durably(job)
        # The transaction comes first: a crash from here on leaves the record as decided at the
        # next start. The bits and the epoch come second, the acknowledgement last.
        await self._rounds.clear(published.change)
        effective_ms = self._clock_ms()
        if not published.repeated:
            self._cleared(
                Cleared(published.appended.index, claims.origin, claims.decided_at, effective_ms)
            )
        return Published(
            published.appended,
            published.repeated,
            published.state,
            published.withheld,
            published.found,
            max(0, effective_ms - claims.decided_at * 1000),
            published.change,
        )

    def _record(self, claims: RepairClaims) -> Record:
        snapshot = self._library.current(claims.product)
        product = self._products.get(claims.product)
        found = None
        if snapshot is not None and product is not None:
            found = read_record(snapshot, product, lawful_periods(), claims.record_id)
        if found is None:
            raise NotFoundError("NOT_FOUND", "no admitted record has this id (R25)")
        return found

    def _illegal(
        self, tx: Transaction, decision: Verified[RepairClaims], actor: str, now: int
    ) -> None:
        raise_alarm(
            tx,
            rule="R29",
            code="ILLEGAL_DELETION",
            now=now,
            node=self._node,
            actor=actor,
            product=decision.claims.product if decision.claims.product in self._products else "",
            document=decision.digest,
        )

    async def _durably(self, job: Callable[[Transaction], _T]) -> _T:
        try:
            return await self._journal.submit(job)
        except AuditUnavailableError:
            raise UnavailableError(
                "AUDIT_UNAVAILABLE", "the audit log can't be written; nothing changed"
            ) from None


def _check_signer(claims: RepairClaims, record: Record, signer_party: str) -> None:
    """Check that a key other than the authority's signs for its own records only (M17).

    Raises:
        IllegalDeletionError: It doesn't.
    """
    own = claims.origin == Origin.SUBJECT and signer_party == f"uscc:{record.subject}"
    if signer_party and not own:
        raise IllegalDeletionError("this key signs only for records that its owner declared")
