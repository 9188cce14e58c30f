"""The watch over the witnesses' word: how old it is, and when nothing may leave."""

import os

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.checkpoint import checkpoint_text, sign_checkpoint, with_cosignatures
from audit.cosignature import CosignatureSigner
from audit.reader import WITNESSED
from audit.trust_policy import parse_policy
from gateway.domain.errors import UnavailableError
from gateway.release.vouching import Unwitnessed, WitnessWatch
from tests.audit.log_home import ORIGIN, SIGNER, VKEY

WITNESS = CosignatureSigner("w.example", Ed25519PrivateKey.from_private_bytes(b"w" * 32))
POLICY = parse_policy(f"witness w {WITNESS.verifier_key}\nquorum w\n".encode())
ROOT = bytes(range(32))
NOW = 1_800_000_000


class Watched:
    def __init__(self, folder):
        self.path = folder / WITNESSED
        self.path.parent.mkdir()
        self.folder = folder

    def write(self, at, signer=WITNESS):
        note = sign_checkpoint(ORIGIN, 7, ROOT, [SIGNER]).note
        line = signer.cosign(checkpoint_text(ORIGIN, 7, ROOT), at)
        self.replace(with_cosignatures(note, [line]))

    def replace(self, data):
        fresh = self.path.with_name("fresh")
        fresh.write_bytes(data)
        os.replace(fresh, self.path)  # noqa: PTH105 - as the integrator does it

    def watch(self):
        return WitnessWatch(self.folder, POLICY, VKEY, 600)


@pytest.fixture
def watched(tmp_path):
    return Watched(tmp_path)


def missing(watch, now):
    with pytest.raises(UnavailableError) as caught:
        watch.check(now)
    assert caught.value.code == "WITNESS_MISSING"
    return caught.value.hints


def test_the_word_of_this_run_opens_the_gate_until_the_grace_is_over(watched):
    watch = watched.watch()
    assert missing(watch, NOW) == ()
    watched.write(NOW)
    watch.check(NOW)
    watch.check(NOW + 600)
    assert missing(watch, NOW + 601) == ("witnessed 601 s ago, grace 600 s",)
    watched.write(NOW + 602)
    watch.check(NOW + 602)
    assert watch.age(NOW + 610) == 8


def test_the_word_of_an_earlier_run_does_not(watched):
    watched.write(NOW)
    watch = watched.watch()
    missing(watch, NOW)
    watched.write(NOW)  # the very same bytes, written anew by this run's integrator
    watch.check(NOW)


def test_a_witness_whose_clock_runs_ahead_lengthens_nothing(watched):
    watch = watched.watch()
    watched.write(NOW + 300)
    watch.check(NOW)
    missing(watch, NOW + 601)


def test_what_is_no_quorum_s_word_closes_the_gate(watched):
    watch = watched.watch()
    watched.write(NOW)
    watch.check(NOW)
    stranger = CosignatureSigner("s.example", Ed25519PrivateKey.from_private_bytes(b"s" * 32))
    watched.write(NOW, stranger)
    missing(watch, NOW)
    watched.write(NOW)
    watch.check(NOW)
    watched.replace(b"nonsense")
    missing(watch, NOW)
    watched.write(NOW)
    watch.check(NOW)
    watched.path.unlink()
    missing(watch, NOW)


def test_a_dispute_closes_it_whatever_the_age(watched):
    watch = watched.watch()
    watched.write(NOW)
    watch.check(NOW)
    watch.dispute()
    another = watched.watch()  # of another process, or of the next run
    for each in (watch, another):
        with pytest.raises(UnavailableError) as caught:
            each.check(NOW)
        assert caught.value.code == "LOG_DISPUTED"
    watch.settle()
    watch.settle()
    watch.check(NOW)


def test_a_change_is_told_once(watched):
    watch = watched.watch()
    assert watch.turned(NOW, 120)
    assert not watch.turned(NOW, 120)
    watched.write(NOW)
    assert watch.turned(NOW + 1, 120)
    assert not watch.overdue
    assert not watch.turned(NOW + 120, 120)
    assert watch.turned(NOW + 121, 120)
    assert watch.overdue


def test_an_unwitnessed_log_lets_everything_pass():
    Unwitnessed().check(NOW)
