"""Whole columns of codes, against the check of single ones."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.identifiers import MalformedIdentifierError, parse_uscc
from gateway.ingest.synth_population import Population
from gateway.snapshot.admission_rules import shareable
from gateway.snapshot.uscc_column import valid_usccs
from tests.gateway.ingest.envelopes import COMMITMENT, DEBTOR, SCHEMA, batch

GOOD = Population(1, 50, 10).usccs(np.arange(50)).to_pylist()


def by_one(code) -> bool:
    try:
        return code is not None and parse_uscc(code) == code
    except MalformedIdentifierError:
        return False


@pytest.mark.parametrize(
    ("code", "valid"),
    [
        ("91350100M000100Y43", True),
        ("91350100M000100Y4A", False),
        ("91440101MA5CJQ4N59", True),
        ("123502001549897397", True),
        ("91350100m000100y43", False),
        ("91350100M000100Y43 ", False),
        ("", False),
        (None, False),
        ("９１350100M000100Y43", False),
        ("91350100M000100Y43\n", False),
    ],
)
def test_vectors_of_the_domain_rules(code, valid):
    assert valid_usccs(pa.array([code, GOOD[0]], pa.string())).tolist() == [valid, True]


CODES = st.sampled_from(GOOD)
SPOILT = st.tuples(CODES, st.integers(0, 17), st.sampled_from("0123456789ABCXYIOSVZ?示")).map(
    lambda t: t[0][: t[1]] + t[2] + t[0][t[1] + 1 :]
)


@given(st.lists(st.none() | CODES | SPOILT | st.text(max_size=20), max_size=30))
def test_a_column_agrees_with_single_checks(codes):
    found = valid_usccs(pa.array(codes, pa.string())).tolist()
    assert found == [by_one(code) for code in codes]


def test_chunks_and_nothing_at_all():
    chunked = pa.chunked_array([[GOOD[0]], ["x", None]], pa.string())
    assert valid_usccs(chunked).tolist() == [True, False, False]
    assert valid_usccs(pa.array([], pa.string())).tolist() == []


WITH_CODE = SCHEMA.append(pa.field("uscc", pa.string()))


def test_a_record_under_a_wrong_code_is_withheld():
    records = batch({"uscc": GOOD[0]}, {"uscc": "X"}, {"uscc": None}, schema=WITH_CODE)
    assert shareable(records, COMMITMENT).to_pylist() == [True, False, False]


def test_a_persons_record_needs_no_code_but_an_organisations_a_right_one():
    records = batch({"uscc": GOOD[0]}, {"uscc": "X"}, {"uscc": None}, schema=WITH_CODE)
    assert shareable(records, DEBTOR).to_pylist() == [True, False, True]
