"""Leaked copies are read in every form that they come in, and nothing in them is trusted."""

import contextlib
import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import InvalidRequestError
from gateway.trace.leak import LeakedRow, parse, read_leak

ROWS = [{"uscc": "A1", "name": "示例"}, {"uscc": "B2", "name": None}]
READ = [LeakedRow(("uscc", "name"), ("A1", "示例")), LeakedRow(("uscc", "name"), ("B2", ""))]
JSON = json.dumps(ROWS)


@pytest.mark.parametrize(
    "text",
    [
        JSON,
        json.dumps({"answer": {"rows": ROWS}}),
        "\n".join(json.dumps(row) for row in ROWS),
        "{not json\n" + "\n".join(json.dumps(row) for row in ROWS),
    ],
    ids=["list", "nested", "lines", "lines with rubbish"],
)
def test_json_wherever_the_rows_stand(text):
    assert parse(text.encode()) == (READ, b"")


def test_csv_with_and_without_a_head():
    rows, _ = parse("uscc;name\r\nA1;示例\r\nB2;\r\n".encode())
    assert rows[1:] == READ
    rows, _ = parse(b"A1,x\nB2,y\n")
    assert [row.texts for row in rows] == [("A1", "x"), ("B2", "y")]


def test_arrow_brings_the_mark_in_its_metadata():
    table = pa.Table.from_pylist(ROWS).replace_schema_metadata({"xinguan.mark": "xg1.x"})
    for make in (pa.ipc.new_stream, pa.ipc.new_file):
        sink = pa.BufferOutputStream()
        with make(sink, table.schema) as writer:
            writer.write_table(table)
        assert parse(sink.getvalue().to_pybytes()) == (READ, b"xg1.x")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_by_name(content):
    rows = []
    with contextlib.suppress(InvalidRequestError):
        rows, _ = parse(content)
    assert all(len(row.names) == len(row.texts) for row in rows)


def test_what_can_t_be_read(tmp_path):
    with pytest.raises(InvalidRequestError):
        read_leak(tmp_path / "none")
    deep = tmp_path / "deep.json"
    deep.write_text("[" * 100_000)
    assert all(not row.names or row.texts for row in read_leak(deep).rows)


@pytest.mark.parametrize("content", [b"uscc,name\nA1," + b"x" * 131_073 + b"\n", b"a,b\rc,d\n"])
def test_a_csv_that_is_none_is_refused_by_name(content):
    with pytest.raises(InvalidRequestError, match="can't be read as CSV") as refused:
        parse(content)
    assert refused.value.code == "BAD_REQUEST"
