"""Every vector of domain-rules 5.3 over mutual TLS, on the registers' state and the real books.

The table is `border_vectors.VECTORS`. Below it stand the vectors that need a clock which moves,
records of their own, or several requests; each is named like a line of the table. The last tests
say that none is missing.
"""

import datetime as dt
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pytest_asyncio

from gateway.border.counters_law import CountClass
from gateway.decision.input import calendar_of
from gateway.domain.border import Register
from gateway.domain.errors import InvalidRequestError
from gateway.domain.period import SHANGHAI_OFFSET_S
from gateway.domain.vocabulary import BorderDefault, LicenceKind, Role, SubjectKind
from gateway.ingest.loading import load_product
from gateway.registry import feeds
from gateway.registry.act import Act
from gateway.registry.catalogue import Catalogue
from gateway.release.crossing import PERSON_KINDS
from gateway.snapshot.library import SnapshotLibrary
from tests.gateway.e2e.border_vectors import (
    DEBT,
    ENDED,
    NO_MECHANISM,
    PERSON,
    PHONE,
    UNCOVERED,
    VECTORS,
    Vector,
    a_debtor,
)
from tests.gateway.e2e.bureau import (
    COMPANY_PRODUCT,
    CROSSING,
    PERSON_PRODUCT,
    SCOPE,
    Bureau,
    open_bureau,
    subjects_of,
)
from tests.gateway.e2e.conftest import serve_site
from tests.gateway.e2e.serving import Site, copy_stage
from tests.gateway.e2e.test_expiry import Hands
from tests.gateway.e2e.wire import check_denial, check_refusal, read_details
from xinguan.client import Answer

pytestmark = pytest.mark.asyncio(loop_scope="session")
ORDINARY, SENSITIVE = CountClass.ORDINARY, CountClass.SENSITIVE
NUMBER = ("uscc", "contact_phone")
OWN: Final[dict[str, str]] = {}  # vectors that are tests of their own, to the rule they show


def shows(rule: str, *names: str) -> Callable[[Any], Any]:
    """Name the vectors that a test is."""

    def keep(test: Any) -> Any:
        OWN.update(dict.fromkeys(names, rule))
        return test

    return keep


# --- The table --------------------------------------------------------------------------------


def personal_fields_cross(world: Any) -> None:
    """Let contracts allow ordinary personal information behind a company, which ours never do."""
    changed = {}
    for name, fields in (
        (COMPANY_PRODUCT, ("contact_phone",)),
        (PERSON_PRODUCT, ("legal_rep_name", "org_code_or_id")),
    ):
        product = world.products[name]
        allowed = {
            field: replace(product.fields[field], border=BorderDefault.ALLOW) for field in fields
        }
        changed[name] = replace(product, fields={**product.fields, **allowed})
    world.products = {**world.products, **changed}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def open_contracts(stage, tmp_path_factory) -> AsyncIterator[Site]:
    """A site where ordinary personal information may cross."""
    copied = copy_stage(stage, tmp_path_factory.mktemp("open") / "home")
    async with serve_site(copied, tamper=personal_fields_cross) as served:
        yield served


@pytest.fixture
def place(request: pytest.FixtureRequest, vector: Vector) -> Site:
    """The site that a vector is asked on."""
    found: Site = request.getfixturevalue("open_contracts" if vector.ask == PHONE else "site")
    found.desk.check_publicity()
    return found


def given_of(vector: Vector, now: int) -> dict[str, Any]:
    """Return what the table gives, with times that count from now."""
    given = {}
    for name, words in vector.given.items():
        given[name] = words
        if isinstance(words, dict) and "begins_in" in words:
            rest = {key: value for key, value in words.items() if key != "begins_in"}
            given[name] = {"not_before": now + words["begins_in"], **rest}
    return given


async def ask(bureau: Bureau, what: str, **words: Any) -> Any:
    """Ask for one of the four things that the table asks for."""
    site = bureau.site
    if isinstance(words.get("subjects"), int):
        words["subjects"] = site.population.sample[: words["subjects"]]
    if what == PERSON:
        return await bureau.about_a_person(**words)
    if what == PHONE:
        return await bureau.about_a_company(NUMBER, consent_id=bureau.consent_id, **words)
    if what == DEBT:
        fields = words.pop("fields")
        stated = {"subjects": [a_debtor(site)], "consent_id": bureau.consent_id}
        return await bureau.ask(PERSON_PRODUCT, fields, **(stated | words))
    return await bureau.about_a_company(words.pop("fields", ("uscc", "name")), **words)


