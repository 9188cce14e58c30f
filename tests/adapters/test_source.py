"""The template around adapters: whatever an adapter does, only the contract gets out."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.source import GuardedSource, SourceError, cut

SCHEMA = pa.schema([pa.field("key", pa.string(), nullable=False), pa.field("n", pa.int64())])
SECRET = "460022199001011234"


class Scripted(GuardedSource):
    """A source that gives what it was told to and records when it was freed."""

    def __init__(self, *steps: pa.RecordBatch | Exception) -> None:
        self.steps = steps
        self.freed = 0

    def _schema(self) -> pa.Schema:
        return SCHEMA

    def _version(self) -> str:
        raise OSError(2, "No such file", f"/secret/{SECRET}")

    def _batches(self, columns: Sequence[str], predicate: object) -> Iterator[pa.RecordBatch]:
        try:
            for step in self.steps:
                if isinstance(step, Exception):
                    raise step
                yield step
        finally:
            self.freed += 1


def batch(count: int = 3, schema: pa.Schema = SCHEMA) -> pa.RecordBatch:
    rows = [{"key": f"k{i}", "n": i} for i in range(count)]
    return pa.RecordBatch.from_pylist(rows, schema=schema)


@pytest.mark.parametrize(
    "error",
    [
        ValueError(SECRET),
        pa.ArrowInvalid(SECRET),
        OSError(5, SECRET),
        KeyError(SECRET),
        MemoryError(SECRET),
        RuntimeError(SECRET),
    ],
)
def test_any_failure_half_way_becomes_a_silent_source_error(error):
    source = Scripted(batch(), error)
    scan = source.scan(None, None, 1 << 20)
    assert next(scan).num_rows == 3
    with pytest.raises(SourceError) as caught:
        next(scan)
    assert caught.value.code == "SOURCE_FAILED"
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert source.freed == 1


def test_the_other_methods_are_guarded_too():
    with pytest.raises(SourceError) as caught:
        Scripted().version()
    assert SECRET not in str(caught.value)


def test_an_adapters_own_source_error_passes_unchanged():
    with pytest.raises(SourceError) as caught:
        list(Scripted(SourceError("SOURCE_CHANGED", "it changed")).scan(None, None, 1))
    assert caught.value.code == "SOURCE_CHANGED"


def test_closing_a_scan_frees_what_it_held():
    source = Scripted(batch(), batch())
    scan = source.scan(None, None, 1 << 20)
    next(scan)
    scan.close()
    assert source.freed == 1


@pytest.mark.parametrize(
    "wrong",
    [
        batch().select(["key"]),
        batch().select(["n", "key"]),
        batch().rename_columns(["key", "m"]),
        batch(schema=pa.schema({"key": pa.string(), "n": pa.int32()})),
    ],
)
def test_a_batch_of_another_shape_never_gets_out(wrong):
    with pytest.raises(SourceError) as caught:
        list(Scripted(wrong).scan(None, None, 1 << 20))
    assert caught.value.code == "SCHEMA_DRIFT"


def test_broken_text_never_gets_out():
    broken = pa.StringArray.from_buffers(
        1, pa.py_buffer(b"\x00\x00\x00\x00\x02\x00\x00\x00"), pa.py_buffer(b"\xff\xfe")
    )
    with pytest.raises(SourceError):
        list(
            Scripted(pa.RecordBatch.from_arrays([broken, pa.array([1])], ["key", "n"])).scan(
                None, None, 1 << 20
            )
        )


def test_empty_batches_of_an_adapter_are_left_out():
    source = Scripted(batch(0), batch(2), batch(0))
    assert [b.num_rows for b in source.scan(None, None, 1 << 20)] == [2]


@given(st.lists(st.text(max_size=200), max_size=60), st.integers(1, 5000))
def test_cutting_loses_nothing_and_keeps_the_order(texts, limit):
    whole = pa.RecordBatch.from_arrays([pa.array(texts, pa.string())], ["text"])
    pieces = list(cut(whole, limit))
    assert all(piece.num_rows == 1 or piece.nbytes <= limit for piece in pieces)
    assert [text for piece in pieces for text in piece.column(0).to_pylist()] == texts
