import re

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from gateway.sql import metadata
from gateway.sql.metadata import Granted

GRANTED = [
    Granted("b", pa.schema([pa.field("x", pa.string())]), None),
    Granted("a", pa.schema([pa.field("y", pa.int64())]), "y"),
]


@given(st.text("ab_%", max_size=12), st.text("ab", max_size=12))
def test_patterns_are_those_of_sql(pattern, text):
    regular = "".join({"%": ".*", "_": "."}.get(char, char) for char in pattern)
    assert metadata.matches(text, pattern) == bool(re.fullmatch(regular, text))


def test_a_pattern_of_many_wildcards_costs_nothing():
    assert not metadata.matches("a" * 64, "%a" * 2_000 + "b")


def test_tables_with_their_columns():
    table = metadata.tables(GRANTED, None, None, None, (), with_columns=True)
    assert table["table_name"].to_pylist() == ["a", "b"]
    read = pa.ipc.read_schema(pa.py_buffer(table["table_schema"][0].as_py()))
    assert read.names == ["y"]
    for words in (("other", None, None, ()), (None, "x%", None, ()), (None, None, "c", ())):
        assert metadata.tables(GRANTED, *words, with_columns=False).num_rows == 0
    assert metadata.tables(GRANTED, None, None, None, ["VIEW"], with_columns=False).num_rows == 0


def test_a_key_is_told_where_it_is_granted():
    assert metadata.primary_keys(GRANTED, None, None, "a")["column_name"].to_pylist() == ["y"]
    assert metadata.primary_keys(GRANTED, None, None, "b").num_rows == 0
    assert metadata.primary_keys(GRANTED, "other", None, "a").num_rows == 0
    assert metadata.foreign_keys().num_rows == 0


def test_what_the_server_is():
    everything = metadata.sql_info(())
    everything.validate(full=True)
    told = dict(zip(*(column.to_pylist() for column in everything.columns), strict=True))
    assert told[0] == "Xinguan"
    assert told[3] is True
    assert told[8] == 0
    assert metadata.sql_info([3, 77_777])["info_name"].to_pylist() == [3]
