"""Canonical JSON: the fast path writes what the reference implementation writes."""

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from audit.canonical import MAX_ENTRY_BYTES, MAX_INTEGER, canonical, encode_entry
from audit.errors import EntryError

text = st.text(st.characters(exclude_categories=["Cs"]))
keys = st.text(st.characters(max_codepoint=127))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(keys, values, max_size=6))
def test_the_same_bytes_as_the_reference(entry):
    assert canonical(entry) == rfc8785.dumps(entry)


def deep(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "entry",
    [
        {"x": 1.0},
        {"x": float("nan")},
        {"x": [1, {"y": 0.5}]},
        {"x": 2**53},
        {"x": -(2**53)},
        {"ключ": 1},
        {"x": {"名": 1}},
        {1: 1},
        {"x": "\ud800"},
        {"x": b"bytes"},
        {"x": {1, 2}},
        {"x": deep(50)},
        [1],
    ],
)
def test_what_has_no_canonical_form_is_refused(entry):
    with pytest.raises(EntryError):
        canonical(entry)


def test_an_entry_fits_a_bundle_exactly_or_is_refused():
    assert len(encode_entry({"x": "a" * (MAX_ENTRY_BYTES - 8)})) == MAX_ENTRY_BYTES
    with pytest.raises(EntryError):
        encode_entry({"x": "a" * (MAX_ENTRY_BYTES - 7)})
