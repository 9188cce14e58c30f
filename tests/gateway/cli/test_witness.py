"""`xinguan audit witness`, `audit serve` and what `audit verify` says about who vouches."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from gateway.cli.console import instant
from tests.audit.http_world import served
from tests.audit.tsa import TestAuthority
from tests.conftest import ROOT

NAME = "witness.example/one"
_PROGRAM = "from gateway.cli.main import main; main()"


class Running:
    """A command of the program in a process of its own."""

    def __init__(self, *words: object, home: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *[str(word) for word in words]],
            env=os.environ
            | {
                "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "proto")]),
                "XINGUAN_HOME": str(home),
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.line = self._process.stdout.readline()

    def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=60)
        return self._process.returncode


def url_of(running: Running, name: str = "listening") -> str:
    return str(json.loads(running.line)[name])


def get(url: str) -> tuple[int, bytes]:
    try:
        with urlopen(url, timeout=60) as answer:  # noqa: S310 - our own server
            return answer.status, answer.read()
    except HTTPError as error:
        with error:
            return error.code, error.read()


def configure(xinguan, witness, url: str) -> Path:
    gateway = xinguan.home / "gateway"
    log_key = (gateway / "keys" / "log.vkey").read_text().strip()
    policy = gateway / "identity" / "witnesses"
    policy.write_text(f"log {log_key}\nwitness w {witness} {url}\nquorum w\n")
    with (gateway / "xinguan.toml").open("a") as settings:
        settings.write('\n[witnesses]\npolicy = "identity/witnesses"\n')
    return policy


def test_a_witness_in_a_process_of_its_own_vouches_for_a_log(xinguan, tmp_path) -> None:
    place = tmp_path / "witness"
    made = xinguan.do("audit", "witness", "init", "--home", place, "--name", NAME)
    log_key = (xinguan.home / "gateway" / "keys" / "log.vkey").read_text()
    added = xinguan.do("audit", "witness", "add-log", log_key, "--home", place)
    assert added["witnessed log"] == "xinguan.example/log"
    running = Running(
        *("audit", "witness", "serve", "--home", place, "--listen", "127.0.0.1:0", "--json"),
        home=xinguan.home,
    )
    try:
        policy = configure(xinguan, made["witness"], url_of(running))
        size = xinguan.do("audit", "integrate")["size"]
        told = xinguan.do("audit", "witness", "status")
        assert (told["witnessed"], told["witnesses"], told["size"]) == (True, ["w"], size)
        assert told["witnessed_size"] == size
        assert abs(told["age_s"]) < 30
        verified = xinguan.do("audit", "verify")
        assert verified["verified"]
        assert verified["witnesses"] == ["w"]
        assert verified["witnessed"].startswith("yes (a quorum had seen it at ")
        assert xinguan.do("audit", "witness", "logs", "--home", place) == [
            {"log": "xinguan.example/log", "size": size}
        ]
        # An auditor has a copy and the policy, and nothing else; the key is in the policy.
        copy = tmp_path / "copy"
        shutil.copytree(xinguan.home / "gateway" / "log", copy)
        apart = xinguan.do("audit", "verify", "--log", copy, "--policy", policy)
        assert apart["witnessed"].startswith("yes")
        xinguan.do("audit", "prove", 0, "--out", tmp_path)
        checked = xinguan.do(
            *("audit", "check", tmp_path / "0.tlog-proof", tmp_path / "0.json"),
            *("--key", log_key.strip(), "--policy", policy),
        )
        assert checked["witnesses"] == ["w"]
    finally:
        assert running.stop() == 0
    # The witness is gone; what it said stays, and grows old.
    assert xinguan.do("audit", "witness", "status")["witnessed"]
    assert xinguan("audit", "integrate", "--json").code == 1
    assert xinguan.do("audit", "verify")["verified"]


def test_a_log_without_a_quorum_does_not_verify_under_a_policy(xinguan, tmp_path) -> None:
    xinguan.do("audit", "integrate")
    assert xinguan.do("audit", "verify")["witnessed"].startswith("no (unwitnessed")
    place = tmp_path / "witness"
    made = xinguan.do("audit", "witness", "init", "--home", place, "--name", NAME)
    log_key = (xinguan.home / "gateway" / "keys" / "log.vkey").read_text().strip()
    policy = tmp_path / "policy"
    policy.write_text(f"log {log_key}\nwitness w {made['witness']}\nquorum w\n")
    ran = xinguan("audit", "verify", "--policy", policy, "--json")
    assert ran.code == 1
    assert ran.json["witnessed"] == "no"
    assert ran.json["problems"] == ["the quorum of the policy has not witnessed it"]
    xinguan.do("audit", "prove", 0, "--out", tmp_path)
    proof = (tmp_path / "0.tlog-proof", tmp_path / "0.json", "--key", log_key)
    assert xinguan.do("audit", "check", *proof)["proved"]
    assert xinguan.refuse("audit", "check", *proof, "--policy", policy) == "BAD_PROOF"
    policy.write_text(f"log {log_key}\nquorum none\n")
    told = xinguan.do("audit", "verify", "--policy", policy)
    assert told["witnessed"].startswith("no (unwitnessed")
    policy.write_text("nonsense\n")
    assert xinguan.refuse("audit", "verify", "--policy", policy) == "BAD_POLICY"
    assert xinguan.refuse("audit", "witness", "status") == "BAD_POLICY"


def test_what_a_witness_is_made_of_is_private_and_made_once(xinguan, tmp_path) -> None:
    place = tmp_path / "witness"
    init = ("audit", "witness", "init", "--home", place, "--name", NAME)
    made = xinguan.do(*init)
    modes = {path.name: path.stat().st_mode & 0o777 for path in place.iterdir()}
    assert modes == {"witness.key": 0o600, "witness.vkey": 0o644, "witness.sqlite3": 0o600}
    assert place.stat().st_mode & 0o777 == 0o700
    assert (place / "witness.vkey").read_text().strip() == made["witness"]
    assert "PRIVATE" not in made["witness"]
    assert xinguan.refuse(*init) == "FILE_EXISTS"
    name = ("--name", "two words")
    assert xinguan.refuse(*init[:-2], *name) == "BAD_REQUEST"
    add = ("audit", "witness", "add-log")
    assert xinguan.refuse(*add, "nonsense", "--home", place) == "BAD_KEY"
    assert xinguan.refuse(*add, made["witness"], "--home", place) == "BAD_KEY"
    assert xinguan.refuse(*add, "x", "--home", tmp_path) == "NO_KEY"
    (place / "witness.key").chmod(0o644)
    assert xinguan.refuse(*add, "x", "--home", place) == "BAD_FILE_MODE"
    (place / "witness.key").chmod(0o600)
    (place / "witness.key").write_text("PRIVATE+KEY+nonsense")
    assert xinguan.refuse(*add, "x", "--home", place) == "BAD_KEY"


def test_a_witness_that_lost_its_memory_vouches_for_nothing(xinguan, tmp_path) -> None:
    place = tmp_path / "witness"
    xinguan.do("audit", "witness", "init", "--home", place, "--name", NAME)
    database = place / "witness.sqlite3"
    database.rename(tmp_path / "elsewhere")
    log_key = (xinguan.home / "gateway" / "keys" / "log.vkey").read_text().strip()
    for words in (("add-log", log_key), ("logs",), ("serve", "--listen", "127.0.0.1:0")):
        ran = xinguan("audit", "witness", *words, "--home", place, "--json")
        assert (ran.code, ran.reason) == (2, "MEMORY_LOST")
        assert "second history" in json.loads(ran.err)["message"]
    assert not database.exists()
    database.write_bytes(b"")
    assert xinguan("audit", "witness", "logs", "--home", place).code == 1
    (tmp_path / "elsewhere").rename(database)
    assert xinguan.do("audit", "witness", "logs", "--home", place) == []


def test_the_log_is_served_to_whoever_may_read_it(xinguan) -> None:
    xinguan.do("audit", "integrate")
    running = Running(
        *("audit", "serve", "--listen", "127.0.0.1:0", "--entries-listen", "127.0.0.1:0"),
        *("--https-listen", "127.0.0.1:0", "--json"),
        home=xinguan.home,
    )
    try:
        public, entries = url_of(running), url_of(running, "entries")
        assert url_of(running, "https").startswith("https://")
        status, note = get(f"{public}/checkpoint")
        size = int(note.split(b"\n")[1])
        assert (status, size > 0) == (200, True)
        assert get(f"{public}/tile/0/000.p/{size}")[0] == 200
        assert get(f"{public}/tile/entries/000.p/{size}")[0] == 403
        assert b"log_opened" in get(f"{entries}/tile/entries/000.p/{size}")[1]
    finally:
        assert running.stop() == 0


def test_entries_are_not_shown_to_a_network(xinguan, tmp_path) -> None:
    for host in ("0.0.0.0", "192.0.2.1", "localhost.example", "[::]"):  # noqa: S104 - refused
        refused = xinguan.refuse("audit", "serve", "--entries-listen", f"{host}:0")
        assert refused == "BAD_REQUEST"
    copy = ("--log", tmp_path, "--https-listen", "127.0.0.1:0")
    assert xinguan.refuse("audit", "serve", *copy) == "BAD_REQUEST"
    assert xinguan("audit", "serve", "--listen", "nonsense").code == 2


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl on this machine")
def test_a_time_stamp_is_kept_and_verified(xinguan, tmp_path) -> None:
    xinguan.do("audit", "integrate")
    tsa = TestAuthority(tmp_path / "tsa")
    pem = tmp_path / "tsa.certificates"
    pem.write_bytes(tsa.certificates)
    assert xinguan.refuse("audit", "stamp") == "BAD_REQUEST"
    with served(tsa.app()) as url:
        stamp = ("audit", "stamp", "--url", f"{url}/", "--tsa", pem)
        before = instant(int(time.time()))
        assert len(xinguan.do(*stamp)["stamped"]) == 64
        after = instant(int(time.time()) + 1)
        assert xinguan.do(*stamp)["stamped"] == "already"
    assert xinguan.do("audit", "verify")["time-stamps"] == "1 not checked (give --tsa)"
    told = xinguan.do("audit", "verify", "--tsa", pem)
    assert told["time-stamps"] == 1
    assert before <= told["newest time-stamp"].partition(" entries at ")[2] <= after
    (reply,) = (xinguan.home / "gateway" / "log" / "timestamp").glob("*.tsr")
    reply.write_bytes(b"nonsense")
    ran = xinguan("audit", "verify", "--tsa", pem, "--json")
    assert ran.code == 1
    assert "time-stamp" in ran.json["problems"][0]
    pem.write_bytes(b"nonsense")
    assert xinguan.refuse("audit", "verify", "--tsa", pem) == "BAD_CERTIFICATE"
