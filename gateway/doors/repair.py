"""The door of `RepairService`."""

from collections.abc import Callable
from typing import Any

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.doors.duties import Duty, require
from gateway.doors.encoding import promise_message
from gateway.doors.errors import LawTexts
from gateway.doors.peer import peer_certificate
from gateway.doors.refusal import refuse
from gateway.identity.peer import identify
from gateway.release.world import World
from gateway.repair.decision import read_decision
from gateway.repair.publish import Publisher
from xinguan.v1 import repair_pb2, repair_pb2_grpc

_Context = grpc.aio.ServicerContext[Any, Any]  # Any: message types differ by method


class RepairDoor(repair_pb2_grpc.RepairServiceServicer):
    """Serves the authority."""

    def __init__(
        self,
        publisher: Publisher,
        world: World,
        law: LawTexts,
        authority: Callable[[str], Ed25519PublicKey | None],
    ) -> None:
        """Take the publisher and the authority's keys."""
        self._publisher = publisher
        self._world = world
        self._law = law
        self._authority = authority

    async def Publish(
        self, request: repair_pb2.PublishRequest, context: _Context
    ) -> repair_pb2.PublishResponse:
        """Apply a signed decision; it holds when this returns."""
        try:
            now = self._world.clock_ms() // 1000
            caller = identify(peer_certificate(context), self._world.registry.view(), now)
            require(caller, Duty.REPAIR)
            decision = read_decision(request.decision, self._authority)
            published = await self._publisher.publish(decision, caller.party.party_id, now)
            promised = self._world.evidence.promise(published.appended)
            return repair_pb2.PublishResponse(
                entry=promise_message(promised), repeated_decision=published.repeated
            )
        except Exception as error:
            await refuse(context, error, self._world, self._law)
