"""Features of a portfolio that a bank uploads with observation dates, over Arrow Flight."""

import asyncio
import datetime as dt
import threading
import time

import numpy as np
import pyarrow as pa
import pytest
import pytest_asyncio
from pyarrow import flight

from arrow_flight import flight_pb2
from gateway.doors.flight import SERVICE
from gateway.portfolio import aside
from gateway.portfolio.compute import compute
from gateway.portfolio.definitions import FEATURES
from gateway.portfolio.subjects import Portfolio
from gateway.release import portfolio
from gateway.snapshot.calendar_columns import ordinal
from tests.gateway.e2e.observing import DATES, today
from tests.gateway.e2e.portfolios.uploading import exchange, upload
from tests.gateway.e2e.serving import Member, Site, uscc
from tests.gateway.e2e.test_decisions import publish, shared_records
from tests.gateway.e2e.test_features import (
    MINIMUM,
    PLAIN,
    SECRET,
    build,
    companies,
    enrol,
    register_consent,
    workshop,
)
from tests.gateway.e2e.test_flight import descriptor, make_bank, plan, read, refused_in_words
from xinguan.v1 import exchange_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def built(open_site):
    """A site of the test's own; the operator has built features once, so feeds are bound."""
    site = await open_site()
    made = await asyncio.to_thread(build, site)
    return site, companies(made)


def observations(codes, dates=DATES, consent: str = "") -> pa.Table:
    """Return every subject on every date."""
    table = {
        "subject": pa.array([code for code in codes for _ in dates]),
        "observed_on": pa.array([day for _ in codes for day in dates], pa.date32()),
    }
    if consent:
        table["consent"] = pa.array([consent] * len(codes) * len(dates))
    return pa.table(table)


async def ask(site: Site, who: Member, table: pa.Table, fields=PLAIN, **words):
    """Upload, plan and read; return the rows and the plan."""
    receipt = await upload(site, who.identity, table)
    info = await plan(site, who.identity, FEATURES, fields, portfolio=receipt.portfolio, **words)
    parts = [await read(site, who.identity, end.ticket) for end in info.endpoints]
    batches = [batch for part in parts for batch in part.batches]
    return pa.Table.from_batches(batches, schema=info.schema), info


def summary(info: flight.FlightInfo) -> exchange_pb2.DecisionSummary:
    return exchange_pb2.DecisionSummary.FromString(info.app_metadata)


def told(table: pa.Table) -> dict:
    rows = table.to_pylist()
    return {(row["uscc"], row["observed_on"]): row for row in rows}


def expected(site: Site, codes, dates=DATES) -> dict:
    """What the kernels find of the records as they stand now."""
    shop, now = workshop(site), int(time.time())
    sources, unavailable = shop.sources(now)
    wanted = Portfolio.of(
        pa.array([code for code in codes for _ in dates]),
        np.array([ordinal(day) for _ in codes for day in dates], np.int64),
    )
    found = compute(shop.definitions, sources, wanted, unavailable, now)
    columns = {name: found.features[name].to_pylist() for name in PLAIN if name in found.features}
    days = [dt.date(1970, 1, 1) + dt.timedelta(int(day)) for day in found.portfolio.observed]
    return {
        pair: {name: values[place] for name, values in columns.items()}
        for place, pair in enumerate(zip(found.portfolio.subjects.to_pylist(), days, strict=True))
        if found.hit[place]
    }


async def test_features_are_those_known_on_each_date(built, monkeypatch):
    monkeypatch.setattr(portfolio, "PORTION_SUBJECTS", 16)
    site, codes = built
    bank = enrol(site)
    table, info = await ask(site, bank, observations(codes[:100]))
    assert len(info.endpoints) > 1
    want = expected(site, codes[:100])
    got = told(table)
    assert set(got) == set(want)
    assert len(want) > 200
    for pair, features in want.items():
        assert {name: got[pair][name] for name in features} == features
    assert len({row["penalties_12m"] for row in got.values()}) > 1


