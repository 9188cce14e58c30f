"""The feature product end to end: built beside a serving gateway, decided and released by it."""

import asyncio
import time

import pyarrow as pa
import pytest
import pytest_asyncio

from gateway.cli.features import refresh
from gateway.domain.vocabulary import LicenceKind, Role
from gateway.portfolio.build import Built, Workshop, today_of
from gateway.portfolio.definitions import FEATURES, load_definitions
from gateway.portfolio.subjects import checked
from gateway.registry import consents, feeds
from gateway.registry.act import Act
from gateway.registry.catalogue import Catalogue
from gateway.registry.licences import GrantClaims
from gateway.registry.registry import Registry
from gateway.serving.standing import prepare_snapshot, sealed_keys
from gateway.snapshot.library import SnapshotLibrary
from tests.gateway.e2e.serving import Member, Site
from tests.gateway.e2e.test_decisions import COURT, publish, shared_records
from tests.gateway.e2e.test_flight import plan, read
from tests.gateway.e2e.wire import refused
from xinguan.client import Answer

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLAIN = ("uscc", "observed_on", "penalties_12m", "serious_penalties_36m", "active_licences")
SECRET = ("uscc", "on_time_ratio", "grade_score", "penalties_12m")
GRANTED = tuple(dict.fromkeys((*PLAIN, *SECRET, "unavailable_sources")))
WORDS = {"purpose": "ENTERPRISE_CREDIT", "scenario": "CREDIT_LOAN"}
MINIMUM = 10


def workshop(site: Site) -> Workshop:
    """Open the deployment as the command line of another process does."""
    catalogue, state = Catalogue.load(), site.desk.state
    library = SnapshotLibrary(
        site.deployment.snapshots_directory,
        lambda name: sealed_keys(state, name),
        prepare=lambda snapshot: prepare_snapshot(state, snapshot),
    )
    registry = Registry(state)
    try:
        view = registry.view()
    finally:
        registry.close()
    return Workshop(state, library, view, catalogue, load_definitions(catalogue))


def build(site: Site, now: int | None = None) -> Built:
    """Build the features of everybody, as of today."""
    act = site.desk.act if now is None else Act(now, site.desk.act.node)
    shop = workshop(site)
    return shop.build(shop.everybody(today_of(act.now), act.now), act)


def enrol(site: Site, *, pseudonymous: bool = False, **claims) -> Member:
    grant = GrantClaims(
        fields=GRANTED, pseudonymous=pseudonymous, minimum_subjects=MINIMUM if pseudonymous else 1
    )
    return site.desk.enrol(
        Role.BANK,
        LicenceKind.BANKING,
        grants={FEATURES: grant},
        **({"purposes": ("ENTERPRISE_CREDIT",), "scenarios": ("CREDIT_LOAN",)} | claims),
    )


async def ask(site: Site, who: Member, subjects, fields=PLAIN, **words):
    return Answer(
        await site.query(who, FEATURES, list(fields), subjects=list(subjects), **(WORDS | words))
    )


def companies(built: Built) -> list[str]:
    """Return the companies among the subjects of a build."""
    batches = [built.snapshot.batch(n).rows for n in range(built.snapshot.batch_count)]
    rows = pa.Table.from_batches(batches).select(["uscc", "subject_type"]).to_pylist()
    return [row["uscc"] for row in rows if row["subject_type"] == "LEGAL_ENTITY"]


@pytest_asyncio.fixture(loop_scope="session")
async def built(open_site):
    """A site of the test's own with features of everybody, and what was built."""
    site = await open_site()
    return site, await asyncio.to_thread(build, site)


