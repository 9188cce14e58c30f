"""Publishing a repair: durable first, then the bits, then the gate; acknowledged last.

After `publish` returns, no batch that held the record can be released any more: not in a new
request and not in a stream already running (DESIGN, invariant 5).
"""

import os
from dataclasses import dataclass

from audit import entries
from audit.commitment import Opening, commit
from audit.errors import AuditUnavailableError
from audit.journal import Appended, Journal, Transaction
from audit.openings import OpeningStore
from gateway.domain.errors import ConflictError, NotFoundError, UnavailableError
from gateway.registry.documents import Verified
from gateway.release.gate import Gate
from gateway.repair.decision import RepairClaims
from gateway.snapshot.library import SnapshotLibrary


@dataclass(frozen=True, slots=True)
class Published:
    """The acknowledgement: the entry, and whether this very decision was applied before."""

    appended: Appended
    repeated: bool


class Publisher:
    """Applies repair decisions on one node."""

    def __init__(
        self,
        journal: Journal,
        library: SnapshotLibrary,
        gate: Gate,
        openings: OpeningStore,
        *,
        node: str,
        gate_wait_ms: int,
    ) -> None:
        """Take the log, the snapshots and the gate that a repair goes through, in that order."""
        self._journal = journal
        self._library = library
        self._gate = gate
        self._openings = openings
        self._node = node
        self._gate_wait_s = gate_wait_ms / 1000

    async def publish(self, decision: Verified[RepairClaims], actor: str, now: int) -> Published:
        """Apply a verified decision and return once it holds.

        Args:
            decision: The decision, its signature verified.
            actor: Party id of the caller.
            now: Unix seconds.

        Raises:
            NotFoundError: `NOT_FOUND` when no admitted record has that id.
            ConflictError: `CONFLICT` when the sequence is not newer, or the id was used for
                another decision. State is unchanged.
        """
        claims = decision.claims
        snapshot = self._library.current(claims.product)
        if snapshot is None or not len(snapshot.rows_of([claims.record_id])):
            raise NotFoundError("NOT_FOUND", "no admitted record has this id (R25)")
        record = Opening("record", claims.record_id.encode(), os.urandom(32))
        entry = entries.repair(
            time=now,
            node=self._node,
            actor=actor,
            product=claims.product,
            record=commit(record),
            authority=claims.origin.value,
            sequence=claims.sequence,
            verdict=claims.verdict.value,
            signer=decision.signer,
            document=decision.digest,
        )

        def job(tx: Transaction) -> Published:
            published = _apply(tx, decision, entry)
            if not published.repeated:
                self._openings.record(tx, published.appended.index, {"record": record}, ())
            return published

        try:
            published = await self._journal.submit(job)
        except AuditUnavailableError:
            raise UnavailableError(
                "AUDIT_UNAVAILABLE", "the audit log can't be written; nothing changed"
            ) from None
        # The transaction comes first: a crash from here on leaves the record sealed at the
        # next start. The bits and the epoch come second, the acknowledgement last.
        await self._gate.publish(
            claims.product,
            lambda: self._library.seal(claims.product, [claims.record_id]),
            self._gate_wait_s,
        )
        return published


def _apply(
    tx: Transaction, decision: Verified[RepairClaims], entry: dict[str, object]
) -> Published:
    claims = decision.claims
    known = tx.execute(
        "SELECT digest, log_index, leaf_hash FROM repairs WHERE repair_id = ?", (claims.repair_id,)
    ).fetchone()
    if known is not None:
        if known[0] != decision.digest:
            raise ConflictError("CONFLICT", "the repair id was used for another decision")
        return Published(Appended(known[1], known[2], b""), repeated=True)
    newest = tx.execute(
        "SELECT sequence FROM repair_sequences WHERE origin = ?", (claims.origin.value,)
    ).fetchone()
    if newest is not None and claims.sequence <= newest[0]:
        raise ConflictError("CONFLICT", "the sequence of this origin is not newer (R25)")
    appended = tx.append(entry)
    tx.execute(
        "INSERT INTO repairs VALUES (?, ?, ?, ?, ?)",
        (claims.repair_id, decision.digest, decision.token, appended.index, appended.leaf_hash),
    )
    tx.execute(
        "INSERT OR REPLACE INTO repair_sequences VALUES (?, ?)",
        (claims.origin.value, claims.sequence),
    )
    # A terminal state stays: what was repaired first is not overwritten by a later withdrawal.
    tx.execute(
        "INSERT OR IGNORE INTO sealed_records VALUES (?, ?, ?, ?)",
        (claims.product, claims.record_id, claims.verdict.value, claims.repair_id),
    )
    return Published(appended, repeated=False)
