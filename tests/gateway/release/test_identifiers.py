from hypothesis import given
from hypothesis import strategies as st

from gateway.release.identifiers import request_id

TIMES = st.integers(0, 2**47)
BITS = st.binary(min_size=10, max_size=10)


@given(TIMES, BITS, TIMES, BITS)
def test_ids_sort_by_time(first, noise, second, other):
    one, two = request_id(first, noise), request_id(second, other)
    assert len(one) == 26
    assert (one < two) == ((first, noise) < (second, other))
