"""The door of `AuditService`: checkpoints and receipts for callers, entries for auditors."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

from audit import entries
from audit.commitment import Opening
from audit.errors import AuditError, AuditUnavailableError
from audit.openings import OpeningStore
from audit.reader import LogReader
from gateway.domain.errors import InvalidRequestError, NotFoundError, UnavailableError
from gateway.domain.party import Caller
from gateway.doors.accesses import AccessDesk
from gateway.doors.cosigned import LogWitnesses
from gateway.doors.duties import Duty, require
from gateway.doors.errors import LawTexts
from gateway.doors.peer import peer_certificate
from gateway.doors.refusal import refuse
from gateway.identity.peer import identify
from gateway.release.world import World
from gateway.store.state import State
from xinguan.v1 import audit_pb2, audit_pb2_grpc

_Context = grpc.aio.ServicerContext[Any, Any]  # Any: message types differ by method
_MAX_ENTRIES = 1_000
_MAX_WAIT_MS = 10_000
_POLL_S = 0.05


class AuditDoor(audit_pb2_grpc.AuditServiceServicer):
    """Serves callers their receipts, and auditors the entries."""

    def __init__(
        self,
        state: State,
        world: World,
        law: LawTexts,
        reader: LogReader,
        openings: OpeningStore,
        desk: AccessDesk,
        witnesses: LogWitnesses,
    ) -> None:
        """Take the published log, what lies beside it, and who vouches for it."""
        self._state = state
        self._world = world
        self._law = law
        self._reader = reader
        self._openings = openings
        self._desk = desk
        self._witnesses = witnesses

    async def GetCheckpoint(
        self, request: audit_pb2.GetCheckpointRequest, context: _Context
    ) -> audit_pb2.GetCheckpointResponse:
        """Return the newest checkpoint, and what the quorum of witnesses has seen and when."""
        try:
            self._caller(context)
            return await asyncio.to_thread(self._witnesses.told, self._reader)
        except AuditError as error:
            await refuse(context, _pending(error), self._world, self._law)
        except Exception as error:
            await refuse(context, error, self._world, self._law)

    async def GetReceipt(
        self, request: audit_pb2.GetReceiptRequest, context: _Context
    ) -> audit_pb2.GetReceiptResponse:
        """Return the receipt of a request's intent, waiting for its checkpoint."""
        try:
            caller = self._caller(context)
            index = await asyncio.to_thread(self._intent_of, request.request_id, caller)
            await self._published(index, min(request.wait_ms, _MAX_WAIT_MS))
            proof = await asyncio.to_thread(self._reader.receipt, index)
            entry = await asyncio.to_thread(self._reader.entry, index)
            witnessed = await asyncio.to_thread(self._witnesses.witnessed, proof)
            return audit_pb2.GetReceiptResponse(proof=proof, entry=entry, witnessed=witnessed)
        except AuditError as error:
            await refuse(context, _pending(error), self._world, self._law)
        except Exception as error:
            await refuse(context, error, self._world, self._law)

    async def ListEntries(
        self, request: audit_pb2.ListEntriesRequest, context: _Context
    ) -> AsyncIterator[audit_pb2.ListEntriesResponse]:
        """Yield published entries to an auditor; the reading is in the log before them."""
        try:
            caller = self._caller(context)
            require(caller, Duty.READ_LOG)
            if request.start < 0 or not 1 <= request.count <= _MAX_ENTRIES:
                raise InvalidRequestError("BAD_REQUEST", f"1 to {_MAX_ENTRIES} entries from 0 on")
            size = (await asyncio.to_thread(self._reader.checkpoint)).size
            end = min(size, request.start + request.count)
            await self._log_reading(
                caller, "entries", start=request.start, count=max(0, end - request.start)
            )
            for index in range(request.start, end):
                entry = await asyncio.to_thread(self._reader.entry, index)
                yield audit_pb2.ListEntriesResponse(index=index, entry=entry)
        except AuditError as error:
            await refuse(context, _pending(error), self._world, self._law)
        except Exception as error:
            await refuse(context, error, self._world, self._law)

    async def ListAccesses(
        self, request: audit_pb2.ListAccessesRequest, context: _Context
    ) -> audit_pb2.ListAccessesResponse:
        """Return who asked about a subject, refusals included; the reading is in the log."""
        try:
            return await self._desk.list_accesses(self._caller(context), request, self._log_reading)
        except AuditError as error:
            await refuse(context, _pending(error), self._world, self._law)
        except Exception as error:
            await refuse(context, error, self._world, self._law)

    async def GetStatus(
        self, request: audit_pb2.GetStatusRequest, context: _Context
    ) -> audit_pb2.GetStatusResponse:
        """Return how log, index and evidence agree, in short."""
        try:
            require(self._caller(context), Duty.READ_LOG)
            return await self._desk.status()
        except AuditError as error:
            await refuse(context, _pending(error), self._world, self._law)
        except Exception as error:
            await refuse(context, error, self._world, self._law)

    def _caller(self, context: _Context) -> Caller:
        now = self._world.clock_ms() // 1000
        return identify(peer_certificate(context), self._world.registry.view(), now)

    def _intent_of(self, request_id: str, caller: Caller) -> int:
        row = self._select("SELECT intent, party_id FROM requests WHERE request_id = ?", request_id)
        if row is None or row[1] != caller.party.party_id:
            # Another's request looks exactly like one that never was.
            raise NotFoundError("NOT_FOUND", "you made no request with this id")
        return int(row[0])

    async def _published(self, index: int, wait_ms: int) -> None:
        deadline = self._world.clock_ms() + wait_ms
        while True:
            try:
                if (await asyncio.to_thread(self._reader.checkpoint)).size > index:
                    return
            except AuditError:
                pass  # No checkpoint yet; the first one is under way.
            if self._world.clock_ms() >= deadline:
                raise _not_published()
            await asyncio.sleep(_POLL_S)

    async def _log_reading(
        self,
        caller: Caller,
        what: str,
        *,
        start: int | None = None,
        count: int | None = None,
        subject: bytes | None = None,
        reason: str = "",
        opening: Opening | None = None,
    ) -> None:
        entry = entries.audit_read(
            time=self._world.clock_ms() // 1000,
            node=self._world.node.name,
            actor=caller.party.party_id,
            what=what,
            start=start,
            count=count,
            subject=subject,
            reason=reason,
        )
        if opening is None:
            await self._state.journal.append(entry)
            return
        openings = {"subject": opening}
        await self._state.submit(
            lambda tx: self._openings.record(tx, tx.append(entry).index, openings, ())
        )

    def _select(self, statement: str, value: str) -> tuple[Any, ...] | None:
        connection = self._state.connect()
        try:
            row: tuple[Any, ...] | None = connection.execute(statement, (value,)).fetchone()
        finally:
            connection.close()
        return row


def _pending(error: AuditError) -> Exception:
    """Return what a failure to read the published log means; a log that can't be written is one."""
    return error if isinstance(error, AuditUnavailableError) else _not_published()


def _not_published() -> UnavailableError:
    return UnavailableError("CHECKPOINT_PENDING", "no checkpoint includes this entry yet")
