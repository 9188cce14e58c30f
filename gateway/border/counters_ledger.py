"""The books of persons who are counted for export: what a transaction reads and writes of them.

reserve   with the intent: the persons are counted, and held by it
sent      with the outcome: what the intent held stays counted for the year
released  with the outcome, when nothing left: who is held by nobody else is counted no more

An intent without an outcome goes on holding, so a crash counts as sent until it is reconciled.
Everything here runs inside a transaction of the journal, alone among all writers of all replicas:
what is checked still holds when it is written.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from audit.journal import Transaction
from gateway.border.counters_items import (
    Account,
    CountMovedError,
    Item,
    Person,
    Reservation,
    Settlement,
)
from gateway.border.counters_law import CountClass, CountLaw, shanghai_day
from gateway.border.counters_tags import Tagger
from gateway.domain.errors import UnavailableError
from gateway.registry.alarms import raise_alarm

_CHUNK: Final = 8_000  # tags of one statement
_PARAMETERS: Final = 32_000
_COUNTS: Final = "SELECT class, own, declared FROM export_counts WHERE exporter = ? AND year = ?"
_ADD: Final = (
    " ON CONFLICT (exporter, year, class) DO UPDATE SET own = export_counts.own + excluded.own,"
    " log_index = excluded.log_index RETURNING exporter, year, class, own, declared"
)
_ADD_DAY: Final = (
    " ON CONFLICT (exporter, year, class, day)"
    " DO UPDATE SET persons = export_days.persons + excluded.persons"
)
_UNHELD: Final = (
    "DELETE FROM export_persons WHERE exporter = ? AND year = ? AND class = ? AND tag = ?"
    " AND sent = 0 RETURNING day"
)


class ExportLedger:
    """A `Ledger` of the journal; one for each process, used by its writer's thread.

    Args:
        law: The levels of alarms.
        tagger: Its key must be the one that the books were begun with.
    """

    def __init__(self, law: CountLaw, tagger: Tagger) -> None:
        self._law = law
        self._tagger = tagger
        self._verified = threading.Event()

    def check(self, tx: Transaction, items: Sequence[Item]) -> list[Exception | None]:
        """Say which reservations fit under their ceilings, one after the other."""
        wanted = [item for item in items if isinstance(item, Reservation)]
        if not wanted:
            return [None] * len(items)
        self.require_key(tx)
        counts = _Counts(tx)
        known = _known(tx, {person for item in wanted for person in item.persons})
        verdicts: list[Exception | None] = []
        for item in items:
            if not isinstance(item, Reservation):
                verdicts.append(None)
                continue
            fresh = {person for person in item.persons if person not in known}
            ordinary, sensitive = counts.with_new(item.exporter, item.year, fresh)
            # Whom the books have already changes nothing; but the band may be another by now.
            if item.ceilings.hold(ordinary, sensitive):
                counts.take(item.exporter, item.year, ordinary, sensitive)
                known |= fresh
                verdicts.append(None)
            else:
                verdicts.append(CountMovedError())
        return verdicts

    def post(self, tx: Transaction, items: Sequence[tuple[Item, int]]) -> None:
        """Write reservations first: whom a new one holds, an ended one doesn't take away."""
        new = [(item, index) for item, index in items if isinstance(item, Reservation)]
        if new:
            self._reserve(tx, new)
        ended = [(item, index) for item, index in items if isinstance(item, Settlement)]
        if ended:
            settle(tx, self._law, ended)

    def require_key(self, tx: Transaction) -> None:
        """Check, once, that these books were begun with this key; begin them if they weren't.

        Raises:
            UnavailableError: `XB_COUNT_KEY`; another key would count everybody a second time.
        """
        if self._verified.is_set():
            return
        mine = (self._tagger.algorithm.value, self._tagger.check_value)
        row = tx.execute("SELECT algorithm, check_value FROM export_tagging").fetchone()
        if row is None:
            tx.execute(
                "INSERT INTO export_tagging (one, algorithm, check_value) VALUES (1, ?, ?)", mine
            )
            return  # not remembered: the transaction may still be taken back
        if (row[0], bytes(row[1])) != mine:
            raise UnavailableError(
                "XB_COUNT_KEY", "the export key is not the one that persons were counted with"
            )
        self._verified.set()

    def _reserve(self, tx: Transaction, new: Sequence[tuple[Reservation, int]]) -> None:
        held = [(index, *person) for item, index in new for person in item.persons]
        into = "INSERT INTO export_holds (intent, exporter, year, class, tag) VALUES"
        _write(tx, into, held, "")
        persons = list(dict.fromkeys((e, y, c, tag) for _, e, y, c, tag in held))
        newest = {(item.exporter, item.year): (item, index) for item, index in new}
        count_persons(tx, self._law, persons, newest)


