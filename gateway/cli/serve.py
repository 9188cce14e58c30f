"""`xinguan serve`: run a gateway until it is told to stop."""

import asyncio
import gc
import json
import signal
import sys
from typing import Annotated

import structlog
import typer
from pydantic import TypeAdapter, ValidationError

from gateway.cli.console import HERE, AsJson, Home
from gateway.config import Address
from gateway.deployment import Deployment
from gateway.server import Gateway
from gateway.telemetry import configure_logging


def serve(
    listen: Annotated[str, typer.Option(help="HOST:PORT instead of the settings'.")] = "",
    opa: Annotated[str, typer.Option(help="URL of an OPA server that decides.")] = "",
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Serve until SIGTERM or SIGINT; then finish what is under way and close the log in order."""
    if listen:
        _check_address(listen)
    configure_logging(json_lines=as_json)
    asyncio.run(_serve(Deployment.open(home), listen, opa, as_json=as_json))


def _check_address(text: str) -> None:
    """Refuse what the settings would refuse: gRPC takes port 99999 for another one."""
    try:
        TypeAdapter(Address).validate_python(text)
    except ValidationError:
        raise typer.BadParameter("--listen must be HOST:PORT with a port of 0 to 65535") from None


async def _serve(deployment: Deployment, listen: str, opa: str, *, as_json: bool) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with Gateway(deployment, listen=listen, opa_url=opa) as gateway:
        # What lives as long as the node is never looked at again by the collector.
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        line = {"listening": gateway.address} if as_json else f"listening on {gateway.address}"
        print(json.dumps(line) if as_json else line)
        sys.stdout.flush()
        await stopped.wait()
        structlog.get_logger(__name__).info("stopping")
