"""The engine for production: an OPA server beside the gateway, asked over HTTP.

Of `opa-python-client` only `AsyncOpaClient.query_rule` is used, with `retries=0`: its retries
sleep longer than our deadline, and its other calls rewrite policies or hide errors. The deadline
is ours (`asyncio.timeout`); every failure is an `UnavailableError` with a code of its own. The
server is started with `policies/bundle/bundle.tar.gz`; that it holds this bundle and no other is
seen in every answer, which repeats the bundle's revision.
"""

import asyncio
import json
from urllib.parse import urlsplit

import aiohttp
from opa_client.opa_async import AsyncOpaClient

from gateway.decision.bundle import ENTRY_POINT
from gateway.domain.errors import InvalidRequestError, UnavailableError

_DEFAULT_PORT = 8181


class OpaServerEngine:
    """Asks an OPA server; see `gateway.decision.engine.Engine`.

    The session is opened by the first call and belongs to its event loop. After a failure the
    next call connects anew, so a restarted server is used again without restarting the gateway.

    Args:
        url: `http://HOST:PORT` or `https://HOST:PORT`, no path.
        deadline_ms: Longest time of one call.
        token: Bearer token of the server, or empty.
        certificate: Client certificate and key files, or None.

    Raises:
        InvalidRequestError: `BAD_REQUEST` when the URL has another shape.
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
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
            raise InvalidRequestError("BAD_REQUEST", "the OPA address is written http://HOST:PORT")
        host = parts.hostname
        self._deadline_s = deadline_ms / 1000
        self._client = AsyncOpaClient(
            host=f"[{host}]" if ":" in host else host,
            port=parts.port or _DEFAULT_PORT,
            ssl=parts.scheme == "https",
            cert=certificate,
            token=token or None,
            # OPA would compress an answer of 2 KiB at its slowest level, for a loopback.
            headers={"Accept-Encoding": "identity"},
            retries=0,
            timeout=self._deadline_s,
        )
        self._package, _, self._rule = ENTRY_POINT.rpartition("/")
        self._open = False

    async def evaluate(self, document: bytes) -> object:
        """Return the answer to one input.

        Raises:
            UnavailableError: `POLICY_TIMEOUT` past the deadline, `POLICY_UNAVAILABLE` when the
                server can't be reached or reports an error, `POLICY_UNKNOWN_ANSWER` when it
                doesn't answer with a JSON object, `POLICY_UNDEFINED` when it has no result.
        """
        try:
            async with asyncio.timeout(self._deadline_s):
                if not self._open:
                    await self._client.__aenter__()  # closed by `close`, not by a block
                    self._open = True
                answer = await self._client.query_rule(
                    json.loads(document), self._package, self._rule
                )
        except TimeoutError as error:
            raise UnavailableError(
                "POLICY_TIMEOUT", "the policy server did not answer within its deadline"
            ) from error
        except (aiohttp.ContentTypeError, aiohttp.ClientPayloadError, ValueError) as error:
            raise _unknown() from error
        except (aiohttp.ClientError, OSError) as error:
            raise UnavailableError(
                "POLICY_UNAVAILABLE", "the policy server is unreachable or failed"
            ) from error
        if not isinstance(answer, dict):
            raise _unknown()
        if "result" not in answer:
            raise UnavailableError("POLICY_UNDEFINED", "the policy has no answer to this request")
        return answer["result"]

    async def close(self) -> None:
        """Close the connections."""
        if self._open:
            self._open = False
            await self._client.close_connection()


def _unknown() -> UnavailableError:
    return UnavailableError("POLICY_UNKNOWN_ANSWER", "the policy server's answer is not understood")