async def test_a_bank_gets_what_was_known_and_a_statement_of_its_bias(built):
    site, made = built
    bank = enrol(site)
    chosen = companies(made)[:5]
    answer = await ask(site, bank, chosen)
    assert {row["uscc"] for row in answer.rows()} == set(chosen)
    metadata = answer.table().schema.field("penalties_12m").metadata
    assert b"R44" in metadata[b"xinguan.basis"]
    assert b"better" in metadata[b"xinguan.basis"]
    assert metadata[b"xinguan.measure"] == b"records"
    assert answer.decision.coverage.feed_age_s >= 0
    report = made.report()
    assert report["observations"] == report["rows"] == 240
    assert report["hit_rate"] == 1.0
    assert set(report["coverage"]) == set(load_definitions(Catalogue.load()).events)
    entry = site.entry(made.index)
    assert (entry["kind"], entry["product"]) == ("snapshot_admitted", FEATURES)


@pytest.mark.rule("R44", "effect")
@pytest.mark.rule("R44", "absence")
async def test_a_repair_withholds_the_row_until_it_is_computed_without_the_record(built):
    site, made = built
    bank = enrol(site)
    known = set(companies(made))
    subject, record = next(pair for pair in shared_records(site) if pair[0] in known)
    other = next(code for code in companies(made) if code != subject)
    before = (await ask(site, bank, [subject])).rows()
    (untouched,) = (await ask(site, bank, [other])).rows()
    assert len(before) == 1
    await publish(site, record)
    # Withheld silently, as a subject that isn't there; everybody else's row stays.
    assert (await ask(site, bank, [subject])).rows() == []
    assert (await ask(site, bank, [other])).rows() == [untouched]
    assert workshop(site).stale() == 1
    # A computation that began before the repair brings nothing back.
    await asyncio.to_thread(build, site, made.snapshot.manifest.admitted_at)
    assert (await ask(site, bank, [subject])).rows() == []
    await asyncio.to_thread(refresh, False, site.deployment.root, True)
    (after,) = (await ask(site, bank, [subject])).rows()
    assert after["penalties_12m"] <= before[0]["penalties_12m"]
    snapshot = site.world.library.current("admin_penalty")
    assert not snapshot.shareable(snapshot.rows_of([record]), int(time.time())).any()
    assert workshop(site).stale() == 0


async def test_masking_and_giving_back_make_a_row_out_of_date_too(built):
    site, made = built
    bank = enrol(site)
    known = set(companies(made))
    subject, record = next(pair for pair in shared_records(site) if pair[0] in known)
    for claims in ({"verdict": "TEMP_MASK", "origin": "COURT", **COURT},
                   {"verdict": "UNMASK", "plan": "FAILED"}):  # fmt: skip
        assert len((await ask(site, bank, [subject])).rows()) == 1
        await publish(site, record, **claims)
        assert (await ask(site, bank, [subject])).rows() == []
        await asyncio.to_thread(refresh, False, site.deployment.root, True)
    assert len((await ask(site, bank, [subject])).rows()) == 1


async def test_secrets_of_the_enterprise_need_its_authorisation(built):
    site, made = built
    bank = enrol(site)
    chosen = companies(made)[:3]
    answer = await ask(site, bank, chosen, SECRET)
    actions = {field.name: field.action for field in answer.decision.fields}
    assert actions == {
        "uscc": "allow", "on_time_ratio": "drop", "grade_score": "drop", "penalties_12m": "allow",
        **({"dispute_flag": "allow"} if "dispute_flag" in actions else {}),
    }  # fmt: skip
    (reason,) = [r for r in answer.decision.reasons if r.rule == "R41"]
    assert reason.code == "NO_ENTERPRISE_AUTH"
    consent_id = register_consent(site, bank, chosen)
    answer = await ask(site, bank, chosen, SECRET, consent_id=consent_id)
    assert {"on_time_ratio", "grade_score"} <= set(answer.table().schema.names)
    # The authorisation covers those who gave it, and nobody else.
    wider = await ask(site, bank, companies(made)[:4], SECRET, consent_id=consent_id)
    assert "on_time_ratio" not in wider.table().schema.names


