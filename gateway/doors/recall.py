"""The part of `RepairService` that serves receivers: notices, acknowledgements, lists, endpoints.

A receiver is served as long as its certificate is good, whatever its licence: whoever is suspended
over a recall must be able to answer it.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.journal import Appended, Transaction
from gateway.domain.errors import ExhaustedError
from gateway.domain.party import Caller
from gateway.domain.vocabulary import Status
from gateway.doors.encoding import promise_message
from gateway.doors.errors import LawTexts
from gateway.doors.peer import peer_certificate, public_key_pem
from gateway.doors.refusal import refuse
from gateway.identity.peer import identify
from gateway.registry.act import Act
from gateway.release.world import World
from gateway.repair.recall.acknowledge import acknowledge, read_acknowledgement
from gateway.repair.recall.board import NoticeBoard, encode_table, purge_list
from gateway.repair.recall.endpoints import check_url, declare
from gateway.repair.recall.keys import notice_keys
from gateway.store.state import State
from xinguan.v1 import repair_pb2, repair_pb2_grpc, types_pb2

_Context = grpc.aio.ServicerContext[Any, Any]  # Any: message types differ by method
_PART_BYTES = 1 << 20
_STREAMS = 8  # of one receiver at once


@dataclass(frozen=True, slots=True)
class RecallDesk:
    """What receivers are served from.

    Args:
        state: The state.
        board: Reads notices for streams.
        loopback: Whether an endpoint may be plain HTTP on this machine; development only.
    """

    state: State
    board: NoticeBoard
    loopback: bool


class RecallDoor(repair_pb2_grpc.RepairServiceServicer):
    """Serves whoever received records."""

    def __init__(self, desk: RecallDesk, world: World, law: LawTexts) -> None:
        """Take what receivers are served from."""
        self._desk = desk
        self._world = world
        self._law = law
        self._streams: Counter[str] = Counter()

    async def Watch(
        self, request: repair_pb2.WatchRequest, context: _Context
    ) -> AsyncIterator[repair_pb2.WatchResponse]:
        """Stream the caller's notices after its cursor, then new ones as they come."""
        party_id = ""
        try:
            caller = self._caller(context)
            if self._streams[caller.party.party_id] >= _STREAMS:
                raise ExhaustedError("RATE_LIMIT", "too many watches of yours are open")
            party_id = caller.party.party_id
            self._streams[party_id] += 1
            cursor = max(0, request.cursor)
            while self._desk.board.open:
                while self._desk.board.newest() > cursor:
                    page = self._desk.board.after(party_id, cursor)
                    for notice in page:
                        yield repair_pb2.WatchResponse(
                            cursor=notice.index,
                            notice=notice.document,
                            notice_id=notice.notice_id,
                            status=notice.status,
                        )
                    if not page:
                        break
                    cursor = page[-1].index
                    await self._served([notice.index for notice in page])
                await asyncio.sleep(NoticeBoard.EVERY_S)
                self._caller(context)  # a certificate that was revoked meanwhile ends the stream
        except Exception as error:
            await refuse(context, error, self._world, self._law)
        finally:
            if party_id:
                self._streams[party_id] -= 1

    async def Acknowledge(
        self, request: repair_pb2.AcknowledgeRequest, context: _Context
    ) -> repair_pb2.AcknowledgeResponse:
        """Take a receiver's signed statement."""
        try:
            caller = self._caller(context)
            answer = read_acknowledgement(
                request.acknowledgement,
                lambda identity: self._document_key(identity, caller),
                public_key_pem(peer_certificate(context)),
            )
            now = self._world.clock_ms() // 1000
            done = await self._desk.state.submit(
                lambda tx: acknowledge(
                    tx, answer, caller.party.party_id, node=self._world.node.name, now=now
                )
            )
            return repair_pb2.AcknowledgeResponse(
                entry=self._promise(done.appended), status=done.status, repeated=done.repeated
            )
        except Exception as error:
            await refuse(context, error, self._world, self._law)

    async def GetPurgeList(
        self, request: repair_pb2.GetPurgeListRequest, context: _Context
    ) -> AsyncIterator[repair_pb2.GetPurgeListResponse]:
        """Return every row that the caller was told of, as one Arrow IPC stream in parts."""
        try:
            caller = self._caller(context)
            stream = await asyncio.to_thread(self._listed, caller, request.everything)
            for first in range(0, len(stream), _PART_BYTES):
                yield repair_pb2.GetPurgeListResponse(arrow_ipc=stream[first : first + _PART_BYTES])
        except Exception as error:
            await refuse(context, error, self._world, self._law)

    async def ListNoticeKeys(
        self, request: repair_pb2.ListNoticeKeysRequest, context: _Context
    ) -> repair_pb2.ListNoticeKeysResponse:
        """Return the public keys that notices are signed with."""
        del request
        try:
            self._caller(context)
            keys = await asyncio.to_thread(self._keys)
        except Exception as error:
            await refuse(context, error, self._world, self._law)
        return repair_pb2.ListNoticeKeysResponse(keys=keys)

    async def DeclareEndpoint(
        self, request: repair_pb2.DeclareEndpointRequest, context: _Context
    ) -> repair_pb2.DeclareEndpointResponse:
        """Keep where the caller can be asked what it still shows."""
        try:
            caller = self._caller(context)
            party_id = caller.party.party_id
            url = check_url(request.url, loopback=self._desk.loopback) if request.url else ""
            act = Act(self._world.clock_ms() // 1000, self._world.node.name, party_id)

            def job(tx: Transaction) -> Appended:
                index = declare(tx, party_id, url, act)
                row = tx.execute(
                    "SELECT leaf_hash FROM audit_entry WHERE position = ?", (index + 1,)
                ).fetchone()
                return Appended(index, bytes(row[0]), b"")

            done = await self._desk.state.submit(job)
            return repair_pb2.DeclareEndpointResponse(entry=self._promise(done))
        except Exception as error:
            await refuse(context, error, self._world, self._law)

    def _caller(self, context: _Context) -> Caller:
        now = self._world.clock_ms() // 1000
        return identify(peer_certificate(context), self._world.registry.view(), now)

    def _document_key(self, identity: str, caller: Caller) -> Ed25519PublicKey | None:
        key = self._world.registry.view().document_key(identity)
        if key is None or key.party_id != caller.party.party_id or key.status is not Status.ACTIVE:
            return None
        return key.public_key

    async def _served(self, notices: list[int]) -> None:
        """Keep when notices were first handed over; the delay to the receiver is told by it."""
        now = self._world.clock_ms() // 1000

        def job(tx: Transaction) -> None:
            for notice in notices:
                tx.execute(
                    "UPDATE recall_notices SET served_at = ? WHERE notice = ?"
                    " AND served_at IS NULL",
                    (now, notice),
                )

        await self._desk.state.journal.submit(job)

    def _listed(self, caller: Caller, everything: bool) -> bytes:
        connection = self._desk.state.connect()
        try:
            return encode_table(
                purge_list(connection, caller.party.party_id, everything=everything)
            )
        finally:
            connection.close()

    def _keys(self) -> list[repair_pb2.NoticeKey]:
        connection = self._desk.state.connect()
        try:
            return [
                repair_pb2.NoticeKey(key_id=key.key_id, public_key=key.public_key, entry=key.index)
                for key in notice_keys(connection)
            ]
        finally:
            connection.close()

    def _promise(self, appended: Appended) -> types_pb2.Promise:
        return promise_message(self._world.evidence.promise(appended))
