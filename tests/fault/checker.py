"""Looks for what a client got after its repair was acknowledged: a record, or a derived value.

What it works from is what clients saw, and nothing of the gateways' own: batches with the moment
of their arrival and the log index that was promised for them, and acknowledgements with the moment
of theirs. Two rules, each sufficient:

order     A publish that was sent after an acknowledgement has a log index X. A batch whose promised
          index is above X was recorded after the acknowledgement, so it can't have been handed over
          before. No clock and no network is in this rule.
arrival   A batch that was recorded after the repair's own entry and arrived more than IN_FLIGHT_S
          after the acknowledgement, not counting the time for which its sender was stopped or its
          receiver stood still: what was handed to the transport before the acknowledgement may
          still arrive, bytes in the transport of a stopped process when it goes on.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.fault.nodes import PENALTY, Delivery, Record

IN_FLIGHT_S = 2.0


@dataclass(frozen=True, slots=True)
class Repair:
    """One repair as its publisher saw it.

    Args:
        record: The record.
        sent_at: Monotonic seconds at which it was first sent.
        index: Log index of its entry.
        acked_at: Monotonic seconds at which the acknowledgement had arrived.
    """

    record: Record
    sent_at: float
    index: int
    acked_at: float


@dataclass(frozen=True, slots=True)
class Violation:
    """What should not have arrived."""

    rule: str
    product: str
    key: str
    late_s: float
    node: str


def check(
    repairs: Sequence[Repair],
    deliveries: Iterable[Delivery],
    pauses: Mapping[str, Sequence[tuple[float, float]]],
) -> list[Violation]:
    """Return every violation.

    Args:
        repairs: Acknowledged repairs.
        deliveries: What clients received.
        pauses: Node to the intervals for which it was stopped, or whoever receives stood still;
            none of them overlap.
    """
    bounds = _order_bounds(repairs)
    by_key: dict[tuple[bool, str], list[Repair]] = {}
    for repair in repairs:
        by_key.setdefault((True, repair.record.number), []).append(repair)
        # Grades in these tests are never computed anew, so every one is older than the repair.
        by_key.setdefault((False, repair.record.subject), []).append(repair)
    found = []
    for delivery in deliveries:
        for key in delivery.keys:
            for repair in by_key.get((delivery.product == PENALTY, key), ()):
                rule = _broken(repair, delivery, bounds, pauses.get(delivery.node, ()))
                if rule:
                    late_s = delivery.received_at - repair.acked_at
                    found.append(Violation(rule, delivery.product, key, late_s, delivery.node))
    return found


def apart(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return intervals that cover the same time and don't overlap."""
    found: list[tuple[float, float]] = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            first, last = found.pop()
            found.append((first, max(last, end)))
        else:
            found.append((begin, end))
    return found


def _broken(
    repair: Repair,
    delivery: Delivery,
    bounds: tuple[list[float], list[int]],
    pauses: Sequence[tuple[float, float]],
) -> str:
    sent_at, lowest = bounds
    place = bisect_left(sent_at, repair.acked_at)
    if place < len(lowest) and delivery.index > lowest[place]:
        return "order"
    if delivery.index > repair.index:
        stopped = sum(
            max(0.0, min(end, delivery.received_at) - max(begin, repair.acked_at))
            for begin, end in pauses
        )
        if delivery.received_at - repair.acked_at - stopped > IN_FLIGHT_S:
            return "arrival"
    return ""


def _order_bounds(repairs: Sequence[Repair]) -> tuple[list[float], list[int]]:
    """Return times of sending, ascending, and the lowest index of what was sent then or later."""
    ordered = sorted(repairs, key=lambda repair: repair.sent_at)
    lowest: list[int] = []
    for repair in reversed(ordered):
        lowest.append(min(repair.index, lowest[-1]) if lowest else repair.index)
    return [repair.sent_at for repair in ordered], lowest[::-1]
