"""Rows of a subject among those released: the same count as by unfolding them, in any order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.release.released_rows import decode_rows, encode_rows
from gateway.subjects.accesses import _overlap

ROWS = st.lists(st.integers(0, 60), unique=True, max_size=50)


@given(ROWS, ROWS)
def test_what_is_counted_is_what_was_released(released, mine):
    runs = encode_rows(np.array(released, dtype=np.int64))
    rows = np.array(sorted(mine), dtype=np.int64)
    assert _overlap(runs, rows) == len(set(decode_rows(runs).tolist()) & set(mine))
