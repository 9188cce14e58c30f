"""The door of `CredentialService`: messages in, messages out, no decisions."""

from contextlib import aclosing
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.credential.status_list import CredentialStatus
from gateway.doors.credential_desk import CredentialDesk, Issued, Wanted
from gateway.doors.encoding import decision_message, promise_message
from gateway.doors.errors import LawTexts
from gateway.doors.peer import peer_certificate
from gateway.doors.refusal import refuse
from gateway.release.world import World
from xinguan.v1 import credential_pb2, credential_pb2_grpc

_Context = grpc.aio.ServicerContext[Any, Any]  # Any: message types differ by method
_STATUSES = {
    CredentialStatus.VALID: credential_pb2.CREDENTIAL_STATUS_VALID,
    CredentialStatus.INVALID: credential_pb2.CREDENTIAL_STATUS_INVALID,
    CredentialStatus.REFRESH: credential_pb2.CREDENTIAL_STATUS_REFRESH,
}


class CredentialDoor(credential_pb2_grpc.CredentialServiceServicer):
    """Serves partners across the border, and enterprises about themselves."""

    def __init__(self, desk: CredentialDesk, world: World, law: LawTexts) -> None:
        """Take the desk behind the door."""
        self._desk = desk
        self._world = world
        self._law = law

    async def Issue(  # type: ignore[override]  # the stubs know generators; grpc.aio knows both
        self, request: credential_pb2.IssueRequest, context: _Context
    ) -> None:
        """Issue a credential. Not a generator, as `ExchangeDoor.Query`."""
        try:
            wanted = Wanted(request.query, request.holder_jwk)
            async with aclosing(self._desk.issue(peer_certificate(context), wanted)) as made:
                async for issued in made:
                    answer = credential_pb2.IssueResponse(credential=self._message(issued))
                    issued.part.confirm()
                    await context.write(answer)
        except Exception as error:
            await refuse(context, error, self._world, self._law)

    async def Refresh(  # type: ignore[override]  # as above
        self, request: credential_pb2.RefreshRequest, context: _Context
    ) -> None:
        """Issue a fresh credential in place of an earlier one."""
        try:
            wanted = Wanted(request.query, request.holder_jwk, request.credential_id or "-")
            async with aclosing(self._desk.issue(peer_certificate(context), wanted)) as made:
                async for issued in made:
                    answer = credential_pb2.RefreshResponse(credential=self._message(issued))
                    issued.part.confirm()
                    await context.write(answer)
        except Exception as error:
            await refuse(context, error, self._world, self._law)

    async def GetCredentialStatus(
        self, request: credential_pb2.GetCredentialStatusRequest, context: _Context
    ) -> credential_pb2.GetCredentialStatusResponse:
        """Tell what became of a credential of the caller."""
        try:
            kept = self._desk.status(peer_certificate(context), request.credential_id)
            issuer = self._desk.issuer
            return credential_pb2.GetCredentialStatusResponse(
                status=_STATUSES[kept.status],
                since=Timestamp(seconds=kept.status_at),
                expires_at=Timestamp(seconds=kept.expires_at),
                status_list_uri=issuer.list_url(kept.where.number),
                status_ttl_s=issuer.settings.ttl_s,
            )
        except Exception as error:
            await refuse(context, error, self._world, self._law)

    def _message(self, issued: Issued) -> credential_pb2.IssuedCredential:
        closing = issued.part.closing
        message = credential_pb2.IssuedCredential(
            sd_jwt=issued.text,
            credential_id=issued.kept.credential_id,
            expires_at=Timestamp(seconds=issued.kept.expires_at),
            status_list_uri=issued.list_uri,
            status_ttl_s=self._desk.issuer.settings.ttl_s,
            fields=issued.fields,
            decision=decision_message(issued.part, self._world, self._law),
            entry=promise_message(issued.entry),
        )
        if closing is not None:
            message.outcome.CopyFrom(promise_message(closing.promise))
        return message
