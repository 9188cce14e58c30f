"""What the books say: how near each count is to its thresholds, and the annex for the filing."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit.journal import Transaction
from gateway.border.counters_law import (
    CountClass,
    CountLaw,
    date_of,
    export_year,
    first_day,
    forecast,
    shanghai_day,
)

_WHOLE = 100
_LINES = (
    "SELECT x.party, x.country, x.product, x.purpose, x.fields, x.mechanism, x.mechanism_kind,"
    " x.basis, x.whitelist, count(*), sum(x.ordinary), sum(x.sensitive), sum(o.records),"
    " sum(o.bytes), min(x.begun_at), max(x.begun_at)"
    " FROM exports x JOIN export_outcomes o ON o.intent = x.intent"
    " WHERE x.year = ? AND x.exporter = ? AND o.released = 1"
    " GROUP BY x.party, x.country, x.product, x.purpose, x.fields, x.mechanism,"
    " x.mechanism_kind, x.basis, x.whitelist"
    " ORDER BY x.party, x.product, x.purpose, x.mechanism, x.whitelist, x.fields"
)
_ENDS = (
    "SELECT count(*), sum(CASE WHEN o.intent IS NULL THEN 1 ELSE 0 END),"
    " sum(CASE WHEN o.released = 0 THEN 1 ELSE 0 END)"
    " FROM exports x LEFT JOIN export_outcomes o ON o.intent = x.intent"
    " WHERE x.year = ? AND x.exporter = ?"
)


@dataclass(frozen=True, slots=True)
class Nearness:
    """How near a count is to a threshold.

    Args:
        threshold: The number from which on the law asks for more.
        per_cent: Share of it that is used, rounded down.
        reached_on: When it is reached at the present pace, ISO 8601; empty for not this year.
        alarms: Per cents at which an alarm was raised.
    """

    threshold: int
    per_cent: int
    reached_on: str
    alarms: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """One count of an exporter and a year.

    Args:
        exporter: Party id.
        year: The year.
        kind: Class.
        own: Distinct persons of this gateway.
        declared: What the exporter declared of its other exports.
        declared_as_of: Unix seconds, or None without a declaration.
        held: Persons of intents without an outcome; they are part of `own`.
        near: Each threshold.
    """

    exporter: str
    year: int
    kind: CountClass
    own: int
    declared: int
    declared_as_of: int | None
    held: int
    near: tuple[Nearness, ...]

    @property
    def total(self) -> int:
        """The number that the law looks at."""
        return self.own + self.declared


@dataclass(frozen=True, slots=True)
class Line:
    """What went to one recipient, of one product, in one form, on one ground.

    Args:
        party: Party id of the recipient.
        country: Its country.
        product: Product.
        purpose: Purpose.
        fields: Names of the fields that left.
        mechanism: Id of the mechanism; empty where none was needed.
        mechanism_kind: ASSESSMENT, SCC or CERT, or empty.
        basis: Ground of an exemption, or empty.
        whitelist: Version of the field whitelist, 0 for none.
        requests: Deliveries.
        ordinary: Persons in them, counted with each delivery anew.
        sensitive: The same of sensitive information.
        records: Records that left.
        bytes: Bytes that left.
        first: Unix seconds of the first.
        last: Unix seconds of the last.
    """

    party: str
    country: str
    product: str
    purpose: str
    fields: tuple[str, ...]
    mechanism: str
    mechanism_kind: str
    basis: str
    whitelist: int
    requests: int
    ordinary: int
    sensitive: int
    records: int
    bytes: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Annex:
    """One exporter's year.

    Args:
        exporter: Party id.
        counts: Its counts.
        recipients: Recipient to class to distinct persons about whom something was sent to it.
        lines: What went where.
        deliveries: Exports that were begun.
        unsettled: Of these, without an outcome.
        nothing_left: Of these, ended before anything left.
    """

    exporter: str
    counts: tuple[Count, ...]
    recipients: Mapping[str, Mapping[str, int]]
    lines: tuple[Line, ...]
    deliveries: int
    unsettled: int
    nothing_left: int


def counts(tx: Transaction, law: CountLaw, year: int, now: int, exporter: str = "") -> list[Count]:
    """Return the counts of a year.

    Args:
        tx: The transaction.
        law: Thresholds and levels.
        year: The year.
        now: Unix seconds.
        exporter: Of this one alone; empty for all.
    """
    rows = tx.execute(
        "SELECT exporter, class, own, declared FROM export_counts WHERE year = ?"
        " ORDER BY exporter, class",
        (year,),
    ).fetchall()
    return [
        _count(tx, law, name, year, CountClass(kind), own, declared, now)
        for name, kind, own, declared in rows
        if exporter in ("", name)
    ]


def annexes(tx: Transaction, law: CountLaw, year: int, now: int, exporter: str = "") -> list[Annex]:
    """Return the annex of each exporter of a year; the arguments are those of `counts`."""
    known = tx.execute(
        "SELECT exporter FROM exports WHERE year = ? UNION"
        " SELECT exporter FROM export_counts WHERE year = ? ORDER BY exporter",
        (year, year),
    ).fetchall()
    return [_annex(tx, law, year, now, name) for (name,) in known if exporter in ("", name)]


def _annex(tx: Transaction, law: CountLaw, year: int, now: int, exporter: str) -> Annex:
    recipients: dict[str, dict[str, int]] = {}
    for party, kind, persons in tx.execute(
        "SELECT party, class, count(*) FROM export_recipients WHERE exporter = ? AND year = ?"
        " GROUP BY party, class ORDER BY party, class",
        (exporter, year),
    ).fetchall():
        recipients.setdefault(party, {})[kind] = persons
    lines = [_line(row) for row in tx.execute(_LINES, (year, exporter)).fetchall()]
    begun, unsettled, nothing = tx.execute(_ENDS, (year, exporter)).fetchone()
    return Annex(
        exporter,
        tuple(counts(tx, law, year, now, exporter)),
        recipients,
        tuple(lines),
        begun,
        int(unsettled or 0),
        int(nothing or 0),
    )


def _line(row: Sequence[Any]) -> Line:
    """Return the line in a row of the query; sums come as the database types them."""
    party, country, product, purpose, fields, mechanism, kind, basis, whitelist, *numbers = row
    requests, ordinary, sensitive, records, size, first, last = map(int, numbers)
    return Line(
        party,
        country,
        product,
        purpose,
        tuple(json.loads(fields)),
        mechanism,
        kind,
        basis,
        whitelist,
        requests,
        ordinary,
        sensitive,
        records,
        size,
        first,
        last,
    )


def _count(
    tx: Transaction,
    law: CountLaw,
    exporter: str,
    year: int,
    kind: CountClass,
    own: int,
    declared: int,
    now: int,
) -> Count:
    account = (exporter, year, kind.value)
    as_of = tx.execute(
        "SELECT as_of FROM export_declarations WHERE exporter = ? AND year = ? AND class = ?"
        " ORDER BY version DESC LIMIT 1",
        account,
    ).fetchone()
    held = tx.execute(
        "SELECT count(DISTINCT tag) FROM export_holds"
        " WHERE exporter = ? AND year = ? AND class = ?",
        account,
    ).fetchone()
    raised = tx.execute(
        "SELECT threshold, per_cent FROM export_alarms"
        " WHERE exporter = ? AND year = ? AND class = ? ORDER BY threshold, per_cent",
        account,
    ).fetchall()
    total, today = own + declared, shanghai_day(now)
    daily = _daily(tx, law, account, today) if export_year(now) == year else []
    near = [
        Nearness(
            threshold,
            total * _WHOLE // threshold,
            _date(forecast(total, threshold, daily, today, first_day(year + 1) - 1)),
            tuple(per_cent for of, per_cent in raised if of == threshold),
        )
        for threshold in law.thresholds(kind)
    ]
    return Count(exporter, year, kind, own, declared, as_of and as_of[0], held[0], tuple(near))


def _daily(
    tx: Transaction, law: CountLaw, account: tuple[str, int, str], today: int
) -> Sequence[int]:
    """Return new persons of the days that the pace is taken from, since the first one counted.

    On that first day itself, its own number so far is all that is known of the pace.
    """
    rows = tx.execute(
        "SELECT day, persons FROM export_days WHERE exporter = ? AND year = ? AND class = ?"
        " ORDER BY day",
        account,
    ).fetchall()
    by_day = dict(rows)
    if not by_day:
        return []
    begin = max(min(by_day), today - law.pace_days)
    if begin >= today:
        return [by_day.get(today, 0)]
    return [by_day.get(day, 0) for day in range(begin, today)]


def _date(day: int | None) -> str:
    return "" if day is None else date_of(day).isoformat()
