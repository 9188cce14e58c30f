"""Runs something until the process is told to stop."""

import asyncio
import json
import signal
import sys
from contextlib import AbstractAsyncContextManager
from typing import Any


def run_until_stopped(
    serving: AbstractAsyncContextManager[dict[str, Any]], *, as_json: bool
) -> None:
    """Serve until SIGTERM or SIGINT; print what is served once it is there.

    Args:
        serving: Opens what is served, gives what to tell about it, and closes it.
        as_json: Print one line of JSON.
    """
    asyncio.run(_run(serving, as_json=as_json))


async def _run(serving: AbstractAsyncContextManager[dict[str, Any]], *, as_json: bool) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with serving as told:
        if as_json:
            print(json.dumps(told, sort_keys=True))
        else:
            for name, value in told.items():
                print(f"{name}: {value}")
        sys.stdout.flush()
        await stopped.wait()
