"""Refusals of a running gateway, as the command line tells them."""

from gateway.cli.refused import as_told
from gateway.decision.law import LawTable
from gateway.domain.errors import DeniedError, Reason, UnavailableError, XinguanError
from gateway.doors.errors import status_of
from xinguan.client import RefusedError
from xinguan.v1 import types_pb2


def over_the_wire(error: XinguanError, name: str) -> RefusedError:
    """Return an error as a client gets it."""
    status = status_of(error, LawTable.load())
    refusal = types_pb2.Refusal()
    status.details[1].Unpack(refusal)
    return RefusedError(error.code, status.message, refusal, name)


def test_code_clause_and_remedy_stand_once_each():
    reasons = (Reason("R54", "XB_NOT_WHITELISTED", ("court",)), Reason("R60", "XB_CONSENT"))
    denied = DeniedError("XB_NOT_WHITELISTED", "the request is denied", reasons=reasons)
    told = as_told(over_the_wire(denied, "PERMISSION_DENIED"))
    assert (told.code, told.message) == ("XB_NOT_WHITELISTED", "the request is denied")
    assert told.reasons == reasons
    assert len(told.hints) == 2
    assert "only fields of the whitelist" in told.hints[0]
    assert told.grpc_code == "INVALID_ARGUMENT"


def test_what_cannot_be_done_now_is_no_bad_input():
    gone = UnavailableError("PRODUCT_UNAVAILABLE", "the product can't be served now")
    told = as_told(over_the_wire(gone, "UNAVAILABLE"))
    assert (told.code, told.grpc_code) == ("PRODUCT_UNAVAILABLE", "UNAVAILABLE")
