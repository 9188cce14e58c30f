"""`xinguan recall`, against a state in which a receiver has been told and hasn't answered."""

import json
import time
from http.server import BaseHTTPRequestHandler

import pyarrow as pa
import pytest

from audit.openings import OpeningStore
from gateway.deployment import Deployment
from gateway.domain.vocabulary import Role
from gateway.identity.keyfiles import (
    new_document_key,
    public_pem,
    read_document_key,
    write_private_key,
)
from gateway.registry import document_keys, parties
from gateway.registry.act import Act
from gateway.registry.documents import sign as sign_document
from gateway.release.pseudonym import ConsumerKeys
from gateway.repair.recall.compute import NoticeKeys, Recaller
from gateway.repair.recall.rows import RecordPlaces
from gateway.repair.recall.suspension import SUSPENSION_TYPE, RulingClaims, escalate, propose
from tests.gateway.repair.recall.simulated import Simulated, party
from tests.gateway.repair.recall.test_probe import reply, serving

OPERATOR = party(90)


@pytest.fixture
def told(xinguan):
    """A notice of an hour ago, overdue and proposed; returns its index and the proposal's."""
    deployment = Deployment.open(xinguan.home)
    sim = Simulated.__new__(Simulated)
    sim.root, sim.now = deployment.directory, int(time.time()) - 3_600
    state = deployment.open_state()
    from gateway.snapshot.library import SnapshotLibrary

    sim.state, sim.library = state, SnapshotLibrary(deployment.snapshots_directory)
    act = Act(sim.now, "n")
    for who, role in ((OPERATOR, Role.OPERATOR), (party(1), Role.AGENCY)):
        wanted = parties.registration(who, "示例机构", role)
        state.run(lambda tx, wanted=wanted: parties.register(tx, wanted, act))
    snapshot = sim.admit([f"r{n:03d}" for n in range(8)])
    sim.deliver(party(1), snapshot, [[5, 6]], "K")
    repair = sim.repair("r005")
    recaller = Recaller(
        state,
        RecordPlaces(deployment.snapshots_directory),
        NoticeKeys(
            issuer="x",
            signing=new_document_key(),
            openings=OpeningStore(deployment.secrets().opening_key),
            consumer=lambda who: ConsumerKeys.derive(b"m" * 32, who),
        ),
        node="n",
        due_s=60,
        clock_s=lambda: sim.now,
    )
    recaller.compute()
    now = int(time.time())
    state.run(lambda tx: escalate(tx, node="n", now=now))
    state.run(lambda tx: propose(tx, node="n", now=now, wait_s=0))
    ((notice, proposal),) = sim.rows("SELECT notice, proposal FROM recall_notices")
    key = new_document_key()
    state.run(lambda tx: document_keys.register(tx, OPERATOR, key.public_key(), act))
    write_private_key(xinguan.home / "operator.key", key)
    assert public_pem(key.public_key())
    state.close()
    return {"notice": notice, "proposal": proposal, "repair": repair}


def test_status_shows_who_has_not_answered(xinguan, told):
    shown = xinguan.do("recall", "status")
    assert (shown["unanswered"], shown["overdue"], shown["not_computed"]) == (1, 1, 0)
    (row,) = shown["notices"]
    assert (row["notice"], row["party"], row["status"]) == (told["notice"], party(1), "PROPOSED")
    assert "r005" not in json.dumps(shown)
    by_repair = xinguan.do("recall", "status", "--repair", told["repair"], "--unanswered")
    assert len(by_repair["notices"]) == len(by_repair["recalls"]) == 1
    assert xinguan.do("recall", "status", "--org", party(2))["notices"] == []
    for none_such in ("none-such", told["repair"] + 1, 999_999, 1 << 63, "9" * 5_000, "-1", "²"):
        assert xinguan.refuse("recall", "status", f"--repair={none_such}") == "NOT_FOUND"
    ran = xinguan("recall", "status")
    assert ran.code == 0
    assert "PROPOSED" in ran.out


def test_a_repair_that_nobody_is_told_of_is_no_missing_one(xinguan, told):
    state = Deployment.open(xinguan.home).open_state()
    state.run(
        lambda tx: tx.execute(
            "INSERT INTO repairs (repair_id, digest, document, log_index, leaf_hash)"
            " VALUES ('r-1', 'd', 'd', 3, ?)",
            (bytes(32),),
        )
    )
    state.close()
    for repair in ("r-1", 3):
        shown = xinguan.do("recall", "status", "--repair", repair)
        assert (shown["recalls"], shown["notices"]) == ([], [])


