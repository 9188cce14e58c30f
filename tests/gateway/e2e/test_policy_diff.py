"""`xinguan policy diff` over a log that was made by calls: exactly what another law would flip."""

import asyncio
import hashlib
import json
import shutil
import sqlite3
from contextlib import closing

import grpc
import pytest
import pytest_asyncio
from typer.testing import CliRunner

from audit.reader import LogReader
from gateway.cli import log_range, policy_diff
from gateway.cli.policy import app
from gateway.decision.bundle import DEFAULT_POLICIES, build
from gateway.decision.history import read_logged
from gateway.domain.errors import InvalidRequestError, UnavailableError
from gateway.domain.vocabulary import LicenceKind, Role
from tests.gateway.e2e.serving import Member, Site
from tests.gateway.e2e.wire import read_details
from tests.policies.engines import opa_binary

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.opa]
PARTS = ("xinguan", "data", "bundle", "capabilities.json")


@pytest.fixture(scope="module")
def changed_law(tmp_path_factory):
    """The law with one list changed: agencies by filing may not, agencies by banking may."""
    policies = tmp_path_factory.mktemp("changed")
    for name in PARTS:
        source = DEFAULT_POLICIES / name
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, policies / name)
    path = policies / "data" / "lists.json"
    text = path.read_text(encoding="utf-8")
    assert '"AGENCY/ENTERPRISE_CREDIT_FILING"' in text
    changed = text.replace('"AGENCY/ENTERPRISE_CREDIT_FILING"', '"AGENCY/BANKING"')
    path.write_text(changed, encoding="utf-8")
    build(policies, opa_binary())
    return policies


async def diff(site: Site, *arguments: object):
    """Run the command in a thread, as another process would; returns its result."""
    words = [str(word) for word in ("diff", *arguments, "--home", site.deployment.root)]
    return await asyncio.to_thread(CliRunner().invoke, app, words)


async def told(site: Site, *arguments: object, code: int = 0):
    ran = await diff(site, *arguments, "--json")
    assert ran.exit_code == code, ran.output
    return json.loads(ran.stdout)


async def asked(site: Site, member: Member, *parts, code: str = "", **words) -> int:
    """Ask once; return the index of the intent, or of the denial when `code` is expected."""
    if code:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await site.query(member, *parts, **words)
        info, refusal = read_details(caught.value)
        assert info.reason == code
        return refusal.denial_index
    await site.query(member, *parts, **words)
    return max(i for i, entry in enumerate(site.entries()) if entry["kind"] == "intent")


@pytest_asyncio.fixture(loop_scope="session")
async def traffic(open_site):
    """A deployment with some calls of each sort: (site, filing member, banking member, indices)."""
    site = await open_site()
    filing = site.desk.enrol()
    banking = site.desk.enrol(kind=LicenceKind.BANKING)
    bank = site.desk.enrol(
        Role.BANK,
        LicenceKind.BANKING,
        purposes=("ENTERPRISE_CREDIT",),
        scenarios=("CREDIT_LOAN",),
    )
    loan = {"purpose": "ENTERPRISE_CREDIT", "scenario": "CREDIT_LOAN"}
    at = {
        "allowed": [
            await asked(site, filing),
            await asked(site, filing, "legal_entity_base", ["name"]),
        ],
        "denied": [await asked(site, banking, code="NO_LICENCE") for _ in range(2)],
        "same": [
            await asked(site, bank, **loan),
            await asked(site, bank, code="OUT_OF_SCOPE"),
        ],
        "undecided": [await asked(site, filing, subjects=["not-an-id"], code="BAD_ID")],
    }
    query = site.build(filing)
    await site.send(filing, query)
    at["allowed"].append(len(site.entries()) - 2)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await site.send(filing, query)  # the gate refuses what the policy allowed
    at["allowed"].append(read_details(caught.value)[1].denial_index)
    return site, filing, banking, at


async def test_exactly_the_decisions_that_another_law_flips(traffic, changed_law):
    site, filing, banking, at = traffic
    found = await told(site, "current", changed_law, "--log", "all")
    assert (found["complete"], found["diverged"], found["faults"]) == (True, 0, [])
    assert found["refused_before_decision"] == len(at["undecided"])
    decided = len(at["allowed"]) + len(at["denied"]) + len(at["same"])
    assert found["decided_again"] == found["checked_against_record"] == decided
    assert found["distinct_inputs"] == 5  # three of the same company share one input
    tighter, looser = found["groups"]
    assert (tighter["kind"], looser["kind"]) == ("allow_to_deny", "deny_to_allow")
    for group, member, indices in (
        (tighter, filing, at["allowed"]),
        (looser, banking, at["denied"]),
    ):
        (rule,) = group["rules"]
        assert (rule["rule"], rule["code"]) == ("R30", "NO_LICENCE")
        assert rule["speaks_under_new"] is (group is tighter)
        assert rule["clause"]["zh"]
        assert group["requests"] == len(indices)
        assert group["flips"] == [
            {
                "product": "legal_entity_base",
                "party": member.party_id,
                "purpose": "CREDIT_REPORT",
                "indices": indices,
            }
        ]
    assert found["flipped"] == len(at["allowed"]) + len(at["denied"])


