"""A witness: each status code of tlog-witness, and that it never vouches for two histories."""

import contextlib
import itertools
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from audit.checkpoint import checkpoint_text, sign_checkpoint
from audit.cosignature import CosignatureVerifier
from audit.errors import AuditUnavailableError, NoteError
from audit.merkle import consistency_proof, leaf_hash, root_of
from audit.note import Ed25519Signer, open_note, sign_note
from audit.witness import Witness, make_memory
from audit.witness_protocol import (
    MAX_REQUEST_BYTES,
    AddCheckpoint,
    format_request,
    origin_hash,
    parse_request,
    parse_size,
)
from tests.audit.http_world import TestWitness
from tests.audit.log_home import ORIGIN, SIGNER, VKEY

ROOT = Path(__file__).parents[2]
LEAVES = [leaf_hash(str(number).encode()) for number in range(400)]
OTHER = [leaf_hash(b"x" + str(number).encode()) for number in range(400)]


def head(size, leaves=LEAVES, signers=(SIGNER,)):
    return sign_checkpoint(ORIGIN, size, root_of(leaves[:size]), signers).note


def proof(old, size, leaves=LEAVES):
    def node(height, offset):
        return root_of(leaves[offset << height : (offset + 1) << height])

    return consistency_proof(old, size, node) if 0 < old < size else []


def request(old, size, leaves=LEAVES, hashes=None):
    given_proof = proof(old, size, leaves) if hashes is None else hashes
    return format_request(old, given_proof, head(size, leaves))


@pytest.fixture
def witness(tmp_path):
    made = TestWitness(tmp_path)
    yield made
    made.core.close()


def status(witness, body):
    return witness.core.add_checkpoint(body).status


def test_it_cosigns_what_grows(witness):
    for old, size in itertools.pairwise([0, 1, 1, 7, 8, 256, 257, 399]):
        answer = witness.core.add_checkpoint(request(old, size))
        assert answer.status == 200
        text = head(size).rpartition(b"\n\n")[0] + b"\n\n"
        key = CosignatureVerifier.parse(witness.signer.verifier_key)
        opened = open_note(text + answer.body, [key])
        assert opened.verified == (key,)
        assert witness.core.latest(origin_hash(ORIGIN)) == head(size)
    assert witness.core.logs() == [(ORIGIN, 399)]


def test_200_again_for_the_same_tree_with_a_newer_time(tmp_path):
    now = [1_800_000_000]
    witness = TestWitness(tmp_path, now=lambda: now[0])
    assert status(witness, request(0, 7)) == 200
    now[0] += 60
    answer = witness.core.add_checkpoint(request(7, 7))
    assert answer.status == 200
    key = CosignatureVerifier.parse(witness.signer.verifier_key)
    text = head(7).rpartition(b"\n\n")[0] + b"\n\n"
    assert int.from_bytes(open_note(text + answer.body, [key]).signatures[0][:8]) == now[0]
    witness.core.close()


def test_the_empty_tree(witness):
    assert status(witness, request(0, 0)) == 200
    assert status(witness, request(0, 0)) == 200
    wrong = sign_note(checkpoint_text(ORIGIN, 0, LEAVES[0]), [SIGNER])
    assert status(witness, format_request(0, [], wrong)) == 422
    assert status(witness, request(0, 5)) == 200
    assert status(witness, request(0, 0)) == 409


def test_404_for_an_unknown_origin(witness):
    stranger = Ed25519Signer("example.com/stranger", SIGNER.key)
    note = sign_checkpoint(stranger.name, 3, LEAVES[0], [stranger]).note
    assert status(witness, format_request(0, [], note)) == 404


def test_403_without_a_trusted_signature(witness):
    thief = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"t" * 32))
    assert status(witness, format_request(0, [], head(3, signers=[thief]))) == 403
    # A trusted key's line that does not hold, beside whatever else.
    bad = head(3, OTHER).rpartition(b"\n\n")[2]
    note = head(3).rpartition(b"\n\n")[0] + b"\n\n" + bad
    assert status(witness, format_request(0, [], note)) == 403
    assert witness.core.logs() == [(ORIGIN, 0)]
    # Lines of unknown keys are ignored.
    assert status(witness, format_request(0, [], head(3, signers=[thief, SIGNER]))) == 200


