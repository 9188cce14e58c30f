"""Flight SQL: commands in, the same road behind, and a catalog of what the caller is granted.

A statement becomes a `QueryRequest` and goes the way of every other; its tickets are those of
the Flight door. What is answered here by itself is metadata, and that only from the licence.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import pyarrow as pa
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import DecodeError, Message

from arrow_flight import flight_pb2
from arrow_flight import flight_sql_pb2 as sql
from gateway.domain.errors import (
    DeniedError,
    InvalidRequestError,
    NotFoundError,
    NotSupportedError,
    Reason,
)
from gateway.domain.party import Caller
from gateway.domain.product import Product
from gateway.domain.vocabulary import FieldAction
from gateway.doors.ask import Ask
from gateway.doors.exchange import granted_products
from gateway.doors.peer import peer_certificate
from gateway.doors.sql_headers import begin_query, read_headers
from gateway.identity.peer import identify
from gateway.registry.arrow_schema import arrow_schema
from gateway.release.availability import available, is_abroad
from gateway.release.pipeline import Exchange
from gateway.release.world import Planned, World
from gateway.sql import metadata, prepared
from gateway.sql.literals import Literal
from gateway.sql.parameters import MAX_BYTES, read_parameters
from gateway.sql.prepared import Prepared
from gateway.sql.question import Question, ask, parameter_names
from gateway.sql.statement import Statement, parse
from xinguan.v1 import exchange_pb2

ACTIONS = {
    "CreatePreparedStatement": "Seals a statement and returns its handle.",
    "ClosePreparedStatement": "Does nothing: handles hold no state.",
    "CloseSession": "Does nothing: there are no sessions.",
}
_PREFIX = "type.googleapis.com/arrow.flight.protocol.sql."
_Context = grpc.aio.ServicerContext[Any, Any]  # Any: message types differ by method
_M = TypeVar("_M", bound=Message)


@dataclass(frozen=True, slots=True)
class Asked:
    """A statement as a request, with what the request can't say."""

    query: exchange_pb2.QueryRequest
    question: Question


