"""What a refusal must look like on the wire, checked in one place."""

import re
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from tests.gateway.e2e.serving import CASE, OPERATOR, Site
from xinguan.v1 import types_pb2

_DETAILS = "grpc-status-details-bin"
_REQUEST_ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
# Stock clients begin to refuse trailers at 8 KiB; the message travels twice.
_MAX_TRAILER = 8 << 10


async def drain(stream: AsyncIterator[Any]) -> list[Any]:
    """Return all messages of a stream."""
    return [message async for message in stream]


async def refused(
    site: Site,
    call: Awaitable[Any],
    code: str,
    status: str,
    *,
    rule: str = "GATE",
    logged: bool = True,
) -> types_pb2.Refusal:
    """Await a call that must be refused, check everything that a refusal must be, return it.

    Args:
        site: Where it is refused.
        call: The call.
        code: The reason code expected first.
        status: The gRPC status expected.
        rule: The rule expected first.
        logged: Whether a denial entry must stand in the log.
    """
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return check_refusal(site, caught.value, code, status, rule=rule, logged=logged)


def check_refusal(
    site: Site,
    error: grpc.aio.AioRpcError,
    code: str,
    status: str,
    *,
    rule: str = "GATE",
    logged: bool = True,
) -> types_pb2.Refusal:
    """Check a refusal as it came; see `refused`."""
    info, refusal = read_details(error)
    assert (info.reason, error.code().name) == (code, status)
    assert info.domain == "xinguan"
    assert info.metadata["rule"] == rule
    first = refusal.reasons[0]
    assert (first.rule, first.code) == (rule, code)
    for reason in refusal.reasons:
        assert _CHINESE.search(reason.clause_zh)
        assert _CHINESE.search(reason.remedy_zh)
        assert reason.clause_en
        assert not _CHINESE.search(reason.clause_en)
        assert reason.remedy_en
    # Stock Flight clients see the message alone.
    message = error.details() or ""
    for part in (code, rule, first.clause_en, first.remedy_en):
        assert part in message
    assert _REQUEST_ID.fullmatch(refusal.request_id)
    check_silent(site, message + str(refusal))
    if logged:
        check_denial(site, refusal)
    return refusal


def read_details(
    error: grpc.aio.AioRpcError,
) -> tuple[error_details_pb2.ErrorInfo, types_pb2.Refusal]:
    """Return what stands beside a status, after checking its size and its message."""
    packed = dict(error.trailing_metadata() or ())[_DETAILS]
    status = status_pb2.Status.FromString(packed)
    assert status.ByteSize() < 8 << 10
    assert len(packed) + len(status.message.encode()) < _MAX_TRAILER - 256
    assert status.message == error.details()
    assert status.code == error.code().value[0]
    info, refusal = error_details_pb2.ErrorInfo(), types_pb2.Refusal()
    first, second = status.details
    assert first.Unpack(info)
    assert second.Unpack(refusal)
    return info, refusal


def check_denial(site: Site, refusal: types_pb2.Refusal) -> dict[str, Any]:
    """Check that a refusal stands in the log with all its reasons, and return its entry."""
    assert refusal.denial_index >= 0, "the refusal says that it is not in the log"
    entry = site.entry(refusal.denial_index)
    assert entry["kind"] == "denial"
    assert entry["request"] == refusal.request_id
    told = [[reason.rule, reason.code] for reason in refusal.reasons]
    assert entry["reasons"][: len(told)] == told
    assert len(entry["reasons"]) == len(told) + refusal.omitted
    return entry


def check_silent(site: Site, text: str) -> None:
    """Check that a text names no subject, no operator and no case."""
    for secret in (OPERATOR, CASE, *site.population.sample):
        assert secret not in text
