"""Several releases that leave as one answer: all allowed before any is read, all good at the end.

Each takes the road by itself (`Exchange.release`), with a decision, an intent and an outcome of
its own. Their batches have left the gate one after the other when the answer is made, so what a
repair, a suspension or a stop (R87) changed meanwhile is looked at once more, right before it
leaves. Nothing else runs between that look and the hand-over.
"""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import numpy as np

from gateway.domain.decision import Decision
from gateway.domain.errors import DeniedError
from gateway.domain.vocabulary import FieldAction
from gateway.release.delivery import Delivery
from gateway.release.evidence import Promised
from gateway.release.part import Part
from gateway.release.pipeline import Exchange, refuse_changed, refuse_denied
from gateway.release.world import Ask, World


@dataclass(frozen=True, slots=True)
class Released:
    """One release that is complete.

    Args:
        delivery: Its delivery.
        parts: Its parts.
        outcome: Its outcome entry.
    """

    delivery: Delivery
    parts: tuple[Part, ...]
    outcome: Promised

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the released fields, in their order."""
        return tuple(field.name for field, _ in self.delivery.prepared.plan.released)

    def rows(self) -> list[dict[str, Any]]:
        """Return the released rows, field to value."""
        return [row for part in self.parts if part.batch for row in part.batch.batch.to_pylist()]

    def first_end(self) -> int | None:
        """Return when the first released row stops being shareable, or None without rows."""
        ends = [p.batch.first_end for p in self.parts if p.batch and p.batch.batch.num_rows]
        return min(ends, default=None)


async def release_all(
    exchange: Exchange, peer: bytes, asks: Sequence[Ask], needed: Sequence[str] = ()
) -> list[Released]:
    """Release what one answer needs.

    Args:
        exchange: The road.
        peer: The caller's certificate, PEM.
        asks: What is asked, each of one subject.
        needed: For each ask a field without which the answer says nothing, or empty.

    Raises:
        XinguanError: A refusal; of several asks none is read when one is denied.
    """
    if len(asks) > 1 or any(needed):
        for ask, field in zip(asks, needed or [""] * len(asks), strict=True):
            decision = await exchange.explain(peer, ask)
            # A single denial is left to the road, which logs it with all that is known.
            if len(asks) > 1:
                refuse_denied(decision)
            if decision.allow and field:
                _require(decision, field)
    return [await _released(exchange, peer, ask) for ask in asks]


async def confirm_all(
    exchange: Exchange, world: World, peer: bytes, asks: Sequence[Ask], found: Sequence[Released]
) -> None:
    """Look once more whether an answer may leave; the last thing before it does.

    When it returns, nothing else has run on the loop since the last look.

    Raises:
        XinguanError: It may leave no more; asked again, the answer is without what was withdrawn.
    """
    seen = min(released.delivery.trail.view_version for released in found)
    while (version := world.registry.view().version) != seen:
        for ask, released in zip(asks, found, strict=True):
            refuse_changed(await exchange.explain(peer, ask), released.delivery.decision)
        seen = version
    world.gate.sure()
    now = world.clock_ms() // 1000
    for released in found:
        world.check_fresh(released.delivery.facts, released.delivery.snapshot, now)
        for part in released.parts:
            if part.batch is None or not len(part.batch.rows):
                continue
            rows = np.sort(part.batch.rows)
            if not released.delivery.snapshot.shareable(rows, now).all():
                raise DeniedError("STOPPED_STREAM", "a record was withdrawn meanwhile; ask again")


async def _released(exchange: Exchange, peer: bytes, ask: Ask) -> Released:
    async with aclosing(exchange.release(peer, ask)) as stream:
        parts = tuple([part async for part in stream])
    closing = parts[-1].closing
    if closing is None:
        raise DeniedError("STOPPED_STREAM", "the release did not come to its end")
    return Released(parts[0].delivery, parts, closing.promise)


def _require(decision: Decision, field: str) -> None:
    """Raise when the field that an answer is about may not be seen as it is.

    Raises:
        DeniedError: With the reasons for which it was dropped.
    """
    if decision.actions.get(field) is FieldAction.ALLOW:
        return
    reasons = [reason for reason in decision.reasons if field in reason.fields]
    code = reasons[0].code if reasons else "FILTER_ON_HIDDEN_FIELD"
    raise DeniedError(code, "the field that the answer is about may not leave", reasons=reasons)
