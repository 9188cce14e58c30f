"""The engine for production: an OPA server beside the gateway, asked over HTTP.

Of `opa-python-client` only `AsyncOpaClient.query_rule` is used, with `retries=0`: its retries
sleep longer than our deadline, and its other calls rewrite policies or hide errors. It writes the
address and the headers; the bytes go over connections of our own (`opa_connections`), because its
HTTP takes as long as the policy. The deadline is ours (`asyncio.timeout`); every failure is an
`UnavailableError` with a code of its own. The server is started with
`policies/bundle/bundle.tar.gz`; that it holds this bundle and no other is seen in every answer,
which repeats the bundle's revision.

What is posted is the document itself, byte for byte, to the form of OPA's API that takes it so and
answers with the bare result (`/v0/data`): in the other form the server reads the input twice.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from opa_client.opa_async import AsyncOpaClient

from gateway.decision.bundle import ENTRY_POINT
from gateway.decision.opa_connections import Answer, Connections
from gateway.domain.errors import InvalidRequestError, UnavailableError

_DEFAULT_PORT = 8181


class OpaServerEngine:
    """Asks an OPA server; see `gateway.decision.engine.Engine`.

    The first call connects; the connections belong to its event loop. After a failure the next
    call connects anew, so a restarted server is used again without restarting the gateway.

    Args:
        url: `http://HOST:PORT` or `https://HOST:PORT`, no path.
        deadline_ms: Longest time of one call.
        token: Bearer token of the server, or empty.
        certificate: Client certificate and key files, or None.

    Raises:
        InvalidRequestError: `BAD_REQUEST` when the URL or the token has another shape, or the
            certificate can't be used.
    """

    def __init__(
        self,
        url: str,
        *,
        deadline_ms: int = 50,
        token: str = "",
        certificate: tuple[str, str] | None = None,
    ) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        known = parts.scheme in ("http", "https") and host.isascii()
        if not known or not host or parts.path.strip("/"):
            raise InvalidRequestError("BAD_REQUEST", "the OPA address is written http://HOST:PORT")
        if not (token.isascii() and token.isprintable()):
            raise InvalidRequestError("BAD_REQUEST", "the OPA token holds what no header can")
        port = parts.port or _DEFAULT_PORT
        self._deadline_s = deadline_ms / 1000
        self._connections = Connections(
            host, port, _tls(certificate) if parts.scheme == "https" else None
        )
        self._client = _Client(
            self._connections,
            host=f"[{host}]" if ":" in host else host,
            port=port,
            version="v0",
            ssl=parts.scheme == "https",
            cert=certificate,
            token=token or None,
            headers={
                "Content-Type": "application/json",
                # OPA would compress an answer of 2 KiB at its slowest level, for a loopback.
                "Accept-Encoding": "identity",
            },
            retries=0,
        )
        self._package, _, self._rule = ENTRY_POINT.rpartition("/")

    async def evaluate(self, document: bytes) -> object:
        """Return the answer to one input.

        Raises:
            UnavailableError: `POLICY_TIMEOUT` past the deadline, `POLICY_UNAVAILABLE` when the
                server can't be reached or reports an error, `POLICY_UNKNOWN_ANSWER` when it
                doesn't answer with a JSON object, `POLICY_UNDEFINED` when it has no result.
        """
        try:
            async with asyncio.timeout(self._deadline_s):
                answer = await self._client.query_rule(document, self._package, self._rule)
        except TimeoutError as error:
            raise UnavailableError(
                "POLICY_TIMEOUT", "the policy server did not answer within its deadline"
            ) from error
        except OSError as error:  # first: a certificate that isn't trusted is a ValueError too
            raise _unavailable() from error
        except ValueError as error:
            raise _unknown() from error
        if not isinstance(answer, dict):
            raise _unknown()
        return answer

    async def close(self) -> None:
        """Close the connections; later calls are `POLICY_UNAVAILABLE`."""
        await self._connections.close()


class _Client(AsyncOpaClient):  # type: ignore[misc]  # it has no types
    """The client, over connections of ours; the input given to it is canonical JSON already."""

    def __init__(self, connections: Connections, **more: Any) -> None:  # Any: it has no types
        super().__init__(**more)
        self._connections = connections
        self._origin = self.root_url.removesuffix(f"/{self.version}")
        self._head = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())

    @asynccontextmanager
    async def _request(self, method: str, url: str, **content: Any) -> AsyncIterator["_Response"]:
        body: bytes = content["json"]["input"]
        head = (
            f"{method} {url.removeprefix(self._origin)} HTTP/1.1\r\n"
            f"Host: {self.host}:{self.port}\r\n{self._head}Content-Length: {len(body)}\r\n\r\n"
        )
        yield _Response(await self._connections.ask(head.encode("ascii") + body))


class _Response:
    """An answer, as the client wants to see it."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def raise_for_status(self) -> None:
        if self._answer.status == HTTPStatus.OK:
            return
        if self._answer.status == HTTPStatus.NOT_FOUND and self._is_undefined():
            raise UnavailableError("POLICY_UNDEFINED", "the policy has no answer to this request")
        raise _unavailable()

    async def json(self) -> object:
        if not self._answer.kind.startswith(b"application/json"):
            raise _unknown()
        return json.loads(self._answer.body)

    def _is_undefined(self) -> bool:
        try:
            match json.loads(self._answer.body):
                case {"code": "undefined_document"}:
                    return True
        except ValueError:
            pass
        return False


def _tls(certificate: tuple[str, str] | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if certificate is not None:
        try:
            context.load_cert_chain(*certificate)
        except OSError as error:
            raise InvalidRequestError(
                "BAD_REQUEST", "the client certificate for the OPA server can't be used"
            ) from error
    return context


def _unavailable() -> UnavailableError:
    return UnavailableError("POLICY_UNAVAILABLE", "the policy server is unreachable or failed")


def _unknown() -> UnavailableError:
    return UnavailableError("POLICY_UNKNOWN_ANSWER", "the policy server's answer is not understood")
