"""Engines for tests: the embedded one, and a real OPA server on the loopback."""

import asyncio
import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from gateway.decision.bundle import DEFAULT_POLICIES, Bundle
from gateway.decision.decider import Decider
from gateway.decision.engine import Engine
from gateway.decision.law import LawTable
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
LAW = LawTable.load(DEFAULT_POLICIES)
_READY_S = 60.0
_POLL_S = 0.02


def opa_binary() -> Path:
    """The OPA binary of the checkout, or the one on the path."""
    local = ROOT / ".tools" / "bin" / "opa"
    return local if local.exists() else Path(shutil.which("opa") or "opa")


def decider_of(engine: Engine, bundle: Bundle, **more) -> Decider:
    """A decider with a generous deadline: these tests are about answers, not about time."""
    return Decider(engine, bundle, LAW, **{"deadline_ms": 60_000, **more})


@contextlib.contextmanager
def opa_server(archive: Path, port: int | None = None) -> Iterator[str]:
    """Run an OPA server with one bundle; yields its address, ends the process it started."""
    port = port or free_port()
    command = [
        str(opa_binary()), "run", "--server", "--addr", f"127.0.0.1:{port}",
        "--log-level", "error", "--disable-telemetry", "--bundle", str(archive),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        asyncio.run(_listening(port, process))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=60)


async def _listening(port: int, process: subprocess.Popen) -> None:
    async with asyncio.timeout(_READY_S):
        while True:
            assert process.poll() is None, "the OPA server ended"
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                await writer.wait_closed()
                return
            await asyncio.sleep(_POLL_S)
