import datetime as dt
import struct
import tracemalloc
from contextlib import suppress
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import InvalidRequestError, NotSupportedError
from gateway.sql.literals import Kind, Literal
from gateway.sql.parameters import MAX_BYTES, read_parameters


def messages(batch, options=None):
    """Return header and body of each IPC message, as a Flight client sends them."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    found = []
    for message in pa.ipc.MessageReader.open_stream(sink.getvalue()):
        body = message.body.to_pybytes() if message.body is not None else b""
        found.append((message.metadata.to_pybytes(), body))
    return found


ROW = pa.record_batch(
    {
        "0": ["信用"],
        "1": [5],
        "2": [Decimal("1.50")],
        "3": [True],
        "4": [dt.date(2026, 1, 2)],
        "5": [dt.datetime(2026, 1, 2, 3, 4, 5)],
    }
)


def test_each_value_keeps_its_kind():
    assert read_parameters(messages(ROW)) == (
        Literal(Kind.TEXT, "信用"),
        Literal(Kind.NUMBER, "5"),
        Literal(Kind.NUMBER, "1.50"),
        Literal(Kind.BOOLEAN, "true"),
        Literal(Kind.DATE, "2026-01-02"),
        Literal(Kind.TIMESTAMP, "2026-01-02T03:04:05"),
    )


@pytest.mark.parametrize("column", [[None], [1.5], [b"x"], [[1]], [{"a": 1}]])
def test_other_values_are_refused(column):
    with pytest.raises(InvalidRequestError):
        read_parameters(messages(pa.record_batch({"0": column})))


def test_several_sets_are_refused():
    with pytest.raises(NotSupportedError):
        read_parameters(messages(pa.record_batch({"0": ["a", "b"]})))
    twice = messages(ROW)
    with pytest.raises(NotSupportedError):
        read_parameters([*twice, twice[1]])


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_what_may_unpack_to_anything_is_refused(codec):
    bomb = pa.record_batch({"0": ["x" * 1_000_000]})
    packed = messages(bomb, pa.ipc.IpcWriteOptions(compression=codec))
    with pytest.raises(NotSupportedError) as refusal:
        read_parameters(packed)
    assert "compressed" in refusal.value.message


@pytest.mark.parametrize("kind", ["fixed", "offsets"])
def test_a_list_that_claims_more_than_was_sent_is_refused_before_it_is_made(kind):
    claimed = 1 << 21  # it could say 2**31, in as many bytes
    nulls = pa.nulls(claimed)
    column = (
        pa.FixedSizeListArray.from_arrays(nulls, claimed)
        if kind == "fixed"
        else pa.ListArray.from_arrays(pa.array([0, claimed], pa.int32()), nulls)
    )
    sent = messages(pa.record_batch({"0": column}))
    assert sum(len(head) + len(body) for head, body in sent) < 1_000
    tracemalloc.start()
    try:
        with pytest.raises(InvalidRequestError):
            read_parameters(sent)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_too_much_is_refused():
    with pytest.raises(InvalidRequestError):
        read_parameters(messages(pa.record_batch({"0": ["x" * MAX_BYTES]})))


@given(st.data())
def test_a_damaged_upload_is_refused_or_read_and_never_more(data):
    parts = [bytearray(part) for pair in messages(ROW) for part in pair]
    target = data.draw(st.sampled_from([part for part in parts if part]))
    for _ in range(data.draw(st.integers(1, 4))):
        target[data.draw(st.integers(0, len(target) - 1))] = data.draw(st.integers(0, 255))
    with suppress(InvalidRequestError, NotSupportedError):
        read_parameters([(bytes(parts[0]), bytes(parts[1])), (bytes(parts[2]), bytes(parts[3]))])


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_noise_is_refused(head, body):
    with pytest.raises((InvalidRequestError, NotSupportedError)):
        read_parameters([messages(ROW)[0], (head, body)])


def test_a_header_that_points_behind_its_end():
    with pytest.raises(InvalidRequestError):
        read_parameters([messages(ROW)[0], (struct.pack("<I", 2**32 - 1) + b"\0" * 16, b"")])