class SqlDesk:
    """Understands the commands of Flight SQL for the Flight door."""

    def __init__(
        self,
        exchange: Exchange,
        world: World,
        *,
        max_subjects: int,
        max_sql_bytes: int,
        ticket_key: bytes,
        ticket_life_s: int,
    ) -> None:
        """Take the road, the limits of a statement, and the key and life of handles."""
        self._exchange = exchange
        self._world = world
        self._max_subjects = max_subjects
        self._max_sql_bytes = max_sql_bytes
        self._ticket_key = ticket_key
        self._ticket_life_s = ticket_life_s

    async def plan(self, command: Packed, context: _Context) -> tuple[Asked, Planned] | None:
        """Return the plan of a statement, or None when the command asks for metadata.

        Raises:
            XinguanError: A refusal.
        """
        if command.Is(sql.CommandStatementQuery.DESCRIPTOR):
            statement = _unpack(command, sql.CommandStatementQuery)
            _no_transaction(statement)
            return await self._plan(statement.query, (), context)
        if command.Is(sql.CommandPreparedStatementQuery.DESCRIPTOR):
            handle = _unpack(command, sql.CommandPreparedStatementQuery)
            kept = self._unseal(handle.prepared_statement_handle, context)
            return await self._plan(kept.text, kept.parameters, context)
        return None

    def table(self, command: Packed, context: _Context) -> pa.Table:
        """Return the metadata that a command asks for.

        Raises:
            NotSupportedError: `NOT_SUPPORTED` for a command that is not offered.
        """
        caller = self._caller(context)
        for kind, answer in _METADATA.items():
            if command.Is(kind.DESCRIPTOR):
                return answer(_unpack(command, kind), lambda: self._granted(caller))
        raise NotSupportedError("NOT_SUPPORTED", "this command of Flight SQL is not supported")

    async def act(self, action: flight_pb2.Action, context: _Context) -> AsyncIterator[Message]:
        """Yield the results of an action.

        Raises:
            XinguanError: A refusal.
        """
        if action.type not in ACTIONS:
            raise NotSupportedError("NOT_SUPPORTED", "this action is not supported")
        if action.type == "CloseSession":  # the stock driver ends every connection with it
            self._caller(context)
            closed = flight_pb2.CloseSessionResult(status=flight_pb2.CloseSessionResult.CLOSED)
            yield flight_pb2.Result(body=closed.SerializeToString())
            return
        packed = _parse(action.body)
        if packed is None:
            raise InvalidRequestError("BAD_REQUEST", "the action's body is not of Flight SQL")
        if action.type == "ClosePreparedStatement":
            closing = _unpack(packed, sql.ActionClosePreparedStatementRequest)
            self._unseal(closing.prepared_statement_handle, context)
            return
        request = _unpack(packed, sql.ActionCreatePreparedStatementRequest)
        _no_transaction(request)
        yield await self._prepare(request.query, context)

    async def put(
        self, messages: AsyncIterator[flight_pb2.FlightData], context: _Context
    ) -> sql.DoPutPreparedStatementResult:
        """Return the handle of a prepared statement with the parameters that were put.

        Raises:
            XinguanError: A refusal; for every upload that is not of parameters.
        """
        kept: Prepared | None = None
        parts: list[tuple[bytes, bytes]] = []
        size = 0
        async for message in messages:
            if kept is None:
                command = sql_command(message.flight_descriptor)
                if command is None or not command.Is(sql.CommandPreparedStatementQuery.DESCRIPTOR):
                    raise NotSupportedError("NOT_SUPPORTED", "an upload is not supported")
                handle = _unpack(command, sql.CommandPreparedStatementQuery)
                kept = self._unseal(handle.prepared_statement_handle, context)
            size += len(message.data_header) + len(message.data_body)
            if size > MAX_BYTES:
                raise InvalidRequestError("BAD_REQUEST", "the parameters are too large")
            parts.append((message.data_header, message.data_body))
        if kept is None:
            raise InvalidRequestError("BAD_REQUEST", "the upload is empty")
        statement = await self._parse(kept.text)
        values = read_parameters(parts)
        if len(values) != statement.parameters:
            raise InvalidRequestError(
                "BAD_REQUEST", f"the statement has {statement.parameters} parameters"
            )
        bound = Prepared(kept.text, values, kept.expires_at)
        return sql.DoPutPreparedStatementResult(
            prepared_statement_handle=self._seal(bound, context)
        )

    async def _prepare(self, text: str, context: _Context) -> Message:
        statement = await self._parse(text)
        result = sql.ActionCreatePreparedStatementResult()
        if statement.parameters:
            product, granted = await self._product(statement, context)
            result.parameter_schema = _parameter_schema(statement, product, granted)
        else:
            # The schema of an answer is told to those alone who would get the answer.
            _, planned = await self._plan(text, (), context)
            result.dataset_schema = planned.prepared.schema_ipc
        expires_at = self._world.clock_ms() // 1000 + self._ticket_life_s
        result.prepared_statement_handle = self._seal(Prepared(text, (), expires_at), context)
        packed = Packed()
        packed.Pack(result)
        return flight_pb2.Result(body=packed.SerializeToString())

    async def _plan(
        self, text: str, parameters: tuple[Literal, ...], context: _Context
    ) -> tuple[Asked, Planned]:
        statement = await self._parse(text)
        product, granted = await self._product(statement, context)
        question = ask(statement, product, granted, parameters)
        query = self._begin(product, context)
        query.fields.extend(question.fields)
        query.subjects.extend(question.subjects)
        for each in question.filters:
            query.conditions.add(field=each.field, op=each.op, values=each.values)
        query.limit = question.limit or 0
        peer = peer_certificate(context)
        planned = await self._exchange.plan(peer, Ask(query, self._max_subjects, False))
        _check_answer(question, planned)
        return Asked(query, question), planned

    async def _parse(self, text: str) -> Statement:
        # A long statement takes long to parse, and others are served meanwhile.
        return await asyncio.to_thread(parse, text, self._max_sql_bytes)

    async def _product(
        self, statement: Statement, context: _Context
    ) -> tuple[Product, tuple[str, ...]]:
        """Return the product of a statement and its granted fields.

        One that is not granted is refused on the road, with the reason that the policy gives,
        and before anything is said about its columns.
        """
        caller = self._caller(context)
        product = self._world.products.get(statement.table)
        if product is None:
            raise InvalidRequestError("UNKNOWN_PRODUCT", "no such product is in the catalogue")
        for candidate, licence in granted_products(self._world, caller):
            if candidate.name == product.name:
                names = licence.grants[product.name].fields
                return product, tuple(name for name in product.fields if name in names)
        query = self._begin(product, context)
        query.fields.append(product.subject_key)
        await self._exchange.plan(peer_certificate(context), Ask(query, self._max_subjects, False))
        raise NotFoundError("UNKNOWN_PRODUCT", "no licence of yours names this product")

    def _begin(self, product: Product, context: _Context) -> exchange_pb2.QueryRequest:
        headers = read_headers(context.invocation_metadata() or ())
        return begin_query(headers, product, self._world.clock_ms())

    def _granted(self, caller: Caller) -> list[metadata.Granted]:
        found = []
        for product, licence in granted_products(self._world, caller):
            if not available(self._world, product, abroad=is_abroad(caller.party)):
                continue
            granted = licence.grants[product.name].fields
            names = [name for name in product.fields if name in granted]
            schema = arrow_schema(product).empty_table().select(names).schema
            key = product.record_key if product.record_key in granted else None
            found.append(metadata.Granted(product.name, schema, key))
        return found

    def _caller(self, context: _Context) -> Caller:
        now = self._world.clock_ms() // 1000
        return identify(peer_certificate(context), self._world.registry.view(), now)

    def _seal(self, statement: Prepared, context: _Context) -> bytes:
        return prepared.seal(statement, self._ticket_key, holder(self._caller(context)))

    def _unseal(self, blob: bytes, context: _Context) -> Prepared:
        now = self._world.clock_ms() // 1000
        return prepared.unseal(blob, self._ticket_key, holder(self._caller(context)), now)


