"""How a refusal leaves: google.rpc.Status with ErrorInfo and every reason, under 8 KB.

The texts come from the law tables by reason code. Nothing else of an exception leaves: an
unexpected one is an INTERNAL without its message, and only its type reaches the node's log.
"""

from collections.abc import Sequence
from typing import NoReturn, Protocol

import grpc
import structlog
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from gateway.domain.errors import InternalError, Reason, XinguanError, defect
from xinguan.v1 import types_pb2

DOMAIN = "xinguan"
# Clients of gRPC's core begin at 8,192 bytes of trailer to put, at random, an error of their own
# in place of what came (measured: 2 of 60 just above it). The status travels whole in one header
# and its message in another; some 200 bytes of other headers come on top.
MAX_STATUS_BYTES = 7_800
_log = structlog.get_logger(__name__)


class ReasonText(Protocol):
    """The words of one reason, as the law tables hold them."""

    @property
    def clause_zh(self) -> str:
        """The clause, in Chinese."""
        ...

    @property
    def clause_en(self) -> str:
        """The clause, in English."""
        ...

    @property
    def remedy_zh(self) -> str:
        """What would make it allowed, in Chinese."""
        ...

    @property
    def remedy_en(self) -> str:
        """What would make it allowed, in English."""
        ...

    @property
    def unconfirmed(self) -> bool:
        """True when no lawyer has confirmed the source yet."""
        ...


class LawTexts(Protocol):
    """Finds the words of a reason; every code that can leave has some."""

    def text(self, reason: Reason) -> ReasonText:
        """Return clause and remedy in two languages."""
        ...


def reason_message(reason: Reason, law: LawTexts) -> types_pb2.Reason:
    """Return one reason as it stands in an answer."""
    text = law.text(reason)
    return types_pb2.Reason(
        rule=reason.rule,
        code=reason.code,
        clause_zh=text.clause_zh,
        clause_en=text.clause_en,
        remedy_zh=text.remedy_zh,
        remedy_en=text.remedy_en,
        unconfirmed=text.unconfirmed,
        fields=reason.fields,
    )


def status_of(error: XinguanError, law: LawTexts) -> status_pb2.Status:
    """Return the status of a refusal, as many of its reasons as fit in 8 KB.

    Args:
        error: What was raised.
        law: Where the clauses and remedies are.
    """
    messages = [reason_message(reason, law) for reason in error.reasons]
    for kept in range(len(messages), -1, -1):
        status = _pack(error, messages[:kept], len(messages) - kept)
        if status.ByteSize() + len(status.message.encode()) <= MAX_STATUS_BYTES:
            return status
    raise AssertionError


def _pack(
    error: XinguanError, messages: Sequence[types_pb2.Reason], omitted: int
) -> status_pb2.Status:
    first = error.reasons[0]
    refusal = types_pb2.Refusal(
        reasons=messages,
        denial_index=error.denial_index,
        request_id=error.request_id,
        omitted=omitted,
    )
    info = error_details_pb2.ErrorInfo(
        reason=error.code, domain=DOMAIN, metadata={"rule": first.rule}
    )
    text = f"{error.code}: {error.message}"
    if messages:
        # Stock Flight clients show nothing but the message, so it has to teach on its own.
        unconfirmed = " (clause not yet confirmed)" if messages[0].unconfirmed else ""
        text += f" [{first.rule}, {messages[0].clause_en}{unconfirmed}] {messages[0].remedy_en}"
    if error.hints:
        text += " " + "; ".join(error.hints)
    details = [any_pb2.Any(), any_pb2.Any()]
    details[0].Pack(info)
    details[1].Pack(refusal)
    code = grpc.StatusCode[error.grpc_code].value[0]
    return status_pb2.Status(code=code, message=text, details=details)


async def abort(
    context: grpc.aio.ServicerContext,  # type: ignore[type-arg]  # the stubs' parameters don't matter here
    error: BaseException,
    law: LawTexts,
) -> NoReturn:
    """End a call with what an exception means to the caller.

    Args:
        context: The call.
        error: A `XinguanError`, or anything else, which becomes an INTERNAL.
        law: Where the clauses and remedies are.
    """
    if not isinstance(error, XinguanError):
        refusal = defect()
        refusal.__cause__ = error
        error = refusal
    if isinstance(error, InternalError):
        # The cause may quote values; its type says where to look.
        _log.error("defect", code=error.code, type=type(error.__cause__ or error).__name__)
    await context.abort_with_status(rpc_status.to_status(status_of(error, law)))
    raise AssertionError
