"""An OPA server that is stopped, slow, confused, silent or holds another bundle denies."""

import asyncio
import ssl
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.decision.bundle import load
from gateway.decision.input import at_time, build_input, canonical
from gateway.decision.normal import decision_digest
from gateway.decision.opa import OpaServerEngine
from gateway.decision.opa_connections import MAX_ANSWER_BYTES
from gateway.decision.wasm import WasmEngine
from gateway.domain.errors import InvalidRequestError, UnavailableError
from gateway.identity.certificates import CertificateAuthority
from tests.gateway.decision.fake_opa import FakeOpa, answer_of
from tests.policies import facts_world as w
from tests.policies.engines import LAW, decider_of, opa_server
from tests.ports import free_port

DEADLINE_MS = 200
DAY_S = 86_400
DOCUMENT = canonical(build_input(w.facts(), LAW.limits))


@pytest.fixture(scope="module")
def bundle():
    return load()


@asynccontextmanager
async def real_opa(archive, port=None):
    """A real server, started and ended outside the event loop."""
    server = opa_server(archive, port)
    url = await asyncio.to_thread(server.__enter__)
    try:
        yield url
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)


async def code_of(url, deadline_ms=60_000, **more):
    engine = OpaServerEngine(url, deadline_ms=deadline_ms, **more)
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
    async def never(_writer, _body):
        await asyncio.Event().wait()

    async with FakeOpa(never) as fake:
        started = asyncio.get_running_loop().time()
        assert await code_of(fake.url, DEADLINE_MS) == "POLICY_TIMEOUT"
        assert asyncio.get_running_loop().time() - started < 2


async def test_an_answer_that_stops_half_way_is_a_slow_one():
    async with FakeOpa() as fake:
        fake.answer = answer_of(DECIDED)[:-1]
        assert await code_of(fake.url, DEADLINE_MS) == "POLICY_TIMEOUT"


UNDEFINED = b'{"code": "undefined_document", "message": "document undefined: data.xinguan"}'
DECIDED = b'{"allow": true}'


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (answer_of(DECIDED), "ANSWERED"),
        (answer_of(DECIDED, kind="application/json; charset=utf-8"), "ANSWERED"),
        (answer_of(UNDEFINED, status=404), "POLICY_UNDEFINED"),
        (answer_of(b'{"code": "resource_not_found"}', status=404), "POLICY_UNAVAILABLE"),
        (answer_of(b'"undefined_document"', status=404), "POLICY_UNAVAILABLE"),
        (answer_of(b"not here", status=404), "POLICY_UNAVAILABLE"),
        (answer_of(UNDEFINED, status=400), "POLICY_UNAVAILABLE"),
        (answer_of(b"not json"), "POLICY_UNKNOWN_ANSWER"),
        (answer_of(b"\xff\xfe{}"), "POLICY_UNKNOWN_ANSWER"),
        (answer_of(b"<html>", kind="text/html"), "POLICY_UNKNOWN_ANSWER"),
        (answer_of(DECIDED, kind="text/html"), "POLICY_UNKNOWN_ANSWER"),
        (answer_of(b"[1]"), "POLICY_UNKNOWN_ANSWER"),
        (answer_of(b""), "POLICY_UNKNOWN_ANSWER"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "POLICY_UNKNOWN_ANSWER"),
        (answer_of(b" " * MAX_ANSWER_BYTES + DECIDED), "POLICY_UNKNOWN_ANSWER"),
    ],
)
async def test_strange_answers(answer, code):
    async with FakeOpa() as fake:
        fake.answer = answer
        assert await code_of(fake.url) == code
        assert fake.calls == 1


async def test_an_answer_that_is_cut_short():
    async def cut(writer, _body):
        writer.write(answer_of(DECIDED)[:-1])
        await writer.drain()
        writer.close()

    async with FakeOpa(cut) as fake:
        assert await code_of(fake.url) == "POLICY_UNKNOWN_ANSWER"


@pytest.mark.parametrize("status", [201, 302, 400, 401, 404, 500, 502, 503])
async def test_an_error_of_the_server_is_asked_once(status):
    async with FakeOpa() as fake:
        fake.answer = answer_of(b'{"code": "internal_error"}', status=status)
        assert await code_of(fake.url) == "POLICY_UNAVAILABLE"
        assert fake.calls == 1  # no retries: they would sleep past the deadline


async def test_what_is_posted_is_the_document_itself_with_the_token():
    async with FakeOpa() as fake:
        fake.answer = answer_of(DECIDED)
        engine = OpaServerEngine(fake.url, token="a-token")
        assert await engine.evaluate(DOCUMENT) == {"allow": True}
        await engine.close()
    assert fake.bodies == [DOCUMENT]
    first, *headers = fake.heads[0].decode().lower().split("\r\n")
    assert first == "post /v0/data/xinguan/decision http/1.1"
    assert dict(line.split(": ") for line in headers if line) == {
        "host": f"127.0.0.1:{fake.port}",
        "content-type": "application/json",
        "accept-encoding": "identity",
        "authorization": "bearer a-token",
        "content-length": str(len(DOCUMENT)),
    }


@pytest.mark.parametrize("token", ["a\r\nX-Injected: b", "a\n", "\x00", "中"])
def test_a_token_that_would_be_more_than_a_header_is_refused(token):
    with pytest.raises(InvalidRequestError):
        OpaServerEngine("http://127.0.0.1:1", token=token)


