"""`xinguan audit`: whose key counts, what a reading leaves in the log, and what goes to stdout."""

import json
import shutil

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.note import Ed25519Signer

# The origin of the log that `init` makes, under a key that is not its own.
OTHER = Ed25519Signer(
    "xinguan.example/log", Ed25519PrivateKey.from_private_bytes(bytes(32))
).verifier_key


def own_key(xinguan) -> str:
    return (xinguan.home / "gateway" / "keys" / "log.vkey").read_text().strip()


@pytest.fixture
def copy(xinguan, tmp_path):
    xinguan.do("audit", "integrate")
    return shutil.copytree(xinguan.home / "gateway" / "log", tmp_path / "copy")


def readings(xinguan) -> list[dict]:
    """Publish what is not yet, and return what was read before now."""
    xinguan.do("audit", "integrate")
    entries = xinguan.do("audit", "entries", "--count", 1_000)
    return [entry for entry in entries if entry["kind"] == "audit_read"]


def test_a_pinned_key_counts_for_the_own_log_too(xinguan, copy, tmp_path) -> None:
    for where in ((), ("--log", copy)):
        assert xinguan.do("audit", "verify", *where, "--key", own_key(xinguan))["verified"]
        ran = xinguan("audit", "verify", *where, "--key", OTHER, "--json")
        assert (ran.code, ran.json["verified"]) == (1, False)
        for words in (("entries",), ("prove", 0, "--out", tmp_path)):
            refused = xinguan.refuse("audit", *words, *where, "--key", OTHER)
            assert refused == "NOT_FOUND"
    assert not (tmp_path / "0.json").exists()


def test_the_key_of_a_policy_counts_for_the_own_log_too(xinguan, copy, tmp_path) -> None:
    policy = tmp_path / "policy"
    policy.write_text(f"log {OTHER}\nquorum none\n")
    for where in ((), ("--log", copy)):
        ran = xinguan("audit", "verify", *where, "--policy", policy, "--json")
        assert (ran.code, ran.json["verified"]) == (1, False)
    policy.write_text(f"log {own_key(xinguan)}\nquorum none\n")
    assert xinguan.do("audit", "verify", "--policy", policy)["verified"]


def test_a_key_that_is_none_is_refused(xinguan, copy, tmp_path) -> None:
    for words in (("verify",), ("entries",), ("prove", 0, "--out", tmp_path)):
        assert xinguan.refuse("audit", *words, "--key", "junk") == "BAD_KEY"
        assert xinguan.refuse("audit", *words, "--log", copy, "--key", "junk") == "BAD_KEY"
        assert xinguan.refuse("audit", *words, "--log", copy) == "BAD_REQUEST"


def test_a_receipt_of_the_own_log_is_a_reading(xinguan, copy, tmp_path) -> None:
    xinguan.do("audit", "prove", 0, "--log", copy, "--key", own_key(xinguan), "--out", tmp_path)
    assert readings(xinguan) == []
    xinguan.do("audit", "prove", 0, "--out", tmp_path)
    read = [entry for entry in readings(xinguan) if entry["what"] == "receipt"]
    assert [(entry["start"], entry["count"]) for entry in read] == [(0, 1)]
    # What isn't in the log is not read, whatever its number.
    for index in (1_000_000, 1 << 70):
        refused = xinguan.refuse("audit", "prove", index, "--out", tmp_path)
        assert refused == "NOT_FOUND"
    assert sum(entry["what"] == "receipt" for entry in readings(xinguan)) == 1


@pytest.mark.parametrize("words", [("verify",), ("doctor",), ("index", "verify")])
def test_a_bar_never_stands_in_the_json(xinguan, copy, monkeypatch, words) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as if it were a terminal
    ran = xinguan("audit", *words, "--json")
    assert isinstance(json.loads(ran.out), dict)
    assert "\x1b[" in ran.err


def test_a_pack_is_replayed_whole(xinguan, tmp_path) -> None:
    pack = tmp_path / "range.pack"
    xinguan.do("audit", "integrate")
    evidence = ("audit", "evidence", "--range", "0:1", "--reason", "r", "--out", pack)
    assert xinguan.do(*evidence)["chosen"] == 1
    for whole in ((), (":",)):
        assert xinguan.do("audit", "replay", *whole, "--pack", pack)["entries"] >= 1
    ran = xinguan("audit", "replay", "0:1", "--pack", pack)
    assert ran.code == 2
    assert "a pack is replayed whole" in ran.err
