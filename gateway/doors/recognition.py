"""The door of `RecognitionService`: each call is one or several releases, put into another form.

It decides nothing: modes, terms, tables and purposes are the policy's (`policies/xinguan/border`),
and nothing is in an answer that the road did not release.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.domain.errors import InvalidRequestError
from gateway.domain.party import Caller
from gateway.domain.product import Product
from gateway.domain.recognition import Direction, GradeTable, Mode
from gateway.domain.request import Condition
from gateway.doors.errors import LawTexts
from gateway.doors.peer import peer_certificate
from gateway.doors.recognition_ask import Call, RecognitionAsk
from gateway.doors.recognition_messages import (
    basis_message,
    field_table_message,
    mapping_message,
    terms_message,
)
from gateway.doors.recognition_report import ReportDesk
from gateway.doors.refusal import refuse
from gateway.identity.peer import identify
from gateway.recognition import reports
from gateway.recognition.identifiers import IdentifierBook
from gateway.recognition.report_snapshot import PRODUCT as REPORT_CHECK
from gateway.recognition.statuses import status
from gateway.release.pipeline import Exchange
from gateway.release.several import Released, confirm_all, release_all
from gateway.release.world import World
from xinguan.v1 import recognition_pb2, recognition_pb2_grpc, types_pb2

_Context = grpc.aio.ServicerContext[Any, Any]  # Any: message types differ by method
_REPORT_NO = re.compile(r"XG-[0-9A-HJKMNP-TV-Z]{20}")
_MOST_PARTS = 8
_PERSON = types_pb2.SUBJECT_KIND_NATURAL_PERSON
_ENTERPRISE = types_pb2.SUBJECT_KIND_LEGAL_ENTITY
_ALGORITHMS = {
    recognition_pb2.DIGEST_ALGORITHM_SHA256: (reports.SHA256, "digest_sha256"),
    recognition_pb2.DIGEST_ALGORITHM_SM3: (reports.SM3, "digest_sm3"),
}
_STATUSES = {
    reports.VALID: recognition_pb2.REPORT_STATUS_VALID,
    reports.REFRESH: recognition_pb2.REPORT_STATUS_REFRESH,
}


@dataclass(frozen=True, slots=True)
class RecognitionDesk:
    """What the door serves from.

    Args:
        book: Which identifiers name the same enterprise.
        reports: Issues reports.
        tag_key: Key under which digests of reports are kept.
    """

    book: IdentifierBook
    reports: ReportDesk
    tag_key: bytes = field(repr=False)


class RecognitionDoor(recognition_pb2_grpc.RecognitionServiceServicer):
    """Serves partners; and whoever is licensed to confirm or to have reports."""

    def __init__(
        self, exchange: Exchange, world: World, law: LawTexts, desk: RecognitionDesk
    ) -> None:
        """Take the road behind the door and what answers are made from."""
        self._exchange = exchange
        self._world = world
        self._law = law
        self._desk = desk

    async def CheckReport(
        self, request: recognition_pb2.CheckReportRequest, context: _Context
    ) -> recognition_pb2.CheckReportResponse:
        """Confirm a report's digest and where it stands; nothing else leaves."""
        try:
            algorithm, column = _algorithm(request)
            key = self._desk.tag_key
            # The register keeps tags, so the comparison is of tags: a filter like any other.
            told = reports.tag(key, request.report_no, algorithm, request.digest)
            ask = RecognitionAsk(
                Call("CheckReport", request, request.context, _ENTERPRISE),
                Mode.HASH_CHECK,
                REPORT_CHECK,
                ("status", "valid_until"),
                request.report_no,
                conditions=lambda _: (Condition(column, "eq", told),),
            )
            found = await self._one(context, ask, "status")
            rows = found.rows()
            answer = recognition_pb2.CheckReportResponse(
                status=_STATUSES[rows[0]["status"]]
                if rows
                else recognition_pb2.REPORT_STATUS_UNKNOWN,
                basis=basis_message(found, self._world),
            )
            if rows and rows[0]["status"] == reports.VALID and rows[0].get("valid_until"):
                answer.valid_until.FromDatetime(rows[0]["valid_until"])
            await self._confirm(context, [ask], [found])
        except Exception as error:
            await refuse(context, error, self._world, self._law)
        return answer

    async def CheckStatus(
        self, request: recognition_pb2.CheckStatusRequest, context: _Context
    ) -> recognition_pb2.CheckStatusResponse:
        """Tell whether statuses are shown by what may be shared."""
        try:
            if not 1 <= len(request.statuses) <= _MOST_PARTS:
                raise InvalidRequestError("BAD_REQUEST", "a call names one to eight statuses")
            wanted = [status(name) for name in dict.fromkeys(request.statuses)]
            call = Call("CheckStatus", request, request.context, request.subject_kind)
            subject = self._subject(request.subject, request.subject_kind)
            asks = [
                RecognitionAsk(call, Mode.STATUS_ONLY, one.product, (one.field,), subject, part)
                for part, one in enumerate(wanted)
            ]
            peer = peer_certificate(context)
            found = await release_all(self._exchange, peer, asks, [one.field for one in wanted])
            answer = recognition_pb2.CheckStatusResponse(
                answers=[
                    recognition_pb2.StatusAnswer(
                        status=one.status_id,
                        shown=one.shown(row[one.field] for row in released.rows()),
                        title_en=one.title_en,
                        title_zh=one.title_zh,
                        basis=basis_message(released, self._world),
                    )
                    for one, released in zip(wanted, found, strict=True)
                ]
            )
            await self._confirm(context, asks, found)
        except Exception as error:
            await refuse(context, error, self._world, self._law)
        return answer

    async def MapGrade(
        self, request: recognition_pb2.MapGradeRequest, context: _Context
    ) -> recognition_pb2.MapGradeResponse:
        """Tell a grade in the partner's scale, by the table that the decision rests on."""
        try:
            now = self._now()
            caller = self._caller(context)
            product = self._world.product(request.product)
            table = self._world.registry.view().recognitions.mapping(
                caller.party.party_id, product.name, Direction.OUT, now
            )
            graded = product.subject_key if table is None else table.field
            ask = RecognitionAsk(
                Call(
                    "MapGrade", request, request.context, request.subject_kind, request.consent_id
                ),
                Mode.GRADE_MAP,
                product.name,
                _graded_fields(product, graded),
                self._subject(request.subject, request.subject_kind),
            )
            found = await self._one(context, ask, graded)
            answer = _grade_message(found, graded)
            answer.basis.CopyFrom(basis_message(found, self._world))
            await self._confirm(context, [ask], [found])
        except Exception as error:
            await refuse(context, error, self._world, self._law)
        return answer

    async def GetReport(
        self, request: recognition_pb2.GetReportRequest, context: _Context
    ) -> recognition_pb2.GetReportResponse:
        """Join released fields of several products into one report, numbered and registered."""
        try:
            products = [section.product for section in request.sections]
            if not 1 <= len(products) <= _MOST_PARTS or len(set(products)) != len(products):
                raise InvalidRequestError(
                    "BAD_REQUEST", "a report has one to eight sections, each of another product"
                )
            call = Call(
                "GetReport", request, request.context, request.subject_kind, request.consent_id
            )
            subject = self._subject(request.subject, request.subject_kind)
            asks = [
                RecognitionAsk(
                    call, Mode.FULL_REPORT, each.product, tuple(each.fields), subject, part
                )
                for part, each in enumerate(request.sections)
            ]
            peer = peer_certificate(context)
            found = await release_all(self._exchange, peer, asks)
            issued = await self._desk.reports.issue(found, request.subject.strip(), subject)
            answer = recognition_pb2.GetReportResponse(
                report_no=issued.report_no,
                document=issued.document,
                sha256=issued.digests[reports.SHA256],
                sm3=issued.digests[reports.SM3],
                valid_until=Timestamp(seconds=issued.valid_until),
                sections=[basis_message(released, self._world) for released in found],
            )
            await self._confirm(context, asks, found)
        except Exception as error:
            await refuse(context, error, self._world, self._law)
        return answer

    async def ListTables(
        self, request: recognition_pb2.ListTablesRequest, context: _Context
    ) -> recognition_pb2.ListTablesResponse:
        """List the terms and tables of the caller, withdrawn ones marked."""
        del request
        try:
            caller, now = self._caller(context), self._now()
            signed = self._world.registry.view().recognitions
            terms = signed.terms(caller.party.party_id, now)
            places = sorted(terms.jurisdictions) if terms else []
            tables = [table for place in places if (table := signed.table(place, now))]
            answer = recognition_pb2.ListTablesResponse(
                mappings=[
                    mapping_message(table, now)
                    for table in signed.mappings_of(caller.party.party_id, now)
                ],
                field_tables=[field_table_message(table, now) for table in tables],
            )
            if terms is not None:
                answer.terms.CopyFrom(terms_message(terms, now))
        except Exception as error:
            await refuse(context, error, self._world, self._law)
        return answer

    async def _one(self, context: _Context, ask: RecognitionAsk, needed: str) -> Released:
        found = await release_all(self._exchange, peer_certificate(context), [ask], [needed])
        return found[0]

    async def _confirm(
        self, context: _Context, asks: Sequence[RecognitionAsk], found: Sequence[Released]
    ) -> None:
        await confirm_all(self._exchange, self._world, peer_certificate(context), asks, found)

    def _subject(self, named: str, kind: types_pb2.SubjectKind.ValueType) -> str:
        if kind == _PERSON:
            return named.strip()  # a token; the road refuses what isn't one
        return self._desk.book.resolve(named, self._now())

    def _caller(self, context: _Context) -> Caller:
        return identify(peer_certificate(context), self._world.registry.view(), self._now())

    def _now(self) -> int:
        return self._world.clock_ms() // 1000


