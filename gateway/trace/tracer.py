"""From a leaked copy to the delivery that it came from, or a plain word that it can't be told.

What a copy shows is compared with the evidence of every delivery across the border: which records
it held (recorded exactly), and in which orders (drawn by the key of marks, see
`gateway.release.marks`). Only deliveries whose recorded order is the one that the key gives are
compared, so that an order that came about otherwise never speaks against anybody.

    text    the mark itself stands in the copy, and the delivery held its records
    rows    the order of the rows; fields: the order of the fields of each row
    party   many copies of single rows, each with the order of fields of one of its deliveries

Whoever is named is named under a stated bound on the chance of doing so wrongly, over everything
that was compared. Below the threshold nobody is named: who held the records is told, as a fact and
no more. What the statement means: the copy was made from what this delivery carried. Not who made
it, nor that it was the party itself. One who has a whole copy of another's delivery can pass on
that; no mark tells the two apart.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from audit.access import entry_source
from audit.reader import LogReader
from audit.store import Reader
from gateway.release.marks import Marks
from gateway.release.released_rows import decode_rows
from gateway.repair.recall.recipients import delivered_snapshots, find_hits
from gateway.snapshot.record_map import RecordRow
from gateway.trace.leak import Leak, LeakedRow
from gateway.trace.odds import at_least, chance, inversions, thinned
from gateway.trace.traced import Delivery, PartyFound, Traced

TEXT_BOUND = 2.0**-128
THRESHOLD = 1e-6
_MOST_GROUPS = 4
_FEWEST = 2  # places that have an order at all
_TESTS = 3  # of each delivery: rows, fields, both
_FAMILIES = 2  # of tests: of deliveries, of parties
_HOME = "CN"
_LABEL = "dispute_flag"  # leaves with disputed records, asked for or not (R14)


class Copies(Protocol):
    """Where the records of copies lie; see `gateway.trace.places`."""

    def of_subjects(self, snapshot_id: str, texts: Sequence[str]) -> list[RecordRow] | None:
        """Return the rows of these subjects, or None for what is no copy for use abroad."""
        ...

    def texts(self, snapshot_id: str, rows: Sequence[int]) -> list[dict[str, str]] | None:
        """Return what rows say, field by field, or None when the copy is gone."""
        ...


@dataclass(slots=True)
class _Held:
    """What one delivery held of the copy: row of the copy to batch and place in it."""

    intent: int
    rows: set[int] = field(default_factory=set)
    places: dict[int, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))


class Tracer:
    """Traces copies in one state. Blocking.

    Args:
        connection: Reads the state.
        reader: The published log.
        copies: Where records lie.
        marks: The marks of the deployment.
    """

    def __init__(self, connection: Reader, reader: LogReader, copies: Copies, marks: Marks) -> None:
        self._state = connection
        self._entry = entry_source(connection, reader)
        self._copies = copies
        self._marks = marks

    def trace(self, leak: Leak, threshold: float = THRESHOLD) -> Traced:
        """Return what can be told of a copy.

        Args:
            leak: The copy.
            threshold: Greatest chance of naming anybody wrongly.
        """
        held, known = self._held(leak.rows)
        told = {intent: self._told(each) for intent, each in held.items()}
        told = {intent: each for intent, each in told.items() if self._crossed(each)}
        held = {intent: held[intent] for intent in told}
        requests, forged = self._marks.find(leak.content)
        by_text, misplaced = self._by_text(requests, told, known)
        compared = max(1, len(held))
        named, candidates = list(by_text.values()), []
        for intent, delivery in told.items():
            if intent in by_text:
                continue
            how, likely = self._order(held[intent], delivery, leak.rows)
            bound = min(1.0, likely * compared * _TESTS * _FAMILIES)
            if bound <= threshold:
                named.append(_with(delivery, how, bound))
            else:
                candidates.append(delivery)
        parties = self._parties(held, told, leak.rows, threshold)
        named.sort(key=lambda each: (each.bound, each.intent))
        found = "named" if named or parties else "cannot_tell" if candidates else "unknown"
        return Traced(
            verdict=found,
            named=named,
            parties=parties,
            candidates=sorted(candidates, key=lambda each: (-each.rows, each.intent)),
            rows=len(leak.rows),
            known=len(known),
            misplaced=misplaced,
            forged=forged,
            compared=len(held),
        )

    def _held(self, rows: Sequence[LeakedRow]) -> tuple[dict[int, _Held], set[int]]:
        """Return what each delivery held of the copy, and which of its rows are known at all."""
        texts = list({text for row in rows for text in row.texts if text})
        held: dict[int, _Held] = {}
        known: set[int] = set()
        for snapshot_id in delivered_snapshots(self._state):
            found = self._copies.of_subjects(snapshot_id, texts)
            if not found:
                continue
            by_subject: dict[str, list[int]] = defaultdict(list)
            for each in found:
                by_subject[each.subject].append(each.row)
            maybe = {
                at: [row for text in set(leaked.texts) for row in by_subject.get(text, ())]
                for at, leaked in enumerate(rows)
            }
            maybe = {at: places for at, places in maybe.items() if places}
            known |= set(maybe)
            exact = self._exact(snapshot_id, maybe, rows)
            owners: dict[int, list[int]] = defaultdict(list)
            for at, places in maybe.items():
                for row in places:
                    owners[row].append(at)
            for hits in find_hits(self._state, snapshot_id, list(owners)):
                for hit in hits:
                    mine = held.setdefault(hit.intent, _Held(hit.intent))
                    mine.rows.update(owners[hit.row])
                    for at in owners[hit.row]:
                        if exact.get(at) == hit.row:
                            mine.places[hit.batch][at] = hit.place
        return held, known

    def _exact(
        self, snapshot_id: str, maybe: dict[int, list[int]], rows: Sequence[LeakedRow]
    ) -> dict[int, int]:
        """Return for each row of the copy the one record that it is, where that is certain.

        A record that stands in the copy twice is left out: its place is none.
        """
        certain: dict[int, int] = {}
        for at, places in maybe.items():
            if len(places) == 1:
                certain[at] = places[0]
                continue
            said = self._copies.texts(snapshot_id, places)
            if said is None:
                continue
            stated = dict(zip(rows[at].names, rows[at].texts, strict=True))
            alike = [sum(stated.get(name) == text for name, text in each.items()) for each in said]
            best = max(alike)
            if alike.count(best) == 1:
                certain[at] = places[alike.index(best)]
        often = Counter(certain.values())
        return {at: row for at, row in certain.items() if often[row] == 1}

    def _told(self, held: _Held) -> Delivery:
        row = self._state.execute(
            "SELECT request_id, party_id FROM requests WHERE intent = ?", (held.intent,)
        ).fetchone()
        request, party = ("", "") if row is None else (str(row[0]), str(row[1]))
        entry = self._entry(held.intent)
        return Delivery(
            intent=held.intent,
            request=request,
            party=party,
            time=int(entry["time"]),
            product=str(entry.get("product", "")),
            rows=len(held.rows),
        )

    def _crossed(self, delivery: Delivery) -> bool:
        """Tell whether a delivery crossed the border; no other is marked."""
        row = self._state.execute(
            "SELECT jurisdiction FROM parties WHERE party_id = ?", (delivery.party,)
        ).fetchone()
        abroad = row is not None and row[0] != _HOME
        return abroad or bool(self._entry(delivery.intent).get("destination", _HOME) != _HOME)

    def _by_text(
        self, requests: Sequence[str], told: dict[int, Delivery], known: set[int]
    ) -> tuple[dict[int, Delivery], list[str]]:
        """Return deliveries whose mark stands in the copy, and marks that don't belong there."""
        by_request = {each.request: each for each in told.values()}
        found: dict[int, Delivery] = {}
        misplaced = []
        for request in requests:
            delivery = by_request.get(request)
            if delivery is None and not known:
                delivery = self._of_request(request)  # nothing of its rows can be compared
            if delivery is None:
                misplaced.append(request)
            else:
                found[delivery.intent] = _with(delivery, ("text",), TEXT_BOUND)
        return found, misplaced

    def _of_request(self, request: str) -> Delivery | None:
        row = self._state.execute(
            "SELECT intent FROM requests WHERE request_id = ?", (request,)
        ).fetchone()
        return None if row is None else self._told(_Held(int(row[0])))

    def _order(
        self, held: _Held, delivery: Delivery, rows: Sequence[LeakedRow]
    ) -> tuple[tuple[str, ...], float]:
        """Return which orders speak for a delivery most, and how likely chance does so."""
        batches = sorted(held.places.items(), key=lambda each: -len(each[1]))[:_MOST_GROUPS]
        groups = [
            thinned([places[at] for at in sorted(places)])
            for number, places in batches
            if len(places) >= _FEWEST and self._is_marked(held.intent, number, delivery.request)
        ]
        sizes, found = [len(group) for group in groups], sum(map(inversions, groups))
        best: tuple[tuple[str, ...], float] = ((), 1.0)
        if sizes:
            best = (("rows",), chance(sizes, found))
        order = self._fields_of(delivery, [rows[at] for at in sorted(held.rows)])
        if order is not None:
            likely = chance([len(order)], inversions(order))
            both = chance([*sizes, len(order)], found + inversions(order)) if sizes else 1.0
            for how, each in ((("fields",), likely), (("rows", "fields"), both)):
                if each < best[1]:
                    best = (how, each)
        return best

    def _is_marked(self, intent: int, number: int, request: str) -> bool:
        """Tell whether a batch left in the order that the key gives it."""
        row = self._state.execute(
            "SELECT rows FROM deliveries WHERE intent = ? AND sequence = ?", (intent, number)
        ).fetchone()
        left = decode_rows(row[0])
        ascending = sorted(left.tolist())
        order = self._marks.rows(request, number, len(ascending)).tolist()
        return bool([ascending[place] for place in order] == left.tolist())

    def _fields_of(self, delivery: Delivery, rows: Sequence[LeakedRow]) -> list[int] | None:
        """Return the places that a delivery's order gives the fields as most rows have them."""
        entry = self._entry(delivery.intent)
        names = _released(entry)
        if not rows or not names or not delivery.request:
            return None
        order = {name: at for at, name in enumerate(self._marks.fields(delivery.request, names))}
        seen = Counter(tuple(name for name in row.names if name in order) for row in rows)
        common = seen.most_common(1)[0][0]
        if len(common) < _FEWEST or len(set(common)) != len(common):
            return None
        return [order[name] for name in common]

    def _parties(
        self,
        held: dict[int, _Held],
        told: dict[int, Delivery],
        rows: Sequence[LeakedRow],
        threshold: float,
    ) -> list[PartyFound]:
        """Return parties of whose deliveries too many match, each a little, to be chance."""
        by_party: dict[str, list[int]] = defaultdict(list)
        for intent, delivery in told.items():
            if delivery.party:
                by_party[delivery.party].append(intent)
        found = []
        for party, intents in sorted(by_party.items()):
            chances, matched = [], 0
            for unit in _units({intent: held[intent].rows for intent in intents}):
                at = min(row for intent in unit for row in held[intent].rows)
                orders = [self._fields_of(told[intent], [rows[at]]) for intent in unit]
                compared = [order for order in orders if order is not None]
                if not compared:
                    continue
                chances.append(sum(chance([len(order)], 0) for order in compared))
                matched += any(inversions(order) == 0 for order in compared)
            bound = min(1.0, at_least(chances, matched) * len(by_party) * _FAMILIES)
            if bound <= threshold:
                found.append(PartyFound(party, matched, len(chances), bound))
        return found


def _released(entry: Mapping[str, Any]) -> list[str]:
    """Return the fields that an intent let leave, as its entry names them."""
    fields = entry.get("fields", {}).items()
    named = {name for action, names in fields if action != "drop" for name in names}
    return sorted({*named, _LABEL})


def _units(rows_of: dict[int, set[int]]) -> list[list[int]]:
    """Return deliveries in groups that have no row of the copy in common with each other."""
    units: list[tuple[set[int], list[int]]] = []
    for intent, rows in rows_of.items():
        joined, members = set(rows), [intent]
        apart = []
        for known, others in units:
            if known & joined:
                joined |= known
                members += others
            else:
                apart.append((known, others))
        units = [*apart, (joined, members)]
    return [members for _, members in units]


def _with(delivery: Delivery, how: tuple[str, ...], bound: float) -> Delivery:
    return replace(delivery, how=how, bound=bound)