def test_a_purge_list_is_an_arrow_file(xinguan, told, tmp_path):
    out = tmp_path / "purge.arrow"
    written = xinguan.do("recall", "purge-list", "--org", party(1), "--out", out)
    assert written["rows"] == 1
    with pa.memory_map(str(out)) as source:
        (row,) = pa.ipc.open_file(source).read_all().to_pylist()
    assert (row["kind"], row["position"], row["record_key"]) == ("STOP_USE", 0, "r005")
    assert out.stat().st_mode & 0o077 == 0
    missing = tmp_path / "no" / "where.arrow"
    assert xinguan("recall", "purge-list", "--org", party(1), "--out", missing).code == 2


def test_a_probe_says_what_the_receiver_shows_and_logs_it(xinguan, told):
    done = xinguan.do("recall", "probe", told["notice"])
    assert done["result"] == "NO_ENDPOINT"
    entry = xinguan.entry(done["entry"])
    assert (entry["kind"], entry["result"]) == ("recall_probed", "NO_ENDPOINT")
    assert xinguan.refuse("recall", "endpoint", party(1), "http://example.com/") == "BAD_REQUEST"
    for shown, code, result in ((False, 0, "CLEAN"), (True, 1, "STILL_SHOWN")):

        def answer(handler: BaseHTTPRequestHandler, asked: dict, shown: bool = shown) -> None:
            said = {"v": 1, "nonce": asked["nonce"], "shown": shown}
            reply(handler, json.dumps(said).encode())

        with serving(answer) as url:
            declared = xinguan.do("recall", "endpoint", party(1), url)
            assert declared["endpoint"] == url
            ran = xinguan("recall", "probe", told["notice"], "--json")
        assert (ran.code, ran.json["result"]) == (code, result)
    assert xinguan.do("recall", "endpoint", party(1))["endpoint"] == url
    assert xinguan.do("recall", "endpoint", party(1), "--remove")["endpoint"] == ""
    assert xinguan.do("recall", "status")["notices"][0]["probe"] == "STILL_SHOWN"
    assert xinguan.refuse("recall", "probe", "999999") == "NOT_FOUND"


def test_a_person_decides_with_a_key(xinguan, told):
    proposal, key = told["proposal"], xinguan.home / "operator.key"
    (row,) = xinguan.do("recall", "suspend", "list")
    assert (row["proposal"], row["status"], row["objections"]) == (proposal, "OPEN", [])
    assert xinguan("recall", "suspend", "sign", proposal).code == 2
    words = ("--key", key, "--person", "示例值班员")
    decided = xinguan.do("recall", "suspend", "dismiss", proposal, *words, "--days", 5)
    assert (decided["decision"], decided["suspended"]) == ("DISMISSED", [])
    assert xinguan.do("recall", "status")["overdue"] == 0
    assert xinguan.refuse("recall", "suspend", "sign", proposal, *words) == "CONFLICT"
    assert xinguan.refuse("recall", "suspend", "sign", 1, *words) == "NOT_FOUND"


def test_a_signed_decision_says_all_by_itself(xinguan, told, tmp_path):
    proposal, key = told["proposal"], read_document_key(xinguan.home / "operator.key")
    claims = RulingClaims(
        proposal=proposal, party=party(1), ruling="DISMISS", person="p", due_days=7, decided_at=1
    )
    document = tmp_path / "ruling.jws"
    document.write_text(sign_document(claims, key, SUSPENSION_TYPE))
    dismiss = ("recall", "suspend", "dismiss", proposal, "--document", document)
    for more in (("--person", "x"), ("--reason", "x"), ("--days", 3), ("--days", 7)):
        assert xinguan(*dismiss, *more).code == 2
        assert xinguan.do("recall", "suspend", "list")[0]["status"] == "OPEN"
    sign = ("recall", "suspend", "sign", proposal, "--document", document)
    assert xinguan(*sign, "--person", "x").code == 2
    assert xinguan.refuse(*sign) == "BAD_REQUEST"
    assert xinguan.do(*dismiss)["decision"] == "DISMISSED"


def test_no_number_of_a_proposal_is_too_large_to_be_refused(xinguan, told):
    words = ("--key", xinguan.home / "operator.key", "--person", "x")
    for deed in ("sign", "dismiss"):
        assert xinguan.refuse("recall", "suspend", deed, *words, (1 << 63) - 1) == "NOT_FOUND"
        for number in (1 << 63, -1):
            ran = xinguan("recall", "suspend", deed, *words, "--", number)
            assert (ran.code, "Traceback" in ran.err) == (2, False)
            assert "PROPOSAL" in ran.err


def test_a_key_of_nobody_decides_nothing(xinguan, told):
    stranger = xinguan.home / "stranger.key"
    write_private_key(stranger, new_document_key())
    words = ("--key", stranger, "--person", "x")
    refused = xinguan.refuse("recall", "suspend", "sign", told["proposal"], *words)
    assert refused == "BAD_SIGNATURE"
    assert xinguan.do("recall", "suspend", "list")[0]["status"] == "OPEN"