async def test_a_range_and_the_way_back(traffic, changed_law):
    site, _, _, at = traffic
    first = at["denied"][0]
    found = await told(site, changed_law, "current", "--log", f"{first}-{first}")
    assert [group["kind"] for group in found["groups"]] == ["allow_to_deny"]
    assert found["groups"][0]["flips"][0]["indices"] == [first]
    assert (await told(site, "current", "current", "--log", f"{first}-"))["groups"] == []
    for wrong in ("7", "9-3", "0-99999", "-3", "x"):
        ran = await diff(site, "current", "current", "--log", wrong)
        assert isinstance(ran.exception, InvalidRequestError)
        assert ran.exception.code == "BAD_RANGE"


async def test_for_people_in_two_languages(traffic, changed_law):
    site, filing, *_ = traffic
    english = (await diff(site, "current", changed_law, "--log", "all", "--lang", "en")).stdout
    assert "allow → deny: 4 requests" in english
    assert "R30 NO_LICENCE (comes in)" in english
    assert f"legal_entity_base {filing.party_id} CREDIT_REPORT: 4 [" in english
    chinese = (await diff(site, "current", changed_law, "--log", "all")).stdout
    assert "拒绝 → 允许: 2" in chinese
    assert "《征信业管理条例》" in chinese
    assert (await diff(site, "current", changed_law, "--log", "all", "--lang", "fr")).exit_code == 2


async def test_a_missing_and_a_tampered_input_are_named(traffic, changed_law):
    site, _, _, at = traffic
    missing, tampered = at["denied"][0], at["allowed"][1]
    with closing(sqlite3.connect(site.deployment.state_path)) as state, state:
        for index, change in (
            (missing, "DELETE FROM decision_inputs WHERE digest = ?"),
            (
                tampered,
                "UPDATE decision_inputs SET body = CAST(body || ' ' AS BLOB) WHERE digest = ?",
            ),
        ):
            digest = read_logged(index, json.dumps(site.entry(index)).encode()).input
            assert state.execute(change, (digest,)).rowcount == 1
    found = await told(site, "current", changed_law, "--log", "all", code=1)
    assert not found["complete"]
    assert {(fault["index"], fault["code"]) for fault in found["faults"]} == {
        *((index, "INPUT_MISSING") for index in at["denied"]),
        (tampered, "INPUT_TAMPERED"),
    }
    (group,) = found["groups"]
    assert group["flips"][0]["indices"] == [i for i in at["allowed"] if i != tampered]
    text = await diff(site, "current", changed_law, "--log", "all", "--lang", "en")
    assert text.exit_code == 1
    assert "!!! NOT DECIDED AGAIN" in text.stdout


async def test_an_outcome_that_the_law_did_not_give_is_told_loudly(traffic):
    """An input swapped under its own digest is caught; an entry that lies is a divergence."""
    site, _, _, at = traffic
    allowed, denied = at["allowed"][0], at["denied"][0]
    entry = site.entry(denied) | {"input": site.entry(allowed)["input"]}
    body = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
    leaf = hashlib.sha256(b"\0" + body).digest()
    with closing(sqlite3.connect(site.deployment.state_path)) as state, state:
        state.execute(
            "UPDATE audit_entry SET body = ?, leaf_hash = ? WHERE position = ?",
            (body, leaf, denied + 1),
        )
    found = await told(site, "current", "current", "--log", f"{denied}-{denied}", code=1)
    assert [(f["index"], f["code"]) for f in found["faults"]] == [(denied, "DIVERGED")]
    assert found["diverged"] == 1


async def test_entries_that_left_the_table_are_read_from_the_published_log(
    traffic, changed_law, monkeypatch
):
    site, *_, at = traffic
    arguments = ("current", changed_law, "--log", f"0-{max(at['allowed'])}")
    before = await told(site, *arguments)
    size = await published(site, max(at["allowed"]))
    with closing(sqlite3.connect(site.deployment.state_path)) as state, state:
        state.execute("DELETE FROM audit_entry WHERE position <= ?", (size,))
    monkeypatch.setattr(policy_diff, "_LONG", 0)  # the bar is no part of what is told
    assert await told(site, *arguments) == before


async def test_entries_that_are_nowhere_are_named(tmp_path):
    reader = LogReader(tmp_path)
    with pytest.raises(UnavailableError) as caught:
        log_range._published(reader, [(4, b"", b"{}")], 4, 6)
    assert caught.value.code == "ENTRY_MISSING"
    assert log_range._published(reader, [(4, b"", b"{}")], 4, 5) == [b"{}"]


async def published(site: Site, index: int) -> int:
    """Wait until an entry is published; return the size of the log then."""
    reader = LogReader(site.deployment.log_directory, site.deployment.log_vkey)
    for _ in range(1_200):
        if (size := reader.checkpoint().size) > index:
            return size
        await asyncio.sleep(0.05)
    raise AssertionError("no checkpoint came")
