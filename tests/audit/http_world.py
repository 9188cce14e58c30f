"""HTTP servers in threads of their own, and witnesses behind them, honest and otherwise."""

import asyncio
import threading
from contextlib import contextmanager

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.cosignature import CosignatureSigner
from audit.http_site import serve_http
from audit.note import Verifier
from audit.trust_policy import parse_policy
from audit.witness import Witness, make_memory
from audit.witness_client import WitnessClient
from audit.witness_http import witness_app
from audit.witnessing import Witnessing
from tests.audit.log_home import VKEY


@contextmanager
def served(app, tls=None):
    """Serve an application on a free port; gives its URL."""
    loop = asyncio.new_event_loop()
    ready, stop, found = threading.Event(), asyncio.Event(), []

    async def run():
        async with serve_http(app, "127.0.0.1:0", tls) as url:
            found.append(url)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    assert ready.wait(60)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        loop.close()


class TestWitness:
    """A witness with a database, a key that everybody may know, and a clock."""

    __test__ = False

    def __init__(self, folder, number=1, now=lambda: 1_800_000_000, logs=(VKEY,)):
        key = Ed25519PrivateKey.from_private_bytes(bytes([100 + number]) * 32)
        self.name = f"w{number}"
        self.signer = CosignatureSigner(f"witness.example/w{number}", key)
        self.path = folder / f"witness-{number}.sqlite3"
        if not self.path.exists():
            make_memory(self.path)
        self.core = Witness(self.path, self.signer, now)
        # Several of them share a database, on a disk that does other work too.
        self.core._connection.execute("PRAGMA busy_timeout=60000")
        for vkey in logs:
            self.core.add_log(vkey)
        self.app = witness_app(self.core)

    def line(self, url=""):
        return f"witness {self.name} {self.signer.verifier_key} {url}\n"


def scripted(answers):
    """An application that answers add-checkpoint from a list: (status, body) or a function."""
    seen = []

    async def answer(request):
        body = await request.read()
        seen.append(body)
        step = answers[min(len(seen), len(answers)) - 1]
        status, text = step(body) if callable(step) else step
        if status == 0:
            await asyncio.sleep(5)
        return web.Response(status=status or 200, body=text)

    app = web.Application()
    app.router.add_post("/add-checkpoint", answer)
    return app, seen


def policy_of(*lines, quorum, group=""):
    return parse_policy(f"log {VKEY}\n{''.join(lines)}{group}quorum {quorum}\n".encode())


def witnessing(home, policy, timeout_s=60.0, **more):
    client = WitnessClient(policy.witnesses.values(), lambda: home.now, timeout_s)
    return Witnessing(
        policy, client, Verifier.parse(VKEY), home.directory, lambda: home.now, **more
    )