def count_persons(
    tx: Transaction,
    law: CountLaw,
    persons: Sequence[Person],
    newest: Mapping[tuple[str, int], tuple[Reservation, int]],
) -> None:
    """Count those persons whom the books don't have yet.

    Args:
        tx: The transaction.
        law: The levels of alarms.
        persons: Distinct persons.
        newest: Exporter and year to the newest reservation and the index of its entry.
    """
    inserted = _write(
        tx,
        "INSERT INTO export_persons (exporter, year, class, tag, day, sent) VALUES",
        [(*person, shanghai_day(newest[person[:2]][0].at), 0) for person in persons],
        " ON CONFLICT (exporter, year, class, tag) DO NOTHING RETURNING exporter, year, class",
    )
    gained = Counter[Account](map(tuple, inserted))
    totals = _write(
        tx,
        "INSERT INTO export_counts (exporter, year, class, own, declared, log_index) VALUES",
        [(*account, n, 0, newest[account[:2]][1]) for account, n in gained.items()],
        _ADD,
    )
    _write(
        tx,
        "INSERT INTO export_days (exporter, year, class, day, persons) VALUES",
        [(*account, shanghai_day(newest[account[:2]][0].at), n) for account, n in gained.items()],
        _ADD_DAY,
    )
    for exporter, year, kind, own, declared in totals:
        item, index = newest[exporter, year]
        account, total = (exporter, year, kind), own + declared
        raise_levels(tx, law, account, total - gained[account], total, item.at, item.node, index)


def settle(tx: Transaction, law: CountLaw, ended: Sequence[tuple[Settlement, int]]) -> None:
    """Let intents hold nobody any more.

    Args:
        tx: The transaction.
        law: The levels of alarms.
        ended: Settlements, each with the index of the entry that ended it.
    """
    intents = [(item.intent,) for item, _ in ended]
    _write(tx, "DELETE FROM export_holds WHERE intent IN (VALUES", intents, ")")
    for item, index in ended:
        if item.sent and not _mark_sent(tx, item.reservation):
            # It was taken for dead and released, and sent all the same: the truth is counted.
            given = item.reservation
            count_persons(tx, law, given.persons, {(given.exporter, given.year): (given, index)})
            _mark_sent(tx, given)
    told = {
        (p[0], p[1], item.reservation.party, *p[2:]): None
        for item, _ in ended
        if item.sent
        for p in item.reservation.persons
    }
    into = "INSERT INTO export_recipients (exporter, year, party, class, tag) VALUES"
    _write(tx, into, list(told), " ON CONFLICT (exporter, year, party, class, tag) DO NOTHING")
    gone = {p: at for item, at in ended if not item.sent for p in item.reservation.persons}
    _take_back(tx, gone)


def raise_levels(
    tx: Transaction,
    law: CountLaw,
    account: Account,
    before: int,
    after: int,
    at: int,
    node: str,
    cause: int,
) -> None:
    """Raise an alarm for each level that a count has just reached, once a year each.

    Args:
        tx: The transaction.
        law: The levels.
        account: Exporter, year and class.
        before: The count as it was.
        after: The count as it is.
        at: Unix seconds.
        node: Name of the node.
        cause: Index of the entry that raised the count.
    """
    exporter, year, kind = account
    for level in law.crossed(CountClass(kind), before, after):
        raised = tx.execute(
            "SELECT 1 FROM export_alarms WHERE exporter = ? AND year = ? AND class = ?"
            " AND threshold = ? AND per_cent = ?",
            (*account, level.threshold, level.per_cent),
        ).fetchone()
        if raised is not None:
            continue
        index = raise_alarm(
            tx,
            rule="R64",
            code=f"EXPORT_{kind.upper()}_{level.threshold}_{level.per_cent}",
            now=at,
            node=node,
            actor=exporter,
            records=after,
            cause=cause,
        )
        tx.execute(
            "INSERT INTO export_alarms (exporter, year, class, threshold, per_cent, raised_at,"
            " log_index) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (exporter, year, kind, level.threshold, level.per_cent, at, index),
        )