async def test_a_timed_out_call_leaves_its_answer_to_nobody():
    late = asyncio.Event()

    async def slow_at_first(writer, body):
        if body == b"1":
            await late.wait()
        writer.write(answer_of(b'{"asked": %s}' % body))

    async with FakeOpa(slow_at_first) as fake:
        engine = OpaServerEngine(fake.url, deadline_ms=DEADLINE_MS)
        with pytest.raises(UnavailableError) as caught:
            await engine.evaluate(b"1")
        assert caught.value.code == "POLICY_TIMEOUT"
        late.set()
        for number in (2, 3):
            assert await engine.evaluate(b"%d" % number) == {"asked": number}
        await engine.close()


async def test_a_closed_engine_decides_nothing():
    async with FakeOpa() as fake:
        engine = OpaServerEngine(fake.url)
        await engine.close()
        with pytest.raises(UnavailableError) as caught:
            await engine.evaluate(b"{}")
        assert caught.value.code == "POLICY_UNAVAILABLE"


@pytest.fixture
def certificates(tmp_path, monkeypatch):
    """Paths of a server's and of a client's certificate, and a root that this process trusts."""
    now = int(time.time())
    authority = CertificateAuthority.create(ec.generate_private_key(ec.SECP256R1()), "CA", now)
    root = tmp_path / "root.pem"
    root.write_bytes(authority.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(root))

    def pair(name, issue):
        key = ec.generate_private_key(ec.SECP256R1())
        files = tmp_path / f"{name}.pem", tmp_path / f"{name}.key"
        files[0].write_bytes(issue(key.public_key()))
        files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return tuple(map(str, files))

    return SimpleNamespace(
        root=str(root),
        server=pair("server", lambda key: authority.issue_server(["127.0.0.1"], key, now, 1)),
        elsewhere=pair("elsewhere", lambda key: authority.issue_server(["127.0.0.2"], key, now, 1)),
        client=pair("client", lambda key: authority.issue_party("uscc:1", key, now, 1)),
    )


def served_with(certificate, root):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.load_verify_locations(root)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


async def test_over_tls_both_sides_show_their_certificates(certificates):
    async with FakeOpa(tls=served_with(certificates.server, certificates.root)) as fake:
        fake.answer = answer_of(DECIDED)
        engine = OpaServerEngine(fake.url, certificate=certificates.client, deadline_ms=2000)
        for _ in range(2):
            assert await engine.evaluate(b"{}") == {"allow": True}
        await engine.close()
        assert (fake.calls, fake.connections) == (2, 1)
        assert await code_of(fake.url) == "POLICY_UNAVAILABLE"  # no certificate of ours
        assert fake.calls == 2


async def test_a_server_with_the_certificate_of_another_host_is_told_nothing(certificates):
    async with FakeOpa(tls=served_with(certificates.elsewhere, certificates.root)) as fake:
        fake.answer = answer_of(DECIDED)
        assert await code_of(fake.url, certificate=certificates.client) == "POLICY_UNAVAILABLE"
        assert fake.calls == 0


def test_a_certificate_that_is_not_there_is_refused(tmp_path):
    missing = str(tmp_path / "none.pem")
    with pytest.raises(InvalidRequestError):
        OpaServerEngine("https://127.0.0.1:1", certificate=(missing, missing))


async def test_allow_true_alone_is_no_decision(bundle):
    async with FakeOpa() as fake:
        fake.answer = answer_of(b'{"allow": true, "fields": {"uscc": "allow"}}')
        decider = decider_of(OpaServerEngine(fake.url, deadline_ms=DEADLINE_MS), bundle)
        with pytest.raises(UnavailableError) as caught:
            await decider.decide(w.facts())
        assert caught.value.code == "POLICY_UNKNOWN_ANSWER"
        await decider.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8181",
        "ftp://h:1",
        "http://",
        "http://h:1/v1/data",
        "unix:///x",
        "http://中:1",
    ],
)
def test_an_address_of_another_shape_is_refused(url):
    with pytest.raises(InvalidRequestError):
        OpaServerEngine(url)


@pytest.mark.opa
async def test_the_real_server_answers_and_recovers_without_restart(bundle):
    port = free_port()
    decider = decider_of(
        OpaServerEngine(f"http://127.0.0.1:{port}", deadline_ms=2000), bundle, memo_size=1
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
async def test_the_real_server_answers_as_the_embedded_engine(bundle):
    embedded, now = WasmEngine(bundle, deadline_ms=5000), w.facts().now
    documents = [at_time(DOCUMENT, now + seconds) for seconds in range(8)]
    expected = [decision_digest(await embedded.evaluate(document)) for document in documents]
    async with real_opa(bundle.archive) as url:
        server = OpaServerEngine(url, deadline_ms=5000)
        answers = await asyncio.gather(*map(server.evaluate, documents))  # at the same time
        answers += [await server.evaluate(document) for document in documents]  # one by one
        assert list(map(decision_digest, answers)) == expected * 2
        # An input is of its day, and has no answer on another one.
        with pytest.raises(UnavailableError) as caught:
            await server.evaluate(at_time(DOCUMENT, now + 2 * DAY_S))
        assert caught.value.code == "POLICY_UNDEFINED"
        assert decision_digest(await server.evaluate(documents[0])) == expected[0]
        with pytest.raises(UnavailableError) as caught:
            await server.evaluate(b'{"half": ')
        assert caught.value.code == "POLICY_UNAVAILABLE"
        await server.close()
    await embedded.close()


@pytest.mark.opa
async def test_a_server_with_another_bundle_is_a_mismatch(bundle):
    other = replace(bundle, revision="f" * 64)
    async with real_opa(bundle.archive) as url:
        decider = decider_of(OpaServerEngine(url, deadline_ms=2000), other)
        with pytest.raises(UnavailableError) as caught:
            await decider.decide(w.facts())
        assert caught.value.code == "POLICY_MISMATCH"
        await decider.close()
