"""A portfolio's features from records that live in PostgreSQL: spooled, observed, repaired."""

import asyncio

import pyarrow.parquet as pq
import pytest

from gateway.ingest.loading import load_product
from gateway.registry.arrow_schema import arrow_schema
from gateway.registry.catalogue import Catalogue
from gateway.snapshot.library import SnapshotLibrary
from tests.adapters.live import PostgresPlace
from tests.gateway.e2e.test_features import PLAIN, build, companies, enrol
from tests.gateway.e2e.test_portfolio_features import ask, expected, observations, told

pytestmark = pytest.mark.asyncio(loop_scope="session")

PENALTIES = "admin_penalty"


async def test_features_come_from_records_in_postgresql(open_site, postgres):
    site = await open_site()
    made = await asyncio.to_thread(build, site)
    codes, bank = companies(made)[:60], enrol(site)
    before, _ = await ask(site, bank, observations(codes))
    product = Catalogue.load().product(PENALTIES)
    schema = arrow_schema(product)
    place = PostgresPlace(postgres, schema)
    records = pq.read_table(site.population.files[PENALTIES].path).select(schema.names)
    try:
        # Half of the penalties are in the database; the other half was never there.
        half = records.slice(0, records.num_rows // 2).cast(schema)
        source = await asyncio.to_thread(place.put, half)
        loaded = await asyncio.to_thread(
            load_product,
            site.desk.state,
            SnapshotLibrary(site.deployment.snapshots_directory),
            product,
            source,
            site.desk.act,
        )
    finally:
        place.close()
    assert 0 < loaded.snapshot.rows <= half.num_rows
    after, info = await ask(site, bank, observations(codes))
    want, got = expected(site, codes), told(after)
    assert set(got) == set(want)
    assert all(
        got[pair][name] == value
        for pair, features in want.items()
        for name, value in features.items()
    )
    total = [sum(row["penalties_12m"] for row in told(table).values()) for table in (before, after)]
    assert 0 < total[1] < total[0]
    assert {field.name for field in info.schema} >= set(PLAIN)
