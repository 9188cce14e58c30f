"""Screening: rows in are rows out and rows held back, and an older version changes nothing."""

import csv
import stat

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.ingest.loading import load_product
from gateway.ingest.screening import ScreeningSource
from gateway.ingest.synth import synthesise
from gateway.registry.act import Act
from gateway.registry.arrow_schema import arrow_schema
from gateway.snapshot.library import SnapshotLibrary
from gateway.store.state import State
from tests.gateway.ingest.envelopes import CATALOGUE

NOW = 1_795_000_000
PRODUCT = CATALOGUE.product("admin_penalty")


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    out = tmp_path_factory.mktemp("synthetic")
    made = synthesise(out, companies=60, seed=3, products=(PRODUCT.name,), as_of=NOW)
    return pq.read_table(made.files[PRODUCT.name].path).cast(arrow_schema(PRODUCT))


class Memory:
    """A source in memory, in batches of a few rows."""

    def __init__(self, table, rows=7):
        self.table, self.rows = table, rows

    def schema(self):
        return self.table.schema

    def version(self):
        return "v"

    def scan(self, columns, predicate, batch_bytes):
        yield from self.table.to_batches(max_chunksize=self.rows)


def changed(table, column, values):
    """The table with other values in the first rows of one column."""
    place = table.schema.get_field_index(column)
    kept = table.column(column).to_pylist()[len(values) :]
    return table.set_column(
        place, table.schema.field(place), pa.array(values + kept, table.schema.field(place).type)
    )


def screened(source):
    batches = list(source.scan(None, None, 1 << 20))
    return pa.Table.from_batches(batches, schema=source.schema())


def held_back(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_a_sound_file_passes_unchanged_and_leaves_no_quarantine(records, tmp_path):
    source = ScreeningSource(Memory(records), PRODUCT, tmp_path / "q.csv")
    assert screened(source).equals(records)
    assert (source.found.rows, source.found.held) == (records.num_rows, 0)
    assert not list(tmp_path.iterdir())
    assert source.version() == "v"


def test_rows_held_back_are_named_with_their_rules(records, tmp_path):
    bad = changed(records, "catalogue_item_id", ["SYN-unknown", "SYN-unknown"])
    bad = changed(bad, "source_unit_uscc", ["91460099MA1KB25D0C"])
    source = ScreeningSource(Memory(bad), PRODUCT, tmp_path / "q.csv")
    assert screened(source).equals(bad.slice(2))
    lines = held_back(tmp_path / "q.csv")
    ids = records.column("record_id").to_pylist()
    assert lines == [
        {"row": "1", "record_id": ids[0], "rules": "R01;R05",
         "codes": "NOT_IN_CATALOGUE;WRONG_SOURCE"},
        {"row": "2", "record_id": ids[1], "rules": "R01", "codes": "NOT_IN_CATALOGUE"},
    ]  # fmt: skip
    assert dict(source.found.codes) == {"NOT_IN_CATALOGUE": 2, "WRONG_SOURCE": 1}
    assert stat.S_IMODE((tmp_path / "q.csv").stat().st_mode) == 0o600


@settings(max_examples=40, deadline=None)
@given(held=st.sets(st.integers(0, 40)), size=st.integers(1, 20))
def test_rows_in_are_rows_out_and_rows_held_back(records, tmp_path_factory, held, size):
    ids = ["SYN-unknown" if row in held else f"SYN-{PRODUCT.name}" for row in range(41)]
    bad = changed(records, "catalogue_item_id", ids)
    place = tmp_path_factory.mktemp("q") / "q.csv"
    source = ScreeningSource(Memory(bad, size), PRODUCT, place)
    out = screened(source)
    assert out.num_rows + source.found.held == bad.num_rows
    assert source.found.held == len(held)
    named = [int(line["row"]) - 1 for line in held_back(place)] if held else []
    assert named == sorted(held)


def test_a_scan_that_fails_leaves_the_last_quarantine_file(records, tmp_path):
    place = tmp_path / "q.csv"
    place.write_text("of the last load")
    bad = changed(records, "catalogue_item_id", ["SYN-unknown"])
    scan = ScreeningSource(Memory(bad), PRODUCT, place).scan(None, None, 1)
    next(scan)
    scan.close()
    assert place.read_text() == "of the last load"
    assert [path.name for path in tmp_path.iterdir()] == ["q.csv"]


@pytest.fixture
def loaded(tmp_path):
    """Loads tables one after another as a product, as `xinguan load` does."""
    library = SnapshotLibrary(tmp_path / "snapshots")
    state = State.open(tmp_path / "state.sqlite3")

    def load(table, now=NOW):
        pq.write_table(table, tmp_path / "records.parquet")
        return load_product(
            state, library, PRODUCT, tmp_path / "records.parquet", Act(now, "node-1")
        )

    yield load
    state.close()


def versions(snapshot):
    rows = snapshot.take(snapshot.batch_rows(0), ["record_id", "source_version", "decision_no"])
    return {row["record_id"]: row for row in rows.to_pylist()}


@pytest.mark.rule("R07", "effect")
def test_an_older_version_is_ignored_and_the_stored_one_kept(records, loaded):
    newer = changed(records, "source_version", [5])
    loaded(newer)
    older = changed(changed(records, "source_version", [4]), "decision_no", ["an old number"])
    again = loaded(older, NOW + 1)
    key = records.column("record_id")[0].as_py()
    row = versions(again.snapshot)[key]
    assert (row["source_version"], row["decision_no"]) == (5, records["decision_no"][0].as_py())
    assert again.snapshot.rows == records.num_rows
    assert dict(again.screened.codes) == {"OLDER_VERSION": 1}
    assert again.snapshot.manifest.quarantined == 1
    assert again.quarantine is not None


@pytest.mark.rule("R07", "effect")
def test_the_same_version_with_another_content_is_ignored(records, loaded):
    loaded(records)
    key = records.column("record_id")[0].as_py()
    other = changed(changed(records, "decision_no", ["other"]), "content_hash", ["0" * 64])
    again = loaded(other, NOW + 1)
    assert versions(again.snapshot)[key]["decision_no"] == records["decision_no"][0].as_py()
    assert dict(again.screened.codes) == {"OLDER_VERSION": 1}


@pytest.mark.rule("R07", "absence")
def test_a_newer_version_and_a_change_of_state_enter(records, loaded):
    loaded(records)
    newer = changed(changed(records, "source_version", [2]), "decision_no", ["a new number"])
    newer = changed(newer, "share_state", ["QUARANTINED", "QUARANTINED"])
    again = loaded(newer, NOW + 1)
    key = records.column("record_id")[0].as_py()
    assert versions(again.snapshot)[key]["decision_no"] == "a new number"
    assert again.screened.held == 0
    assert again.quarantine is None
    states = again.snapshot.take(again.snapshot.batch_rows(0), ["share_state"]).column(0)
    assert pc.sum(pc.equal(states, "QUARANTINED")).as_py() >= 2
