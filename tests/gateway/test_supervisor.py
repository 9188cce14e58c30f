"""The parent of workers, with small programs in their place."""

import asyncio
import os
import signal
import socket
import sys

import pytest

from gateway.domain.errors import UnavailableError
from gateway.supervisor import Supervisor, WorkerFailedError, reserve

_GOOD = 'import sys; print(\'{"listening": "x"}\', flush=True); sys.stdin.read()'
_BAD = "import sys; print('it said why'); sys.exit(2)"


def command(program: str):
    return lambda number: [sys.executable, "-c", program, str(number)]


def test_a_port_that_anyone_listens_on_is_refused_even_if_it_would_be_shared():
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UnavailableError) as caught:
            reserve(f"127.0.0.1:{port}")
    assert caught.value.code == "PORT_IN_USE"
    assert str(port) in caught.value.message


def test_a_reserved_port_may_be_shared_by_workers_alone():
    port = reserve("127.0.0.1:0")
    number = int(port.address.rpartition(":")[2])
    with port.holder, socket.socket() as worker, socket.socket() as alone:
        worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        worker.bind(("127.0.0.1", number))
        worker.listen()
        with pytest.raises(OSError, match="in use"):
            alone.bind(("127.0.0.1", number))


async def test_a_dead_worker_is_started_again_and_all_are_stopped():
    supervisor = Supervisor(command(_GOOD), 2, grace_s=60)
    await supervisor.start()
    keeping = asyncio.create_task(supervisor.keep())
    first = supervisor.pids
    assert len(first) == 2
    os.kill(first[1], signal.SIGKILL)
    for _ in range(3_000):
        if supervisor.pids[1] != first[1]:
            break
        await asyncio.sleep(0.02)
    assert supervisor.pids[1] != first[1]
    assert supervisor.pids[2] == first[2]
    await asyncio.sleep(0.2)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    last = supervisor.pids
    await supervisor.stop()
    for pid in last.values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_worker_that_cannot_begin_ends_them_all_with_its_own_words():
    supervisor = Supervisor(
        lambda number: command(_GOOD if number == 1 else _BAD)(number), 2, grace_s=60
    )
    with pytest.raises(WorkerFailedError) as caught:
        await supervisor.start()
    assert (caught.value.code, caught.value.said) == (2, "it said why\n")
    for pid in supervisor.pids.values():
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
