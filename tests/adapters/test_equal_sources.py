"""Random conditions find the same records in every source as in memory."""

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.predicate import And, Compare, In, IsNull, Not, Operator, Or, to_arrow
from tests.adapters.conftest import SCHEMA, SHANGHAI, live_place, records, write

ODD = [
    "", " ", "a", "A", "á", "Z", "z", "示例", "示例 ", "'; DROP TABLE records; --", '"', "\\",
    "%", "_", "𠮷", "\U0001f600", "é", "e\u0301", "\n", "ß", "ss", "$1", "?",
]  # fmt: skip


def table():
    """The contract's records and, after them, odd texts and the edges of types."""
    count = len(ODD)
    edges = [Decimal("999999999999.999999"), Decimal("-999999999999.999999"), Decimal(0), None]
    odd = pa.table(
        {
            "record_id": [f"s{i:05d}" for i in range(count)],
            "name": ODD,
            "rank": [(-(2**63), 2**63 - 1, 0, None)[i % 4] for i in range(count)],
            "capital": [edges[i % 4] for i in range(count)],
            "founded": [dt.date(1, 1, 1), dt.date(9999, 12, 31), *([None] * (count - 2))],
            "updated": [
                dt.datetime(1900, 1, 1, tzinfo=dt.UTC),
                dt.datetime(9999, 12, 30, tzinfo=dt.UTC),
                *([None] * (count - 2)),
            ],
            "active": [(True, False, None)[i % 3] for i in range(count)],
        },
        schema=SCHEMA,
    )
    return pa.concat_tables([records(100), odd])


TABLE = table()
MEMORY = ds.dataset(TABLE)
VALUES = {
    field.name: st.one_of(
        st.sampled_from([value for value in TABLE[field.name].to_pylist() if value is not None]),
        extra,
    )
    for field, extra in zip(
        SCHEMA,
        [
            st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
            st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
            st.integers(-(2**63), 2**63 - 1),
            st.decimals(-(10**11), 10**11, places=6),
            st.dates(),
            st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(9999, 12, 30)).map(
                lambda moment: moment.replace(microsecond=0, tzinfo=SHANGHAI)
            ),
            st.booleans(),
        ],
        strict=True,
    )
}
NAMES = st.sampled_from(SCHEMA.names)
LEAVES = st.one_of(
    NAMES.map(IsNull),
    NAMES.flatmap(
        lambda name: st.builds(Compare, st.just(name), st.sampled_from(Operator), VALUES[name])
    ),
    NAMES.flatmap(
        lambda name: st.builds(
            In, st.just(name), st.lists(VALUES[name], min_size=1, max_size=5).map(tuple)
        )
    ),
)
PREDICATES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=1, max_size=3).map(lambda terms: And(tuple(terms))),
        st.lists(inner, min_size=1, max_size=3).map(lambda terms: Or(tuple(terms))),
    ),
    max_leaves=6,
)


@pytest.fixture(params=["parquet", "postgres", "duckdb", "flight_sql"])
def source(request, tmp_path):
    if request.param == "parquet":
        from adapters.files import FileSource

        write(TABLE, tmp_path / "records.parquet", "parquet")
        yield FileSource(str(tmp_path / "records.parquet"), expected=SCHEMA)
        return
    with live_place(request.param, request, tmp_path) as place:
        yield place.put(TABLE)


# Six seconds on a quiet machine; each of the sixty connects to its database anew.
@pytest.mark.timeout(300)
@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(predicate=PREDICATES)
def test_every_source_finds_what_memory_finds(source, predicate):
    expected = MEMORY.to_table(filter=to_arrow(predicate, SCHEMA))
    found = list(source.scan(None, predicate, 1 << 30))
    assert pa.Table.from_batches(found, SCHEMA).equals(expected)


@pytest.mark.parametrize("value", ODD)
def test_hostile_texts_are_values_and_nothing_else(source, value):
    found = list(source.scan(["name"], Compare("name", Operator.EQ, value), 1 << 30))
    assert [name for batch in found for name in batch["name"].to_pylist()] == [value]


def test_everything_is_still_there(source):
    assert pa.Table.from_batches(source.scan(None, None, 1 << 30)).equals(TABLE)
