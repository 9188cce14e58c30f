"""The synchronous client: the asynchronous one on a loop in a thread of its own."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import pyarrow as pa

from xinguan.client._accesses import ProvedAccesses
from xinguan.client._answer import Answer
from xinguan.client._client import Client
from xinguan.client._identity import Identity
from xinguan.recall import Notice
from xinguan.sealing import DecryptionKey
from xinguan.v1 import audit_pb2, credential_pb2, exchange_pb2, recognition_pb2, repair_pb2

_T = TypeVar("_T")


class SyncClient:
    """Calls one gateway as one party, without asyncio. The methods are `Client`'s."""

    def __init__(
        self,
        target: str,
        identity: Identity,
        *,
        deadline_s: float = 30.0,
        sign: bool = True,
        decryption_key: DecryptionKey | None = None,
    ) -> None:
        """Start the loop's thread and prepare the channel."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="xinguan-client", daemon=True
        )
        self._thread.start()
        self._client = self._run(_open(target, identity, deadline_s, decryption_key, sign=sign))

    def _run(self, work: Coroutine[object, object, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the channel and stop the thread."""
        self._run(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def products(self) -> list[exchange_pb2.ProductSummary]:
        """See `Client.products`."""
        return self._run(self._client.products())

    def describe(self, product: str) -> exchange_pb2.DescribeProductResponse:
        """See `Client.describe`."""
        return self._run(self._client.describe(product))

    def query(self, product: str, fields: Sequence[str], **words: object) -> Answer:
        """See `Client.query`."""
        return self._run(self._client.query(product, fields, **words))

    def explain(
        self, product: str, fields: Sequence[str], **words: object
    ) -> exchange_pb2.ExplainResponse:
        """See `Client.explain`."""
        return self._run(self._client.explain(product, fields, **words))

    def receipt(self, request_id: str, *, wait_ms: int = 5000) -> audit_pb2.GetReceiptResponse:
        """See `Client.receipt`."""
        return self._run(self._client.receipt(request_id, wait_ms=wait_ms))

    def accesses(self, subject: str, reason: str) -> list[audit_pb2.Access]:
        """See `Client.accesses`."""
        return self._run(self._client.accesses(subject, reason))

    def proved_accesses(self, subject: str, vkey: str, **words: Any) -> ProvedAccesses:
        """See `Client.proved_accesses`."""
        return self._run(self._client.proved_accesses(subject, vkey, **words))

    def publish_repair(self, decision: str) -> repair_pb2.PublishResponse:
        """See `Client.publish_repair`."""
        return self._run(self._client.publish_repair(decision))

    def build_query(
        self, product: str, fields: Sequence[str], **words: Any
    ) -> exchange_pb2.QueryRequest:
        """See `Client.build_query`."""
        return self._client.build_query(product, fields, **words)

    def issue_credential(
        self, query: exchange_pb2.QueryRequest, *, holder_jwk: str = "", replaces: str = ""
    ) -> credential_pb2.IssuedCredential:
        """See `Client.issue_credential`."""
        return self._run(
            self._client.issue_credential(query, holder_jwk=holder_jwk, replaces=replaces)
        )

    def credential_status(self, credential_id: str) -> credential_pb2.GetCredentialStatusResponse:
        """See `Client.credential_status`."""
        return self._run(self._client.credential_status(credential_id))

    def notice_keys(self) -> dict[str, bytes]:
        """See `Client.notice_keys`."""
        return self._run(self._client.notice_keys())

    def watch(self, cursor: int = 0) -> Iterator[Notice]:
        """See `Client.watch`; blocks until the next notice comes."""
        notices = self._client.watch(cursor)
        try:
            while True:
                yield self._run(anext(notices))
        finally:
            self._run(notices.aclose())

    def acknowledge(
        self, notice: Notice | str, reply: str, *, rows: int = 0, reason: str = ""
    ) -> repair_pb2.AcknowledgeResponse:
        """See `Client.acknowledge`."""
        return self._run(self._client.acknowledge(notice, reply, rows=rows, reason=reason))

    def purge_list(self, *, everything: bool = False) -> pa.Table:
        """See `Client.purge_list`."""
        return self._run(self._client.purge_list(everything=everything))

    def declare_endpoint(self, url: str) -> repair_pb2.DeclareEndpointResponse:
        """See `Client.declare_endpoint`."""
        return self._run(self._client.declare_endpoint(url))

    def check_report(
        self, report_no: str, document: bytes, **words: str
    ) -> recognition_pb2.CheckReportResponse:
        """See `Client.check_report`."""
        return self._run(self._client.check_report(report_no, document, **words))

    def check_status(
        self, subject: str, statuses: Sequence[str], **words: str
    ) -> dict[str, recognition_pb2.StatusAnswer]:
        """See `Client.check_status`."""
        return self._run(self._client.check_status(subject, statuses, **words))

    def map_grade(
        self, subject: str, product: str = "public_credit_grade", **words: str
    ) -> recognition_pb2.MapGradeResponse:
        """See `Client.map_grade`."""
        return self._run(self._client.map_grade(subject, product, **words))

    def report(
        self, subject: str, sections: Mapping[str, Sequence[str]], **words: str
    ) -> recognition_pb2.GetReportResponse:
        """See `Client.report`."""
        return self._run(self._client.report(subject, sections, **words))

    def tables(self) -> recognition_pb2.ListTablesResponse:
        """See `Client.tables`."""
        return self._run(self._client.tables())


async def _open(
    target: str,
    identity: Identity,
    deadline_s: float,
    decryption_key: DecryptionKey | None,
    *,
    sign: bool,
) -> Client:
    return Client(target, identity, deadline_s=deadline_s, sign=sign, decryption_key=decryption_key)
