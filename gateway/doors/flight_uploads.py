"""DoPut and DoExchange: a portfolio comes in, is kept or answered at once.

DoPut takes the parameters of a prepared statement of Flight SQL too.

What comes is hostile until `Upload` has read all of it. Nothing of it is kept when the upload
breaks off, is too large, or takes too long.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc
from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp

from arrow_flight import flight_pb2
from gateway.domain.errors import ExhaustedError, InvalidRequestError, UnauthenticatedError
from gateway.domain.party import Caller
from gateway.domain.vocabulary import SubjectKind
from gateway.doors.ask import subject_kind
from gateway.doors.flight import Context, FlightDoor, Handlers, encode, parse_query
from gateway.doors.flight_sql import sql_command
from gateway.doors.refusal import refuse
from gateway.doors.upload import Upload
from gateway.portfolio.build import today_of
from gateway.release.memory import give_back
from gateway.release.portfolio import Portfolio
from xinguan.v1 import exchange_pb2

_AT_ONCE = 4  # uploads under way in a process; each may hold a whole portfolio in memory


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """Limits of one upload: rows, bytes, and seconds from its beginning to its end."""

    rows: int
    size: int
    deadline_s: int


class FlightUploads:
    """Takes portfolios."""

    def __init__(self, door: FlightDoor, limits: UploadLimits) -> None:
        """Use the readers' door for callers, portfolios and answers."""
        self._door = door
        self._limits = limits
        self._under_way = 0

    async def DoPut(
        self, frames: AsyncIterator[flight_pb2.FlightData], context: Context
    ) -> AsyncIterator[flight_pb2.PutResult]:
        """Keep a portfolio and yield its handle; or seal parameters into a statement's handle."""
        door = self._door
        try:
            caller = door.caller(context)
            descriptor, rest = await _begin(frames)
            if sql_command(descriptor) is not None:
                receipt: Message = await self._parameters(rest, context)
            else:
                receipt = await self._portfolio(_upload_kind(descriptor), rest, caller)
        except Exception as error:
            await refuse(context, error, door.world, door.law)
        yield flight_pb2.PutResult(app_metadata=receipt.SerializeToString())

    async def DoExchange(
        self, frames: AsyncIterator[flight_pb2.FlightData], context: Context
    ) -> None:
        """Take a portfolio and answer the query in its descriptor about it; nothing is kept."""
        door = self._door
        try:
            door.caller(context)
            descriptor, rest = await _begin(frames)
            query = parse_query(descriptor)
            if query.portfolio or query.subjects:
                raise InvalidRequestError("BAD_REQUEST", "the subjects come with the exchange")
            if query.context.signature:
                # The signature is over the query alone and would not bind what comes with it.
                raise UnauthenticatedError(
                    "BAD_SIGNATURE", "a signed query names a portfolio that was uploaded before"
                )
            portfolio = await self._receive(subject_kind(query.subject_kind), rest)
            await asyncio.to_thread(portfolio.made_ready)
            await door.deliver(door.asking(query, portfolio), context)
        except Exception as error:
            await refuse(context, error, door.world, door.law)

    async def _portfolio(
        self, kind: SubjectKind, frames: AsyncIterator[flight_pb2.FlightData], caller: Caller
    ) -> Message:
        portfolio = await self._receive(kind, frames)
        kept = await self._door.portfolios.keep(
            portfolio, caller.party.party_id, caller.certificate.fingerprint
        )
        return exchange_pb2.PortfolioReceipt(
            portfolio=kept.handle,
            subjects=kept.subjects,
            expires_at=Timestamp(seconds=kept.expires_at),
        )

    async def _parameters(
        self, frames: AsyncIterator[flight_pb2.FlightData], context: Context
    ) -> Message:
        try:
            async with asyncio.timeout(self._limits.deadline_s):
                return await self._door.sql.put(frames, context)
        except TimeoutError:
            raise ExhaustedError("RATE_LIMIT", "the upload took too long") from None

    async def _receive(
        self, kind: SubjectKind, frames: AsyncIterator[flight_pb2.FlightData]
    ) -> Portfolio:
        if self._under_way >= _AT_ONCE:
            raise ExhaustedError("RATE_LIMIT", "too many uploads are under way; try again soon")
        self._under_way += 1
        limits = self._limits
        today = today_of(self._door.world.clock_ms() // 1000)
        upload = Upload(kind, max_rows=limits.rows, max_bytes=limits.size, today=today)
        try:
            async with asyncio.timeout(limits.deadline_s):
                async for frame in frames:
                    upload.feed(frame)
            portfolio = await asyncio.to_thread(upload.finish)
            await asyncio.to_thread(give_back)  # what came in was checked, and copied into order
        except TimeoutError:
            raise ExhaustedError("RATE_LIMIT", "the upload took too long") from None
        finally:
            self._under_way -= 1
        return portfolio


async def _begin(
    frames: AsyncIterator[flight_pb2.FlightData],
) -> tuple[flight_pb2.FlightDescriptor, AsyncIterator[flight_pb2.FlightData]]:
    """Return the descriptor, which comes with the first frame, and all frames."""
    iterator = aiter(frames)
    try:
        first = await anext(iterator)
    except StopAsyncIteration:
        raise InvalidRequestError("BAD_REQUEST", "an upload begins with a descriptor") from None

    async def again() -> AsyncIterator[flight_pb2.FlightData]:
        yield first
        async for frame in iterator:
            yield frame

    return first.flight_descriptor, again()


def _upload_kind(descriptor: flight_pb2.FlightDescriptor) -> SubjectKind:
    if descriptor.type != flight_pb2.FlightDescriptor.CMD:
        raise InvalidRequestError("BAD_REQUEST", "the descriptor's command is not an upload")
    try:
        command = exchange_pb2.PortfolioUpload.FromString(descriptor.cmd)
    except DecodeError:
        raise InvalidRequestError("BAD_REQUEST", "the command is not a PortfolioUpload") from None
    return subject_kind(command.subject_kind)


def uploads(door: FlightUploads) -> Handlers:
    """Return the methods of uploads."""
    both = grpc.stream_stream_rpc_method_handler
    data = flight_pb2.FlightData.FromString
    return {
        "DoPut": both(door.DoPut, data, encode),
        "DoExchange": both(door.DoExchange, data, bytes),
    }
