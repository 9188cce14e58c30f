"""Replay, chain and evidence packs of a log that was made by calls, checked by the stand-alone
verifier, which shares no code with what made them."""

import asyncio
import json
import shutil
import sqlite3
from contextlib import closing

import grpc
import pytest
import pytest_asyncio
from typer.testing import CliRunner

from audit.container import pack_files
from audit.pack import open_pack
from audit.reader import LogReader
from audit.standalone import verifier
from gateway.cli.audit import app
from gateway.domain.vocabulary import LicenceKind
from tests.gateway.e2e.serving import OPERATOR, Site
from tests.gateway.e2e.wire import read_details
from tests.policies.engines import opa_binary

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.opa]
FIELDS = ["uscc", "name", "contact_phone"]


async def run(site: Site, *words: object, code: int = 0):
    """Run `xinguan audit ...` in a thread, as another process would; returns what it printed."""
    given = [*map(str, words), "--home", str(site.deployment.root), "--json"]
    ran = await asyncio.to_thread(CliRunner().invoke, app, given)
    assert ran.exit_code == code, (ran.output, ran.exception)
    return json.loads(ran.stdout)


def check(path, *words: object, code: int = 0, vkey: str):
    """Run the verifier as a program would; returns what it printed."""
    import contextlib
    import io

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        found = verifier.main([str(path), "--key", vkey, "--json", *map(str, words)])
    assert found == code, out.getvalue()
    return json.loads(out.getvalue())


async def published(site: Site) -> None:
    """Wait until the running gateway has published all that is there now."""
    size = len(site.bodies())
    reader = LogReader(site.deployment.log_directory, site.deployment.log_vkey)
    for _ in range(1_200):
        if reader.checkpoint().size >= size:
            return
        await asyncio.sleep(0.05)
    pytest.fail("the gateway published nothing for a minute")


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def traffic(stage, tmp_path_factory):
    """A deployment with an answer, a refusal by the law and one by the gate; published."""
    from tests.gateway.e2e.conftest import serve_site
    from tests.gateway.e2e.serving import copy_stage

    copied = copy_stage(stage, tmp_path_factory.mktemp("evidence") / "home")
    async with serve_site(copied) as site:
        agency = site.desk.enrol()
        banking = site.desk.enrol(kind=LicenceKind.BANKING)
        answer = await site.query(agency, "legal_entity_base", FIELDS)
        await site.query(agency, "legal_entity_base", ["name"])
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await site.query(banking)
        with pytest.raises(grpc.aio.AioRpcError) as malformed:
            await site.query(agency, subjects=["not-an-id"])
        at = {
            "denial": read_details(refused.value)[1].denial_index,
            "undecided": read_details(malformed.value)[1].denial_index,
            "intent": next(i for i, e in enumerate(site.entries()) if e["kind"] == "intent"),
        }
        await published(site)
        yield site, agency, answer, at


def decided_entries(site):
    """Return what was decided so far; a test here adds to it."""
    return [e for e in site.entries() if e["kind"] in ("intent", "denial") and "input" in e]


async def test_every_intent_and_denial_leads_to_its_policy_and_input(traffic):
    site, *_ = traffic
    decided = decided_entries(site)
    assert len(decided) >= 3
    for entry in decided:
        assert {"bundle", "decision", "policy", "pinned"} <= entry.keys()
        activation = site.entry(entry["policy"])
        assert (activation["kind"], activation["bundle"]) == ("policy_activated", entry["bundle"])
    with closing(sqlite3.connect(site.deployment.state_path)) as state:
        kinds = [row[0] for row in state.execute("SELECT kind FROM policy_artefacts")]
    assert sorted(kinds) == ["BUNDLE", "WASM"]


@pytest.mark.parametrize("engine", ["embedded", "opa"])
async def test_replay_gets_every_decision_to_the_byte(traffic, engine):
    site, *_ = traffic
    told = await run(site, "replay", "--engine", engine, "--opa", opa_binary())
    count = len(decided_entries(site))
    assert count >= 3
    assert (told["decisions"], told["identical"]) == (count, count)
    assert told["refused before a decision"] == 1
    assert (told["diverged"], told["missing"]) == ([], [])


async def test_replay_of_a_range(traffic):
    site, _, _, at = traffic
    told = await run(site, "replay", f"{at['denial']}:{at['denial'] + 1}")
    assert (told["entries"], told["identical"]) == (1, 1)
    for wrong in ("7", "9:3", ":99999999", "x:"):
        given = ["replay", wrong, "--home", str(site.deployment.root)]
        ran = await asyncio.to_thread(CliRunner().invoke, app, given)
        assert ran.exception.code == "BAD_RANGE"


async def test_replay_names_what_is_missing_and_what_diverges(traffic, tmp_path):
    site, _, _, at = traffic
    home = tmp_path / "copy"
    shutil.copytree(site.deployment.root, home)
    path = home / site.deployment.state_path.relative_to(site.deployment.root)
    intent = site.entry(at["intent"])
    with closing(sqlite3.connect(path)) as state:
        state.execute("UPDATE policy_artefacts SET body = x'00' WHERE kind = 'WASM'")
        state.commit()
    ran = await asyncio.to_thread(
        CliRunner().invoke, app, ["replay", "--home", str(home), "--json"]
    )
    assert ran.exit_code == 1
    assert {each["code"] for each in json.loads(ran.stdout)["missing"]} == {"BUNDLE_TAMPERED"}
    with closing(sqlite3.connect(path)) as state:
        state.execute("DELETE FROM policy_artefacts")
        state.execute("DELETE FROM decision_inputs")
        state.commit()
    told = json.loads(
        (
            await asyncio.to_thread(
                CliRunner().invoke, app, ["replay", "--home", str(home), "--json"]
            )
        ).stdout
    )
    assert {each["code"] for each in told["missing"]} == {"INPUT_MISSING"}
    assert told["missing"][0]["index"] == at["intent"]
    assert intent["input"] not in json.dumps(told)


