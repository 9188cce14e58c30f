import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.snapshot import index
from gateway.snapshot.index import (
    RecordIndex,
    SubjectIndex,
    encode,
    fixed_width,
    hash_keys,
    subject_runs,
)

KEY = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1)


def fixed(keys):
    width = max((len(key.encode()) for key in keys), default=1)
    return fixed_width(pa.array(keys, pa.string()), width)


def subject_index(sorted_keys) -> SubjectIndex:
    return SubjectIndex(*subject_runs(fixed(sorted_keys)))


@settings(deadline=None)
@given(st.lists(KEY, max_size=30), st.lists(KEY, max_size=10))
def test_finds_exactly_the_rows_of_the_subjects(keys, others):
    ordered = sorted(keys, key=str.encode)
    built = subject_index(ordered)
    for wanted in ([*keys[::2], *others], others, keys[:1]):
        due = [row for row, key in enumerate(ordered) if key in wanted]
        assert built.locate(wanted).tolist() == due


@settings(deadline=None)
@given(st.lists(KEY, max_size=20), st.integers(0, 5), st.integers(0, 5))
def test_fixed_width_keeps_every_byte_of_a_slice(keys, start, length):
    column = pa.array(keys, pa.string()).slice(start, length)
    width = max((len(key.encode()) for key in keys), default=1)
    expected = [key.encode() for key in keys[start : start + length]]
    assert fixed_width(column, width).tolist() == expected


@pytest.mark.parametrize("unknown", ["", "B\x00", "\x00", "BBBBBB", "乙", "b", "\ud800"])
def test_a_key_that_cannot_be_there_is_unknown(unknown):
    assert subject_index(["A", "B", "CC"]).locate([unknown]).tolist() == []
    assert subject_index(["A", "B", "CC"]).locate([unknown, "B"]).tolist() == [1]


def test_an_empty_index_knows_nobody():
    assert subject_index([]).locate(["A"]).tolist() == []
    assert subject_index([]).locate(["A", "B"]).tolist() == []


def test_asking_twice_for_a_subject_gives_its_rows_once():
    assert subject_index(["A", "A", "B"]).locate(["A", "A"]).tolist() == [0, 1]


def test_a_long_query_does_not_widen_the_index():
    assert encode(["AB", "ABC", "ABCD"], 3).dtype.itemsize == 3


@settings(deadline=None)
@given(st.lists(KEY, min_size=1, max_size=30, unique=True), st.lists(KEY, max_size=5))
def test_candidates_contain_every_row_of_the_records(keys, others):
    hashes = hash_keys(fixed(keys))
    order = np.argsort(hashes)
    width = fixed(keys).dtype.itemsize
    built = RecordIndex(hashes[order], order.astype(np.int64), width)
    wanted = [*keys[::3], *others]
    due = {row for row, key in enumerate(keys) if key in wanted}
    rows, asked = built.candidates(wanted)
    found = rows.tolist()
    assert due <= {
        row for row, key in zip(found, asked.tolist(), strict=True) if key.decode() == keys[row]
    }
    assert found == sorted(found)


@settings(deadline=None)
@given(st.lists(st.text(max_size=5), min_size=0, max_size=40), st.integers(1, 12))
def test_many_keys_are_encoded_as_few_are(keys, width):
    few = encode(keys, width).tolist()
    many = index._encode_many(keys, width).tolist()
    assert many == few


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 40), max_size=60), st.lists(st.integers(0, 45), max_size=60),
    st.integers(1, 5),
)  # fmt: skip
def test_walking_finds_the_places_that_searching_finds(values, wanted, stretch):
    index_, sorted_ = (np.sort(np.array(given_, np.uint64)) for given_ in (values, wanted))
    due = np.searchsorted(index_, sorted_).tolist()
    assert index._walk(index_, sorted_, stretch).tolist() == due


def test_keys_in_a_column_of_arrow_are_encoded_as_texts_are():
    for count in (2, 300):
        keys = [*(f"k{number}" for number in range(count)), "", "too long", "n\0l"]
        column = pa.array(keys, pa.large_string())
        assert encode(column, 4).tolist() == encode(keys, 4).tolist()


def test_a_lone_surrogate_among_many_keys_is_simply_unknown():
    keys = [f"k{number}" for number in range(300)]
    assert encode([*keys, "\ud800"], 4).tolist() == [key.encode() for key in keys]


def test_the_hash_tells_near_keys_apart():
    keys = [f"rec-{number:08d}" for number in range(20_000)]
    assert len(np.unique(hash_keys(fixed(keys)))) == len(keys)


def test_fixed_width_works_across_its_chunks(monkeypatch):
    monkeypatch.setattr(index, "_CHUNK", 3)
    keys = [f"k{number}" for number in range(10)]
    assert fixed_width(pa.array(keys), 2).tolist() == [key.encode() for key in keys]
