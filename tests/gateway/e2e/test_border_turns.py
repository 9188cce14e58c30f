"""Vectors of domain-rules 5.3 that need a clock or records: the year's turn, terms, R55, R66."""

import datetime as dt
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pytest_asyncio

from gateway.border.counters_law import CountClass
from gateway.domain.border import Register
from gateway.domain.period import SHANGHAI_OFFSET_S
from gateway.ingest.loading import load_product
from gateway.registry import feeds
from gateway.registry.act import Act
from gateway.registry.catalogue import Catalogue
from gateway.snapshot.library import SnapshotLibrary
from tests.gateway.e2e.border_asking import (
    ask,
    crossed,
    personal_fields_cross,
    refused_with,
    shows,
)
from tests.gateway.e2e.border_vectors import (
    COMPANY,
    ENDED,
    NO_MECHANISM,
    PERSON,
    PHONE,
    UNCOVERED,
)
from tests.gateway.e2e.bureau import (
    COMPANY_PRODUCT,
    PERSON_PRODUCT,
    open_bureau,
    subjects_of,
)
from tests.gateway.e2e.conftest import serve_site
from tests.gateway.e2e.serving import Site, copy_stage
from tests.gateway.e2e.test_expiry import Hands
from tests.gateway.e2e.wire import read_details

pytestmark = pytest.mark.asyncio(loop_scope="session")
ORDINARY, SENSITIVE = CountClass.ORDINARY, CountClass.SENSITIVE

# --- The clock --------------------------------------------------------------------------------

YEAR: Final = (dt.datetime.now(dt.UTC) + dt.timedelta(days=3)).year + 1
# 1 January 00:00:00 in Hainan, still ahead whenever this runs.
TURN: Final = int(dt.datetime(YEAR, 1, 1, tzinfo=dt.UTC).timestamp()) - SHANGHAI_OFFSET_S
UTC_TURN: Final = TURN + SHANGHAI_OFFSET_S


class Hainan:
    """A site on the last day of the year, whose clock goes on when a test says so."""

    def __init__(self, site: Site, hands: Hands) -> None:
        self.site = site
        self.hands = hands

    def at(self, now_s: int) -> None:
        """Go on to a time; feeds and copies are fresh then, so that only the time matters."""
        self.hands.now_s = now_s
        for product in (PERSON_PRODUCT, COMPANY_PRODUCT):
            self.site.desk.run(feeds.reconciled, product, now_s)
        self.site.copy_abroad()

    def when(self, moment: str, now_s: int) -> None:
        """Let the clock strike in the middle of the next delivery: at the gate, or after it."""
        world = self.site.world
        owner, name = {"gate": (world.gate, "hold"), "evidence": (world.evidence, "outcome")}[
            moment
        ]
        real = getattr(owner, name)

        def struck(*parts: Any) -> Any:
            setattr(owner, name, real)
            self.hands.now_s = now_s
            return real(*parts)

        setattr(owner, name, struck)


@pytest_asyncio.fixture(loop_scope="session")
async def hainan(request, stage, tmp_path) -> AsyncIterator[Hainan]:
    """A site of the test's own a minute before the end of the year."""
    copied = copy_stage(stage, tmp_path / "home")
    if prepare := getattr(request, "param", None):
        prepare(copied, tmp_path)
    hands = Hands(TURN - 60)
    async with serve_site(copied, tamper=personal_fields_cross, clock_ms=hands) as site:
        scene = Hainan(site, hands)
        scene.at(TURN - 60)
        yield scene


@shows(
    "R63",
    "14 the year's turn, sensitive",
    "14 the year's turn, ordinary",
    "14 the year's turn in UTC is none",
)
async def test_counts_begin_anew_at_midnight_in_hainan_and_at_no_other(hainan):
    site = hainan.site
    first, second, *_ = subjects_of(site, "NATURAL_PERSON")
    sensitive, ordinary = open_bureau(site), open_bureau(site, **NO_MECHANISM)
    sensitive.consent_id = sensitive.consent(subjects=[first, second])

    hainan.at(TURN - 1)  # 31 December 23:59:59
    sensitive.declare(SENSITIVE, 9_999)
    ordinary.declare(ORDINARY, 99_999)
    await refused_with(sensitive, ask(sensitive, PERSON), ("XB_MECHANISM",))
    await refused_with(ordinary, ask(ordinary, PHONE), UNCOVERED)

    hainan.at(TURN)  # 1 January 00:00:00
    crossed(await ask(sensitive, PERSON))
    crossed(await ask(ordinary, PHONE))
    assert (sensitive.counts(), ordinary.counts()) == ((0, 1), (1, 0))
    assert sensitive.counts(YEAR - 1) == (0, 9_999)
    assert ordinary.counts(YEAR - 1) == (99_999, 0)
    sensitive.declare(SENSITIVE, 9_998)

    hainan.at(UTC_TURN - 1)  # 07:59:59 there; in UTC the old year's last second
    crossed(await ask(sensitive, PERSON))
    await refused_with(sensitive, ask(sensitive, PERSON, subjects=[second]), ("XB_MECHANISM",))
    hainan.at(UTC_TURN)
    await refused_with(sensitive, ask(sensitive, PERSON, subjects=[second]), ("XB_MECHANISM",))
    assert sensitive.counts() == (0, 9_999)


