"""The door of Arrow Flight: the same road, framed for stock Flight clients.

A descriptor's command is a serialised `xinguan.v1.QueryRequest`, or one of Flight SQL, which
`gateway.doors.flight_sql` makes such a request of; its tickets are sealed plans.
A FlightData is framed by hand (`gateway.doors.framing`), and one port with one identity serves
everything.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any, TypeAlias

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp

from arrow_flight import flight_pb2
from gateway.domain.errors import InvalidRequestError
from gateway.domain.party import Caller
from gateway.doors.ask import Ask
from gateway.doors.encoding import (
    batch_evidence,
    coverage_message,
    field_messages,
    portfolio_message,
    promise_message,
)
from gateway.doors.errors import LawTexts
from gateway.doors.exchange import granted_products
from gateway.doors.flight_sql import (
    SqlDesk,
    empty_batch,
    holder,
    sql_command,
    sql_ticket,
    wrap_ticket,
)
from gateway.doors.framing import frame
from gateway.doors.peer import peer_certificate
from gateway.doors.refusal import refuse
from gateway.identity.peer import identify
from gateway.registry.arrow_schema import arrow_schema
from gateway.release.availability import available, is_abroad
from gateway.release.delivery import count_portions
from gateway.release.part import Part
from gateway.release.pipeline import Exchange
from gateway.release.plan import released_actions
from gateway.release.portfolio import ENDPOINT_PORTIONS, Portfolio, Portfolios
from gateway.release.ticket import Ticket, seal, unseal
from gateway.release.world import Planned, World
from xinguan.v1 import exchange_pb2

SERVICE = "arrow.flight.protocol.FlightService"
MAX_ENDPOINTS = 8
Handlers: TypeAlias = "dict[str, grpc.RpcMethodHandler[Any, Any]]"
Context = grpc.aio.ServicerContext[Any, Any]  # Any: message types differ by method


class FlightDoor:
    """Serves readers: ListFlights, GetFlightInfo, GetSchema, DoGet.

    Uploads and actions are beside it, in `flight_uploads` and `flight_actions`.
    """

    def __init__(
        self,
        exchange: Exchange,
        world: World,
        law: LawTexts,
        *,
        max_subjects: int,
        ticket_key: bytes,
        ticket_life_s: int,
        portfolios: Portfolios,
        sql: SqlDesk,
    ) -> None:
        """Take the road behind the door, the key and life of tickets, and who knows SQL."""
        self._exchange = exchange
        self.world = self._world = world
        self.law = self._law = law
        self.portfolios = portfolios
        self.sql = sql
        self._max_subjects = max_subjects
        self._ticket_key = ticket_key
        self._ticket_life_s = ticket_life_s

    async def ListFlights(
        self, request: flight_pb2.Criteria, context: Context
    ) -> AsyncIterator[flight_pb2.FlightInfo]:
        """Yield the caller's products with the schema of the granted fields."""
        try:
            caller = self.caller(context)
            for product, licence in granted_products(self._world, caller):
                if not available(self._world, product, abroad=is_abroad(caller.party)):
                    continue
                granted = licence.grants[product.name].fields
                names = [name for name in product.fields if name in granted]
                full = arrow_schema(product)
                schema = full.empty_table().select(names).schema
                yield flight_pb2.FlightInfo(
                    schema=schema.serialize().to_pybytes(),
                    flight_descriptor=flight_pb2.FlightDescriptor(
                        type=flight_pb2.FlightDescriptor.PATH, path=[product.name]
                    ),
                    total_records=-1,
                    total_bytes=-1,
                )
        except Exception as error:
            await refuse(context, error, self._world, self._law)

    async def GetFlightInfo(
        self, request: flight_pb2.FlightDescriptor, context: Context
    ) -> flight_pb2.FlightInfo:
        """Return a plan: one decision, one snapshot, and tickets to read it in parallel."""
        try:
            command = sql_command(request)
            if command is not None:
                return await self._sql_info(request, command, context)
            peer = peer_certificate(context)
            query = parse_query(request)
            planned = await self._exchange.plan(peer, await self._about(query, context))
            return self._info(request, query, planned)
        except Exception as error:
            await refuse(context, error, self._world, self._law)

    async def GetSchema(
        self, request: flight_pb2.FlightDescriptor, context: Context
    ) -> flight_pb2.SchemaResult:
        """Return the schema that the caller would get."""
        try:
            command = sql_command(request)
            if command is not None:
                info = await self._sql_info(request, command, context)
                return flight_pb2.SchemaResult(schema=info.schema)
            peer = peer_certificate(context)
            ask = await self._about(parse_query(request), context)
            planned = await self._exchange.plan(peer, ask)
            return flight_pb2.SchemaResult(schema=planned.prepared.schema_ipc)
        except Exception as error:
            await refuse(context, error, self._world, self._law)

    async def DoGet(self, request: flight_pb2.Ticket, context: Context) -> None:
        """Write framed FlightData for a ticket; authorised anew, with an intent of its own.

        Not a generator, for the reason that `ExchangeDoor.Query` gives.
        """
        try:
            sealed, command = sql_ticket(request.ticket)
            if command is not None:
                await self._write_metadata(command, context)
                return
            ticket = self.unseal(sealed, context)
            query = exchange_pb2.QueryRequest.FromString(ticket.request)
            ask = await self._about(query, context, ticket)
            await self.deliver(ask, context, always_rows=sealed != request.ticket)
        except Exception as error:
            await refuse(context, error, self._world, self._law)

    async def deliver(self, ask: Ask, context: Context, *, always_rows: bool = False) -> None:
        """Write the schema and the parts of an answer, each framed and confirmed once more.

        Args:
            ask: What is asked.
            context: Of the call.
            always_rows: See `_frame_part`.
        """
        first, peer, handed_over, pinned = True, peer_certificate(context), 0, ""
        for each, last in ask.parts(self._world.evidence.pace):
            # A message that holds metadata alone is the end to some readers of whole tables.
            rows_too = always_rows or not last
            one = replace(each, handed_over=handed_over, pinned=pinned)
            if ask.query.limit and handed_over >= ask.query.limit:
                return
            async with aclosing(self._exchange.release(peer, one)) as parts:
                async for part in parts:
                    if first:
                        await context.write(frame(part.delivery.schema_ipc, b""))
                        first = False
                    message = _frame_part(part, always_rows=rows_too)
                    part.confirm()
                    await context.write(message)
                    pinned = part.delivery.snapshot.snapshot_id
                    if part.closing is not None:
                        handed_over += part.closing.rows

    async def _write_metadata(self, command: Packed, context: Context) -> None:
        table = self.sql.table(command, context)
        await context.write(frame(table.schema.serialize().to_pybytes(), b""))
        for batch in table.to_batches():
            await context.write(frame(batch.serialize().to_pybytes(), b""))

    async def _sql_info(
        self, descriptor: flight_pb2.FlightDescriptor, command: Packed, context: Context
    ) -> flight_pb2.FlightInfo:
        """Return the plan of a command of Flight SQL.

        The ticket of metadata is the command itself: it holds nothing, and whoever shows it gets
        what its own licence allows.
        """
        found = await self.sql.plan(command, context)
        if found is None:
            table = self.sql.table(command, context)
            info = flight_pb2.FlightInfo(
                schema=table.schema.serialize().to_pybytes(),
                flight_descriptor=descriptor,
                total_records=-1,
                total_bytes=-1,
            )
            info.endpoint.add().ticket.ticket = descriptor.cmd
            return info
        asked, planned = found
        info = self._info(descriptor, asked.query, planned)
        info.ordered = asked.question.ordered
        for endpoint in info.endpoint:
            endpoint.ticket.ticket = wrap_ticket(endpoint.ticket.ticket)
        if asked.question.limit == 0:
            # A request knows no limit of nothing: 0 is none there.
            del info.endpoint[:]
        return info

    def asking(self, query: exchange_pb2.QueryRequest, portfolio: Portfolio) -> Ask:
        """Return the ask of a query whose portfolio came with it."""
        return Ask(query, self._max_subjects, False, None, portfolio)

    async def _about(
        self, query: exchange_pb2.QueryRequest, context: Context, ticket: Ticket | None = None
    ) -> Ask:
        portfolio = None
        if query.portfolio:
            party = self.caller(context)
            portfolio = await asyncio.to_thread(  # made ready there as well
                self.portfolios.open,
                query.portfolio,
                party.party.party_id,
                party.certificate.fingerprint,
            )
        return Ask(query, self._max_subjects, False, ticket, portfolio)

    def unseal(self, blob: bytes, context: Context) -> Ticket:
        """Return the plan of a ticket that the caller presents.

        Raises:
            InvalidRequestError: See `gateway.release.ticket.unseal`.
        """
        now = self._world.clock_ms() // 1000
        return unseal(blob, self._ticket_key, holder(self.caller(context)), now)

    def seal(self, ticket: Ticket, caller: Caller) -> bytes:
        """Return a ticket for a caller."""
        return seal(ticket, self._ticket_key, holder(caller))

    def caller(self, context: Context) -> Caller:
        """Return who calls.

        Raises:
            UnauthenticatedError: The certificate is not the pinned one of a registered party.
        """
        now = self._world.clock_ms() // 1000
        return identify(peer_certificate(context), self._world.registry.view(), now)

    def _info(
        self,
        descriptor: flight_pb2.FlightDescriptor,
        query: exchange_pb2.QueryRequest,
        planned: Planned,
    ) -> flight_pb2.FlightInfo:
        now = self._world.clock_ms() // 1000
        expires_at = min(now + self._ticket_life_s, planned.decision.valid_until)
        coverage = coverage_message(self._world, planned.snapshot, now)
        if planned.features is not None:
            released = released_actions(planned.prepared.plan)
            coverage.portfolio.CopyFrom(portfolio_message(planned.features.report(released)))
        info = flight_pb2.FlightInfo(
            schema=planned.prepared.schema_ipc,
            flight_descriptor=descriptor,
            total_records=-1,
            total_bytes=-1,
            ordered=False,
            app_metadata=exchange_pb2.DecisionSummary(
                request_id=planned.request_id,
                fields=field_messages(planned.decision),
                bundle_digest=planned.decision.bundle_digest,
                input_digest=planned.decision.input_digest,
                coverage=coverage,
                obligations=sorted(planned.decision.obligations),
            ).SerializeToString(),
        )
        count = count_portions(planned.facts, planned.prepared, planned.snapshot, self._world)
        # A limit counts over the whole answer: it is read through one endpoint.
        endpoints = 1 if query.limit else MAX_ENDPOINTS
        if query.portfolio:
            endpoints = min(endpoints, -(-count // ENDPOINT_PORTIONS))
        for first, last in _ranges(count, endpoints):
            ticket = Ticket(
                query.SerializeToString(),
                planned.snapshot.snapshot_id,
                planned.decision.input_digest,
                first,
                last,
                expires_at,
            )
            sealed = self.seal(ticket, planned.facts.caller)
            endpoint = info.endpoint.add(expiration_time=Timestamp(seconds=expires_at))
            endpoint.ticket.ticket = sealed
        return info


def _frame_part(part: Part, *, always_rows: bool) -> bytes:
    """Return a part as it leaves.

    Args:
        part: The part.
        always_rows: True for clients that can't read a message that holds metadata alone, as some
            of Flight SQL, and inside an answer: such a one gets a batch without rows.
    """
    evidence = exchange_pb2.QueryResponse()
    if part.first:
        evidence.decision.request_id = part.delivery.trail.request_id
        evidence.decision.intent.CopyFrom(promise_message(part.delivery.intent))
    if part.batch is not None:
        evidence.batch.CopyFrom(batch_evidence(part.batch, part.evidence))
    if part.closing is not None:
        evidence.outcome.rows = part.closing.rows
        evidence.outcome.bytes = part.closing.bytes
        evidence.outcome.entry.CopyFrom(promise_message(part.closing.promise))
    message = b"" if part.batch is None else part.batch.message
    if always_rows and not message:
        message = empty_batch(part.delivery.prepared.enforcer.schema)
    return frame(message, evidence.SerializeToString())


def parse_query(descriptor: flight_pb2.FlightDescriptor) -> exchange_pb2.QueryRequest:
    """Return the query that a descriptor's command is.

    Raises:
        InvalidRequestError: `BAD_REQUEST`.
    """
    if descriptor.type != flight_pb2.FlightDescriptor.CMD:
        raise InvalidRequestError("BAD_REQUEST", "the descriptor's command is not a query")
    try:
        return exchange_pb2.QueryRequest.FromString(descriptor.cmd)
    except DecodeError:
        raise InvalidRequestError("BAD_REQUEST", "the command is not a QueryRequest") from None


def _ranges(batches: int, endpoints: int) -> list[tuple[int, int]]:
    """Split batches into at most so many contiguous ranges; at least one, maybe empty."""
    count = max(1, min(endpoints, batches))
    edges = [batches * i // count for i in range(count + 1)]
    return list(itertools.pairwise(edges))


def readers(door: FlightDoor) -> Handlers:
    """Return the methods of readers, FlightData as bytes that are framed already."""
    one, many = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
    descriptor = flight_pb2.FlightDescriptor.FromString
    return {
        "ListFlights": many(door.ListFlights, flight_pb2.Criteria.FromString, encode),
        "GetFlightInfo": one(door.GetFlightInfo, descriptor, encode),
        "GetSchema": one(door.GetSchema, descriptor, encode),
        "DoGet": many(door.DoGet, flight_pb2.Ticket.FromString, bytes),
    }


def encode(message: Message) -> bytes:
    """Serialise an answer."""
    return message.SerializeToString()


def add_flight(handlers: Handlers, server: grpc.aio.Server) -> None:
    """Register the Flight methods on a server."""
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
