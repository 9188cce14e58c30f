"""Reconciliation (R11): what is served is brought in line with what the authority shows.

The prevailing authority's signed statement is the decision; what follows from it for each
record is derived from it by rule, kept beside its digest, and goes the way of every decision:
durable, the bits, the gate. A record that differs is withheld at once; one that was withheld for
that reason alone and agrees again is released. The statement's own time orders statements; an
older one than the last is refused, so that it can't undo a newer one.

A statement that would withhold more than a set share is more likely a fault than the truth. It
is not applied record by record: the product becomes unavailable by name until a later one agrees.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.errors import AuditUnavailableError
from gateway.domain.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    Reason,
    UnavailableError,
)
from gateway.domain.product import Product
from gateway.domain.share_state import ShareState
from gateway.registry.act import Act
from gateway.registry.documents import Verified, verify
from gateway.repair import reconciliation
from gateway.repair.comparison import WITHHELD, Comparison, Difference, compare
from gateway.repair.decision import Origin, RepairClaims, Verdict
from gateway.repair.origins import IllegalDeletionError, competences
from gateway.repair.precedence import Precedence, precedence_of
from gateway.repair.publicity import (
    PUBLICITY_TYPE,
    PublicityClaims,
    check_stated,
    read_publicity,
)
from gateway.repair.publish import Publisher
from gateway.repair.push_receipts import overdue_receipts
from gateway.repair.reconciliation import HELD_BY, Reconciliation
from gateway.snapshot.library import SnapshotLibrary
from gateway.snapshot.snapshot import Snapshot
from gateway.store.state import State

_LEEWAY_S = 300  # of an authority's clock ahead of ours
_FEW = 100  # a share of so few records says nothing
_AT_ONCE = 256  # decisions under way at once; each is about another record
_VERDICTS = {
    Difference.REPAIRED_THERE: Verdict.APPROVED,
    Difference.WITHDRAWN_THERE: Verdict.WITHDRAWN,
}


@dataclass(frozen=True, slots=True)
class Found:
    """What a statement says against what is served, before anything is done about it.

    Args:
        statement: The statement, verified.
        snapshot: What is served.
        comparison: How they compare.
    """

    statement: Verified[PublicityClaims]
    snapshot: Snapshot
    comparison: Comparison


class Reconciler:
    """Compares and applies; one statement at a time."""

    def __init__(
        self,
        state: State,
        publisher: Publisher,
        library: SnapshotLibrary,
        authority: Callable[[str], Ed25519PublicKey | None],
        *,
        products: Mapping[str, Product],
        node: str,
        withheld_ppm: int,
        clock_ms: Callable[[], int],
    ) -> None:
        """Take what a statement is held against and the way that its consequences go.

        Args:
            state: Keeps what was found.
            publisher: Applies decisions.
            library: The snapshots that are served.
            authority: Key id to the public key of one who may sign, or None.
            products: The catalogue.
            node: Name of this node.
            withheld_ppm: Greatest share that one statement may withhold, in millionths.
            clock_ms: Unix milliseconds.
        """
        self._state = state
        self._publisher = publisher
        self._library = library
        self._authority = authority
        self._products = products
        self._node = node
        self._withheld_ppm = withheld_ppm
        self._clock_ms = clock_ms

    def compare(self, token: str, file: Path) -> Found:
        """Verify a statement with its file and compare; nothing is changed. Blocks.

        Raises:
            InvalidRequestError: `BAD_DOCUMENT`, `BAD_SIGNATURE`, `BAD_PUBLICITY`, or
                `DECIDED_IN_FUTURE` when it is dated after now.
            IllegalDeletionError: The authority is no publicity authority of the product (R29).
            NotFoundError: `NOT_FOUND` when nothing of the product is served.
        """
        statement = verify(token, self._authority, PUBLICITY_TYPE, PublicityClaims)
        claims, now = statement.claims, self._clock_ms() // 1000
        precedence = _precedence(claims)
        if claims.as_of > now + _LEEWAY_S:
            raise InvalidRequestError(
                "DECIDED_IN_FUTURE",
                "the statement is dated after now",
                reasons=[Reason("R25", "DECIDED_IN_FUTURE")],
            )
        snapshot = self._library.current(claims.product)
        if snapshot is None:
            raise NotFoundError("NOT_FOUND", "nothing of this product is served")
        publicity = read_publicity(file)
        check_stated(publicity, claims)
        comparison = compare(snapshot, publicity.table, precedence, claims.authority, now)
        return Found(statement, snapshot, comparison)

    async def reconcile(self, token: str, file: Path, actor: str) -> Reconciliation:
        """Compare and apply; what has to be withheld is, when this returns.

        The same statement again changes nothing and gives the first result.

        Raises:
            XinguanError: As `compare`; `STALE_SEQUENCE` when a newer statement of the authority
                was applied; `AUDIT_UNAVAILABLE` when it can't be logged.
        """
        digest = hashlib.sha256(token.strip().encode()).hexdigest()
        connection = self._state.connect()
        try:
            known = reconciliation.find(connection, digest)
        finally:
            connection.close()
        if known is not None:
            return known
        found = await asyncio.to_thread(self.compare, token, file)
        self._check_newest(found.statement.claims)
        counts = found.comparison.counts()
        withheld = sum(counts.get(word.name, 0) for word in WITHHELD)
        act = Act(self._clock_ms() // 1000, self._node, actor)
        too_many = withheld * 1_000_000 > self._withheld_ppm * max(found.comparison.compared, 1)
        if withheld > _FEW and too_many:
            return await self._finish(found, act, 0, 0, suspended=True)
        holds, releases = await asyncio.to_thread(self._decisions, found)
        applied = await self._publish(holds, act)
        released = await self._publish(releases, act)
        return await self._finish(found, act, applied, released, suspended=False)

    def _check_newest(self, claims: PublicityClaims) -> None:
        connection = self._state.connect()
        try:
            newest = reconciliation.newest(connection, claims.product, claims.authority)
        finally:
            connection.close()
        if newest is not None and claims.as_of <= newest:
            raise ConflictError(
                "STALE_SEQUENCE",
                "a newer publicity statement of this authority was applied",
                reasons=[Reason("R25", "STALE_SEQUENCE")],
            )

    def _decisions(
        self, found: Found
    ) -> tuple[list[Verified[RepairClaims]], list[Verified[RepairClaims]]]:
        """Return what has to be withheld, and what may be shared again, as decisions."""
        claims = found.statement.claims
        connection = self._state.connect()
        try:
            standing = reconciliation.standings(connection, claims.product)
        finally:
            connection.close()
        allowed = competences()[Origin(claims.authority)].verdicts
        holds = []
        for word in sorted(WITHHELD, reverse=True):
            verdict = _VERDICTS.get(word, Verdict.HOLD)
            verdict = verdict if verdict in allowed else Verdict.HOLD
            for key in found.comparison.keys_of(word):
                known = standing.get(key)
                settled = known is not None and (
                    known.ended or (verdict is Verdict.HOLD and known.base == "QUARANTINED")
                )
                if not settled:
                    holds.append(_derived(found.statement, key, verdict))
        held = {
            key
            for key, known in standing.items()
            if not known.ended
            and known.base == ShareState.QUARANTINED
            and known.origin == claims.authority
            and known.repair_id.startswith(HELD_BY)
        }
        agree = held.intersection(found.comparison.agreeing()) if held else set()
        return holds, [_derived(found.statement, key, Verdict.RELEASE) for key in sorted(agree)]

    async def _publish(self, decisions: Sequence[Verified[RepairClaims]], act: Act) -> int:
        """Apply decisions, many at once: each is about a record of its own."""
        done = 0
        waiting = iter(decisions)
        while group := list(islice(waiting, _AT_ONCE)):
            results = await asyncio.gather(
                *(
                    self._publisher.publish(decision, act.actor, act.now, sequenced=False)
                    for decision in group
                ),
                return_exceptions=True,
            )
            for result in results:
                # A newer snapshot may no longer hold the record, and another decision may have
                # ended it meanwhile: then there is nothing left to do for it.
                if isinstance(result, NotFoundError | ConflictError):
                    continue
                if isinstance(result, BaseException):
                    raise result
                done += 1
        return done

    async def _finish(
        self, found: Found, act: Act, applied: int, released: int, *, suspended: bool
    ) -> Reconciliation:
        overdue = await asyncio.to_thread(overdue_receipts, found.snapshot, act.now)
        result = Reconciliation(
            statement=found.statement.digest,
            product=found.statement.claims.product,
            authority=found.statement.claims.authority,
            as_of=found.statement.claims.as_of,
            records=found.comparison.compared,
            differences=found.comparison.counts(),
            applied=applied,
            released=released,
            outcome="SUSPENDED" if suspended else "DONE",
            log_index=None,
            finished_at=act.now,
        )
        try:
            return await self._state.submit(
                lambda tx: reconciliation.record(
                    tx, result, found.snapshot.snapshot_id, act, overdue_receipts=overdue
                )
            )
        except AuditUnavailableError:
            raise UnavailableError("AUDIT_UNAVAILABLE", "the audit log can't be written") from None


def _precedence(claims: PublicityClaims) -> Precedence:
    precedence = precedence_of(claims.product)
    if precedence is None or claims.authority not in precedence.authorities:
        raise IllegalDeletionError("no record of this product follows this publicity authority")
    return precedence


def _derived(
    statement: Verified[PublicityClaims], key: str, verdict: Verdict
) -> Verified[RepairClaims]:
    """Return the decision that follows from a statement for one record.

    It is no document of its own: it names the statement, and its signer is the statement's.
    """
    stated = statement.claims
    name = hashlib.sha256(f"{statement.digest}\n{key}".encode()).hexdigest()
    claims = RepairClaims(
        repair_id=f"{HELD_BY}{name[:40]}",
        origin=stated.authority,
        sequence=max(1, stated.as_of),
        product=stated.product,
        record_id=key,
        verdict=verdict,
        deciding_unit=stated.unit,
        decided_at=stated.as_of,
    )
    token = json.dumps(
        {
            "v": 1,
            "type": "xinguan/derived-decision",
            "statement": statement.digest,
            "claims": claims.model_dump(mode="json", exclude_none=True),
        },
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    )
    digest = hashlib.sha256(token.encode()).hexdigest()
    return Verified(claims, statement.signer, digest, token)
