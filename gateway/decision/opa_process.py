"""An OPA server of our own for the length of one command: started, awaited, ended."""

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

from gateway.domain.errors import UnavailableError

_READY_S = 15.0
_POLL_S = 0.02
_END_S = 10.0


def find_opa(given: Path | None = None) -> Path:
    """Return the OPA binary: the one given, or the one on the path.

    Raises:
        UnavailableError: `NO_OPA`.
    """
    found = str(given) if given is not None else shutil.which("opa")
    if found is None or not Path(found).is_file():
        raise UnavailableError(
            "NO_OPA",
            "there is no OPA binary",
            hints=("name it: --opa FILE; `make opa` puts one into .tools/bin",),
        )
    return Path(found).absolute()


@contextlib.asynccontextmanager
async def opa_process(binary: Path, archive: Path) -> AsyncIterator[str]:
    """Run an OPA server on a free port of the loopback with one bundle; yield its address.

    Raises:
        UnavailableError: `POLICY_UNAVAILABLE` when it does not start.
    """
    port = _free_port()
    process = await asyncio.create_subprocess_exec(
        *(str(binary), "run", "--server", "--addr", f"127.0.0.1:{port}"),
        *("--log-level", "error", "--disable-telemetry", "--bundle", str(archive)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await _listening(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), _END_S)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _listening(process: asyncio.subprocess.Process, port: int) -> None:
    try:
        async with asyncio.timeout(_READY_S):
            while process.returncode is None:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    await writer.wait_closed()
                    return
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        pass
    raise UnavailableError("POLICY_UNAVAILABLE", "the OPA server did not start")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
