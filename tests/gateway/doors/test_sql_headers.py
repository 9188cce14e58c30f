import pytest

from gateway.domain.errors import InvalidRequestError
from gateway.doors.sql_headers import begin_query, read_headers
from tests.simulator import make_product
from xinguan.v1 import types_pb2

WORDS = {"purpose": "CREDIT_REPORT", "scenario": "ENTERPRISE_REPORT"}


def test_headers_of_the_gateway_are_read_and_others_are_not():
    metadata = [("xinguan-operator", "%E6%9D%8E"), ("user-agent", "x"), ("grpc-trace-bin", b"\x00")]
    assert read_headers(metadata) == {"operator": "李"}


@pytest.mark.parametrize(
    "metadata",
    [
        [("xinguan-purpos", "X")],
        [("xinguan-purpose", "X"), ("xinguan-purpose", "Y")],
        [("xinguan-operator", "%FF")],
        [("xinguan-operator", "x" * 5_000)],
    ],
)
def test_a_header_that_may_be_misread_is_refused(metadata):
    with pytest.raises(InvalidRequestError) as refusal:
        read_headers(metadata)
    assert refusal.value.code == "BAD_REQUEST"


def test_what_is_left_out_is_filled_in():
    query = begin_query(WORDS, make_product(), 1_700_000_000_250)
    assert query.context.time.seconds == 1_700_000_000
    assert query.context.time.nanos == 250_000_000
    assert query.context.destination == "CN"
    assert len(query.context.idempotency_key) == 32
    assert query.subject_kind == types_pb2.SUBJECT_KIND_LEGAL_ENTITY


def test_what_is_stated_stands():
    words = WORDS | {"time": "12.000000345", "subject-kind": "SOLE_PROP", "signature": "a..b"}
    query = begin_query(words, make_product(), 0)
    assert (query.context.time.seconds, query.context.time.nanos) == (12, 345)
    assert query.subject_kind == types_pb2.SUBJECT_KIND_SOLE_PROP
    assert query.context.signature == "a..b"


@pytest.mark.parametrize("missing", ["purpose", "scenario"])
def test_purpose_and_scenario_are_always_stated(missing):
    with pytest.raises(InvalidRequestError) as refusal:
        begin_query({**WORDS, missing: ""}, make_product(), 0)
    assert missing in refusal.value.message
    assert "call_header" in refusal.value.hints[0]


@pytest.mark.parametrize("words", [{"time": "now"}, {"time": "1.5"}, {"subject-kind": "ROBOT"}])
def test_malformed_values_are_refused(words):
    with pytest.raises(InvalidRequestError):
        begin_query(WORDS | words, make_product(), 0)