@shows("R63", "14 the year's turn before the hand-over")
@pytest.mark.parametrize(("moment", "last_year"), [("gate", 0), ("evidence", 1)])
async def test_nobody_leaves_in_a_year_that_does_not_count_him(hainan, moment, last_year):
    """What was decided at 23:59:59 and would leave at 00:00:00 is asked for anew.

    Once its outcome stands in the log it counts in the old year too: never too little.
    """
    bureau = open_bureau(hainan.site)
    hainan.at(TURN - 1)
    hainan.when(moment, TURN)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(bureau, PHONE)
    info, _ = read_details(caught.value)
    assert (info.reason, caught.value.code().name) == ("XB_COUNT_MOVED", "UNAVAILABLE")
    assert (bureau.counts(YEAR - 1), bureau.counts(YEAR)) == ((last_year, 0), (0, 0))
    hainan.at(TURN)
    crossed(await ask(bureau, PHONE))
    assert (bureau.counts(YEAR - 1), bureau.counts(YEAR)) == ((last_year, 0), (1, 0))


async def test_a_narrower_whitelist_holds_from_its_first_second_on(hainan):
    """A version that was approved before begins without an act, in the middle of an answer too."""
    bureau, begins = open_bureau(hainan.site), TURN - 40
    bureau.whitelist(COMPANY_PRODUCT, ("uscc", "dispute_flag"), begins=begins)
    hainan.at(begins - 1)
    assert "name" in crossed(await ask(bureau, COMPANY)).rows()[0]
    hainan.when("gate", begins)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(bureau, COMPANY)
    assert read_details(caught.value)[0].reason == "LICENCE_CHANGED"
    hainan.at(begins)
    assert "name" not in crossed(await ask(bureau, COMPANY)).rows()[0]


@shows(
    "R65",
    "3 an agreement that is over",
    "11 a consent that is over",
    "12 an impact assessment that is over",
    "13 an exemption that is over",
    "16 a mechanism that is over",
)
async def test_what_is_over_is_over_from_its_last_second_on(hainan):
    """The end of a term is exclusive; a second before, the same request crosses."""
    begins = TURN - 50
    for step, (what, codes) in enumerate(
        {
            "agreement": ("OUT_OF_SCOPE", "XB_PURPOSE"),
            "consent": ("XB_CONSENT",),
            "assessment": ("XB_PIPIA",),
            "exemption": UNCOVERED,
            "mechanism": ENDED,
        }.items()
    ):
        hainan.at(begins + 10 * step)
        ends = begins + 10 * step + 5
        term = {"not_after": ends}
        bureau = open_bureau(
            hainan.site,
            **{what: term} if what in {"agreement", "assessment", "mechanism"} else {},
            **NO_MECHANISM if what == "exemption" else {},
        )
        if what == "consent":
            bureau.consent_id = bureau.consent(expires_at=ends)
        if what == "exemption":
            bureau.state(Register.EXEMPTION, bureau.exporter_key, **term)
        hainan.hands.now_s = ends - 1
        answer = crossed(await ask(bureau, PERSON))
        assert answer.decision.valid_until.ToSeconds() <= ends, what
        hainan.hands.now_s = ends
        await refused_with(bureau, ask(bureau, PERSON), codes)


# --- Records (step 6, R66) --------------------------------------------------------------------

