"""Books of exports in a state database of each kind, and a law with small numbers."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from audit import acts
from audit.journal import Posting, Transaction
from gateway.border.counters import ExportCounters, Standing
from gateway.border.counters_items import Reservation, Settlement, persons_of
from gateway.border.counters_law import Ceilings, CountClass, CountLaw
from gateway.border.counters_ledger import ExportLedger
from gateway.border.counters_tags import Tagger
from gateway.store.state import State
from tests.simulator import NOW
from tests.stores import Place

KEY = b"k" * 32
EXPORTER = "uscc:91460099MA00000016"
PARTY = "reg:SG:201912345K"
YEAR = 2026
LAW = CountLaw.load()
ORDINARY, SENSITIVE = CountClass.ORDINARY, CountClass.SENSITIVE
_numbers = itertools.count()


@dataclass
class Books:
    """Reserves and settles through a journal, as intents and outcomes do."""

    place: Place
    state: State
    law: CountLaw = LAW
    tagger: Tagger = field(default_factory=lambda: Tagger(KEY))

    def __post_init__(self) -> None:
        self.ledger = ExportLedger(self.law, self.tagger)
        self.counts = ExportCounters(self.state.connect(), self.law, self.tagger, node="n")

    def reservation(
        self, persons, *kinds, ceilings=None, exporter=EXPORTER, **words
    ) -> Reservation:
        year = words.get("year", YEAR)
        tags = tuple(self.tagger.tag(exporter, year, person) for person in persons)
        return Reservation(
            exporter,
            year,
            persons_of(exporter, year, kinds or (SENSITIVE,), tags),
            ceilings or Ceilings(),
            words.get("at", NOW),
            "n",
            words.get("party", PARTY),
        )

    async def post(self, item: Reservation | Settlement) -> int:
        """Append an entry that carries an item, and return its index."""
        entry = acts.node_stopped(time=NOW, node="n", reason=f"t{next(_numbers)}")
        return await self.state.journal.record(
            entry,
            lambda _: [],
            lambda tx: tx.append(entry),
            lambda appended: appended.index,
            [Posting(self.ledger, item)],
        )

    async def end(self, intent: int, reservation: Reservation, *, sent: bool) -> int:
        return await self.post(Settlement(intent, reservation, sent))

    def post_now(self, item: Reservation | Settlement) -> int:
        return asyncio.run(self.post(item))

    def standing(self, persons=(), *, sensitive=True, ordinary=None, **words) -> Standing:
        exporter, year = words.get("exporter", EXPORTER), words.get("year", YEAR)
        return self.counts.standing(exporter, year, persons, sensitive=sensitive, ordinary=ordinary)

    def totals(self, exporter=EXPORTER, year=YEAR) -> tuple[int, int]:
        found = self.counts.standing(exporter, year, (), sensitive=False, ordinary=False)
        return found.persons, found.sensitive_persons

    def rows(self, sql: str, *params: object) -> list[Any]:
        connection = self.state.connect()
        try:
            return connection.execute(sql, params).fetchall()
        finally:
            connection.close()

    def fill(self, kind: CountClass, count: int) -> None:
        """Let an exporter stand at a count without a tag for each, to be near a threshold."""

        def job(tx: Transaction) -> None:
            tx.execute(
                "INSERT INTO export_counts (exporter, year, class, own, declared, log_index)"
                " VALUES (?, ?, ?, ?, 0, 0)",
                (EXPORTER, YEAR, kind.value, count),
            )

        self.state.run(job)

    def close(self) -> None:
        self.counts.close()
        self.state.close()


@pytest.fixture
def books(place: Place) -> Iterator[Books]:
    opened = Books(place, place.state())
    yield opened
    opened.close()
