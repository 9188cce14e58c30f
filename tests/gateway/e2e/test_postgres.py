"""A gateway whose state lies in PostgreSQL: the same answers, and the same refusal without it."""

import asyncio
import stat
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio

from audit.verify import verify_log
from gateway.config import ConfigError, parse_settings
from gateway.demo.stage import make_deployment, set_stage
from gateway.deployment import Deployment
from gateway.founding import Founding, found
from gateway.registry import licences
from tests.gateway.e2e.conftest import serve_site
from tests.gateway.e2e.serving import PENALTY, Site
from tests.postgres_server import user_of
from tests.simulator import NOW
from xinguan.client import Answer
from xinguan.v1 import repair_pb2


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def remote(postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    url = postgres.database().conninfo
    root = tmp_path_factory.mktemp("postgres") / "home"
    stage = set_stage(root, int(time.time()), companies=60, state_url=url)
    async with serve_site(stage) as served:
        yield served


IN_TIME_S = 20  # less than the gateway would wait for a database that doesn't answer
in_session = pytest.mark.asyncio(loop_scope="session")


@in_session
async def test_it_answers_repairs_and_its_log_verifies(remote) -> None:
    member = remote.desk.enrol()
    answer = Answer(await remote.query(member))
    assert answer.outcome.rows == 1
    assert remote.entry(answer.decision.intent.index)["kind"] == "intent"
    subject = remote.population.penalised
    words: dict[str, Any] = {"subjects": [subject]}
    assert Answer(await remote.query(member, "admin_penalty", PENALTY, **words)).outcome.rows
    stub = remote.repairs(remote.authority)
    decision = remote.desk.repair("admin_penalty", _record_of(remote, subject))
    done = await stub.Publish(repair_pb2.PublishRequest(decision=decision), timeout=60)
    assert remote.entry(done.entry.index)["kind"] == "repair"
    after = Answer(await remote.query(member, "admin_penalty", PENALTY, **words)).outcome.rows
    assert after == 0
    remote.desk.run(licences.suspend, member.licence_id)
    # Another handle suspended it: it holds once the gateway was notified.
    for _ in range(1_200):
        (found,) = await asyncio.gather(remote.query(member), return_exceptions=True)
        if isinstance(found, BaseException):
            break
        await asyncio.sleep(0.05)
    assert isinstance(found, grpc.aio.AioRpcError)
    assert found.code() is grpc.StatusCode.PERMISSION_DENIED
    size = len(remote.entries())
    for _ in range(1_200):
        report = verify_log(remote.deployment.log_directory, remote.deployment.log_vkey)
        if report.checkpoint is not None and report.checkpoint.size >= size:
            break
        await asyncio.sleep(0.05)
    assert report.problems == ()
    assert report.entries >= size
    assert not remote.deployment.state_path.exists()


def _record_of(site: Site, subject: str) -> str:
    """Return the id of the penalty that a subject has."""
    snapshot = site.world.library.current("admin_penalty")
    assert snapshot is not None
    rows = snapshot.locate([subject])
    return str(snapshot.take(rows[:1], ["record_id"])["record_id"][0])


@in_session
async def test_without_its_database_it_refuses_in_time_and_goes_on_afterwards(
    remote, postgres
) -> None:
    member = remote.desk.enrol()
    assert Answer(await remote.query(member)).outcome.rows == 1
    postgres.stop("immediate")
    try:
        for _ in range(5):
            began = time.monotonic()
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await remote.query(member)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            assert "AUDIT_UNAVAILABLE" in str(caught.value.details())
            assert time.monotonic() - began < IN_TIME_S
            await asyncio.sleep(0.1)
    finally:
        postgres.start()
    answer = None
    for _ in range(600):
        try:
            answer = Answer(await remote.query(member))
            break
        except grpc.aio.AioRpcError:
            await asyncio.sleep(0.1)
    assert answer is not None
    assert answer.outcome.rows == 1


def test_the_password_lies_in_a_private_file_and_nowhere_else(postgres, tmp_path) -> None:
    wanted = Founding(
        dev=True,
        authority_pem=b"",
        client_ca_pem=b"",
        node="node-1",
        origin="example.com/log",
        operator="",
        listen="127.0.0.1:0",
        server_names=("localhost",),
        state_url=postgres.database().conninfo,
        state_password="very-secret-words",
    )
    assert "very-secret-words" not in repr(wanted)
    deployment = found(tmp_path / "home", wanted, NOW)
    path = deployment.directory / "keys/state.password"
    assert path.read_text() == "very-secret-words"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "very-secret" not in (deployment.directory / "xinguan.toml").read_text()
    Deployment.open(tmp_path / "home").open_state().close()
    path.chmod(0o644)
    with pytest.raises(Exception, match="its owner alone") as caught:
        deployment.open_state()
    assert caught.value.code == "BAD_FILE_MODE"  # type: ignore[attr-defined]  # a KeyFileError


def test_a_database_that_holds_a_log_is_not_founded_upon_again(postgres, tmp_path) -> None:
    url = postgres.database().conninfo
    make_deployment(tmp_path / "one", NOW, state_url=url)
    with pytest.raises(ConfigError) as caught:
        make_deployment(tmp_path / "two", NOW, state_url=url)
    assert caught.value.code == "NOT_EMPTY"
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:secret@db.example/x",
        "postgresql://u@db.example/x?password=secret",
        "postgresql://u@db.example/x?options=-csynchronous_commit%3Doff",
        "postgresql://u@db.example/x?service=other",
        "mysql://u@db.example/x",
        "host=db.example password=secret",
    ],
)
def test_settings_that_hold_a_password_or_more_are_refused(url) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_settings(f'[state]\nurl = "{url}"\n')
    assert caught.value.code == "BAD_CONFIG"
    assert "secret" not in caught.value.message


def test_the_user_of_the_tests_is_no_superuser(postgres) -> None:
    """Otherwise these tests would not show what an ordinary account may do."""
    user = user_of(postgres.database())
    with postgres.admin() as admin:
        found_row = admin.execute("SELECT rolsuper FROM pg_roles WHERE rolname = %s", (user,))
        assert found_row.fetchone() == (False,)
