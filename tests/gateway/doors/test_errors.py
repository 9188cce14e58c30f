from dataclasses import dataclass

import grpc
import pytest
from google.rpc import error_details_pb2
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import errors
from gateway.domain.errors import DeniedError, Reason
from gateway.doors.errors import MAX_STATUS_BYTES, status_of
from xinguan.v1 import types_pb2


@dataclass
class Words:
    clause_zh: str = "征信业管理条例第七条"
    clause_en: str = "Credit Reporting Regulation art. 7"
    remedy_zh: str = "取得许可"
    remedy_en: str = "obtain the licence"
    unconfirmed: bool = False


class Law:
    def __init__(self, **words):
        self._words = Words(**words)

    def text(self, reason):
        return self._words


def unpack(status):
    info, refusal = error_details_pb2.ErrorInfo(), types_pb2.Refusal()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(refusal)
    return info, refusal


def test_a_refusal_teaches():
    error = DeniedError(
        "OUT_OF_SCOPE", "not in the licence", reasons=[Reason("R32", "OUT_OF_SCOPE", ("a",))]
    )
    error.request_id, error.denial_index = "01J", 7
    status = status_of(error, Law())
    info, refusal = unpack(status)
    assert status.code == grpc.StatusCode.PERMISSION_DENIED.value[0]
    assert (info.reason, info.domain, info.metadata["rule"]) == ("OUT_OF_SCOPE", "xinguan", "R32")
    assert (refusal.request_id, refusal.denial_index, refusal.omitted) == ("01J", 7, 0)
    assert refusal.reasons[0].clause_zh == "征信业管理条例第七条"
    assert list(refusal.reasons[0].fields) == ["a"]
    for part in ("OUT_OF_SCOPE", "R32", "Credit Reporting Regulation art. 7", "obtain"):
        assert part in status.message


def test_an_unconfirmed_clause_says_so_in_the_refusal_itself():
    error = DeniedError("PURPOSE", "no")
    status = status_of(error, Law(unconfirmed=True))
    assert "not yet confirmed" in status.message
    assert unpack(status)[1].reasons[0].unconfirmed


@given(st.integers(0, 200), st.integers(0, 600))
def test_a_status_stays_under_its_size_whatever_the_reasons(count, length):
    reasons = [Reason("R32", f"CODE_{number}") for number in range(count)]
    status = status_of(DeniedError("CODE_0", "no", reasons=reasons), Law(clause_zh="条" * length))
    assert status.ByteSize() <= MAX_STATUS_BYTES
    refusal = unpack(status)[1]
    assert len(refusal.reasons) + refusal.omitted == max(1, count)


@pytest.mark.parametrize("kind", errors.XinguanError.__subclasses__())
def test_every_kind_of_error_has_a_grpc_code(kind):
    assert status_of(kind("X", "m"), Law()).code == grpc.StatusCode[kind.grpc_code].value[0]
