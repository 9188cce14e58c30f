"""Serves an HTTP application on one address until the end of a context."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from audit.errors import AuditUnavailableError

_GRACE_S: Final = 2.0


@asynccontextmanager
async def serve_http(
    app: web.Application, listen: str, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Serve an application.

    Args:
        app: The application.
        listen: HOST:PORT; port 0 takes a free one.
        tls: Serve HTTPS with it.

    Yields:
        The URL that it is served under.

    Raises:
        AuditUnavailableError: The address can't be listened on.
    """
    host, _, port = listen.rpartition(":")
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GRACE_S, handle_signals=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host.strip("[]"), int(port), ssl_context=tls)
        try:
            await site.start()
        except OSError as error:
            raise AuditUnavailableError("the address can't be listened on") from error
        bound = runner.addresses[0][1]
        yield f"{'http' if tls is None else 'https'}://{host}:{bound}"
    finally:
        await runner.cleanup()
