"""Taking rows as a matrix gives what Arrow's own take gives."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.snapshot.gather import gather, widths_of

DAY = dt.date(2026, 1, 1)
COLUMNS = {
    "code": (pa.string(), st.text("ABC", min_size=3, max_size=3)),
    "chinese": (pa.string(), st.sampled_from(["信用", "海南"])),
    "name": (pa.string(), st.text(max_size=5)),
    "empty": (pa.string(), st.just("")),
    "maybe": (pa.string(), st.none() | st.just("abc")),
    "number": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "small": (pa.int32(), st.none() | st.integers(0, 9)),
    "day": (pa.date32(), st.dates()),
    "at": (pa.timestamp("s", "Asia/Shanghai"), st.integers(0, 2**32)),
    "flag": (pa.bool_(), st.booleans()),
    "amount": (pa.decimal128(18, 6), st.decimals(0, 999, places=6)),
    "kinds": (pa.list_(pa.string()), st.lists(st.text("ab", max_size=2), max_size=2)),
}
SCHEMA = pa.schema({name: kind for name, (kind, _) in COLUMNS.items()})
ROW = st.fixed_dictionaries({name: values for name, (_, values) in COLUMNS.items()})


@given(st.lists(ROW, min_size=1, max_size=12), st.data())
def test_it_gives_what_arrow_gives(rows, data):
    batch = pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
    wanted = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1))), np.int64)
    widths = widths_of(batch)
    assert {"code", "number", "day", "at", "chinese"} <= set(widths)
    assert not {"empty", "flag", "amount", "kinds"} & set(widths)
    taken = gather(batch, wanted, widths)
    taken.validate(full=True)
    assert taken.equals(batch.take(pa.array(wanted)))
    narrow = batch.select(["name", "code"])
    assert gather(narrow, wanted, widths).equals(narrow.take(pa.array(wanted)))


def test_a_slice_is_no_matrix():
    batch = pa.RecordBatch.from_pylist(
        [{"code": "ABC"}] * 4, schema=pa.schema({"code": pa.string()})
    )
    assert widths_of(batch) == {"code": 3}
    assert widths_of(batch.slice(1)) == {}


@pytest.mark.parametrize("count", [0, 1, 5_000])
def test_the_numbers_of_a_large_batch(count):
    batch = pa.RecordBatch.from_pydict({"n": np.arange(10_000)})
    rows = np.arange(10_000)[:: max(1, 10_000 // max(count, 1))][:count]
    assert gather(batch, rows, widths_of(batch)).column(0).to_pylist() == rows.tolist()
