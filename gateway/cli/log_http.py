"""`xinguan audit serve` and `xinguan audit stamp`: the log for others, and its time-stamps."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError

from audit.errors import AuditError
from audit.http_log import admit_all, log_app
from audit.timestamp_client import stamp_newest
from gateway.cli.console import HERE, AsJson, Home, now, session, show
from gateway.cli.trust import TsaCertificates, trusted
from gateway.cli.until_stopped import run_until_stopped
from gateway.config import Address
from gateway.deployment import Deployment
from gateway.domain.errors import InvalidRequestError, UnavailableError
from gateway.registry.registry import Registry


def serve(
    listen: Annotated[str, typer.Option(help="HOST:PORT for tiles and checkpoints.")] = "",
    https_listen: Annotated[
        str, typer.Option(help="HOST:PORT with TLS; entries to registered auditors.")
    ] = "",
    entries_listen: Annotated[
        str, typer.Option(help="HOST:PORT of this machine itself that shows entries to all.")
    ] = "",
    log: Annotated[
        Path | None, typer.Option("--log", help="A copy of a log instead of the deployment's.")
    ] = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Serve the log read-only over HTTP (C2SP tlog-tiles) until told to stop."""
    if not (listen or https_listen or entries_listen):
        listen = "127.0.0.1:8480"
    for address in (listen, https_listen, entries_listen):
        check_address(address)
    if entries_listen and not _loopback(entries_listen):
        raise InvalidRequestError(
            "BAD_REQUEST", "entries are shown without a certificate on the loopback address only"
        )
    if log is not None and https_listen:
        raise InvalidRequestError("BAD_REQUEST", "a copy has no registered auditors")
    directory = log if log is not None else Deployment.open(home).log_directory
    run_until_stopped(
        _serving(directory, listen, entries_listen, home, https_listen), as_json=as_json
    )


@asynccontextmanager
async def _serving(
    directory: Path, listen: str, entries_listen: str, home: Path, https_listen: str
) -> AsyncIterator[dict[str, Any]]:
    from gateway.doors.log_site import Readers, open_site, server_tls

    told = {}
    async with AsyncExitStack() as stack:
        if listen:
            told["listening"] = await open_site(stack, log_app(directory), listen)
        if entries_listen:
            told["entries"] = await open_site(stack, log_app(directory, admit_all), entries_listen)
        if https_listen:
            opened = stack.enter_context(session(home))
            registry = Registry(opened.state)
            stack.callback(registry.close)
            readers = Readers(
                registry.view, opened.state.journal, opened.deployment.settings.node, now
            )
            app, tls = log_app(directory, readers.admit), server_tls(opened.deployment)
            told["https"] = await open_site(stack, app, https_listen, tls)
        yield told


def stamp(
    url: Annotated[str, typer.Option(help="Of the time-stamp authority (RFC 3161).")] = "",
    tsa: TsaCertificates = None,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Have the newest checkpoint time-stamped now, and keep the answer beside the log."""
    deployment = Deployment.open(home)
    authority = trusted(None, tsa, home).authority
    url = url or deployment.settings.timestamps.url
    if not url or authority is None:
        raise InvalidRequestError(
            "BAD_REQUEST", "name the authority with --url and its certificates with --tsa"
        )
    try:
        name = asyncio.run(stamp_newest(deployment.log_directory, url, authority))
    except AuditError as error:
        raise UnavailableError("CHECKPOINT_PENDING", str(error)) from None
    show({"stamped": name or "already"}, as_json, title="Time-stamp")


def check_address(text: str) -> None:
    """Check a HOST:PORT of the command line; an empty one is none.

    Raises:
        typer.BadParameter: It is malformed.
    """
    try:
        if text:
            TypeAdapter(Address).validate_python(text)
    except ValidationError:
        raise typer.BadParameter("an address is HOST:PORT with a port of 0 to 65535") from None


def _loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
