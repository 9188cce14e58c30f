"""What a partner does about credentials: have one issued, have it refreshed, ask for its status."""

from typing import TYPE_CHECKING

import grpc

from xinguan.client._errors import TransportError, read_error
from xinguan.v1 import credential_pb2, exchange_pb2

if TYPE_CHECKING:
    from xinguan.v1 import credential_pb2_grpc


class CredentialCalls:
    """The calls about credentials; `Client` has them."""

    _deadline_s: float
    _credentials: "credential_pb2_grpc.CredentialServiceAsyncStub"

    async def issue_credential(
        self, query: exchange_pb2.QueryRequest, *, holder_jwk: str = "", replaces: str = ""
    ) -> credential_pb2.IssuedCredential:
        """Have a credential issued.

        Args:
            query: One subject and the fields to be disclosed one by one; see `build_query`.
            holder_jwk: Public key of the holder, JWK; empty for nobody's.
            replaces: Id of an earlier credential, which then says *refresh*.

        Raises:
            RefusedError: The gateway refused; its reasons name clause and remedy.
            TransportError: No answer.
        """
        try:
            if replaces:
                renewal = credential_pb2.RefreshRequest(
                    credential_id=replaces, query=query, holder_jwk=holder_jwk
                )
                async for fresh in self._credentials.Refresh(renewal, timeout=self._deadline_s):
                    return fresh.credential
            else:
                request = credential_pb2.IssueRequest(query=query, holder_jwk=holder_jwk)
                async for answer in self._credentials.Issue(request, timeout=self._deadline_s):
                    return answer.credential
        except grpc.aio.AioRpcError as error:
            raise read_error(error) from None
        raise TransportError("the gateway ended the call without a credential")

    async def credential_status(
        self, credential_id: str
    ) -> credential_pb2.GetCredentialStatusResponse:
        """Return what became of a credential that was issued to this party."""
        try:
            return await self._credentials.GetCredentialStatus(
                credential_pb2.GetCredentialStatusRequest(credential_id=credential_id),
                timeout=self._deadline_s,
            )
        except grpc.aio.AioRpcError as error:
            raise read_error(error) from None