async def test_the_chain_names_every_organisation(traffic):
    site, agency, _, at = traffic
    told = await run(site, "chain", at["intent"])
    kinds = {row["kind"] for row in told["steps"]}
    assert kinds == {
        "intent", "outcome", "licence_activated", "policy_activated", "node_started",
        "contract_published", "certificate_pinned", "party_registered", "snapshot_admitted",
        "key_changed",
    }  # fmt: skip
    assert told["gaps"] == []
    user = next(row for row in told["steps"] if row["kind"] == "intent")
    assert user["organisation"].startswith(agency.party_id)
    assert user["person"].startswith("committed to as ")
    opened = await run(site, "chain", at["intent"], "--open", "--reason", "complaint")
    assert opened["steps"][0]["person"] == OPERATOR
    assert all(row["organisation"] for row in told["steps"])
    from_outcome = await run(site, "chain", at["intent"] + 1)
    assert from_outcome["steps"][0]["entry"] == at["intent"]


async def pack_of(site, path, *words, code=0):
    return await run(site, "evidence", *words, "--reason", "audit", "--out", path, code=code)


@pytest.mark.parametrize("engine", ["opa", "wasm"])
async def test_a_pack_of_a_request_holds_and_decides_again(traffic, tmp_path, engine):
    site, _, _, at = traffic
    path = tmp_path / "request.pack"
    request = site.entry(at["intent"])["request"]
    made = await pack_of(site, path, "--request", request, "--disclose", "operator")
    assert made["missing"] == []
    vkey = site.deployment.log_vkey
    told = check(path, "--replay", "--engine", engine, "--opa", opa_binary(), vkey=vkey)
    assert told["holds"]
    assert told["disclosed"] == [{"entry": at["intent"], "name": "operator", "value": OPERATOR}]
    texts = " ".join(each["text"] for each in told["checked"])
    assert "1 decisions made again" in texts
    assert "1 promises hold" in texts
    assert "1 documents are signed" in texts


async def test_fields_are_opened_one_by_one(traffic, tmp_path):
    site, agency, *_ = traffic
    async with site.client(agency) as client:
        got = await client.query(
            "legal_entity_base",
            FIELDS,
            subjects=[site.population.sample[3]],
            purpose="CREDIT_REPORT",
            scenario="ENTERPRISE_REPORT",
            operator=OPERATOR,
            case_reference="c",
        )
    await published(site)
    columns = got.table().to_pydict()
    plain = tmp_path / "answer.json"
    plain.write_text(json.dumps(columns), encoding="utf-8")
    path = tmp_path / "fields.pack"
    words = ("--request", got.decision.request_id, "--disclose", "name", "--answer", plain)
    await pack_of(site, path, *words)
    (opened,) = check(path, vkey=site.deployment.log_vkey)["disclosed"]
    assert opened["name"] == "name"
    assert json.loads(opened["value"]) == columns["name"]
    assert columns["uscc"][0].encode() not in path.read_bytes()


async def test_packs_of_a_party_a_subject_and_a_range(traffic, tmp_path):
    site, agency, _, at = traffic
    vkey = site.deployment.log_vkey
    for name, words in {
        "party": ("--org", agency.party_id),
        "subject": ("--subject", site.population.sample[3]),
        "range": ("--range", f"{at['intent']}:{at['denial'] + 1}"),
        "all": ("--range", "0:"),
    }.items():
        path = tmp_path / name
        await pack_of(site, path, *words)
        told = check(path, "--replay", "--opa", opa_binary(), vkey=vkey)
        assert told["holds"]
        assert site.population.sample[3].encode() not in path.read_bytes()
        given = ["replay", "--pack", str(path), "--json"]
        replayed = await asyncio.to_thread(CliRunner().invoke, app, given)
        assert replayed.exit_code == 0, replayed.output
        assert json.loads(replayed.stdout)["identical"] >= 1
        incomplete = any(each.startswith("completeness") for each in told["not_checked"])
        assert incomplete is (name in ("party", "subject"))


async def test_a_range_can_not_be_thinned_out(traffic, tmp_path):
    site, _, _, at = traffic
    path = tmp_path / "range"
    await pack_of(site, path, "--range", f"{at['intent']}:{at['denial'] + 1}")
    files = dict(open_pack(path.read_bytes()).files)
    lines = files["entries.txt"].splitlines(keepends=True)
    gone = f"{at['denial']} ".encode()
    files["entries.txt"] = b"".join(line for line in lines if not line.startswith(gone))
    manifest = json.loads(files["manifest.json"])
    from hashlib import sha256

    manifest["chosen"].remove(at["denial"])
    manifest["files"]["entries.txt"] = {
        "bytes": len(files["entries.txt"]),
        "sha256": sha256(files["entries.txt"]).hexdigest(),
    }
    files["manifest.json"] = json.dumps(
        manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    ).encode()
    path.write_bytes(pack_files(files))
    assert check(path, code=1, vkey=site.deployment.log_vkey)["code"] == "RANGE"


async def test_the_file_is_private_and_never_overwritten(traffic, tmp_path):
    site, *_ = traffic
    path = tmp_path / "pack"
    await pack_of(site, path, "--range", "0:3")
    assert path.stat().st_mode & 0o777 == 0o600
    given = ["evidence", "--range", "0:3", "--reason", "x", "--out", str(path)]
    ran = CliRunner().invoke(app, [*given, "--home", str(site.deployment.root)])
    assert ran.exception.code == "FILE_EXISTS"
