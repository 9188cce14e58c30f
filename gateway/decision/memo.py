"""Decisions kept for as long as they hold.

Two levels. The first is keyed by what a request and its facts *are*, without building the input:
plain values, and the identity of the immutable documents (a party, a certificate, a licence, a
consent, a contract), which the entry keeps alive so that an identity can't be used twice. The
second is keyed by the digest of the input without `now`, for equal facts in new objects. An entry
serves only while `valid_from <= now < valid_until`.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from gateway.decision.input import InputLimits, count_ceiling, minimum_subjects
from gateway.domain.decision import Decision
from gateway.domain.facts import Border, Facts, Responsibility
from gateway.domain.recognition import Recognition


@dataclass(frozen=True, slots=True)
class Kept:
    """One decision with what must live as long as it.

    Args:
        decision: The decision.
        document: The canonical input without `now`.
        anchors: The objects whose identity is part of the key.
    """

    decision: Decision
    document: bytes
    anchors: tuple[object, ...]

    def holds(self, now: int) -> bool:
        """Say whether the decision may be used at `now`; not a permission."""
        return self.decision.valid_from <= now < self.decision.valid_until


class Memo:
    """A bounded map of decisions, least recently used out first; one thread (the event loop).

    Args:
        size: Greatest number of decisions kept.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[Hashable, Kept] = OrderedDict()

    def find(self, key: Hashable, now: int) -> Kept | None:
        """Return the entry of a key when it holds at `now`."""
        kept = self._kept.get(key)
        if kept is None or not kept.holds(now):
            return None
        self._kept.move_to_end(key)
        return kept

    def peek(self, key: Hashable) -> Kept | None:
        """Return the entry of a key, whether it still holds or not."""
        return self._kept.get(key)

    def keep(self, key: Hashable, kept: Kept) -> None:
        """Keep an entry, in place of an older one of the same key."""
        self._kept[key] = kept
        self._kept.move_to_end(key)
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)

    def __len__(self) -> int:
        return len(self._kept)


def quick_key(facts: Facts, limits: InputLimits) -> tuple[Hashable, ...]:
    """Return the first-level key: everything that the input is built from, except `now`.

    Every fact enters by value or by the identity of the frozen object that holds it; a test
    changes each fact in turn and expects another key. The calendar follows from `now` and is
    covered by `valid_until`, which never passes midnight in Asia/Shanghai.
    """
    request, publicity = facts.request, facts.publicity
    subjects = len(request.subjects)
    return (
        id(facts.caller.party),
        id(facts.caller.certificate),
        id(facts.licence),
        id(facts.product),
        id(facts.consent),
        facts.consent_covers,
        request.decided,
        request.subject_kind,
        request.purpose,
        request.scenario,
        request.destination,
        request.measure,
        request.loan,
        # Counts under the ceiling of the rules matter; those above it are all alike.
        subjects if subjects <= 1 else min(subjects, count_ceiling(facts, limits.count_ceiling)),
        min(facts.known_subjects, minimum_subjects(facts)),
        min(facts.smallest_group, minimum_subjects(facts)),
        not request.operator.strip() or not request.case_reference.strip(),
        bool(request.end_user.strip()),
        facts.stop_orders,
        publicity.as_of,
        publicity.limit_s,
        *_chain_key(facts.responsibility),
        facts.platform_operators_only,
        None if facts.border is None else _border_key(facts.border),
        None if facts.recognition is None else _recognition_key(facts.recognition),
        *facts.switches.items(),
        facts.inbound,
    )


def anchors_of(facts: Facts) -> tuple[object, ...]:
    """Return the objects whose identity is in the key of these facts."""
    border, found = facts.border, facts.recognition
    return (
        facts.caller.party,
        facts.caller.certificate,
        facts.licence,
        facts.product,
        facts.consent,
        None if border is None else (border.whitelist, border.mechanisms),
        None if found is None else (found.terms, found.mapping, found.table),
    )


def _chain_key(chain: Responsibility) -> tuple[Hashable, ...]:
    # Written out because this runs on every request; the time of a hop only has to be there.
    manager, transmitter, user = chain.manager, chain.transmitter, chain.user
    return (
        manager and (manager.uscc, manager.signer, manager.at > 0, manager.index),
        transmitter
        and (transmitter.uscc, transmitter.signer, transmitter.at > 0, transmitter.index),
        user and (user.uscc, user.signer, user.at > 0, user.index),
    )


def _recognition_key(found: Recognition) -> tuple[Hashable, ...]:
    return (found.mode, id(found.terms), id(found.mapping), id(found.table))


def _border_key(border: Border) -> tuple[Hashable, ...]:
    return (
        border.country,
        border.is_judicial,
        border.restricted,
        border.important_data,
        id(border.whitelist),
        tuple(map(id, border.mechanisms)),
        border.exporter,
        border.impact_assessment_until,
        border.exempt_basis,
        border.enterprise_authorised,
        border.rests_on,
        border.turns,
        border.intermediary,
    )
