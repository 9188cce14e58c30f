"""ListActions and DoAction: what can be done beside reading and uploading."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from arrow_flight import flight_pb2
from gateway.domain.errors import InvalidRequestError, NotFoundError
from gateway.doors.exchange import describe, granted_products
from gateway.doors.flight import Context, FlightDoor, Handlers, encode
from gateway.doors.flight_sql import ACTIONS
from gateway.doors.refusal import refuse
from gateway.release.availability import is_abroad
from xinguan.v1 import exchange_pb2

_M = TypeVar("_M", bound=Message)
_MAX_ENDPOINTS_READ = 64
_DESCRIPTIONS = {
    "CancelFlightInfo": "Give up a plan; a portfolio that it reads is deleted. Flight's own form.",
    "cancel": "Delete a portfolio; the body is its handle.",
    "describe": "Describe a product, as DescribeProduct does; the body is its name.",
    "resume": "A ticket for the rest of a reading; the body is a xinguan.v1.ResumeRequest.",
}


class FlightActions:
    """Does the actions. Each is authorised by who calls, and none releases data."""

    def __init__(self, door: FlightDoor) -> None:
        """Use the readers' door for callers, tickets and portfolios."""
        self._door = door
        self._actions: dict[str, Callable[[bytes, Context], Awaitable[bytes]]] = {
            "CancelFlightInfo": self._cancel_info,
            "cancel": self._cancel,
            "describe": self._describe,
            "resume": self._resume,
        }

    async def ListActions(
        self, request: flight_pb2.Empty, context: Context
    ) -> AsyncIterator[flight_pb2.ActionType]:
        """Yield every action with a line about it."""
        try:
            self._door.caller(context)
        except Exception as error:
            await refuse(context, error, self._door.world, self._door.law)
        for name, text in (_DESCRIPTIONS | ACTIONS).items():
            yield flight_pb2.ActionType(type=name, description=text)

    async def DoAction(
        self, request: flight_pb2.Action, context: Context
    ) -> AsyncIterator[Message]:
        """Do one action and yield its one result; those of Flight SQL are done by its desk."""
        try:
            self._door.caller(context)
            if request.type in ACTIONS:
                async for result in self._door.sql.act(request, context):
                    yield result
                return
            action = self._actions.get(request.type)
            if action is None:
                raise InvalidRequestError("BAD_REQUEST", "no such action; ListActions names them")
            body = await action(request.body, context)
        except Exception as error:
            await refuse(context, error, self._door.world, self._door.law)
        yield flight_pb2.Result(body=body)

    async def _cancel(self, body: bytes, context: Context) -> bytes:
        await self._delete(_text(body), context)
        return b""

    async def _cancel_info(self, body: bytes, context: Context) -> bytes:
        request = _parse(flight_pb2.CancelFlightInfoRequest, body)
        handles = set()
        for endpoint in request.info.endpoint[:_MAX_ENDPOINTS_READ]:
            ticket = self._door.unseal(endpoint.ticket.ticket, context)
            handles.add(exchange_pb2.QueryRequest.FromString(ticket.request).portfolio)
        handles.discard("")
        for handle in handles:
            await self._delete(handle, context)
        # A ticket is a sealed plan and nothing is kept for it, so by itself it just expires.
        status = (
            flight_pb2.CANCEL_STATUS_CANCELLED
            if handles
            else flight_pb2.CANCEL_STATUS_NOT_CANCELLABLE
        )
        return flight_pb2.CancelFlightInfoResult(status=status).SerializeToString()

    async def _describe(self, body: bytes, context: Context) -> bytes:
        world, wanted, caller = self._door.world, _text(body), self._door.caller(context)
        abroad = is_abroad(caller.party)
        for product, licence in granted_products(world, caller):
            if product.name == wanted:
                return describe(world, product, licence, abroad=abroad).SerializeToString()
        raise NotFoundError("UNKNOWN_PRODUCT", "no licence of yours names this product")

    async def _resume(self, body: bytes, context: Context) -> bytes:
        request = _parse(exchange_pb2.ResumeRequest, body)
        ticket = self._door.unseal(request.ticket, context)
        query = exchange_pb2.QueryRequest.FromString(ticket.request)
        if query.limit or query.subjects:
            raise InvalidRequestError(
                "BAD_REQUEST",
                "an answer with a limit or with named subjects is read from its start",
            )
        if not ticket.first_batch <= request.first_batch <= ticket.last_batch:
            raise InvalidRequestError("BAD_REQUEST", "the batch is not one of the ticket's")
        rest = replace(ticket, first_batch=request.first_batch)
        return self._door.seal(rest, self._door.caller(context))

    async def _delete(self, handle: str, context: Context) -> None:
        caller = self._door.caller(context)
        await self._door.portfolios.delete(
            handle, caller.party.party_id, caller.certificate.fingerprint
        )


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise InvalidRequestError("BAD_REQUEST", "the action's body is not text") from None


def _parse(kind: type[_M], body: bytes) -> _M:
    message: Any = kind()
    try:
        message.ParseFromString(body)
    except DecodeError:
        raise InvalidRequestError("BAD_REQUEST", "the action's body can't be read") from None
    parsed: _M = message
    return parsed


def actions(door: FlightActions) -> Handlers:
    """Return the methods of actions."""
    many = grpc.unary_stream_rpc_method_handler
    return {
        "ListActions": many(door.ListActions, flight_pb2.Empty.FromString, encode),
        "DoAction": many(door.DoAction, flight_pb2.Action.FromString, encode),
    }
