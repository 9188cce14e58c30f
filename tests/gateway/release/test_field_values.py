import json
from datetime import date
from decimal import Decimal

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from gateway.release.field_values import encode, field_values

VALUES = st.one_of(st.none(), st.text(), st.integers(), st.booleans(), st.lists(st.text()))


@given(st.lists(VALUES))
def test_the_encoder_made_once_says_what_the_library_says(values):
    plain = json.dumps(values, ensure_ascii=False, separators=(",", ":"), default=str)
    assert encode(values) == plain


def test_each_field_stands_for_itself():
    batch = pa.record_batch(
        {
            "name": ["示例", None],
            "day": pa.array([date(2026, 1, 2), None]),
            "amount": pa.array([Decimal("1.50"), None]),
            "kinds": pa.array([["FINE", "WARNING"], []]),
        }
    )
    assert field_values(batch) == {
        "name": '["示例",null]'.encode(),
        "day": b'["2026-01-02",null]',
        "amount": b'["1.50",null]',
        "kinds": b'[["FINE","WARNING"],[]]',
    }