def test_400_when_old_is_larger_or_the_request_malformed(witness):
    assert status(witness, format_request(4, [], head(3))) == 400
    good = request(3, 7)
    for bad in (
        b"",
        b"old 0\n",
        good.replace(b"old 3", b"old 03"),
        good.replace(b"old 3", b"old -3"),
        good.replace(b"old 3", b"old  3"),
        good.replace(b"old 3", b"new 3"),
        good.replace(b"old 3\n", b""),
        good.replace(b"\n\n", b"\n", 1),
        good.replace(b"=\n", b"\n", 1),
        good.replace(b"=\n", b"=\r\n", 1),
        b"old 3\nAAAA\n\n" + head(7),
        b"old 3\n" + (b"A" * 43 + b"=\n") * 64 + b"\n" + head(7),
        b"old 0\n\nno checkpoint",
        b"old 0\n\n" + sign_note(f"{ORIGIN}\nx\n", [SIGNER]),
        b"old 0\n\n" + b"x" * MAX_REQUEST_BYTES,
    ):
        assert status(witness, bad) == 400, bad[:40]


def test_409_tells_the_size_in_its_own_media_type(witness):
    assert status(witness, request(0, 7)) == 200
    for old in (0, 3, 6, 8):
        answer = witness.core.add_checkpoint(request(old, 20))
        assert (answer.status, answer.body) == (409, b"7\n")
        assert answer.content_type == "text/x.tlog.size"
    assert parse_size(b"7\n") == 7
    for bad in (b"7", b"07\n", b"\n", b"7\n\n", b"-7\n", b"7 \n"):
        with pytest.raises(NoteError):
            parse_size(bad)


def test_422_for_whatever_does_not_extend_the_old_tree(witness):
    assert status(witness, request(0, 7, hashes=[LEAVES[0]])) == 422
    assert status(witness, request(0, 7)) == 200
    # A fork, with a proof that holds within the fork; another tree of the same size; a proof for
    # an equal tree; and proofs cut, swollen and mixed up.
    assert status(witness, request(7, 20, OTHER)) == 422
    assert status(witness, request(7, 7, OTHER)) == 422
    assert status(witness, request(7, 7, hashes=[LEAVES[0]])) == 422
    right = proof(7, 20)
    for bad in (right[:-1], [*right, right[0]], right[::-1], [], [LEAVES[0], *right[1:]]):
        assert status(witness, request(7, 20, hashes=bad)) == 422
    assert witness.core.logs() == [(ORIGIN, 7)]
    assert status(witness, request(7, 20)) == 200


def test_a_second_key_of_an_origin_is_trusted_beside_the_first(witness):
    second = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"s" * 32))
    assert status(witness, format_request(0, [], head(3, signers=[second]))) == 403
    assert witness.core.add_log(second.verifier_key) == ORIGIN
    assert witness.core.add_log(VKEY) == ORIGIN
    assert status(witness, format_request(0, [], head(3, signers=[second]))) == 200
    assert status(witness, format_request(3, proof(3, 9), head(9))) == 200
    with pytest.raises(NoteError):
        witness.core.add_log("nonsense")


def test_what_it_saw_survives_a_restart(tmp_path):
    first = TestWitness(tmp_path)
    assert status(first, request(0, 9)) == 200
    first.core.close()
    second = TestWitness(tmp_path)
    assert status(second, request(0, 12)) == 409
    assert status(second, request(9, 12)) == 200
    second.core.close()


def test_nothing_is_signed_before_the_disk_has_it(tmp_path, monkeypatch):
    """At the moment of signing, another connection already sees the new tree."""
    witness = TestWitness(tmp_path)
    seen = []
    real = type(witness.signer).cosign

    def watching(self, text, at):
        with sqlite3.connect(witness.path) as other:
            seen.append(other.execute("SELECT size FROM witness_seen").fetchone())
        other.close()
        return real(self, text, at)

    monkeypatch.setattr(type(witness.signer), "cosign", watching)
    assert status(witness, request(0, 9)) == 200
    assert seen == [(9,)]
    witness.core.close()