def _algorithm(request: recognition_pb2.CheckReportRequest) -> tuple[str, str]:
    """Return algorithm and column of a digest, once the request's shape is right."""
    known = _ALGORITHMS.get(request.algorithm)
    if known is None or len(request.digest) != reports.DIGEST_BYTES:
        raise InvalidRequestError("BAD_REQUEST", "a digest is SHA-256 or SM3 and has 32 bytes")
    if not _REPORT_NO.fullmatch(request.report_no):
        raise InvalidRequestError("BAD_REQUEST", "a report's number is written XG- and 20 signs")
    return known


def _graded_fields(product: Product, graded: str) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys((graded, *(n for n in ("as_of", "valid_to") if n in product.fields)))
    )


def _grade_message(found: Released, graded: str) -> recognition_pb2.MapGradeResponse:
    """Return the newest grade in the scale of the table that the decision rests on."""
    recognised = found.delivery.facts.recognition
    table: GradeTable | None = None if recognised is None else recognised.mapping
    rows = [row for row in found.rows() if row[graded] is not None]
    if table is None or not rows:
        return recognition_pb2.MapGradeResponse(
            scale="" if table is None else table.target.name,
            original_scale="" if table is None else table.source.name,
        )
    row = max(rows, key=lambda each: str(each.get("as_of") or ""))
    original = str(row[graded])
    told = table.told(original)
    return recognition_pb2.MapGradeResponse(
        found=True,
        grade=told or "",
        no_equivalent=told is None,
        original=original,
        scale=table.target.name,
        original_scale=table.source.name,
        as_of=str(row.get("as_of") or ""),
        valid_to=str(row.get("valid_to") or ""),
    )
