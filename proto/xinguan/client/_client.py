"""The asynchronous client."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from itertools import islice
from types import TracebackType
from typing import Self

import grpc

from xinguan.client._accesses import ProvedAccesses, build_request, check_answer
from xinguan.client._answer import Answer
from xinguan.client._credentials import CredentialCalls
from xinguan.client._errors import RefusedError, TransportError, read_error
from xinguan.client._identity import Identity
from xinguan.client._recall import RecallCalls
from xinguan.client._recognition import RecognitionCalls
from xinguan.sealing import DecryptionKey
from xinguan.signing import sign_request
from xinguan.v1 import (
    audit_pb2,
    audit_pb2_grpc,
    credential_pb2_grpc,
    exchange_pb2,
    exchange_pb2_grpc,
    recognition_pb2_grpc,
    repair_pb2,
    repair_pb2_grpc,
    types_pb2,
)

_RETRY_PAUSES_S = (0.1, 0.4, 1.6)
_DECISIONS = 16  # of one message of a stream
_MAX_MESSAGE_BYTES = 64 << 20


class Client(RecallCalls, CredentialCalls, RecognitionCalls):
    """Calls one gateway as one party.

    A call that finds the gateway unreachable is tried again after 0.1, 0.4 and 1.6 seconds,
    each time under an idempotency key of its own, because each attempt that reached the
    gateway is an access of its own in the log. A refusal is never tried again.
    """

    def __init__(
        self,
        target: str,
        identity: Identity,
        *,
        deadline_s: float = 30.0,
        sign: bool = True,
        decryption_key: DecryptionKey | None = None,
    ) -> None:
        """Prepare a channel; nothing is sent before the first call.

        Args:
            target: `host:port`.
            identity: Certificate, key and the gateway's authority.
            deadline_s: Deadline of each call in seconds.
            sign: Whether requests carry the caller's signature.
            decryption_key: Opens encrypted answers; it never leaves this process.
        """
        self._decryption_key = decryption_key
        self._identity = identity
        self._deadline_s = deadline_s
        self._sign = sign
        options = [("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES)]
        self._channel = grpc.aio.secure_channel(target, identity.credentials(), options=options)
        self._exchange = exchange_pb2_grpc.ExchangeServiceStub(self._channel)
        self._audit = audit_pb2_grpc.AuditServiceStub(self._channel)
        self._recognition = recognition_pb2_grpc.RecognitionServiceStub(self._channel)
        self._repair = repair_pb2_grpc.RepairServiceStub(self._channel)
        self._credentials = credential_pb2_grpc.CredentialServiceStub(self._channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    async def products(self) -> list[exchange_pb2.ProductSummary]:
        """Return the products that this party's licences name."""
        try:
            answer = await self._exchange.ListProducts(
                exchange_pb2.ListProductsRequest(), timeout=self._deadline_s
            )
        except grpc.aio.AioRpcError as error:
            raise read_error(error) from None
        return list(answer.products)

    async def describe(self, product: str) -> exchange_pb2.DescribeProductResponse:
        """Return one product, with the granted fields."""
        try:
            return await self._exchange.DescribeProduct(
                exchange_pb2.DescribeProductRequest(product=product), timeout=self._deadline_s
            )
        except grpc.aio.AioRpcError as error:
            raise read_error(error) from None

    async def query(self, product: str, fields: Sequence[str], **words: object) -> Answer:
        """Ask for records and return the whole answer.

        Args:
            product: Product name.
            fields: Field names.
            **words: See `build_query`.

        Raises:
            RefusedError: The gateway refused; its reasons name clause and remedy.
            TransportError: No answer after all attempts.
        """
        for attempt, pause in enumerate((*_RETRY_PAUSES_S, None)):
            query = self.build_query(product, fields, attempt=attempt, **words)  # type: ignore[arg-type]  # the words are build_query's
            try:
                messages = [message async for message in self.stream(query)]
                return Answer(messages, self._decryption_key)
            except TransportError:
                if pause is None:
                    raise
                await asyncio.sleep(pause)
            except RefusedError as error:
                if pause is None or error.status != "UNAVAILABLE" or error.reasons:
                    raise
                await asyncio.sleep(pause)
        raise AssertionError

    async def stream(
        self, query: exchange_pb2.QueryRequest
    ) -> AsyncIterator[exchange_pb2.QueryResponse]:
        """Send a built query once and yield its messages as they come."""
        try:
            async for message in self._exchange.Query(query, timeout=self._deadline_s):
                yield message
        except grpc.aio.AioRpcError as error:
            raise read_error(error) from None

    async def explain(
        self, product: str, fields: Sequence[str], **words: object
    ) -> exchange_pb2.ExplainResponse:
        """Return the decision that `query` would get, without data."""
        query = self.build_query(product, fields, **words)  # type: ignore[arg-type]  # the words are build_query's
        try:
            return await self._exchange.Explain(
                exchange_pb2.ExplainRequest(query=query), timeout=self._deadline_s
            )
        except grpc.aio.AioRpcError as error:
            raise read_error(error) from None

    async def receipt(
        self, request_id: str, *, wait_ms: int = 5000
    ) -> audit_pb2.GetReceiptResponse:
        """Return the log's receipt of a request, waiting for its checkpoint."""
        try:
            return await self._audit.GetReceipt(
                audit_pb2.GetReceiptRequest(request_id=request_id, wait_ms=wait_ms),
                timeout=self._deadline_s,
            )
        except grpc.aio.AioRpcError as error:
            raise read_error(error) from None

    async def accesses(self, subject: str, reason: str) -> list[audit_pb2.Access]:
        """Return who asked about a subject; for auditors."""
        try:
            answer = await self._audit.ListAccesses(
                audit_pb2.ListAccessesRequest(subject=subject, reason=reason),
                timeout=self._deadline_s,
            )
        except grpc.aio.AioRpcError as error:
            raise read_error(error) from None
        return list(answer.accesses)

    async def proved_accesses(
        self,
        subject: str,
        vkey: str,
        *,
        reason: str = "",
        start: datetime | None = None,
        end: datetime | None = None,
        first_index: int = 0,
        consent_id: str = "",
    ) -> ProvedAccesses:
        """Return who accessed a subject, after checking the proof that nothing is missing.

        An auditor states a reason; a subject asks about itself; a platform names the consent of
        the person it asks for.

        Args:
            subject: The subject's identifier.
            vkey: Verifier key of the gateway's log, known beforehand.
            reason: Why an auditor asks.
            start: First time wanted.
            end: First time not wanted.
            first_index: First log index wanted.
            consent_id: Consent by which a person lets this party ask.

        Raises:
            ProofError: The proof does not hold.
            RefusedError: The gateway refused.
        """
        request = build_request(subject, reason, start, end, first_index, consent_id)
        try:
            answer = await self._audit.ListAccesses(request, timeout=self._deadline_s)
        except grpc.aio.AioRpcError as error:
            raise read_error(error) from None
        return check_answer(request, answer, vkey)

    async def publish_repair(self, decision: str) -> repair_pb2.PublishResponse:
        """Publish a signed repair decision; it holds when this returns."""
        try:
            return await self._repair.Publish(
                repair_pb2.PublishRequest(decision=decision), timeout=self._deadline_s
            )
        except grpc.aio.AioRpcError as error:
            raise read_error(error) from None

    async def publish_repairs(
        self, decisions: Iterable[str]
    ) -> AsyncIterator[repair_pb2.PublishOutcome]:
        """Publish signed decisions in their order; yield what became of each, in that order.

        Many times as quick as one after another. When it raises, those that have no outcome are
        to be handed in again, in their order; what was applied is repeated then.

        Raises:
            RefusedError: The caller may hand in no more.
            TransportError: The gateway was lost.
        """
        every = iter(decisions)

        async def requests() -> AsyncIterator[repair_pb2.PublishStreamRequest]:
            while some := list(islice(every, _DECISIONS)):
                yield repair_pb2.PublishStreamRequest(decisions=some)

        try:
            async for response in self._repair.PublishStream(requests()):
                for outcome in response.outcomes:
                    yield outcome
        except grpc.aio.AioRpcError as error:
            raise read_error(error) from None

    def build_query(
        self,
        product: str,
        fields: Sequence[str],
        *,
        subjects: Sequence[str] = (),
        purpose: str,
        scenario: str,
        operator: str,
        case_reference: str,
        destination: str = "CN",
        subject_kind: str = "LEGAL_ENTITY",
        where: Sequence[tuple[str, str, str | Sequence[str]]] = (),
        limit: int = 0,
        consent_id: str = "",
        measure: str = "",
        loan: exchange_pb2.Loan | None = None,
        idempotency_key: str = "",
        encoding: str = "ARROW_IPC",
        attempt: int = 0,
        portfolio: str = "",
        compression: str = "UNSPECIFIED",
        end_user: str = "",
        sealed: bool = False,
    ) -> exchange_pb2.QueryRequest:
        """Return a complete, signed request.

        Args:
            product: Product name.
            fields: Field names, in the order wanted.
            subjects: Identifiers asked about, up to 10,000.
            purpose: Purpose code of the licence.
            scenario: Scenario code of the licence.
            operator: The human behind the call; the log keeps a commitment.
            case_reference: The case behind the call; the log keeps a commitment.
            destination: Where the data will be used, ISO 3166.
            subject_kind: Kind of the subjects.
            where: Conditions `(field, operator, value or values)`, all of which hold.
            limit: Greatest number of rows.
            consent_id: Consent document.
            measure: Restriction measure of a list check.
            loan: The loan that an interest subsidy is asked for (R45).
            idempotency_key: Chosen at random when empty.
            encoding: ARROW_IPC or ROWS.
            attempt: Number of the attempt, part of the key from the second on.
            portfolio: Handle of an uploaded portfolio instead of subjects; over Flight only.
            compression: LZ4 or ZSTD; over Flight only.
            end_user: The user behind the caller, when it asks for somebody else; the log keeps a
                commitment.
            sealed: Have the records encrypted to this party's registered key; not over Flight.
        """
        key = idempotency_key or secrets.token_hex(16)
        query = exchange_pb2.QueryRequest(
            context=types_pb2.RequestContext(
                idempotency_key=f"{key}.{attempt}" if attempt else key,
                purpose=purpose,
                scenario=scenario,
                destination=destination,
                operator=operator,
                case_reference=case_reference,
                end_user=end_user,
            ),
            product=product,
            fields=fields,
            subjects=subjects,
            subject_kind=types_pb2.SubjectKind.Value(f"SUBJECT_KIND_{subject_kind}"),
            conditions=[
                exchange_pb2.Condition(
                    field=name, op=op, values=[value] if isinstance(value, str) else value
                )
                for name, op, value in where
            ],
            limit=limit,
            consent_id=consent_id,
            measure=measure,
            loan=loan,
            encoding=exchange_pb2.Encoding.Value(f"ENCODING_{encoding}"),
            portfolio=portfolio,
            compression=exchange_pb2.Compression.Value(f"COMPRESSION_{compression}"),
            sealed=sealed,
        )
        query.context.time.FromNanoseconds(time.time_ns())
        if self._sign:
            query.context.signature = sign_request(
                query, self._identity.party_id, self._identity.key
            )
        return query