async def test_hit_rate_coverage_and_bias_are_told(built):
    site, codes = built
    bank = enrol(site)
    dates = DATES[:2]
    table, info = await ask(
        site, bank, observations([*codes, *map(uscc, range(900_000, 900_040))], dates)
    )
    coverage = summary(info).coverage.portfolio
    assert coverage.observations == 2 * (len(codes) + 40)
    assert coverage.step == 40  # twenty subjects, each on two dates
    share = coverage.step / coverage.observations
    assert abs(coverage.hit_rate - table.num_rows / coverage.observations) <= share
    assert {"admin_penalty", "admin_licence"} == set(coverage.sources)  # what PLAIN rests on
    assert "R44" in coverage.bias
    assert "better" in coverage.bias
    basis = info.schema.field("penalties_12m").metadata[b"xinguan.basis"]
    assert b"R44" in basis


async def test_under_pseudonyms_it_is_shuffled_and_has_its_minimum(built):
    site, codes = built
    bank = enrol(site, pseudonymous=True)
    padded = observations([*codes[: MINIMUM - 1], *map(uscc, range(910_000, 910_050))])
    await refused_in_words(site, ask(site, bank, padded), "PORTFOLIO_TOO_SMALL")
    table, _ = await ask(site, bank, observations(codes[:30]))
    names = set(table["uscc"].to_pylist())
    assert len(names) == 30
    assert not names & set(codes)
    call = ask(site, bank, observations(codes[:31]))
    await refused_in_words(site, call, "PORTFOLIO_OVERLAP")
    # Other dates are no other portfolio.
    again, _ = await ask(site, bank, observations(codes[:30], DATES[:1]))
    assert set(again["uscc"].to_pylist()) == names


@pytest.mark.rule("R44", "effect")
async def test_a_repair_reaches_what_was_computed_and_is_left_out_of_what_comes(built):
    site, codes = built
    bank = enrol(site)
    subject, record = next(pair for pair in shared_records(site) if pair[0] in set(codes))
    other = next(code for code in codes if code != subject)
    receipt = await upload(site, bank.identity, observations([subject, other]))
    words = {"portfolio": receipt.portfolio}
    info = await plan(site, bank.identity, FEATURES, PLAIN, **words)
    (endpoint,) = info.endpoints
    before = await read(site, bank.identity, endpoint.ticket)
    await publish(site, record)
    # The ticket pins what was computed with the record: those rows are withheld.
    after = await read(site, bank.identity, endpoint.ticket)
    left = pa.Table.from_batches(after.batches)["uscc"].to_pylist()
    assert subject in pa.Table.from_batches(before.batches)["uscc"].to_pylist()
    assert set(left) == {other}
    # A new plan computes anew, without it.
    info = await plan(site, bank.identity, FEATURES, PLAIN, **words)
    (endpoint,) = info.endpoints
    fresh = await read(site, bank.identity, endpoint.ticket)
    got = told(pa.Table.from_batches(fresh.batches))
    want = expected(site, [subject, other])
    assert set(got) == set(want)
    assert all(got[pair]["penalties_12m"] == want[pair]["penalties_12m"] for pair in want)


@pytest.mark.rule("R40", "effect")
async def test_another_purpose_computes_nothing(built):
    site, codes = built
    bank = enrol(site, purposes=("ENTERPRISE_CREDIT", "CREDIT_REPORT"))
    kept = site.world.library.kept(FEATURES)
    call = ask(site, bank, observations(codes[:20]), purpose="CREDIT_REPORT")
    await refused_in_words(site, call, "PURPOSE")
    assert site.world.library.kept(FEATURES) == kept


@pytest.mark.rule("R41", "effect")
@pytest.mark.rule("R41", "absence")
async def test_secrets_need_the_authorisation_of_every_enterprise(built):
    site, codes = built
    bank = enrol(site)
    table, _ = await ask(site, bank, observations(codes[:5]), SECRET)
    assert "on_time_ratio" not in table.schema.names
    consent = register_consent(site, bank, codes[:5])
    table, _ = await ask(site, bank, observations(codes[:5], consent=consent), SECRET)
    assert {"on_time_ratio", "grade_score"} <= set(table.schema.names)
    wider, _ = await ask(site, bank, observations(codes[:6], consent=consent), SECRET)
    assert "on_time_ratio" not in wider.schema.names