COMPANY_KIND, PERSON_KIND = "LEGAL_ENTITY", "NATURAL_PERSON"
PLAIN: Final = {
    "subject_type": COMPANY_KIND, "share_state": "ACTIVE", "publicity_state": "PUBLIC",
    "severity": "SERIOUS", "dispute_flag": False, "dispute_id": None, "publicity_end": None,
    "removed_on": None, "performance": "全部未履行",
}  # fmt: skip
STATES: Final[dict[str, dict[str, Any]]] = {
    "ACTIVE": {},
    "DISPUTED": {"dispute_flag": True, "dispute_id": "D-1"},
    "REPAIR_PENDING": {},
    "REPAIRED": {},
    "TEMP_MASKED": {},
    "EXPIRED": {},
    "WITHDRAWN": {},
    "NOT_SHARED": {},
}
OF_PERSON: Final = {"subject_type": PERSON_KIND}
DATED: Final[dict[str, dict[str, Any]]] = {
    "first of January": OF_PERSON | {"determination_date": dt.date(YEAR - 5, 1, 1)},
    "last of December": OF_PERSON | {"determination_date": dt.date(YEAR - 6, 12, 31)},
    "thirtieth of December": OF_PERSON | {"determination_date": dt.date(YEAR - 6, 12, 30)},
    "no day": OF_PERSON | {"determination_date": None},
    "a company": {"determination_date": dt.date(YEAR - 6, 12, 30)},
}
RECORDS: Final = {
    **{name: PLAIN | {"share_state": name} | words for name, words in STATES.items()},
    **{name: PLAIN | words for name, words in DATED.items()},
}


def load_records(stage: Any, folder: Path) -> None:
    """Give subjects one court record each, as `RECORDS` has them; its number names the record."""
    table = pq.read_table(stage.population.files[PERSON_PRODUCT].path)
    wanted, chosen, kept = dict(RECORDS), set(), []
    for row in table.to_pylist():
        if row["subject_code"] in chosen:
            continue
        for name, words in wanted.items():
            if words["subject_type"] == row["subject_type"]:
                chosen.add(row["subject_code"])
                row.update(wanted.pop(name), case_no=name)
                break
        kept.append(row)
    assert not wanted
    made = folder / "records.parquet"
    pq.write_table(pa.Table.from_pylist(kept, schema=table.schema), made)
    deployment, product = stage.deployment, Catalogue.load().product(PERSON_PRODUCT)
    library = SnapshotLibrary(deployment.snapshots_directory)
    act = Act(int(time.time()), deployment.settings.node)
    with closing(deployment.open_state()) as state:
        load_product(state, library, product, made, act)


class Recorded:
    """A bureau that may ask about everybody in `RECORDS`."""

    def __init__(self, site: Site) -> None:
        snapshot = site.world.library.current(PERSON_PRODUCT)
        assert snapshot is not None
        rows = np.arange(snapshot.manifest.rows)
        told = snapshot.take(rows, ["subject_code", "case_no"]).to_pylist()
        self.who = {
            row["case_no"]: row["subject_code"] for row in told if row["case_no"] in RECORDS
        }
        at_home = snapshot.shareable(rows, site.desk.act.now)
        self.at_home = {
            row["case_no"] for row, shared in zip(told, at_home, strict=True) if shared
        } & set(RECORDS)
        assert set(self.who) == set(RECORDS)
        self.bureau = open_bureau(site)
        self.bureau.consent_id = self.bureau.consent(subjects=list(self.who.values()))

    async def crossing(self, names: Any) -> set[str]:
        """Return of whom a record crosses; a disputed one with its label (R14)."""
        found = set()
        for name in names:
            words = {"subjects": [self.who[name]], "subject_kind": RECORDS[name]["subject_type"]}
            table = crossed(await self.bureau.about_a_person(**words)).table()
            if table.num_rows:
                assert table["dispute_flag"].to_pylist() == [RECORDS[name]["dispute_flag"]]
                found.add(name)
        return found


@shows("R55", "6 only active and disputed records")
@pytest.mark.parametrize("hainan", [load_records], indirect=True)
async def test_records_in_any_other_state_never_cross(hainan):
    """Also not one that is still shared at home while its repair is pending."""
    records = Recorded(hainan.site)
    assert records.at_home & set(STATES) == {"ACTIVE", "DISPUTED", "REPAIR_PENDING"}
    assert await records.crossing(STATES) == {"ACTIVE", "DISPUTED"}


@shows(
    "R66",
    "R66 five years old today",
    "R66 a day older than five years",
    "R66 of no day",
    "R66 of a company",
)
@pytest.mark.parametrize("hainan", [load_records], indirect=True)
async def test_adverse_information_about_a_person_crosses_for_five_years(hainan):
    records = Recorded(hainan.site)
    assert records.at_home >= set(DATED)
    hainan.at(TURN - 1)
    crossing = {"first of January", "last of December", "a company"}
    assert await records.crossing(DATED) == crossing
    hainan.at(TURN)
    assert await records.crossing(DATED) == crossing - {"last of December"}
    # That nothing is known of a person tells something of the person: all four count.
    bureau = records.bureau
    assert bureau.counts(YEAR) == bureau.counts(YEAR - 1) == (0, 4)
