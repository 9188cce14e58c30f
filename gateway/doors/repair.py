"""The door of `RepairService`."""

from collections.abc import Callable
from typing import Any

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.domain.party import Caller
from gateway.domain.vocabulary import Role, Status
from gateway.doors.duties import Duty, require
from gateway.doors.encoding import promise_message
from gateway.doors.errors import LawTexts
from gateway.doors.peer import peer_certificate
from gateway.doors.recall import RecallDesk, RecallDoor
from gateway.doors.refusal import refuse
from gateway.identity.peer import identify
from gateway.release.world import World
from gateway.repair.decision import read_decision
from gateway.repair.publish import Publisher
from xinguan.v1 import repair_pb2

_Context = grpc.aio.ServicerContext[Any, Any]  # Any: message types differ by method


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
            now = self._world.clock_ms() // 1000
            caller = identify(peer_certificate(context), self._world.registry.view(), now)
            require(caller, Duty.REPAIR)
            decision = read_decision(request.decision, self._key_for(caller))
            known = self._world.registry.view().document_key(decision.signer)
            published = await self._publisher.publish(
                decision,
                caller.party.party_id,
                now,
                signer_party=""
                if self._authority(decision.signer) or not known
                else known.party_id,
            )
            promised = self._world.evidence.promise(published.appended)
            return repair_pb2.PublishResponse(
                entry=promise_message(promised),
                repeated_decision=published.repeated,
                state=published.state.value,
                withheld=published.withheld,
                delay_ms=published.delay_ms,
            )
        except Exception as error:
            await refuse(context, error, self._world, self._law)

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