async def test_records_have_no_observation_date(built):
    site, codes = built
    bank = make_bank(site, pseudonymous=False)
    receipt = await upload(site, bank.identity, observations(codes[:3]))
    call = plan(
        site, bank.identity, "legal_entity_base", ("uscc", "name"), portfolio=receipt.portfolio
    )
    await refused_in_words(site, call, "BAD_PORTFOLIO")


async def test_an_observation_is_made_once_and_not_in_the_future(built):
    site, codes = built
    bank = enrol(site)
    twice = pa.concat_tables([observations(codes[:2]), observations(codes[1:2], DATES[1:2])])
    told_of = await refused_in_words(site, upload(site, bank.identity, twice), "BAD_PORTFOLIO")
    assert "row 9 repeats the observation of row 6" in told_of
    late = observations(codes[:1], [today(), today() + dt.timedelta(1)])
    told_of = await refused_in_words(site, upload(site, bank.identity, late), "BAD_PORTFOLIO")
    assert "row 2 has a date" in told_of


async def test_an_exchange_answers_features_at_once(built, monkeypatch):
    monkeypatch.setattr(portfolio, "PORTION_SUBJECTS", 16)
    site, codes = built
    bank = enrol(site)
    before = len(site.entries())
    wanted = descriptor(site, bank.identity, FEATURES, PLAIN)
    got = await exchange(site, bank.identity, wanted, observations(codes[:70]))
    assert set(told(got)) == set(expected(site, codes[:70]))
    entries = site.entries()[before:]
    # Computed once, and read in parts that hold every subject once.
    assert [e["kind"] for e in entries].count("snapshot_admitted") == 1
    counts = [e["subject_count"] for e in entries if e["kind"] == "intent"]
    assert counts == [16, 16, 16, 16, 6]


async def test_what_was_computed_is_never_what_others_get_and_goes_in_the_end(built):
    site, codes = built
    bank = enrol(site)
    served = site.world.library.current(FEATURES).snapshot_id
    await ask(site, bank, observations(codes[:3]))
    library = site.world.library
    assert library.current(FEATURES).snapshot_id == served
    assert len(library.kept(FEATURES)) == 2
    site.desk.state.run(lambda tx: tx.execute("UPDATE portfolio_features SET expires_at = 0"))
    await asyncio.to_thread(site.world.features.sweep)
    assert library.kept(FEATURES) == (served,)


async def test_a_caller_that_goes_away_ends_its_computation(built, monkeypatch):
    site, codes = built
    bank, desk = enrol(site), site.world.features
    pieces, begun, gone, go_on = [], asyncio.Event(), asyncio.Event(), threading.Event()
    loop, real, computing = asyncio.get_running_loop(), aside.compute, desk._compute

    def slow(*words):
        pieces.append(1)
        loop.call_soon_threadsafe(begun.set)
        assert go_on.wait(60)
        return real(*words)

    async def watched(*words):
        try:
            return await computing(*words)
        finally:
            gone.set()

    monkeypatch.setattr(aside, "compute", slow)
    monkeypatch.setattr(aside, "PIECE", 2)
    monkeypatch.setattr(desk, "_compute", watched)
    receipt = await upload(site, bank.identity, observations(codes[:100]))
    wanted = descriptor(site, bank.identity, FEATURES, PLAIN, portfolio=receipt.portfolio)
    call = site.channel(bank).unary_unary(
        f"/{SERVICE}/GetFlightInfo",
        flight_pb2.FlightDescriptor.SerializeToString,
        flight_pb2.FlightInfo.FromString,
    )(flight_pb2.FlightDescriptor(type=flight_pb2.FlightDescriptor.CMD, cmd=wanted.command))
    reading = asyncio.ensure_future(call)
    await asyncio.wait_for(begun.wait(), 60)
    reading.cancel()
    await asyncio.wait_for(gone.wait(), 60)  # the news has come
    go_on.set()
    await loop.run_in_executor(desk._thread, int)  # its one thread has nothing to do any more
    assert len(pieces) == 1  # of fifty
    assert len(site.world.library.kept(FEATURES)) == 1
