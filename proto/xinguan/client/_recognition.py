"""What a partner asks in mutual recognition; each call is one mode of its agreement."""

import hashlib
import secrets
import time
from collections.abc import Awaitable, Mapping, Sequence
from typing import TypeVar

import grpc

from xinguan.client._errors import read_error
from xinguan.client._identity import Identity
from xinguan.signing import sign_call
from xinguan.v1 import recognition_pb2, recognition_pb2_grpc, types_pb2

_T = TypeVar("_T")
_SERVICE = "xinguan.v1.RecognitionService"


_R = TypeVar(
    "_R",
    recognition_pb2.CheckReportRequest,
    recognition_pb2.CheckStatusRequest,
    recognition_pb2.MapGradeRequest,
    recognition_pb2.GetReportRequest,
)


class RecognitionCalls:
    """The calls of a partner; `Client` has them.

    The words of each are those of the context: purpose, scenario, destination, operator,
    case_reference and, where wanted, idempotency_key.
    """

    _identity: Identity
    _deadline_s: float
    _sign: bool
    _recognition: "recognition_pb2_grpc.RecognitionServiceAsyncStub"

    async def check_report(
        self, report_no: str, document: bytes, **words: str
    ) -> recognition_pb2.CheckReportResponse:
        """Return whether a report that somebody showed is genuine and fresh.

        Args:
            report_no: Its number, as it states it.
            document: Its bytes; they stay here, their SHA-256 is sent.
            **words: See the class.
        """
        request = recognition_pb2.CheckReportRequest(
            context=_context(words),
            report_no=report_no,
            algorithm=recognition_pb2.DIGEST_ALGORITHM_SHA256,
            digest=hashlib.sha256(document).digest(),
        )
        signed = self._signed("CheckReport", request)
        return await _answer(self._recognition.CheckReport(signed, timeout=self._deadline_s))

    async def check_status(
        self, subject: str, statuses: Sequence[str], **words: str
    ) -> dict[str, recognition_pb2.StatusAnswer]:
        """Return for each status whether a record that may be shared shows it.

        Args:
            subject: The enterprise: `uscc:...`, `lei:...` or `reg:CC:NUMBER`.
            statuses: Status ids.
            **words: See the class.
        """
        request = recognition_pb2.CheckStatusRequest(
            context=_context(words),
            subject=subject,
            statuses=statuses,
            subject_kind=types_pb2.SUBJECT_KIND_LEGAL_ENTITY,
        )
        signed = self._signed("CheckStatus", request)
        found = await _answer(self._recognition.CheckStatus(signed, timeout=self._deadline_s))
        return {answer.status: answer for answer in found.answers}

    async def map_grade(
        self,
        subject: str,
        product: str = "public_credit_grade",
        *,
        subject_kind: str = "LEGAL_ENTITY",
        consent_id: str = "",
        **words: str,
    ) -> recognition_pb2.MapGradeResponse:
        """Return a grade in this party's scale.

        Args:
            subject: The enterprise, as in `check_status`; a person by token.
            product: The graded product.
            subject_kind: Kind of the subject.
            consent_id: Consent document.
            **words: See the class.
        """
        request = recognition_pb2.MapGradeRequest(
            context=_context(words),
            product=product,
            subject=subject,
            subject_kind=types_pb2.SubjectKind.Value(f"SUBJECT_KIND_{subject_kind}"),
            consent_id=consent_id,
        )
        signed = self._signed("MapGrade", request)
        return await _answer(self._recognition.MapGrade(signed, timeout=self._deadline_s))

    async def report(
        self,
        subject: str,
        sections: Mapping[str, Sequence[str]],
        *,
        consent_id: str = "",
        **words: str,
    ) -> recognition_pb2.GetReportResponse:
        """Return a report on an enterprise; keep its bytes as they are.

        Args:
            subject: The enterprise, as in `check_status`.
            sections: Product name to the fields wanted of it.
            consent_id: Consent document.
            **words: See the class.
        """
        request = recognition_pb2.GetReportRequest(
            context=_context(words),
            subject=subject,
            subject_kind=types_pb2.SUBJECT_KIND_LEGAL_ENTITY,
            sections=[
                recognition_pb2.ReportSection(product=product, fields=fields)
                for product, fields in sections.items()
            ],
            consent_id=consent_id,
        )
        signed = self._signed("GetReport", request)
        return await _answer(self._recognition.GetReport(signed, timeout=self._deadline_s))

    async def tables(self) -> recognition_pb2.ListTablesResponse:
        """Return the terms and tables that are in effect for this party."""
        request = recognition_pb2.ListTablesRequest()
        return await _answer(self._recognition.ListTables(request, timeout=self._deadline_s))

    def _signed(self, method: str, request: _R) -> _R:
        if self._sign:
            request.context.signature = sign_call(
                f"{_SERVICE}/{method}", request, self._identity.party_id, self._identity.key
            )
        return request


def _context(words: Mapping[str, str]) -> types_pb2.RequestContext:
    context = types_pb2.RequestContext(idempotency_key=secrets.token_hex(16))
    for name, value in words.items():
        setattr(context, name, value)  # an unknown name is refused by the message itself
    context.time.FromNanoseconds(time.time_ns())
    return context


async def _answer(call: Awaitable[_T]) -> _T:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise read_error(error) from None
