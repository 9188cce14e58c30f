"""`xinguan serve`: run a gateway until it is told to stop."""

import asyncio
import gc
import json
import os
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
from pydantic import TypeAdapter, ValidationError

from gateway.cli.console import HERE, AsJson, Home
from gateway.config import Address, NodeName
from gateway.deployment import Deployment
from gateway.server import Gateway
from gateway.supervisor import Supervisor, WorkerFailedError, reserve, worker_command
from gateway.telemetry import configure_logging

_STOP_SLACK_S = 10  # a worker closes its log after its streams


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the command line says."""

    home: Path
    listen: str
    opa: str
    as_json: bool
    worker: int


def serve(
    listen: Annotated[str, typer.Option(help="HOST:PORT instead of the settings'.")] = "",
    opa: Annotated[str, typer.Option(help="URL of an OPA server that decides.")] = "",
    workers: Annotated[
        int, typer.Option(min=0, max=64, help="Processes on the port; 0: as the settings say.")
    ] = 0,
    node: Annotated[str, typer.Option(help="Name of this replica instead of the settings'.")] = "",
    worker: Annotated[int, typer.Option(hidden=True)] = 0,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Serve until SIGTERM or SIGINT; then finish what is under way and close the log in order."""
    if listen:
        _check(Address, listen, "--listen must be HOST:PORT with a port of 0 to 65535")
    if node:
        _check(NodeName, node, "--node is lower-case letters, digits and hyphens, at most 63")
    configure_logging(json_lines=as_json)
    deployment = Deployment.open(home)
    if node:
        settings = deployment.settings.model_copy(update={"node": node})
        deployment = replace(deployment, settings=settings)
    asked = _Asked(home, listen, opa, as_json, worker)
    count = workers or deployment.settings.server.workers
    if worker or count == 1:
        asyncio.run(_serve(deployment, asked))
        return
    try:
        asyncio.run(_supervise(deployment, asked, count))
    except WorkerFailedError as error:
        # It has said why, in the words of this very command.
        sys.stdout.write(error.said)
        raise typer.Exit(error.code if error.code > 0 else 1) from None


def _check(kind: Any, text: str, message: str) -> None:
    """Refuse what the settings would refuse: gRPC takes port 99999 for another one."""
    try:
        TypeAdapter(kind).validate_python(text)
    except ValidationError:
        raise typer.BadParameter(message) from None


async def _serve(deployment: Deployment, asked: _Asked) -> None:
    stopped = _stopped()
    if asked.worker:
        _stop_without_parent(stopped)
    async with Gateway(
        deployment,
        listen=asked.listen,
        opa_url=asked.opa,
        worker=asked.worker or 1,
        shares_port=asked.worker > 0,
    ) as gateway:
        # What lives as long as the node is never looked at again by the collector.
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        _tell(gateway.address, as_json=asked.as_json or asked.worker > 0)
        await stopped.wait()
        structlog.get_logger(__name__).info("stopping")


async def _supervise(deployment: Deployment, asked: _Asked, workers: int) -> None:
    deployment.require_profile()
    port = reserve(asked.listen or deployment.settings.server.listen)
    stopped = _stopped()
    words = ["serve", "--home", str(asked.home.absolute()), "--listen", port.address]
    words += ["--node", deployment.settings.node]
    words += ["--opa", asked.opa] if asked.opa else []
    words += ["--json"] if asked.as_json else []
    supervisor = Supervisor(
        lambda number: worker_command(*words, "--worker", str(number)),
        workers,
        grace_s=deployment.settings.limits.stop_grace_s + _STOP_SLACK_S,
    )
    with port.holder:
        starting = asyncio.create_task(supervisor.start())
        waiting = asyncio.create_task(stopped.wait())
        await asyncio.wait([starting, waiting], return_when=asyncio.FIRST_COMPLETED)
        if not stopped.is_set():
            await starting
            _tell(port.address, as_json=asked.as_json)
            keeping = asyncio.create_task(supervisor.keep())
            await waiting
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        starting.cancel()
        waiting.cancel()
        await asyncio.gather(starting, waiting, return_exceptions=True)
        await supervisor.stop()


def _stopped() -> asyncio.Event:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    return stopped


def _stop_without_parent(stopped: asyncio.Event) -> None:
    """Stop when the standard input ends: the parent holds its other end."""
    descriptor = sys.stdin.fileno()
    loop = asyncio.get_running_loop()

    def readable() -> None:
        if not os.read(descriptor, 1024):
            loop.remove_reader(descriptor)
            stopped.set()

    loop.add_reader(descriptor, readable)


def _tell(address: str, *, as_json: bool) -> None:
    print(json.dumps({"listening": address}) if as_json else f"listening on {address}")
    sys.stdout.flush()