def register_consent(site: Site, bank: Member, subjects) -> str:
    issuer = site.desk.enrol(Role.CONSENT_ISSUER, None)
    document = site.desk.consent(
        issuer.party_id,
        bank.party_id,
        subjects,
        purpose_codes=("ENTERPRISE_CREDIT",),
        data_kinds=(FEATURES,),
    )
    keys = site.deployment.secrets().consents
    found = site.desk.state.run(lambda tx: consents.register(tx, document, site.desk.act, keys))
    return found.consent_id


async def test_another_purpose_is_refused_by_the_law(built):
    site, made = built
    bank = enrol(site, purposes=("ENTERPRISE_CREDIT", "CREDIT_REPORT"))
    call = ask(site, bank, companies(made)[:2], purpose="CREDIT_REPORT")
    await refused(site, call, "PURPOSE", "PERMISSION_DENIED", rule="R40")


async def test_a_pseudonymous_portfolio_is_shuffled_and_has_a_smallest_size(built):
    site, made = built
    one, two = enrol(site, pseudonymous=True), enrol(site, pseudonymous=True)
    chosen = companies(made)[:30]
    call = ask(site, one, chosen[: MINIMUM - 1])
    await refused(site, call, "PORTFOLIO_TOO_SMALL", "PERMISSION_DENIED")
    rows = (await ask(site, one, chosen)).rows()
    names = [row["uscc"] for row in rows]
    assert len(set(names)) == len(chosen)
    assert not set(names) & set(chosen)
    again = [row["uscc"] for row in (await ask(site, one, chosen)).rows()]
    assert sorted(again) == sorted(names)
    others = {row["uscc"] for row in (await ask(site, two, chosen)).rows()}
    assert not others & set(names)
    # The same features, whoever asks and under whatever name.
    codes = (await ask(site, enrol(site), chosen)).rows()
    key = [sorted(row["active_licences"] for row in found) for found in (rows, codes)]
    assert key[0] == key[1]


async def test_the_whole_product_over_flight(built):
    site, made = built
    bank = enrol(site, pseudonymous=True)
    info = await plan(site, bank.identity, FEATURES, PLAIN)
    parts = [await read(site, bank.identity, end.ticket) for end in info.endpoints]
    total = sum(batch.num_rows for part in parts for batch in part.batches)
    assert total == len(companies(made))


@pytest.mark.rule("R13", "effect")
@pytest.mark.rule("R13", "absence")
async def test_features_are_as_fresh_as_the_feeds_behind_them(open_site, clock):
    site = await open_site(clock_ms=clock)
    made = await asyncio.to_thread(build, site)
    bank = enrol(site)
    chosen = companies(made)[:2]
    assert (await ask(site, bank, chosen)).rows()
    site.desk.run(lambda tx, act: feeds.distrust(tx, "judgement_debtor"))
    await refused(site, ask(site, bank, chosen), "PRODUCT_UNAVAILABLE", "UNAVAILABLE", rule="R13")
    # Built without the source it is served again, and says what is missing.
    without = await asyncio.to_thread(build, site)
    assert without.report()["unavailable"] == {"judgement_debtor": "STALE_FEED"}
    fields = ("uscc", "penalties_12m", "unavailable_sources")
    rows = (await ask(site, bank, chosen, fields)).rows()
    assert all(row["unavailable_sources"] == ["judgement_debtor STALE_FEED"] for row in rows)
    batch = without.snapshot.batch(0).rows
    assert batch.column("judgement_debtor_hit").null_count == batch.num_rows
    assert batch.column("penalties_12m").null_count == 0


async def test_a_portfolio_with_dates_is_observed_on_each_of_them(built):
    site, made = built
    act = site.desk.act
    codes, today = companies(made)[:2], today_of(act.now)
    observed = checked([codes[0], codes[0], codes[1]], ["2026-01-31", None, ""], today)
    again = await asyncio.to_thread(workshop(site).build, observed, act)
    assert again.report()["observations"] == 3
    rows = (await ask(site, enrol(site), codes)).rows()
    assert len(rows) == again.report()["rows"]
