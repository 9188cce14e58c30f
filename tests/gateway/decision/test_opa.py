"""An OPA server that is stopped, slow, confused, silent or holds another bundle denies."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from gateway.decision.bundle import load
from gateway.decision.opa import OpaServerEngine
from gateway.domain.errors import InvalidRequestError, UnavailableError
from tests.policies import facts_world as w
from tests.policies.engines import decider_of, opa_server
from tests.ports import free_port

DEADLINE_MS = 60_000


@pytest.fixture(scope="module")
def bundle():
    return load()


class FakeOpa:
    """A server on the loopback that answers every request with what the test put in."""

    def __init__(self):
        self.status, self.body, self.kind = 200, b"{}", "application/json"
        self.stall: asyncio.Event | None = None
        self.calls = 0

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *error):
        self.server.close()
        await self.server.wait_closed()

    async def serve(self, reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length")
            )
            await reader.readexactly(length)
            self.calls += 1
            if self.stall:
                await self.stall.wait()
            writer.write(
                f"HTTP/1.1 {self.status} X\r\nContent-Type: {self.kind}\r\n"
                f"Content-Length: {len(self.body)}\r\nConnection: close\r\n\r\n".encode()
                + self.body
            )
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def real_opa(archive, port=None):
    """A real server, started and ended outside the event loop."""
    server = opa_server(archive, port)
    url = await asyncio.to_thread(server.__enter__)
    try:
        yield url
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)


async def code_of(url, deadline_ms=DEADLINE_MS):
    engine = OpaServerEngine(url, deadline_ms=deadline_ms)
    try:
        await engine.evaluate(b"{}")
    except UnavailableError as error:
        return error.code
    finally:
        await engine.close()
    return "ANSWERED"


async def test_a_stopped_server():
    assert await code_of(f"http://127.0.0.1:{free_port()}") == "POLICY_UNAVAILABLE"


async def test_a_slow_server_within_the_deadline():
    async with FakeOpa() as fake:
        fake.stall = asyncio.Event()
        # It never answers, so this ends by the deadline or not at all.
        assert await code_of(fake.url, deadline_ms=200) == "POLICY_TIMEOUT"
        fake.stall.set()


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        (b"{}", "application/json", "POLICY_UNDEFINED"),
        (b'{"decision_id": "x"}', "application/json", "POLICY_UNDEFINED"),
        (b"not json", "application/json", "POLICY_UNKNOWN_ANSWER"),
        (b"<html>", "text/html", "POLICY_UNKNOWN_ANSWER"),
        (b"[1]", "application/json", "POLICY_UNKNOWN_ANSWER"),
        (b"", "application/json", "POLICY_UNKNOWN_ANSWER"),
        (b'{"result": {"allow": true}}', "application/json", "ANSWERED"),
    ],
)
async def test_strange_answers(body, kind, code):
    async with FakeOpa() as fake:
        fake.body, fake.kind = body, kind
        assert await code_of(fake.url) == code


@pytest.mark.parametrize("status", [400, 401, 404, 500, 502, 503])
async def test_an_error_of_the_server_is_asked_once(status):
    async with FakeOpa() as fake:
        fake.status, fake.body = status, b'{"code": "internal_error"}'
        assert await code_of(fake.url) == "POLICY_UNAVAILABLE"
        assert fake.calls == 1  # no retries: they would sleep past the deadline


async def test_allow_true_alone_is_no_decision(bundle):
    async with FakeOpa() as fake:
        fake.body = json.dumps({"result": {"allow": True, "fields": {"uscc": "allow"}}}).encode()
        decider = decider_of(OpaServerEngine(fake.url, deadline_ms=DEADLINE_MS), bundle)
        with pytest.raises(UnavailableError) as caught:
            await decider.decide(w.facts())
        assert caught.value.code == "POLICY_UNKNOWN_ANSWER"
        await decider.close()


@pytest.mark.parametrize(
    "url", ["", "localhost:8181", "ftp://h:1", "http://", "http://h:1/v1/data", "unix:///x"]
)
def test_an_address_of_another_shape_is_refused(url):
    with pytest.raises(InvalidRequestError):
        OpaServerEngine(url)


@pytest.mark.opa
async def test_the_real_server_answers_and_recovers_without_restart(bundle):
    port = free_port()
    decider = decider_of(
        OpaServerEngine(f"http://127.0.0.1:{port}", deadline_ms=DEADLINE_MS), bundle, memo_size=1
    )
    facts = [w.facts(request=w.request(name)) for name in ("uscc", "name", "reg_status")]

    with pytest.raises(UnavailableError) as caught:
        await decider.decide(facts[0])
    assert caught.value.code == "POLICY_UNAVAILABLE"
    async with real_opa(bundle.archive, port):
        assert (await decider.decide(facts[0])).allow
    with pytest.raises(UnavailableError) as caught:
        await decider.decide(facts[1])
    assert caught.value.code == "POLICY_UNAVAILABLE"
    async with real_opa(bundle.archive, port):
        assert (await decider.decide(facts[2])).allow
        await decider.close()


@pytest.mark.opa
async def test_a_server_with_another_bundle_is_a_mismatch(bundle):
    other = replace(bundle, revision="f" * 64)
    async with real_opa(bundle.archive) as url:
        decider = decider_of(OpaServerEngine(url, deadline_ms=DEADLINE_MS), other)
        with pytest.raises(UnavailableError) as caught:
            await decider.decide(w.facts())
        assert caught.value.code == "POLICY_MISMATCH"
        await decider.close()