def sql_command(descriptor: flight_pb2.FlightDescriptor) -> Packed | None:
    """Return the command of Flight SQL in a descriptor, or None when it holds none."""
    if descriptor.type != flight_pb2.FlightDescriptor.CMD:
        return None
    return _parse(descriptor.cmd)


def wrap_ticket(sealed: bytes) -> bytes:
    """Return a sealed plan as Flight SQL writes it."""
    packed = Packed()
    packed.Pack(sql.TicketStatementQuery(statement_handle=sealed))
    return bytes(packed.SerializeToString())


def sql_ticket(ticket: bytes) -> tuple[bytes, Packed | None]:
    """Return what a ticket holds: a sealed plan, and the command where it asks for metadata.

    Raises:
        InvalidRequestError: `BAD_REQUEST` when it is of Flight SQL and not readable.
    """
    packed = _parse(ticket)
    if packed is not None and packed.Is(sql.TicketStatementQuery.DESCRIPTOR):
        return _unpack(packed, sql.TicketStatementQuery).statement_handle, None
    return ticket, packed


def empty_batch(schema: pa.Schema) -> bytes:
    """Return the encapsulated IPC message of a batch without rows."""
    columns = [pa.array([], field.type) for field in schema]
    batch = pa.RecordBatch.from_arrays(columns, schema=schema)
    return bytes(batch.serialize().to_pybytes())