async def refused_with(bureau: Bureau, call: Any, codes: tuple[str, ...]) -> None:
    """Await a call that must be refused for exactly these reasons, all of them in the log."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    _, refusal = read_details(caught.value)
    first = refusal.reasons[0]
    check_refusal(bureau.site, caught.value, first.code, "PERMISSION_DENIED", rule=first.rule)
    entry = check_denial(bureau.site, refusal)
    assert {code for _, code in entry["reasons"]} == set(codes)


def crossed(messages: Any) -> Answer:
    """Return an answer that left: something in the clear, an export in the log."""
    answer = Answer(messages)
    assert "allow" in {told.action for told in answer.decision.fields}
    assert "border_record" in answer.decision.obligations
    assert answer.decision.intent.index >= 0
    return answer


@pytest.mark.parametrize("vector", VECTORS, ids=[vector.name for vector in VECTORS])
async def test_the_table(place, vector):
    bureau = open_bureau(place, **given_of(vector, place.desk.act.now))
    for kind, persons in zip((ORDINARY, SENSITIVE), vector.sent, strict=True):
        if persons:
            bureau.declare(kind, persons)
    important = "important" in vector.name
    try:
        for act in vector.done:
            act(bureau)
        call = ask(bureau, vector.ask, **vector.words)
        if vector.codes:
            await refused_with(bureau, call, vector.codes)
            assert bureau.counts() == vector.sent  # nobody is counted for a refusal
            return
        answer = crossed(await call)
    finally:
        if important:  # of the product, not of this bureau alone
            bureau.state(Register.IMPORTANT, notified=False)
    told = {reason.code for reason in answer.decision.reasons}
    assert set(vector.dropped.values()) <= told
    assert not set(vector.dropped) & set(answer.table().schema.names)
    assert answer.table().num_rows >= 1
    if vector.counted is not None:
        ordinary, sensitive = vector.sent
        assert bureau.counts() == (ordinary + vector.counted[0], sensitive + vector.counted[1])


# --- Counts that take more than one request ---------------------------------------------------


@shows("R63", "14 the same person three times")
async def test_the_same_person_three_times_counts_once_also_by_another_partner(site):
    bureau, other = open_bureau(site), open_bureau(site)
    for _ in range(3):
        crossed(await bureau.about_a_person())
    assert bureau.counts() == (0, 1)
    crossed(await other.about_a_person())  # another exporter's count is its own
    assert (bureau.counts(), other.counts()) == ((0, 1), (0, 1))


@shows("R63", "14 a person as ordinary and as sensitive")
async def test_who_is_sent_as_ordinary_and_as_sensitive_counts_in_both(open_contracts):
    open_contracts.desk.check_publicity()
    fields = (*CROSSING, "legal_rep_name", "org_code_or_id")
    scope = tuple(sorted({*SCOPE, *fields}))
    bureau = open_bureau(open_contracts, fields=fields, mechanism={"fields": scope})
    bureau.declare(ORDINARY, 10)
    debtor = a_debtor(open_contracts)
    bureau.consent_id = bureau.consent(subjects=[debtor])
    for asked, counted in (
        (("name", "legal_rep_name"), (11, 0)),
        (("name", "org_code_or_id"), (11, 1)),
        (("name", "legal_rep_name", "org_code_or_id"), (11, 1)),
    ):
        words = {"subjects": [debtor], "consent_id": bureau.consent_id}
        answer = crossed(await bureau.ask(PERSON_PRODUCT, asked, **words))
        assert set(asked) <= set(answer.table().schema.names)
        assert bureau.counts() == counted


@shows("R63", "14 an individual business is a person")
async def test_an_individual_business_is_counted_as_a_person(site):
    kinds = (SubjectKind.SOLE_PROP, SubjectKind.LEGAL_ENTITY)
    bureau = open_bureau(site, kinds=kinds)
    (trader, *_) = subjects_of(site, "SOLE_PROP")
    bureau.consent_id = bureau.consent(subjects=[trader])
    words = {"subjects": [trader], "subject_kind": "SOLE_PROP"}
    assert crossed(await bureau.about_a_person(**words)).table().num_rows
    assert bureau.counts() == (0, 1)
    bureau.declare(SENSITIVE, 9_999)
    await refused_with(bureau, bureau.about_a_person(**words), ("XB_MECHANISM",))


@shows("R63", "14 a person asked for as a company")
async def test_a_person_who_is_asked_for_as_a_company_is_not_found(site):
    bureau = open_bureau(site)
    (trader, *_) = subjects_of(site, "SOLE_PROP")
    as_company = {"subject_kind": "LEGAL_ENTITY"}
    answer = crossed(await bureau.about_a_person(subjects=[trader], **as_company))
    assert answer.table().num_rows == 0
    with pytest.raises(grpc.aio.AioRpcError) as caught:  # whose identifier is no company's
        await bureau.about_a_person(**as_company)
    assert read_details(caught.value)[0].reason == "BAD_ID"
    assert bureau.counts() == (0, 0)


@shows("R62", "13 outside the negative list, once its switch is set on a written answer")
async def test_the_switch_of_the_negative_list_exempts_and_counts_nobody(stage, tmp_path):
    copied = copy_stage(stage, tmp_path / "home")
    settings = copied.deployment.settings.model_copy(update={"switches": {"art6_exempt": True}})
    copied = replace(copied, deployment=replace(copied.deployment, settings=settings))
    async with serve_site(copied) as site:
        bureau = open_bureau(site, **NO_MECHANISM)
        bureau.declare(SENSITIVE, 10_000)
        crossed(await bureau.about_a_person())
        assert bureau.counts() == (0, 10_000)


# --- Records (step 6) -------------------------------------------------------------------------


@shows("R55", "6 only active and disputed records")
async def test_records_in_any_other_state_never_cross(site):
    """Also one that is still shared at home while its repair is pending."""
    bureau, now = open_bureau(site, kinds=tuple(SubjectKind)), site.desk.act.now
    snapshot = site.world.library.current(PERSON_PRODUCT)
    rows = np.arange(snapshot.manifest.rows)
    columns = ["subject_code", "subject_type", "share_state", "determination_date"]
    since = dt.date.fromisoformat(calendar_of(now, 5)["adverse_since"])  # R66, of persons
    kept: dict[tuple[str, str], list[tuple[str, bool, bool]]] = {}
    for row, at_home in zip(
        snapshot.take(rows, columns).to_pylist(), snapshot.shareable(rows, now), strict=True
    ):
        state, kind = row["share_state"], row["subject_type"]
        recent = kind not in PERSON_KINDS or row["determination_date"] >= since
        crosses = bool(at_home) and recent and state in {"ACTIVE", "DISPUTED"}
        kept.setdefault((row["subject_code"], kind), []).append((state, bool(at_home), crosses))
    chosen = {state[:2]: who for who, states in kept.items() for state in states}
    assert {("ACTIVE", True), ("DISPUTED", True), ("REPAIR_PENDING", True)} <= set(chosen)
    assert {"REPAIRED", "TEMP_MASKED", "EXPIRED", "WITHDRAWN"} <= {state for state, _ in chosen}
    bureau.consent_id = bureau.consent(subjects=[code for code, _ in chosen.values()])
    for code, kind in chosen.values():
        words = {"subjects": [code], "subject_kind": kind}
        table = crossed(await bureau.about_a_person(**words)).table()
        crossing = [state for state, _, crosses in kept[code, kind] if crosses]
        assert table.num_rows == len(crossing)
        # R14: with its label.
        assert sum(table["dispute_flag"].to_pylist()) == crossing.count("DISPUTED")


# --- R67: which road --------------------------------------------------------------------------


@shows("R67", "R67 a regional partner inside the country", "R67 home data used abroad")
async def test_inside_the_country_nobody_takes_this_path_and_from_it_nothing_leaves(site):
    words: dict[str, Any] = {
        "purposes": ("CREDIT_CHECK",),
        "scenarios": ("MUTUAL_RECOGNITION",),
        "subject_kinds": (SubjectKind.LEGAL_ENTITY,),
    }
    ask_for = {"purpose": "CREDIT_CHECK", "scenario": "MUTUAL_RECOGNITION"}
    fields = ("uscc", "name")
    agreement = LicenceKind.RECOGNITION_AGREEMENT
    inside = site.desk.enrol(Role.REGIONAL_PARTNER, agreement, **words)
    answer = Answer(await site.query(inside, COMPANY_PRODUCT, fields, **ask_for))
    assert "border_record" not in answer.decision.obligations
    for country in ("SG", "HK", "MO", "TW"):
        abroad = {"destinations": (country,), **words}
        for role, kind in (
            (Role.REGIONAL_PARTNER, agreement),
            (Role.AGENCY, LicenceKind.ENTERPRISE_CREDIT_FILING),
        ):
            member = site.desk.enrol(role, kind, **abroad)
            call = site.query(member, COMPANY_PRODUCT, fields, destination=country, **ask_for)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            entry = check_denial(site, read_details(caught.value)[1])
            assert ["R52", "XB_PURPOSE"] in entry["reasons"]
            wrong = ["R67", "XB_WRONG_PATH"] in entry["reasons"]
            assert wrong is (role is Role.REGIONAL_PARTNER)


@shows("R67", "R67 a partner abroad is not registered as domestic")
async def test_a_cross_border_partner_with_a_domestic_code_is_not_registered(site):
    with pytest.raises(InvalidRequestError, match="R67"):
        site.desk.register(Role.CROSS_BORDER_PARTNER)


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


# --- R66: five years --------------------------------------------------------------------------

DATED: Final = {
    # Who has a record of which day.
    "first of January": dt.date(YEAR - 5, 1, 1),
    "last of December": dt.date(YEAR - 6, 12, 31),
    "thirtieth of December": dt.date(YEAR - 6, 12, 30),
    "no day": None,
    "a company": dt.date(YEAR - 6, 12, 30),
}


def date_records(stage: Any, folder: Path) -> None:
    """Give subjects one court record each, which may be shared, of the days in `DATED`."""
    table = pq.read_table(stage.population.files[PERSON_PRODUCT].path)
    shared = {
        "share_state": "ACTIVE", "publicity_state": "PUBLIC", "dispute_flag": False,
        "dispute_id": None, "removed_on": None, "performance": "全部未履行", "severity": "SERIOUS",
        "publicity_end": None,
    }  # fmt: skip
    wanted, kept, chosen = list(DATED), [], set()
    for row in table.to_pylist():
        if row["subject_code"] in chosen:
            continue
        kind = "LEGAL_ENTITY" if wanted[:1] == ["a company"] else "NATURAL_PERSON"
        if wanted and row["subject_type"] == kind:
            chosen.add(row["subject_code"])
            name = wanted.pop(0)
            row.update(shared, determination_date=DATED[name], case_no=name)
        kept.append(row)
    assert not wanted
    dated = folder / "dated.parquet"
    pq.write_table(pa.Table.from_pylist(kept, schema=table.schema), dated)
    deployment, product = stage.deployment, Catalogue.load().product(PERSON_PRODUCT)
    library = SnapshotLibrary(deployment.snapshots_directory)
    act = Act(int(time.time()), deployment.settings.node)
    with closing(deployment.open_state()) as state:
        load_product(state, library, product, dated, act)


@shows(
    "R66",
    "R66 five years old today",
    "R66 a day older than five years",
    "R66 of no day",
    "R66 of a company",
)
@pytest.mark.parametrize("hainan", [date_records], indirect=True)
async def test_adverse_information_about_a_person_crosses_for_five_years(hainan):
    site = hainan.site
    snapshot = site.world.library.current(PERSON_PRODUCT)
    rows = snapshot.take(np.arange(snapshot.manifest.rows), ["subject_code", "case_no"]).to_pylist()
    who = {row["case_no"]: row["subject_code"] for row in rows if row["case_no"] in DATED}
    assert set(who) == set(DATED)
    bureau = open_bureau(site)
    bureau.consent_id = bureau.consent(subjects=list(who.values()))

    async def crossing() -> set[str]:
        found = set()
        for name, subject in who.items():
            words = {"subjects": [subject]}
            if name == "a company":
                answer = Answer(await bureau.ask(PERSON_PRODUCT, ("name", "court"), **words))
            else:
                answer = crossed(await ask(bureau, PERSON, **words))
            if answer.table().num_rows:
                found.add(name)
        return found

    hainan.at(TURN - 1)
    assert await crossing() == {"first of January", "last of December", "a company"}
    hainan.at(TURN)
    assert await crossing() == {"first of January", "a company"}
    # That nothing is known of a person tells something of the person: all four count.
    assert bureau.counts(YEAR) == bureau.counts(YEAR - 1) == (0, 4)
