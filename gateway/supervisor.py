"""The parent of several worker processes that share one port.

It holds the port, starts the workers, waits until all of them are ready, starts a dead one again,
and hands a request to stop on to all of them. It opens neither state nor log, so nothing can leave
it. A worker whose parent is gone stops by itself: its standard input ends.
"""

import asyncio
import json
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from gateway.domain.errors import UnavailableError

_log = structlog.get_logger(__name__)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0
_STEADY_S = 30.0  # a worker that lived so long is started again at once


class WorkerFailedError(Exception):
    """A worker could not begin to serve; what it said, and how it ended, are the program's own."""

    def __init__(self, code: int, said: str) -> None:
        """Keep exit code and standard output."""
        super().__init__(said)
        self.code = code
        self.said = said


@dataclass(frozen=True, slots=True)
class ReservedPort:
    """A port that the workers may share, and nobody else who asks for it alone.

    Args:
        address: HOST:PORT with the port that was taken.
        holder: A bound socket that never listens; it keeps the port while workers come and go.
    """

    address: str
    holder: socket.socket


def reserve(listen: str) -> ReservedPort:
    """Take a port for workers to share.

    Args:
        listen: HOST:PORT; port 0 takes a free one.

    Raises:
        UnavailableError: `PORT_IN_USE`.
    """
    host, _, port = listen.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
        family, _, _, _, place = found[0]
        # Alone first: a listener of another program is found out even if it would share.
        with socket.socket(family, socket.SOCK_STREAM) as alone:
            alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            alone.bind(place)
            taken: Any = alone.getsockname()
        holder = socket.socket(family, socket.SOCK_STREAM)
        try:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            holder.bind(taken)
        except BaseException:
            holder.close()
            raise
    except OSError:
        raise UnavailableError(
            "PORT_IN_USE",
            f"can't listen on {listen}",
            hints=("another program listens there, or the address is not this machine's",),
        ) from None
    return ReservedPort(f"{host}:{taken[1]}", holder)


class Supervisor:
    """Runs workers until it is told to stop. Owner: one event loop."""

    def __init__(
        self, command: Callable[[int], Sequence[str]], workers: int, *, grace_s: float
    ) -> None:
        """Keep how a worker is started.

        Args:
            command: Number of a worker, from 1, to its command line.
            workers: How many.
            grace_s: Seconds that they have to stop before they are killed.
        """
        self._command = command
        self._numbers = range(1, workers + 1)
        self._grace_s = grace_s
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._stopping = False

    @property
    def pids(self) -> dict[int, int]:
        """Number of each running worker to its process id."""
        return {number: process.pid for number, process in self._running.items()}

    async def start(self) -> None:
        """Start all workers and return when each of them serves.

        Raises:
            WorkerFailedError: One of them couldn't; the others were stopped.
        """
        begun = [asyncio.create_task(self._begin(number)) for number in self._numbers]
        try:
            await asyncio.gather(*begun)
        except BaseException:
            for task in begun:
                task.cancel()
            await asyncio.gather(*begun, return_exceptions=True)
            await self.stop()
            raise

    async def keep(self) -> None:
        """Start workers that end again, until cancelled."""
        await asyncio.gather(*(self._keep(number) for number in self._numbers))

    async def stop(self) -> None:
        """Stop every worker in order, and kill those that don't."""
        self._stopping = True
        running = list(self._running.values())
        for process in running:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
        ended = [asyncio.create_task(process.wait()) for process in running]
        if ended:
            await asyncio.wait(ended, timeout=self._grace_s)
        for process in running:
            if process.returncode is None:
                process.kill()
        await asyncio.gather(*ended)

    async def _begin(self, number: int) -> None:
        process = await asyncio.create_subprocess_exec(
            *self._command(number), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        self._running[number] = process
        said = b""
        assert process.stdout is not None  # noqa: S101 - it was asked for
        while line := await process.stdout.readline():
            if _is_ready(line):
                return
            said += line
        raise WorkerFailedError(await process.wait(), said.decode())

    async def _keep(self, number: int) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            began = time.monotonic()
            code = await self._running[number].wait()
            if self._stopping:
                return
            _log.error("worker_ended", worker=number, code=code)
            if time.monotonic() - began > _STEADY_S:
                pause_s = _FIRST_PAUSE_S
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            try:
                await self._begin(number)
            except WorkerFailedError as error:
                _log.error("worker_not_started", worker=number, code=error.code)
            else:
                _log.info("worker_started", worker=number, pid=self._running[number].pid)


def worker_command(*words: str) -> list[str]:
    """Return the command line of a worker: this program with other words."""
    return [sys.executable, "-c", "from gateway.cli.main import main; main()", *words]


def _is_ready(line: bytes) -> bool:
    try:
        found = json.loads(line)
    except ValueError:
        return False
    return isinstance(found, dict) and "listening" in found
