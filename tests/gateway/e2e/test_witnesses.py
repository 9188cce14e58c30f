"""A serving gateway and its witnesses: fail closed, say how old the witnessing is, never fork."""

import asyncio
import shutil
import ssl
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
import pytest_asyncio
from aiohttp import web

from audit.entries import digest_text
from audit.errors import AuditUnavailableError
from audit.proof import parse_receipt
from audit.timestamps import stamp_names
from audit.trust_policy import parse_policy
from gateway.config import CONFIG_NAME, ConfigError
from gateway.demo.cast import AGENCY, AUDITOR
from gateway.demo.stage import Stage
from gateway.deployment import Deployment
from gateway.domain.errors import UnavailableError
from gateway.release.vouching import WitnessWatch
from gateway.release.world import World
from gateway.server import Gateway
from tests.audit.http_world import TestWitness, served
from tests.audit.tsa import TestAuthority
from tests.gateway.e2e import wire
from tests.gateway.e2e.conftest import Clock, serve_site
from tests.gateway.e2e.serving import Site, copy_stage
from xinguan.client import Answer, Identity
from xinguan.v1 import audit_pb2

GRACE_S = 200  # under what the times of requests and of cosignatures may be off

pytestmark = pytest.mark.asyncio(loop_scope="session")


def configured(stage: Stage, root: Path, *, tables: str, log: str = "") -> Stage:
    """Return a copy of a deployment with more settings."""
    copied = copy_stage(stage, root)
    path = copied.deployment.directory / CONFIG_NAME
    text = path.read_text().replace("[log]\n", f"[log]\n{log}")
    path.write_text(f"{text}\n{tables}\n")
    return replace(copied, deployment=Deployment.open(root))


class Witnessed:
    """A deployment whose one witness can be switched off and on."""

    def __init__(self, stage: Stage, folder: Path, url: str, witness: TestWitness, grace_s: int):
        tables = (
            f'[witnesses]\npolicy = "identity/witnesses"\ngrace_s = {grace_s}\n'
            "refresh_s = 1\ntimeout_ms = 5000\n"
        )
        self.stage = configured(stage, folder / "home", tables=tables)
        deployment = self.stage.deployment
        self.witness = witness
        self.policy_text = f"log {deployment.log_vkey}\n{witness.line(url)}quorum {witness.name}\n"
        (deployment.directory / "identity" / "witnesses").write_text(self.policy_text)
        self.policy = parse_policy(self.policy_text.encode())

    def switch_off(self) -> None:
        self.witness.core._connection.execute("ALTER TABLE witness_seen RENAME TO away")

    def switch_on(self) -> None:
        self.witness.core._connection.execute("ALTER TABLE away RENAME TO witness_seen")


Make = Callable[..., Witnessed]


