"""The log over HTTP while the gateway serves: tiles to all, entries to registered auditors."""

import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog
from aiohttp import web

from audit import entries
from audit.errors import AuditUnavailableError
from audit.http_log import TileName, log_app
from audit.http_site import serve_http
from audit.journal import Journal
from audit.tiles import TILE_WIDTH
from gateway.deployment import Deployment
from gateway.domain.errors import UnavailableError, XinguanError
from gateway.doors.duties import Duty, require
from gateway.identity.peer import CallerDirectory, identify

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Readers:
    """Who may read entries over HTTPS, and where their reading is logged.

    Args:
        view: Gives the registry as it stands.
        journal: The log's writer.
        node: Name of this node.
        clock: Unix seconds.
    """

    view: Callable[[], CallerDirectory]
    journal: Journal
    node: str
    clock: Callable[[], int]

    async def admit(self, request: web.Request, bundle: TileName) -> None:
        """Let the holder of an auditor's or regulator's certificate read a bundle.

        Raises:
            web.HTTPForbidden: Everybody else.
            web.HTTPServiceUnavailable: The reading can't be logged.
        """
        now = self.clock()
        try:
            caller = identify(_certificate(request).encode(), self.view(), now)
            require(caller, Duty.READ_LOG)
        except XinguanError:
            raise web.HTTPForbidden(text="entries are for authorised readers\n") from None
        entry = entries.audit_read(
            time=now,
            node=self.node,
            actor=caller.party.party_id,
            what="bundle",
            start=bundle.number * TILE_WIDTH,
            count=bundle.width,
        )
        try:
            await self.journal.append(entry)
        except AuditUnavailableError:
            raise web.HTTPServiceUnavailable from None


def server_tls(deployment: Deployment) -> ssl.SSLContext:
    """Make the server's side of TLS: a client may show a certificate, and needn't.

    Raises:
        ConfigError: `NO_KEY` when a certificate is not installed.
        KeyFileError: `NO_KEY` or `BAD_FILE_MODE` for the private key.
    """
    files = deployment.tls()
    names = deployment.settings.files
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(
        deployment.directory / names.server_certificate, deployment.directory / names.server_key
    )
    context.load_verify_locations(cadata=files.client_ca.decode())
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


async def open_log_sites(
    stack: AsyncExitStack, deployment: Deployment, readers: Readers
) -> dict[str, str]:
    """Serve the log where the settings say so, until the stack is closed.

    Returns:
        Name of the setting to the URL that it is served under.

    Raises:
        UnavailableError: `PORT_IN_USE`.
        ConfigError: As `server_tls`.
    """
    log, directory = deployment.settings.log, deployment.log_directory
    urls = {}
    if log.http_listen:
        urls["http"] = await open_site(stack, log_app(directory), log.http_listen)
    if log.https_listen:
        app, tls = log_app(directory, readers.admit), server_tls(deployment)
        urls["https"] = await open_site(stack, app, log.https_listen, tls)
    if urls:
        _log.info("log_served", **urls)
    return urls


async def open_site(
    stack: AsyncExitStack, app: web.Application, listen: str, tls: ssl.SSLContext | None = None
) -> str:
    """Serve one application until the stack is closed; return its URL.

    Raises:
        UnavailableError: `PORT_IN_USE`.
    """
    try:
        return await stack.enter_async_context(serve_http(app, listen, tls))
    except AuditUnavailableError:
        raise UnavailableError(
            "PORT_IN_USE",
            f"can't listen on {listen}",
            hints=("another program listens there, or the address is not this machine's",),
        ) from None


def _certificate(request: web.Request) -> str:
    """Return the client's certificate as PEM; empty when it showed none."""
    transport = request.transport
    tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object") if transport else None
    der = tls.getpeercert(binary_form=True) if tls else None
    return ssl.DER_cert_to_PEM_cert(der) if der else ""