def test_when_nothing_can_be_kept_nothing_is_signed(tmp_path, monkeypatch):
    witness = TestWitness(tmp_path)
    lock = sqlite3.connect(witness.path, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    witness.core._connection.execute("PRAGMA busy_timeout=50")
    monkeypatch.setattr(type(witness.signer), "cosign", lambda *_: pytest.fail("it signed"))
    with pytest.raises(AuditUnavailableError):
        witness.core.add_checkpoint(request(0, 9))
    lock.execute("ROLLBACK")
    lock.close()
    monkeypatch.undo()
    assert status(witness, request(0, 9)) == 200
    witness.core.close()


def test_of_two_histories_at_once_one_is_cosigned(tmp_path):
    """Many threads on two handles of one database race for every step, honest and forked."""
    handles = [TestWitness(tmp_path), TestWitness(tmp_path)]
    answers = []

    def ask(handle, body, name):
        answers.append((name, handle.core.add_checkpoint(body).status))

    assert status(handles[0], request(0, 1)) == 200  # whoever came first is the history
    old = 1
    for size in (5, 80, 81, 300):
        answers.clear()
        bodies = [(request(old, size), "true"), (request(old, size, OTHER), "fork")] * 4
        threads = [
            threading.Thread(target=ask, args=(handles[number % 2], body, name))
            for number, (body, name) in enumerate(bodies)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        won = [name for name, code in answers if code == 200]
        assert won == ["true"], answers
        old = size
    for handle in handles:
        handle.core.close()


@pytest.mark.slow
def test_two_processes_race_and_the_size_never_goes_back(tmp_path):
    """Each process tries every step in turn; every size is cosigned exactly once."""
    TestWitness(tmp_path).core.close()
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", _RACER, str(tmp_path)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "proto")])},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [run.communicate(timeout=100)[0] for run in runs]
    cosigned = sorted(int(line) for output in outputs for line in output.split())
    assert cosigned == list(range(1, 121))
    witness = TestWitness(tmp_path)
    assert witness.core.logs() == [(ORIGIN, 120)]
    witness.core.close()


_RACER = """
import pathlib, sys
from tests.audit.http_world import TestWitness
from tests.audit.test_witness import request
witness = TestWitness(pathlib.Path(sys.argv[1]))
for size in range(1, 121):
    answer = witness.core.add_checkpoint(request(size - 1, size))
    if answer.status == 200:
        print(size, flush=True)
    else:
        assert answer.status == 409, answer
"""


def test_a_database_of_another_version_is_left_alone(tmp_path):
    witness = TestWitness(tmp_path)
    witness.core._connection.execute("UPDATE witness_schema SET version = 2")
    witness.core.close()
    with pytest.raises(AuditUnavailableError):
        Witness(witness.path, witness.signer, lambda: 1)
    with pytest.raises(AuditUnavailableError):
        Witness(tmp_path / "no" / "folder", witness.signer, lambda: 1)


@pytest.mark.parametrize("content", [None, b"", b"no database at all" * 100])
def test_a_memory_that_is_lost_is_not_made_anew(tmp_path, content):
    witness = TestWitness(tmp_path)
    witness.core.close()
    witness.path.unlink()
    if content is not None:
        witness.path.write_bytes(content)
    with pytest.raises(AuditUnavailableError):
        Witness(witness.path, witness.signer, lambda: 1)
    assert (witness.path.read_bytes() if witness.path.exists() else None) == content


def test_a_memory_is_private_and_made_once(tmp_path):
    path = tmp_path / "a ?mode=memory#%41.sqlite3"
    umask = os.umask(0)
    try:
        make_memory(path)
    finally:
        os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o600
    witness = Witness(path, TestWitness(tmp_path).signer, lambda: 1)
    witness.add_log(VKEY)
    witness.close()
    with pytest.raises(AuditUnavailableError):
        make_memory(path)
    again = Witness(path, TestWitness(tmp_path).signer, lambda: 1)
    assert again.logs() == [(ORIGIN, 0)]
    again.close()


@given(
    st.integers(0, (1 << 63) - 1),
    st.lists(st.binary(min_size=32, max_size=32), max_size=63),
    st.binary(max_size=300),
)
def test_a_request_is_read_as_it_was_written(old, hashes, note):
    read = parse_request(format_request(old, hashes, note))
    assert read == AddCheckpoint(old, tuple(hashes), note)


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_fail_otherwise(data):
    with contextlib.suppress(NoteError):
        parse_request(data)