@pytest_asyncio.fixture(loop_scope="session")
async def witnessed(stage: Stage, tmp_path: Path, clock: Clock):
    """Make witnessed deployments."""
    async with AsyncExitStack() as stack:

        def make(grace_s: int = 600) -> Witnessed:
            vkey = stage.deployment.log_vkey
            witness = TestWitness(tmp_path, now=lambda: clock() // 1000, logs=[vkey])
            stack.callback(witness.core.close)
            url = stack.enter_context(served(witness.app))
            return Witnessed(stage, tmp_path, url, witness, grace_s)

        yield make


async def ask(site: Site) -> int:
    """Return how many rows an ordinary query gets."""
    return (await site.query(site.desk.enrol()))[-1].outcome.rows


async def refused(site: Site, code: str) -> None:
    """Check that an ordinary query is refused with this code, clause and remedy, and logged."""
    await wire.refused(site, site.query(site.desk.enrol()), code, "UNAVAILABLE")


async def answered(site: Site) -> bool:
    """Tell whether an ordinary query is answered; whatever else is no answer."""
    try:
        return await ask(site) == 1
    except grpc.aio.AioRpcError:
        return False


async def until(told: Callable, seconds: float = 60.0):
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + seconds
    while not (value := await told()):
        assert time.monotonic() < deadline, "it did not come about in time"
        await asyncio.sleep(0.1)
    return value


async def test_answers_of_a_witnessed_log_carry_the_witness_s_word(witnessed: Make) -> None:
    made = witnessed()
    async with serve_site(made.stage) as site:
        member = site.desk.enrol()
        answer = Answer(await site.query(member))
        assert answer.outcome.rows == 1
        stub = site.audit(member)
        wanted = audit_pb2.GetReceiptRequest(request_id=answer.decision.request_id, wait_ms=9_000)

        async def covered() -> Any:
            found = await stub.GetReceipt(wanted)
            return found if found.witnessed else None

        receipt = await until(covered)
        checkpoint, at = made.policy.accept(parse_receipt(receipt.proof).checkpoint)
        assert at is not None
        assert abs(at - time.time()) < 30
        told = await stub.GetCheckpoint(audit_pb2.GetCheckpointRequest())
        assert told.witnessed
        assert list(told.witnesses) == ["w1"]
        assert told.witnessed_size >= checkpoint.size
        assert abs(told.witnessed_at.seconds - time.time()) < 30
        assert told.checkpoint == told.witnessed_checkpoint
        assert made.policy.accept(told.checkpoint)[1] == told.witnessed_at.seconds
        # Which witnesses a node trusts stands in its log, so that none can be dropped unseen.
        started = [entry for entry in site.entries() if entry["kind"] == "node_started"][-1]
        assert started["trust"] == digest_text(made.policy.digest)


async def test_without_its_witness_nothing_leaves_once_the_grace_is_over(
    witnessed: Make, clock: Clock
) -> None:
    made = witnessed(grace_s=GRACE_S)
    async with serve_site(made.stage, clock_ms=clock) as site:
        assert await ask(site) == 1
        made.switch_off()
        assert await ask(site) == 1  # within the grace
        clock.ahead_s = GRACE_S + 20
        await refused(site, "WITNESS_MISSING")

        # The auditor sees how old the word is, and that the newest tree has none.
        async def unwitnessed() -> Any:
            told = await site.audit(AUDITOR).GetCheckpoint(audit_pb2.GetCheckpointRequest())
            return None if told.witnessed else told

        told = await until(unwitnessed)
        assert told.witnessed_at.seconds < clock() // 1000 - GRACE_S
        assert told.witnessed_checkpoint != told.checkpoint
        made.switch_on()
        await until(lambda: answered(site))


class Countdown:
    """Witnesses that vouch for some checks and are gone then."""

    def __init__(self, left: int) -> None:
        self.left = left

    def check(self, now: int) -> None:
        self.left -= 1
        if self.left < 0:
            raise UnavailableError("WITNESS_MISSING", "the audit log has not been witnessed")


async def test_a_running_stream_ends_when_the_grace_does(stage: Stage, tmp_path: Path) -> None:
    copied = copy_stage(stage, tmp_path / "home")

    def tamper(world: World) -> None:
        world.batch_rows = 2
        world.witnesses = Countdown(3)  # the request itself, and two batches

    async with serve_site(copied, tamper=tamper) as site:
        member = site.desk.enrol()
        query = site.build(member, subjects=list(site.population.sample[:12]))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await wire.drain(site.exchange(member).Query(query, timeout=60))
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "WITNESS_MISSING" in (caught.value.details() or "")
        outcome = [entry for entry in site.entries() if entry["kind"] == "outcome"][-1]
        assert outcome["status"] == "WITNESS_MISSING"
        assert 0 < outcome["rows"] <= 4


async def test_started_without_its_witness_it_waits_with_everything(witnessed: Make) -> None:
    """What an earlier run was told does not count: this state may be a restored one."""
    made = witnessed()
    async with serve_site(made.stage) as site:
        assert await ask(site) == 1
    made.switch_off()
    async with serve_site(made.stage) as site:
        await refused(site, "WITNESS_MISSING")
        with pytest.raises(AuditUnavailableError):
            await asyncio.to_thread(site.gateway.keeper.integrator.integrate_once)
        made.switch_on()
        await until(lambda: answered(site))


async def test_a_state_restored_from_a_backup_is_refused_at_start(
    witnessed: Make, tmp_path: Path
) -> None:
    made = witnessed()
    async with serve_site(made.stage) as site:
        assert await ask(site) == 1
    shutil.copytree(made.stage.deployment.root, tmp_path / "backup")
    async with serve_site(made.stage) as site:
        assert await ask(site) == 1
    restored = Deployment.open(tmp_path / "backup")
    before = restored.log_directory.joinpath("checkpoint").read_bytes()
    with pytest.raises(UnavailableError) as caught:
        await Gateway(restored, listen="127.0.0.1:0").__aenter__()
    assert caught.value.code == "LOG_DISPUTED"
    assert "backup" in caught.value.hints[0]
    assert restored.log_directory.joinpath("checkpoint").read_bytes() == before
    # The true one starts as ever.
    async with serve_site(made.stage) as site:
        assert await ask(site) == 1


async def test_a_witness_that_holds_another_history_stops_everything(witnessed: Make) -> None:
    made = witnessed()
    async with serve_site(made.stage) as site:
        assert await ask(site) == 1
        connection = made.witness.core._connection
        connection.execute("UPDATE witness_seen SET size = size + 1000")

        async def disputed() -> bool:
            return isinstance(site.world.witnesses, WitnessWatch) and site.world.witnesses.disputed

        await until(disputed)
        await refused(site, "LOG_DISPUTED")


async def test_a_policy_that_cannot_work_is_refused_at_start(witnessed: Make) -> None:
    made = witnessed()
    path = made.stage.deployment.directory / "identity" / "witnesses"
    for text in (
        "nonsense\n",
        made.policy_text.replace(" http://", " # http://"),
        "\n".join(made.policy_text.splitlines()[1:]) + "\nquorum w1\n",
        made.policy_text.replace("quorum w1", "quorum w2"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError) as caught:
            await Gateway(made.stage.deployment, listen="127.0.0.1:0").__aenter__()
        assert caught.value.code == "BAD_POLICY"
    path.unlink()
    with pytest.raises(ConfigError, match="can't be read"):
        await Gateway(made.stage.deployment, listen="127.0.0.1:0").__aenter__()


# --- the log over HTTP while the gateway serves ----------------------------------------------


def tls_of(folder: Path, authority: bytes, identity: Identity | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority.decode())
    if identity is not None:
        (folder / "c.pem").write_bytes(identity.certificate)
        (folder / "k.pem").write_bytes(identity.key)
        context.load_cert_chain(folder / "c.pem", folder / "k.pem")
    return context


async def fetch(url: str, tls: ssl.SSLContext | None = None) -> tuple[int, bytes]:
    async with aiohttp.ClientSession() as session, session.get(url, ssl=tls or True) as answer:
        return answer.status, await answer.read()


async def test_the_log_is_served_beside_the_gateway(stage: Stage, tmp_path: Path) -> None:
    both = 'http_listen = "127.0.0.1:0"\nhttps_listen = "127.0.0.1:0"\n'
    made = configured(stage, tmp_path / "home", tables="", log=both)
    async with serve_site(made) as site:
        assert await ask(site) == 1
        urls = site.gateway.keeper.urls
        authority = site.identity(AGENCY).authority

        async def published() -> bytes:
            status, note = await fetch(f"{urls['http']}/checkpoint")
            return note if status == 200 else b""

        note = await until(published)
        size = int(note.split(b"\n")[1])
        bundle = f"/tile/entries/000.p/{min(size, 255)}"
        assert (await fetch(f"{urls['http']}/tile/0/000.p/1"))[0] == 200
        assert (await fetch(urls["http"] + bundle))[0] == 403
        nobody = tls_of(tmp_path, authority)
        agency = tls_of(tmp_path, authority, site.identity(AGENCY))
        auditor = tls_of(tmp_path, authority, site.identity(AUDITOR))
        for context in (nobody, agency, auditor):
            assert (await fetch(f"{urls['https']}/tile/0/000.p/1", context))[0] == 200
        assert (await fetch(urls["https"] + bundle, nobody))[0] == 403
        assert (await fetch(urls["https"] + bundle, agency))[0] == 403
        status, data = await fetch(urls["https"] + bundle, auditor)
        assert status == 200
        assert b'"kind":"log_opened"' in data
        # The reading is an entry itself, before the bytes leave.
        reading = [entry for entry in site.entries() if entry.get("what") == "bundle"]
        assert [entry["start"] for entry in reading] == [0]
        assert reading[0]["actor"] == site.identity(AUDITOR).party_id


async def test_a_port_in_use_for_the_log_is_told(stage: Stage, tmp_path: Path) -> None:
    with served(web.Application()) as url:
        address = url.removeprefix("http://")
        log = f'http_listen = "{address}"\n'
        made = configured(stage, tmp_path / "home", tables="", log=log)
        with pytest.raises(UnavailableError) as caught:
            await Gateway(made.deployment, listen="127.0.0.1:0").__aenter__()
    assert caught.value.code == "PORT_IN_USE"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on this machine")
async def test_checkpoints_are_time_stamped_while_it_serves(stage: Stage, tmp_path: Path) -> None:
    tsa = TestAuthority(tmp_path / "tsa")
    with served(tsa.app()) as url:
        tables = (
            f'[timestamps]\nurl = "{url}/"\ncertificates = "identity/tsa.pem"\ninterval_s = 1\n'
        )
        made = configured(stage, tmp_path / "home", tables=tables)
        (made.deployment.directory / "identity" / "tsa.pem").write_bytes(tsa.certificates)
        async with serve_site(made):

            async def stamped() -> list[str]:
                return stamp_names(made.deployment.log_directory)

            assert await until(stamped)
