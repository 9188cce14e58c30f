"""Publishing a repair: durable first, then the bits, then the gate; acknowledged last.

After `publish` returns, no batch that held the record can be released any more: not in a new
request and not in a stream already running (DESIGN, invariant 5).
"""

from dataclasses import dataclass

from audit.journal import Appended, Journal, Transaction
from gateway.domain.errors import ConflictError, NotFoundError
from gateway.registry.documents import Verified
from gateway.release.evidence import Evidence
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
        evidence: Evidence,
        *,
        gate_wait_ms: int,
    ) -> None:
        """Take the log, the snapshots and the gate that a repair goes through, in that order."""
        self._journal = journal
        self._library = library
        self._gate = gate
        self._evidence = evidence
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
        entry = self._evidence.repair_entry(claims, decision, actor, now)
        published = await self._journal.submit(lambda tx: _apply(tx, decision, entry))
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
