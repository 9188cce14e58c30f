import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.release.released_rows import decode_rows, encode_rows


@given(st.sets(st.integers(0, 2**32 - 2), max_size=200), st.randoms())
def test_rows_come_back_in_the_order_in_which_they_left(rows, random):
    shuffled = sorted(rows)
    random.shuffle(shuffled)
    encoded = encode_rows(np.array(shuffled, dtype=np.int64))
    assert decode_rows(encoded).tolist() == shuffled


@given(st.integers(0, 2**31), st.integers(1, 1000))
def test_the_rows_of_one_subject_take_eight_bytes(first, count):
    encoded = encode_rows(np.arange(first, first + count))
    assert len(encoded) == 8
    assert decode_rows(encoded).tolist() == list(range(first, first + count))


@pytest.mark.parametrize("rows", [None, np.empty(0, dtype=np.int64)])
def test_no_rows_are_no_bytes(rows):
    assert encode_rows(rows) == b""
    assert decode_rows(b"").tolist() == []


def test_a_permutation_with_the_ends_of_a_run_is_not_a_run():
    assert decode_rows(encode_rows(np.array([0, 2, 1, 3]))).tolist() == [0, 2, 1, 3]
    assert decode_rows(encode_rows(np.array([0, 5, 3]))).tolist() == [0, 5, 3]
