import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.snapshot.admission import FILES
from gateway.snapshot.errors import SnapshotDamagedError
from gateway.snapshot.index import RecordIndex
from gateway.snapshot.manifest import MANIFEST
from gateway.snapshot.snapshot import Snapshot
from tests.gateway.snapshot.population import FAR, SCHEMA, record

ROWS = [record(f"S{n % 20:02d}", f"r{n:04d}", amount=n) for n in range(200)]
SORTED = sorted(ROWS, key=lambda row: (row["uscc"], row["record_id"]))


@pytest.fixture
def opened(snapshot_of) -> Snapshot:
    return snapshot_of(ROWS)


def test_a_subject_is_one_slice_that_is_not_copied(opened):
    rows = opened.locate(["S03"])
    assert rows.tolist() == list(range(30, 40))
    taken = opened.take(rows[:2], ["record_id", "amount"])  # rows 30 and 31: one batch
    assert taken.column("record_id").to_pylist() == ["r0003", "r0023"]
    whole = opened.batch(1).rows.column("record_id")
    assert taken.column("record_id").buffers()[2].address == whole.buffers()[2].address


def test_unknown_subjects_simply_have_no_rows(opened):
    assert opened.locate(["nobody"]).tolist() == []
    assert opened.locate(["S00", "nobody", "S19"]).tolist() == [*range(10), *range(190, 200)]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(
    rows=st.sets(st.integers(0, 199)).map(sorted),
    columns=st.permutations(SCHEMA.names).flatmap(
        lambda names: st.integers(1, len(names)).map(lambda n: names[:n])
    ),
)
def test_take_gives_these_rows_with_these_columns(opened, rows, columns):
    taken = opened.take(np.array(rows, dtype=np.int64), columns)
    due = pa.Table.from_pylist([SORTED[row] for row in rows], schema=SCHEMA).select(columns)
    assert taken.to_pylist() == due.to_pylist()
    assert taken.schema.names == list(columns)
    assert taken.schema.types == due.schema.types


@pytest.mark.parametrize("rows", [[3, 2], [1, 1], [-1, 2], [199, 200]])
def test_take_refuses_rows_that_are_out_of_order_or_not_there(opened, rows):
    with pytest.raises(ValueError, match="ascending"):
        opened.take(np.array(rows, dtype=np.int64), ["name"])


def test_take_refuses_a_column_that_is_not_there(opened):
    with pytest.raises(KeyError):
        opened.take(np.array([1]), ["salary"])
    with pytest.raises(KeyError):
        opened.take(np.array([], dtype=np.int64), ["salary"])


def test_batches_have_fixed_numbers_rows_and_digests(opened):
    import hashlib

    assert opened.batch_count == 13
    for number in range(13):
        batch = opened.batch(number)
        assert (batch.number, batch.first_row) == (number, number * 16)
        assert opened.batch_rows(number).tolist() == list(
            range(batch.first_row, batch.first_row + batch.rows.num_rows)
        )
        assert hashlib.sha256(batch.rows.serialize()).hexdigest() == batch.digest
    for outside in (-1, 13):
        with pytest.raises(IndexError):
            opened.batch(outside)
        with pytest.raises(IndexError):
            opened.batch_rows(outside)


def test_sealing_withholds_exactly_these_records(opened):
    assert opened.seal(["r0003", "r0023", "unknown"]).tolist() == [30, 31]
    every = np.arange(200)
    assert np.flatnonzero(~opened.shareable(every, 0)).tolist() == [30, 31]
    assert opened.seal(["r0003"]).tolist() == [30]
    assert opened.unseal(["r0023"]).tolist() == [31]
    assert np.flatnonzero(~opened.shareable(every, 0)).tolist() == [30]


def test_unsealing_shares_nothing_that_was_never_shareable(snapshot_of):
    opened = snapshot_of([record("A", "1", share=False)])
    opened.seal(["1"])
    opened.unseal(["1"])
    assert opened.shareable(opened.locate(["A"]), 0).tolist() == [False]


def test_every_row_of_a_record_is_sealed_with_it(snapshot_of):
    versions = [record("A", "1", amount=1), record("A", "1", amount=2), record("A", "2")]
    opened = snapshot_of(versions)
    assert opened.seal(["1"]).tolist() == [0, 1]


def test_a_hash_collision_never_seals_the_wrong_record(opened, monkeypatch):
    # Every key collides with every other: only the true key may decide.
    def collide(_, keys):
        asked = np.repeat(np.array([key.encode() for key in keys], "S5"), 200)
        return np.tile(np.arange(200), len(keys)), asked

    monkeypatch.setattr(RecordIndex, "candidates", collide)
    assert opened.seal(["r0003"]).tolist() == [30]
    assert opened.seal(["r9999"]).tolist() == []


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=12,
    deadline=None,
)
@given(data=st.data())
def test_slices_and_single_rows_agree_on_what_may_leave(snapshot_of, data):
    ends = st.sampled_from([None, 10, 20, FAR])
    count = data.draw(st.integers(1, 100))
    rows = [
        record("A", f"{n:03d}", ends=data.draw(ends), share=data.draw(st.booleans()))
        for n in range(count)
    ]
    opened = snapshot_of(rows)
    opened.seal([f"{n:03d}" for n in data.draw(st.lists(st.integers(0, count - 1)))])
    at = data.draw(st.sampled_from([0, 9, 10, 19, 20, FAR]))
    single = [bool(opened.shareable(np.array([row]), at)[0]) for row in range(count)]
    assert opened.shareable(np.arange(count), at).tolist() == single
    first = data.draw(st.integers(0, count - 1))
    size = data.draw(st.integers(0, count - first))
    assert opened.shareable_slice(first, size, at).tolist() == single[first : first + size]


def test_a_reader_sees_a_flip_made_by_another(opened):
    rows = opened.locate(["S03"])
    assert opened.shareable(rows, 0).all()
    opened.seal(["r0003"])
    assert opened.shareable(rows, 0).tolist() == [False] + [True] * 9


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_in_any_file_is_found(opened, name):
    path = opened.directory / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(SnapshotDamagedError) as damage:
        Snapshot.open(opened.directory, verify=True)
    assert damage.value.hints == (name,)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_or_gone_is_found_without_verification(opened, name):
    path = opened.directory / name
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(SnapshotDamagedError):
        Snapshot.open(opened.directory)
    path.unlink()
    with pytest.raises(SnapshotDamagedError):
        Snapshot.open(opened.directory)


def test_rows_that_are_no_arrow_file_are_damage(opened):
    path = opened.directory / "rows.arrow"
    path.write_bytes(b"\x00" * path.stat().st_size)
    with pytest.raises(SnapshotDamagedError):
        Snapshot.open(opened.directory)


def test_what_is_not_a_snapshot_does_not_open(tmp_path, opened):
    with pytest.raises(SnapshotDamagedError):
        Snapshot.open(tmp_path)
    (opened.directory / MANIFEST).unlink()
    with pytest.raises(SnapshotDamagedError):
        Snapshot.open(opened.directory)


def test_opening_and_looking_up_scan_nothing(snapshot_of):
    big = snapshot_of(
        [record(f"S{n:06d}", f"r{n:06d}", name="企" * 100) for n in range(20_000)], batch_rows=1024
    )
    directory = big.directory
    size = (directory / "rows.arrow").stat().st_size
    tracemalloc.start()
    held = Snapshot.open(directory)
    held.take(held.locate(["S012345"]), ["name"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < size / 10
