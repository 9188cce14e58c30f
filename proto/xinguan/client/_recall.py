"""What a receiver of records does about recalls."""

import asyncio
from collections.abc import AsyncGenerator

import grpc
import pyarrow as pa

from xinguan.client._errors import RefusedError, TransportError, read_error
from xinguan.client._identity import Identity
from xinguan.recall import Notice, key_id_of, read_notice, sign_acknowledgement
from xinguan.v1 import repair_pb2, repair_pb2_grpc

_PAUSES_S = (0.1, 0.4, 1.6, 5.0)


class RecallCalls:
    """The calls of a receiver; `Client` has them.

    Owner of the keys: filled at the first notice, and anew when a notice names an unknown one.
    """

    _identity: Identity
    _deadline_s: float
    _repair: "repair_pb2_grpc.RepairServiceAsyncStub"

    async def notice_keys(self) -> dict[str, bytes]:
        """Return the public keys that notices are signed with, by key id."""
        try:
            answer = await self._repair.ListNoticeKeys(
                repair_pb2.ListNoticeKeysRequest(), timeout=self._deadline_s
            )
        except grpc.aio.AioRpcError as error:
            raise read_error(error) from None
        return {key.key_id: key.public_key for key in answer.keys}

    async def watch(self, cursor: int = 0) -> AsyncGenerator[Notice, None]:
        """Yield notices after a cursor as they come, for ever; verified, at least once.

        The stream is opened again when it breaks, from the last notice that was taken, so keep
        `notice.cursor` beside what you did about it, and go on from there after a restart.

        Args:
            cursor: The last one that was dealt with; 0 for all.

        Raises:
            RefusedError: The gateway refused.
            NoticeError: A notice is not signed by a key of this gateway.
        """
        keys = await self.notice_keys()
        failures = 0
        while True:
            try:
                stream = self._repair.Watch(repair_pb2.WatchRequest(cursor=cursor))
                async for sent in stream:
                    failures = 0
                    if key_id_of(sent.notice) not in keys:
                        keys = await self.notice_keys()
                    yield read_notice(sent.notice, keys, cursor=sent.cursor, status=sent.status)
                    cursor = sent.cursor
            except grpc.aio.AioRpcError as error:
                known = read_error(error)
                if isinstance(known, RefusedError) and known.status != "UNAVAILABLE":
                    raise known from None
            except TransportError:
                pass  # of `notice_keys`; tried again as the stream is
            await asyncio.sleep(_PAUSES_S[min(failures, len(_PAUSES_S) - 1)])
            failures += 1

    async def acknowledge(
        self, notice: Notice | str, reply: str, *, rows: int = 0, reason: str = ""
    ) -> repair_pb2.AcknowledgeResponse:
        """Sign and send what was done about a notice.

        Args:
            notice: The notice or its id.
            reply: PURGED, SUSPENDED, NOT_HELD, or OBJECTED with a reason.
            rows: How many rows were purged or suspended.
            reason: Why it objects; read by a person of the operator, never in the log.
        """
        notice_id = notice if isinstance(notice, str) else notice.notice_id
        identity = self._identity
        document = sign_acknowledgement(
            notice_id, identity.party_id, identity.key, reply, rows=rows, reason=reason
        )
        try:
            return await self._repair.Acknowledge(
                repair_pb2.AcknowledgeRequest(acknowledgement=document), timeout=self._deadline_s
            )
        except grpc.aio.AioRpcError as error:
            raise read_error(error) from None

    async def purge_list(self, *, everything: bool = False) -> pa.Table:
        """Return every row to purge or to suspend; with `everything` also what was answered for."""
        request = repair_pb2.GetPurgeListRequest(everything=everything)
        try:
            parts = [
                part.arrow_ipc
                async for part in self._repair.GetPurgeList(request, timeout=self._deadline_s)
            ]
        except grpc.aio.AioRpcError as error:
            raise read_error(error) from None
        return pa.ipc.open_stream(b"".join(parts)).read_all()

    async def declare_endpoint(self, url: str) -> repair_pb2.DeclareEndpointResponse:
        """Declare where this party can be asked what it still shows; empty to take it back."""
        try:
            return await self._repair.DeclareEndpoint(
                repair_pb2.DeclareEndpointRequest(url=url), timeout=self._deadline_s
            )
        except grpc.aio.AioRpcError as error:
            raise read_error(error) from None
