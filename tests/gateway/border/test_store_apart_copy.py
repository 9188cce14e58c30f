"""A copy and its source: the same records, the same answers, and repairs that reach both."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.border import store_apart_copy
from gateway.border.store_apart import StoreApart
from gateway.border.store_apart_copy import CopyMaker
from gateway.border.store_apart_key import destroy_key, open_key
from gateway.border.store_apart_snapshot import RECORD, SUBJECT
from gateway.domain.errors import UnavailableError
from gateway.snapshot.admission import admit
from gateway.snapshot.errors import SnapshotDamagedError
from gateway.snapshot.record_map import RecordMap, find_in_snapshot, write_rows
from gateway.snapshot.snapshot import Snapshot
from tests.gateway.snapshot.population import RULES, SCHEMA, Rows, product, record

FIELDS = ("uscc", "name", "amount")
NOW, ENDS = 2_000, 5_000


class World:
    """A domestic snapshot, a store apart with a copy of it, and what is sealed durably."""

    def __init__(self, root: Path, rows, *, batch_rows: int = 8, fields=FIELDS) -> None:
        self.root = root
        self.sealed: set[str] = set()
        self.product = product()
        admit(
            Rows(rows), self.product, SCHEMA, root / "domestic",
            now=1_000, as_of=900, quarantined=len(rows), batch_rows=8, **RULES,
        )  # fmt: skip
        self.source = Snapshot.open(root / "domestic")
        self.store = StoreApart(
            root / "border", root / "keys" / "k", lambda _: self._sealed_pages(), age_limit_s=600
        )
        self.copy_id = ""
        self.batch_rows, self.fields = batch_rows, fields

    def _sealed_pages(self) -> list:
        """Return what is sealed in both forms that pages have."""
        keys = sorted(self.sealed)
        return [pa.array(keys[::2], pa.large_string()), keys[1::2]]

    def copy(self) -> str:
        home = self.root / "border" / "penalty"
        home.mkdir(parents=True, exist_ok=True)
        flags = self.source.shareable_slice(0, self.source.rows, NOW)
        store_apart_copy.BATCH_ROWS = self.batch_rows
        maker = CopyMaker(
            self.source, self.product, flags, self.fields, ("share",),
            store_key=open_key(self.store.key_path), now=NOW,
        )  # fmt: skip
        self.copy_id = maker.write(home).snapshot_id
        maps = self.root / "maps"
        maps.mkdir(exist_ok=True)
        write_rows(maps, self.copy_id, maker.parts(), ("record_id", "uscc", "content_hash"))
        self.store.library.activate("penalty", self.copy_id)
        return self.copy_id


@pytest.fixture(autouse=True)
def usual_size(monkeypatch):
    monkeypatch.setattr(store_apart_copy, "BATCH_ROWS", store_apart_copy.BATCH_ROWS)


def shown(snapshot, subjects, at: int = NOW) -> Counter:
    rows = snapshot.locate(subjects)
    rows = rows[snapshot.shareable(rows, at)]
    return Counter(tuple(row.values()) for row in snapshot.take(rows, FIELDS).to_pylist())


RECORDS = st.lists(
    st.tuples(st.integers(0, 6), st.booleans(), st.sampled_from([ENDS, NOW - 1, 1 << 40])),
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(RECORDS, st.lists(st.integers(0, 39), max_size=10), st.integers(0, 10), st.booleans())
def test_abroad_shows_what_home_shows_whatever_is_repaired_and_whenever(
    tmp_path_factory, population, repaired, before, ended
):
    rows = [
        record(f"S{subject}", f"R{number}", share=share, ends=ends)
        for number, (subject, share, ends) in enumerate(population)
    ]
    world = World(tmp_path_factory.mktemp("w"), rows)
    keys = [f"R{number}" for number in repaired]
    for key in keys[:before]:  # repaired before the copy is made
        world.sealed.add(key)
        world.source.seal([key])
    world.copy()
    late = keys[before : before + 3]
    world.sealed |= set(late)  # durable after the copy was made, before it is opened
    world.source.seal(late)
    copy = world.store.current("penalty")
    for key in keys[before + 3 :]:  # while it serves
        world.source.seal([key])
        world.store.library.change("penalty", lambda s, key=key: s.seal([key]))
    at = ENDS if ended else NOW
    subjects = [f"S{number}" for number in range(8)]
    assert shown(copy, subjects, at) == shown(world.source, subjects, at)
    for subject in subjects:
        assert shown(copy, [subject], at) == shown(world.source, [subject], at)
    assert not {row["record_id"] for row in _visible(world, copy, at)} & set(keys)
    # A recall finds the same records in the map as in the copy itself, and by their own keys.
    everything = [row["record_id"] for row in rows]
    mapped = RecordMap(world.root / "maps", world.copy_id).find(everything)
    assert sorted((each.row, each.record) for each in mapped) == sorted(
        (row, each) for each in everything for row in copy.rows_of([each]).tolist()
    )
    assert {each.subject for each in mapped} <= set(subjects)


def _visible(world: World, copy, at: int) -> list[dict]:
    rows = np.arange(copy.rows)
    visible = set(rows[copy.shareable(rows, at)].tolist())
    every = [f"R{number}" for number in range(40)]
    found = RecordMap(world.root / "maps", world.copy_id).find(every)
    return [{"record_id": each.record} for each in found if each.row in visible]


def test_a_copy_has_no_more_columns_and_rows_than_it_may(tmp_path):
    rows = [record("S1", "R1"), record("S2", "R2", share=False), record("S3", "R3", ends=1)]
    world = World(tmp_path, rows)
    world.copy()
    copy = world.store.current("penalty")
    assert copy.rows == 1
    assert copy.schema.names == ["uscc", "amount", "name", "share", SUBJECT, RECORD]
    assert copy.releasable == set(FIELDS)
    assert copy.manifest.admitted_share == world.source.manifest.admitted_share
    assert find_in_snapshot(world.source, ["R1"])[0].record == "R1"


def test_the_same_copy_verifies_and_another_key_opens_nothing(tmp_path):
    world = World(tmp_path, [record("S1", "R1")])
    copy_id = world.copy()
    copy = world.store.current("penalty")
    copy.files.check(copy.manifest, verify=True)
    other = StoreApart(tmp_path / "border", tmp_path / "other" / "k", age_limit_s=600)
    with pytest.raises(SnapshotDamagedError):
        other.current("penalty")
    open_key(other.key_path)
    with pytest.raises(SnapshotDamagedError):
        other.pinned("penalty", copy_id)


def test_a_domestic_snapshot_put_into_the_store_does_not_serve(tmp_path):
    world = World(tmp_path, [record("S1", "R1")])
    world.copy()
    place = tmp_path / "border" / "penalty" / world.source.snapshot_id
    (tmp_path / "domestic").rename(place)
    world.store.library.activate("penalty", world.source.snapshot_id)
    with pytest.raises(SnapshotDamagedError):
        world.store.current("penalty")


def test_a_copy_serves_from_its_confirmation_until_its_limit(tmp_path):
    world = World(tmp_path, [record("S1", "R1")])
    world.copy()
    copy = world.store.current("penalty")
    with pytest.raises(UnavailableError):
        world.store.check_fresh(copy, 0, NOW)
    world.store.confirm(copy, NOW)
    for limit, at in ((0, NOW), (0, NOW + 600), (60, NOW + 60), (9_999, NOW + 600)):
        world.store.check_fresh(copy, limit, at)
    for limit, at in ((0, NOW + 601), (60, NOW + 61), (9_999, NOW + 601), (0, NOW - 6)):
        with pytest.raises(UnavailableError):
            world.store.check_fresh(copy, limit, at)
    forged = copy.directory / "checked"
    forged.write_bytes(forged.read_bytes()[:-1] + b"x")
    with pytest.raises(UnavailableError):
        world.store.check_fresh(copy, 0, NOW)


def test_a_destroyed_key_is_not_drawn_again_by_itself(tmp_path):
    path = tmp_path / "keys" / "store.key"
    key = open_key(path)
    assert open_key(path) == key
    name = destroy_key(path)
    assert name is not None
    assert not path.exists()
    with pytest.raises(UnavailableError) as caught:
        open_key(path)
    assert caught.value.code == "BORDER_STORE_DESTROYED"
    assert open_key(path, anew=True) != key
    assert destroy_key(tmp_path / "none" / "k") is None
