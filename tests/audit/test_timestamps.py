"""Time-stamps over checkpoints: asked for, checked before they are kept, verified by anybody."""

import asyncio
import os
import shutil

import pytest

from audit.checkpoint import sign_checkpoint
from audit.errors import AuditUnavailableError, NoteError
from audit.timestamp_client import stamp_newest
from audit.timestamps import (
    TimestampAuthority,
    keep_stamp,
    stamp_names,
    stamp_request,
    verify_stamps,
)
from audit.verify import verify_log
from tests.audit.http_world import served
from tests.audit.log_home import ORIGIN, SIGNER, VKEY
from tests.audit.tsa import TestAuthority

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None and not os.environ.get("CI"),
    reason="no openssl on this machine, which the test authority is made of",
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return TestAuthority(tmp_path_factory.mktemp("authority") / "tsa")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return TestAuthority(tmp_path_factory.mktemp("authority") / "stranger")


@pytest.fixture
def log(home):
    integrator = home.integrator()
    home.append(300)
    integrator.integrate_once()
    home.integrator_at_work = integrator
    return home


def stamp(log, tsa, trusted=None, **more):
    with served(tsa.app(**more)) as url:
        trust = TimestampAuthority((trusted or tsa).certificates)
        return asyncio.run(stamp_newest(log.directory, url, trust))


def verified(log, tsa):
    report = verify_log(log.directory, VKEY)
    assert report.problems == ()
    trust = TimestampAuthority(tsa.certificates)
    return verify_stamps(log.directory, VKEY, trust, report.checkpoint)


def test_each_tree_is_stamped_once_and_verifies_for_ever(log, authority):
    first = stamp(log, authority)
    assert stamp(log, authority) is None
    log.append(5, 300)
    log.integrator_at_work.integrate_once()
    second = stamp(log, authority)
    log.append(400, 305)
    log.integrator_at_work.integrate_once()
    assert stamp_names(log.directory) == sorted([first, second])
    held, wrong = verified(log, authority)
    assert wrong == []
    assert [(each.size, each.digest) for each in held] == [(300, first), (305, second)]
    assert held[0].time <= held[1].time


def test_another_authority_s_time_stamp_does_not_count(log, authority, stranger):
    stamp(log, stranger)
    held, wrong = verified(log, authority)
    assert held == []
    assert len(wrong) == 1
    assert "does not hold" in wrong[0]


@pytest.mark.parametrize(
    "more",
    [
        {"change": lambda _: b""},
        {"change": lambda _: b"nonsense"},
        {"change": lambda reply: reply[:-1]},
        {"change": lambda reply: reply[:-1] + bytes([reply[-1] ^ 1])},
        {"change": lambda _: b"x" * (1 << 18)},
        {"status": 500},
    ],
    ids=["empty", "nonsense", "cut", "changed", "long", "500"],
)
def test_what_does_not_hold_is_not_kept(log, authority, more):
    with pytest.raises(NoteError):
        stamp(log, authority, **more)
    assert stamp_names(log.directory) == []


def test_an_answer_to_another_request_is_not_kept(log, authority):
    """A replay: the stamp of this very note, of an earlier request."""
    note = (log.directory / "checkpoint").read_bytes()
    old = authority.stamp(stamp_request(note).as_bytes())
    assert TimestampAuthority(authority.certificates).check(old, note) > 0
    with pytest.raises(NoteError):
        stamp(log, authority, change=lambda _: old)


def test_an_unknown_authority_and_one_out_of_reach(log, authority, stranger):
    with pytest.raises(NoteError):
        stamp(log, authority, trusted=stranger)
    trust = TimestampAuthority(authority.certificates)
    with pytest.raises(NoteError):
        asyncio.run(stamp_newest(log.directory, "http://127.0.0.1:1/", trust))


def test_the_stamp_of_another_note_does_not_hold(authority):
    reply = authority.stamp(stamp_request(b"note").as_bytes())
    trust = TimestampAuthority(authority.certificates)
    assert trust.check(reply, b"note") > 0
    with pytest.raises(NoteError):
        trust.check(reply, b"another note")


def test_a_named_authority_is_the_only_one_under_its_root(authority):
    """With the root alone each of its authorities counts, with its own certificate one does."""
    reply = authority.stamp(stamp_request(b"note").as_bytes())
    root = (authority.folder / "root.pem").read_bytes()
    assert TimestampAuthority(root).check(reply, b"note") > 0
    second = authority.second()
    with pytest.raises(NoteError):
        TimestampAuthority(root + second).check(reply, b"note")


def test_certificates_that_cannot_be_used(authority):
    own = (authority.folder / "tsa.pem").read_bytes()
    root = (authority.folder / "root.pem").read_bytes()
    for bad in (b"", b"nonsense", own, root + own + authority.second()):
        with pytest.raises(NoteError):
            TimestampAuthority(bad)


@pytest.mark.parametrize("harm", ["reply", "note", "name", "gone"])
def test_a_changed_time_stamp_is_named(log, authority, harm):
    name = stamp(log, authority)
    folder = log.directory / "timestamp"
    reply, note = folder / f"{name}.tsr", folder / f"{name}.checkpoint"
    if harm == "reply":
        data = reply.read_bytes()
        reply.write_bytes(data[:-10] + bytes([data[-10] ^ 1]) + data[-9:])
    elif harm == "note":
        note.write_bytes(note.read_bytes().replace(b"\n300\n", b"\n301\n"))
    elif harm == "gone":
        note.unlink()
    else:
        reply.rename(folder / f"{'0' * 64}.tsr")
        note.rename(folder / f"{'0' * 64}.checkpoint")
        name = "0" * 64
    held, wrong = verified(log, authority)
    assert held == []
    assert wrong[0].startswith(f"time-stamp {name[:16]}: ")


def test_a_stamped_tree_that_the_log_does_not_contain_is_named(log, authority):
    """The operator signed another history once, and had it stamped: evidence against it."""
    fork = sign_checkpoint(ORIGIN, 200, bytes(32), [SIGNER]).note
    keep_stamp(log.directory, fork, authority.stamp(stamp_request(fork).as_bytes()))
    future = sign_checkpoint(ORIGIN, 301, bytes(32), [SIGNER]).note
    keep_stamp(log.directory, future, authority.stamp(stamp_request(future).as_bytes()))
    held, wrong = verified(log, authority)
    assert held == []
    assert len(wrong) == 2


def test_a_full_disk_is_told(log, authority, monkeypatch):
    def fail(_):
        raise OSError

    monkeypatch.setattr("audit.durable.os.fsync", fail)
    with pytest.raises(AuditUnavailableError):
        keep_stamp(log.directory, b"note", b"reply")
