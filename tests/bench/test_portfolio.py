"""The benchmark of portfolios measures the same thing from PostgreSQL as from Parquet."""

import argparse
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.features import BASE, PRODUCTS
from bench.flight import start
from bench.portfolio import FEATURES, FIELDS, serve, set_up, timed
from gateway.demo.cast import BANK
from gateway.ingest.loading import load_product
from gateway.portfolio.build import today_of
from gateway.registry.act import Act
from gateway.registry.catalogue import Catalogue
from gateway.snapshot.library import SnapshotLibrary

SUBJECTS = 300
GIVEN = argparse.Namespace(subjects=SUBJECTS, records=9_000)


def load_parquet(stage, folder):
    """Load the records once more, by the same road as those of a database, from Parquet."""
    library = SnapshotLibrary(stage.deployment.snapshots_directory)
    state, act = stage.deployment.open_state(), Act(int(time.time()), "test")
    try:
        for name in (BASE, *PRODUCTS):
            held = library.current(name)
            path = folder / f"{name}.parquet"
            pq.write_table(
                pa.Table.from_batches([held.batch(n).rows for n in range(held.batch_count)]), path
            )
            load_product(state, library, Catalogue.load().product(name), path, act)
    finally:
        state.close()


def portfolio(stage):
    base = SnapshotLibrary(stage.deployment.snapshots_directory).current(BASE)
    codes = base.batch(0).rows.column("uscc").unique()
    days = today_of(int(time.time())) - np.random.default_rng(1).integers(0, 700, len(codes))
    dates = pa.array(days.astype(np.int32)).cast(pa.date32())
    return pa.table({"subject": codes, "observed_on": dates})


def features(stage, wanted):
    """Return what a bank reads of a portfolio over Flight, in the order of subjects."""
    served, address = start(serve, str(stage.deployment.root), 1)
    try:
        read = []
        told = timed(served, address, stage.identity(BANK), wanted, FEATURES, FIELDS, read)
    finally:
        served.terminate()
        served.join()
    assert told["rows"] == sum(batch.num_rows for batch in read)
    return pa.Table.from_batches(read).sort_by([("uscc", "ascending")])


@pytest.mark.timeout(300)
def test_features_from_postgresql_are_those_from_parquet(tmp_path, postgres):
    data = tmp_path / "data"
    files, spooled = set_up(tmp_path / "files", data, GIVEN)
    assert spooled == {}
    load_parquet(files, tmp_path)
    database, spooled = set_up(tmp_path / "database", data, GIVEN, postgres.database().conninfo)
    assert set(spooled) == {"fill_s", "load_s"}
    wanted = portfolio(files)
    assert wanted.equals(portfolio(database))
    expected, found = features(files, wanted), features(database, wanted)
    assert expected.num_rows > SUBJECTS // 2
    assert sum(expected.column("penalties_12m").to_pylist()) > 0
    assert [name for name in FIELDS if not found.column(name).equals(expected.column(name))] == []