class _Counts:
    """Counts of the accounts that a group touches, as they rise within it."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._totals: dict[tuple[str, int], tuple[int, int]] = {}

    def with_new(self, exporter: str, year: int, fresh: Iterable[Person]) -> tuple[int, int]:
        """Return both counts with persons added to them."""
        ordinary, sensitive = self._of(exporter, year)
        for _, _, kind, _ in fresh:
            if kind == CountClass.ORDINARY:
                ordinary += 1
            else:
                sensitive += 1
        return ordinary, sensitive

    def take(self, exporter: str, year: int, ordinary: int, sensitive: int) -> None:
        """Go on from these counts."""
        self._totals[exporter, year] = (ordinary, sensitive)

    def _of(self, exporter: str, year: int) -> tuple[int, int]:
        found = self._totals.get((exporter, year))
        if found is None:
            rows = self._tx.execute(_COUNTS, (exporter, year)).fetchall()
            sums = {kind: own + declared for kind, own, declared in rows}
            found = (sums.get(CountClass.ORDINARY, 0), sums.get(CountClass.SENSITIVE, 0))
            self._totals[exporter, year] = found
        return found


def _known(tx: Transaction, wanted: Iterable[Person]) -> set[Person]:
    """Return which of these persons the books have."""
    found: set[Person] = set()
    for account, tags in _by_account(wanted).items():
        for start in range(0, len(tags), _CHUNK):
            part = tags[start : start + _CHUNK]
            marks = ",".join("?" * len(part))
            rows = tx.execute(
                "SELECT tag FROM export_persons"
                f" WHERE exporter = ? AND year = ? AND class = ? AND tag IN ({marks})",
                (*account, *part),
            )
            found.update((*account, bytes(tag)) for (tag,) in rows)
    return found


def _by_account(persons: Iterable[Person]) -> dict[Account, list[bytes]]:
    accounts: dict[Account, list[bytes]] = {}
    for exporter, year, kind, tag in persons:
        accounts.setdefault((exporter, year, kind), []).append(tag)
    return accounts


def _mark_sent(tx: Transaction, reservation: Reservation) -> bool:
    """Keep persons counted for the year; return False when one of them isn't counted."""
    whole = True
    for account, tags in _by_account(reservation.persons).items():
        for start in range(0, len(tags), _CHUNK):
            part = tags[start : start + _CHUNK]
            marks = ",".join("?" * len(part))
            marked = tx.execute(
                "UPDATE export_persons SET sent = 1"
                f" WHERE exporter = ? AND year = ? AND class = ? AND tag IN ({marks})",
                (*account, *part),
            )
            whole = whole and marked.rowcount == len(part)
    return whole


def _take_back(tx: Transaction, gone: Mapping[Person, int]) -> None:
    """Count persons no more whom nothing was sent about and nobody holds."""
    lost: dict[Account, tuple[int, int]] = {}
    for person, at in gone.items():
        exporter, year, kind, tag = person
        held = tx.execute(
            "SELECT 1 FROM export_holds WHERE class = ? AND tag = ? LIMIT 1", (kind, tag)
        ).fetchone()
        if held is not None:
            continue
        row = tx.execute(_UNHELD, person).fetchone()
        if row is None:
            continue
        tx.execute(
            "UPDATE export_days SET persons = persons - 1"
            " WHERE exporter = ? AND year = ? AND class = ? AND day = ?",
            (exporter, year, kind, row[0]),
        )
        account = (exporter, year, kind)
        lost[account] = (lost.get(account, (0, 0))[0] + 1, at)
    for account, (persons, at) in lost.items():
        tx.execute(
            "UPDATE export_counts SET own = own - ?, log_index = ?"
            " WHERE exporter = ? AND year = ? AND class = ?",
            (persons, at, *account),
        )


def _write(
    tx: Transaction, into: str, rows: Sequence[tuple[object, ...]], conflict: str
) -> list[Any]:
    """Run one statement for many rows, and return what it returns: rows of the database."""
    found: list[Any] = []
    if not rows:
        return found
    width = len(rows[0])
    most = _PARAMETERS // width
    for start in range(0, len(rows), most):
        part = rows[start : start + most]
        marks = ",".join(["(" + ",".join("?" * width) + ")"] * len(part))
        cursor = tx.execute(f"{into} {marks}{conflict}", [value for row in part for value in row])
        if "RETURNING" in conflict:
            found += cursor.fetchall()
    return found