def holder(caller: Caller) -> str:
    """Return whom tickets and handles are bound to: the party and its key."""
    return f"{caller.party.party_id}\n{caller.certificate.fingerprint}"


def _parse(blob: bytes) -> Packed | None:
    packed = Packed()
    try:
        packed.ParseFromString(blob)
    except DecodeError:
        return None
    return packed if packed.type_url.startswith(_PREFIX) else None


def _unpack(packed: Packed, kind: type[_M]) -> _M:
    message = kind()
    try:
        fits = packed.Unpack(message)
    except DecodeError:
        fits = False
    if not fits:
        raise InvalidRequestError("BAD_REQUEST", "the command is not readable")
    return message


def _no_transaction(
    request: sql.CommandStatementQuery | sql.ActionCreatePreparedStatementRequest,
) -> None:
    if request.transaction_id:
        raise NotSupportedError("NOT_SUPPORTED", "a transaction is not supported")


def _check_answer(question: Question, planned: Planned) -> None:
    """Refuse what would be less, or in another order, than the statement says.

    Raises:
        DeniedError: A named column is dropped by the decision, or the order is of a column that
            leaves masked, pseudonymous or shuffled.
    """
    decision, plan = planned.decision, planned.prepared.plan
    left = {field.name for field, _ in plan.released}
    dropped = [name for name in question.fields if name not in left]
    if question.named and dropped:
        told = [r for r in decision.reasons if set(r.fields) & set(dropped)]
        reasons = told or [Reason("GATE", "UNKNOWN_FIELD", tuple(dropped))]
        raise DeniedError(
            reasons[0].code, "the decision drops a column that is named", reasons=reasons
        )
    if question.ordered and planned.facts.border is not None:
        raise NotSupportedError(
            "NOT_SUPPORTED", "what crosses the border comes in an order that means nothing"
        )
    if question.ordered:
        key = plan.product.subject_key
        if plan.shuffle or decision.actions.get(key) is not FieldAction.ALLOW:
            reason = Reason("GATE", "ORDER_ON_HIDDEN_FIELD", (key,))
            raise DeniedError(
                reason.code,
                "an order names a field that may not be seen unmasked",
                reasons=[reason],
            )


def _parameter_schema(statement: Statement, product: Product, granted: tuple[str, ...]) -> bytes:
    types = arrow_schema(product)
    fields = [
        pa.field(f"{number + 1}", pa.int64() if name is None else types.field(name).type)
        for number, name in enumerate(parameter_names(statement, granted))
    ]
    return pa.schema(fields).serialize().to_pybytes()


_Granted = Callable[[], list[metadata.Granted]]
_METADATA: dict[type[Any], Callable[[Any, _Granted], pa.Table]] = {
    sql.CommandGetSqlInfo: lambda c, _: metadata.sql_info(list(c.info)),
    sql.CommandGetCatalogs: lambda _, __: metadata.catalogs(),
    sql.CommandGetTableTypes: lambda _, __: metadata.table_types(),
    sql.CommandGetDbSchemas: lambda c, _: metadata.schemas(
        _optional(c, "catalog"), _optional(c, "db_schema_filter_pattern")
    ),
    sql.CommandGetTables: lambda c, granted: metadata.tables(
        granted(),
        _optional(c, "catalog"),
        _optional(c, "db_schema_filter_pattern"),
        _optional(c, "table_name_filter_pattern"),
        list(c.table_types),
        with_columns=c.include_schema,
    ),
    sql.CommandGetPrimaryKeys: lambda c, granted: metadata.primary_keys(
        granted(), _optional(c, "catalog"), _optional(c, "db_schema"), c.table
    ),
    sql.CommandGetExportedKeys: lambda _, __: metadata.foreign_keys(),
    sql.CommandGetImportedKeys: lambda _, __: metadata.foreign_keys(),
}


def _optional(command: Message, name: str) -> str | None:
    return str(getattr(command, name)) if command.HasField(name) else None
