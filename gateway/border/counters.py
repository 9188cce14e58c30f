"""Persons counted for export, as the road of a request meets them (R63, R64).

    standing    what the decision is made on: both counts, the request's new persons included
    crossing    what a decision's duties ask to be kept: persons reserved, the export recorded

The policy says whether a request counts, and in which class: its duties `count_export`,
`count_ordinary` and `count_sensitive` do. What is exempt has none of them (R62).
"""

import json
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from audit.errors import AuditError
from audit.journal import Posting, Row
from audit.store import Reader
from gateway.border.counters_items import CountMovedError, Reservation, Settlement, persons_of
from gateway.border.counters_law import CountClass, CountLaw, export_year
from gateway.border.counters_ledger import ExportLedger
from gateway.border.counters_tags import TagAlgorithm, Tagger
from gateway.border.counts import Standing
from gateway.domain.decision import Decision
from gateway.domain.errors import DeniedError, UnavailableError
from gateway.domain.facts import Border, Facts
from gateway.domain.vocabulary import FieldAction
from gateway.store.state import State

RECORD: Final = "border_record"
COUNT: Final = "count_export"
_CLASS_DUTIES: Final = {
    "count_ordinary": CountClass.ORDINARY,
    "count_sensitive": CountClass.SENSITIVE,
}
_CHUNK: Final = 8_000  # tags of one statement
_INTO_EXPORTS: Final = (
    "INSERT INTO exports (intent, begun_at, exporter, year, party, country, product, purpose,"
    " fields, mechanism, mechanism_kind, basis, whitelist, ordinary, sensitive) VALUES"
)
_INTO_OUTCOMES: Final = (
    "INSERT INTO export_outcomes (intent, outcome, status, released, records, bytes) VALUES"
)
# A reconciliation may have spoken before a delivery that was taken for dead; the outcome holds.
_OUTCOME_HOLDS: Final = (
    "ON CONFLICT (intent) DO UPDATE SET outcome = excluded.outcome, status = excluded.status,"
    " released = excluded.released, records = excluded.records, bytes = excluded.bytes"
)


@dataclass(frozen=True, slots=True)
class Crossing:
    """One export as it is kept: with its intent, and again with its outcome.

    Args:
        reservation: The persons whom it counts; without any when it counts nobody.
        values: What the annex says of it, in the order of the table, after the intent.
        ledger: Where persons are counted.
    """

    reservation: Reservation
    values: tuple[object, ...]
    ledger: ExportLedger = field(repr=False)

    def intent_row(self, intent: int) -> Row:
        """Return the row that goes with the intent."""
        return Row(_INTO_EXPORTS, (intent, *self.values))

    def reserve(self) -> Posting | None:
        """Return what the intent puts into the books, if it counts anybody."""
        return Posting(self.ledger, self.reservation) if self.reservation.persons else None

    def outcome_row(
        self, intent: int, outcome: int, status: str, *, left: bool, rows: int, size: int
    ) -> Row:
        """Return the row that goes with the outcome.

        Args:
            intent: Log index of the intent.
            outcome: Log index of the outcome.
            status: How it ended.
            left: Whether anything left.
            rows: Records that left.
            size: Bytes that left.
        """
        values = (intent, outcome, status, int(left), rows, size)
        return Row(_INTO_OUTCOMES, values, _OUTCOME_HOLDS)

    def confirm_year(self, now: int) -> None:
        """Check, before a hand-over, that the persons are sent in the year they were counted in.

        Args:
            now: Unix seconds of the hand-over.

        Raises:
            CountMovedError: `XB_COUNT_MOVED`; asked again, they count in the year that began.
        """
        if self.reservation.persons and export_year(now) != self.reservation.year:
            raise CountMovedError

    def settle(self, intent: int, *, left: bool) -> Posting | None:
        """Return what the outcome puts into the books, if the intent held anybody."""
        if not self.reservation.persons:
            return None
        return Posting(self.ledger, Settlement(intent, self.reservation, left))


