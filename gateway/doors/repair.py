"""The door of `RepairService`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.domain.errors import InternalError, InvalidRequestError, UnavailableError, XinguanError
from gateway.domain.party import Caller
from gateway.domain.vocabulary import Role, Status
from gateway.doors.decision_line import MAX_IN_FLIGHT, DecisionLine, Outcome
from gateway.doors.duties import Duty, require
from gateway.doors.encoding import promise_message
from gateway.doors.errors import LawTexts, status_of
from gateway.doors.peer import peer_certificate
from gateway.doors.recall import RecallDesk, RecallDoor
from gateway.doors.refusal import log_refusal, refuse
from gateway.identity.peer import identify
from gateway.release.world import World
from gateway.repair.decision import read_decision
from gateway.repair.publish import Handed, Lane, Published, Publisher
from xinguan.v1 import repair_pb2, types_pb2

_Context = grpc.aio.ServicerContext[Any, Any]  # Any: message types differ by method

_READ_OUT_S = 1.0


class RepairDoor(RecallDoor):
    """Serves the authority; and receivers, see `RecallDoor`."""

    def __init__(
        self,
        publisher: Publisher,
        world: World,
        law: LawTexts,
        authority: Callable[[str], Ed25519PublicKey | None],
        desk: RecallDesk,
    ) -> None:
        """Take the publisher, the authority's keys, and what receivers are served from."""
        super().__init__(desk, world, law)
        self._publisher = publisher
        self._authority = authority

    async def Publish(
        self, request: repair_pb2.PublishRequest, context: _Context
    ) -> repair_pb2.PublishResponse:
        """Apply a signed decision; it holds when this returns."""
        try:
            _, answer = self._hand_in(request.decision, context, None)
            published = await answer
            promised = self._world.evidence.promise(published.appended)
            return _acknowledgement(published, promise_message(promised))
        except Exception as error:
            await refuse(context, error, self._world, self._law)

    async def PublishStream(
        self, requests: AsyncIterator[repair_pb2.PublishStreamRequest], context: _Context
    ) -> AsyncIterator[repair_pb2.PublishStreamResponse]:
        """Apply signed decisions in their order; each holds when its outcome is sent."""
        line, lane = DecisionLine(), Lane()

        async def read() -> None:
            async for request in requests:
                if len(request.decisions) > MAX_IN_FLIGHT:
                    raise InvalidRequestError("BAD_REQUEST", "too many decisions in one message")
                for token in request.decisions:
                    await line.put(*self._answer(token, context, lane))

        reading = asyncio.create_task(line.fill(read()))
        try:
            while outcomes := await line.next():
                yield await self._told(outcomes, context)
        except Exception as error:
            await _read_out(requests)
            await refuse(context, error, self._world, self._law)
        finally:
            reading.cancel()
            line.abandon()

    def _answer(
        self, token: str, context: _Context, lane: Lane
    ) -> tuple[str, asyncio.Future[Published]]:
        """Return the id of a decision of a stream, and what becomes of it, a refusal included."""
        try:
            return self._hand_in(token, context, lane)
        except InvalidRequestError as unreadable:
            refused: asyncio.Future[Published] = asyncio.get_running_loop().create_future()
            refused.set_exception(unreadable)
            return "", refused

    def _hand_in(
        self, token: str, context: _Context, lane: Lane | None
    ) -> tuple[str, asyncio.Future[Published]]:
        """Verify a decision and its caller, and hand it in.

        Raises:
            InvalidRequestError: It is no decision that the caller may hand in.
            XinguanError: The caller isn't known, or publishes no decisions.
        """
        now = self._world.clock_ms() // 1000
        caller = identify(peer_certificate(context), self._world.registry.view(), now)
        require(caller, Duty.REPAIR)
        decision = read_decision(token, self._key_for(caller))
        signer_party = ""
        if self._authority(decision.signer) is None:
            known = self._world.registry.view().document_key(decision.signer)
            signer_party = known.party_id if known else ""
        handed = Handed(decision, caller.party.party_id, now, signer_party)
        return decision.claims.repair_id, self._publisher.hand_in(handed, lane)

    async def _told(
        self, outcomes: Sequence[Outcome], context: _Context
    ) -> repair_pb2.PublishStreamResponse:
        """Return outcomes as they are sent, one signature for all of them."""
        done = [one.result.appended for one in outcomes if isinstance(one.result, Published)]
        promises: Iterator[types_pb2.Promise] = iter(())
        if done:
            also = [(entry.index, entry.leaf_hash) for entry in done[1:]]
            promised = self._world.evidence.promise(done[0], *also)
            bare = [types_pb2.Promise(index=index, leaf_hash=leaf) for index, leaf in also]
            promises = iter([promise_message(promised), *bare])
        response = repair_pb2.PublishStreamResponse()
        for one in outcomes:
            told = response.outcomes.add(repair_id=one.repair_id)
            if isinstance(one.result, Published):
                told.published.CopyFrom(_acknowledgement(one.result, next(promises)))
            else:
                await log_refusal(context, one.result, self._world)
                told.refused.CopyFrom(_refused(one.result, self._law))
        return response

    def _key_for(self, caller: Caller) -> Callable[[str], Ed25519PublicKey | None]:
        """Return how the keys that may sign for a caller are found.

        The authority hands in what authorities signed; a subject, what it signed itself with a
        registered key (M17).
        """

        def find(key_id: str) -> Ed25519PublicKey | None:
            found = self._authority(key_id)
            if found is not None or caller.party.role is not Role.SUBJECT:
                return found
            key = self._world.registry.view().document_key(key_id)
            own = key is not None and key.party_id == caller.party.party_id
            return key.public_key if key and own and key.status is Status.ACTIVE else None

        return find


def _acknowledgement(
    published: Published, promise: types_pb2.Promise
) -> repair_pb2.PublishResponse:
    return repair_pb2.PublishResponse(
        entry=promise,
        repeated_decision=published.repeated,
        state=published.state.value,
        withheld=published.withheld,
        delay_ms=published.delay_ms,
    )


def _refused(error: XinguanError, law: LawTexts) -> repair_pb2.RefusedDecision:
    status = status_of(error, law)
    told = repair_pb2.RefusedDecision(
        code=error.code,
        message=status.message,
        try_again=isinstance(error, UnavailableError | InternalError),
    )
    for detail in status.details:
        detail.Unpack(told.refusal)
    return told


async def _read_out(requests: AsyncIterator[repair_pb2.PublishStreamRequest]) -> None:
    """Let a caller finish what it is sending, for a moment, before its stream is refused.

    A gRPC client that is writing when the refusal comes makes an INTERNAL of its own out of it.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(_READ_OUT_S):
            async for _ in requests:
                pass