class ExportCounters:
    """The counts of one process: an `ExportCounts`. Its reading connection is its own."""

    def __init__(self, connection: Reader, law: CountLaw, tagger: Tagger, *, node: str) -> None:
        """Take a reading connection of the state, the law's numbers and the export key."""
        self._connection = connection
        self._lock = threading.Lock()
        self._tagger = tagger
        self._node = node
        self.law = law
        self.ledger = ExportLedger(law, tagger)

    def standing(
        self,
        exporter: str,
        year: int,
        subjects: Sequence[str],
        *,
        sensitive: bool,
        ordinary: bool | None = None,
    ) -> Standing:
        """Return both counts of an exporter, the subjects of a request included.

        It costs the same at any count: a row for each class, and a look-up for each subject.

        Args:
            exporter: Party id of the exporter of record.
            year: The year that counts, see `export_year`.
            subjects: Canonical identifiers of the subjects who would count; empty for none.
            sensitive: Whether sensitive information about them would leave.
            ordinary: Whether other information would; by default when no sensitive one would.

        Raises:
            UnavailableError: `AUDIT_UNAVAILABLE`; without the counts nobody is let across.
        """
        plain = (not sensitive) if ordinary is None else ordinary
        tags = self._tags(exporter, year, subjects)
        totals, newest = dict.fromkeys(CountClass, 0), -1
        fresh = dict.fromkeys(CountClass, len(tags))
        try:
            with self._lock:
                found = self._read(exporter, year, tags)
        except AuditError:
            raise UnavailableError(
                "AUDIT_UNAVAILABLE", "the gateway's state can't be read now"
            ) from None
        for kind, total, index, known in found:
            totals[kind] = total
            newest = max(newest, index)
            fresh[kind] -= known
        return Standing(
            totals[CountClass.ORDINARY] + (fresh[CountClass.ORDINARY] if plain else 0),
            totals[CountClass.SENSITIVE] + (fresh[CountClass.SENSITIVE] if sensitive else 0),
            newest,
        )

    def crossing(self, facts: Facts, decision: Decision) -> Crossing | None:
        """Return what is kept of an allowed request, or None for one inside the country.

        Args:
            facts: What the decision was made on.
            decision: An allowing decision.

        Raises:
            DeniedError: `XB_COUNT_UNNAMED` for persons of a whole product.
        """
        border = facts.border
        if border is None or RECORD not in decision.obligations:
            return None
        exporter, year = border.exporter, export_year(facts.now)
        kinds = _counted(decision.obligations)
        tags = self._tags(exporter.party_id, year, facts.request.subjects) if kinds else ()
        if kinds and not tags:
            # Who stands in a whole product is known when its rows are read, which is too late.
            raise DeniedError(
                "XB_COUNT_UNNAMED", "persons who cross are named, so that each is counted once"
            )
        caps = (mechanism.scale_cap for mechanism in border.mechanisms)
        reservation = Reservation(
            exporter.party_id,
            year,
            persons_of(exporter.party_id, year, kinds, tags),
            self.law.ceilings(exporter.persons, exporter.sensitive_persons, caps),
            facts.now,
            self._node,
            facts.caller.party.party_id,
        )
        return Crossing(reservation, _annex(facts, border, decision, reservation), self.ledger)

    def close(self) -> None:
        """Close the reading connection."""
        with self._lock:
            self._connection.close()

    def _tags(self, exporter: str, year: int, subjects: Sequence[str]) -> tuple[bytes, ...]:
        distinct = dict.fromkeys(subjects)
        return tuple(self._tagger.tag(exporter, year, subject) for subject in distinct)

    def _read(
        self, exporter: str, year: int, tags: Sequence[bytes]
    ) -> list[tuple[CountClass, int, int, int]]:
        """Return class, count, newest entry and how many of the tags it has, of one moment."""
        if len(tags) <= _CHUNK:
            return self._read_part(exporter, year, tags)
        found: dict[CountClass, tuple[CountClass, int, int, int]] = {}
        with self._connection.moment():
            for start in range(0, len(tags), _CHUNK):
                for row in self._read_part(exporter, year, tags[start : start + _CHUNK]):
                    known = found[row[0]][3] if row[0] in found else 0
                    found[row[0]] = (*row[:3], row[3] + known)
        return list(found.values())

    def _read_part(
        self, exporter: str, year: int, tags: Sequence[bytes]
    ) -> list[tuple[CountClass, int, int, int]]:
        marks = ",".join("?" * len(tags))
        known = (
            "(SELECT count(*) FROM export_persons p WHERE p.exporter = c.exporter"
            f" AND p.year = c.year AND p.class = c.class AND p.tag IN ({marks}))"
            if tags
            else "0"
        )
        rows = self._connection.execute(
            f"SELECT c.class, c.own + c.declared, c.log_index, {known} FROM export_counts c"
            " WHERE c.exporter = ? AND c.year = ?",
            (*tags, exporter, year),
        ).fetchall()
        return [(CountClass(kind), total, index, n) for kind, total, index, n in rows]


def open_counts(
    state: State, key: bytes, node: str, algorithm: str = TagAlgorithm.SHA256
) -> ExportCounters:
    """Return the counts of an open state, once its books are known to be of this key.

    Raises:
        UnavailableError: `XB_COUNT_KEY`; another key would count everybody a second time.
    """
    tagger = Tagger(key, TagAlgorithm(algorithm))
    state.run(ExportLedger(CountLaw.load(), tagger).require_key)
    return ExportCounters(state.connect(), CountLaw.load(), tagger, node=node)


def _counted(obligations: Iterable[str]) -> list[CountClass]:
    """Return the classes that a decision's duties count in."""
    duties = set(obligations)
    if COUNT not in duties:
        return []
    named = [kind for duty, kind in _CLASS_DUTIES.items() if duty in duties]
    # A policy that counts without saying where is taken at its strictest.
    return named or list(CountClass)


def _annex(
    facts: Facts, border: Border, decision: Decision, reservation: Reservation
) -> tuple[object, ...]:
    leaving = sorted(
        name for name, action in decision.actions.items() if action is not FieldAction.DROP
    )
    whitelist = border.whitelist
    # An exempt transfer has a basis and counts nobody; one of organisations needs neither.
    bound = whitelist.mechanism if whitelist is not None and reservation.persons else ""
    kinds = {each.mechanism_id: each.kind for each in border.mechanisms}
    persons = Counter(kind for _, _, kind, _ in reservation.persons)
    return (
        facts.now,
        reservation.exporter,
        reservation.year,
        reservation.party,
        border.country,
        facts.product.name,
        facts.request.purpose,
        json.dumps(leaving),
        bound,
        kinds.get(bound, ""),
        border.exempt_basis,
        0 if whitelist is None else whitelist.version,
        persons[CountClass.ORDINARY],
        persons[CountClass.SENSITIVE],
    )
