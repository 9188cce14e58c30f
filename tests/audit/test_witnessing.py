"""A log and its witnesses together, honest and otherwise: what is published, what is refused."""

import contextlib
import itertools
import shutil
from base64 import b64decode

import pytest

from audit.checkpoint import checkpoint_text, open_checkpoint, sign_checkpoint
from audit.cosignature import CosignatureVerifier
from audit.errors import (
    AuditUnavailableError,
    ForkClaimedError,
    LeaseHeldError,
    LogMismatchError,
    NoteError,
)
from audit.integrator import LEASE_S
from audit.lease import read_head
from audit.merkle import leaf_hash, root_of
from audit.note import Verifier
from audit.proof import check_receipt, parse_receipt
from audit.reader import LogReader
from audit.verify import verify_log
from audit.witness_client import WitnessClient
from audit.witness_protocol import parse_request
from tests.audit.http_world import TestWitness, policy_of, scripted, served, witnessing
from tests.audit.log_home import ORIGIN, SIGNER, VKEY, LogHome, body
from tests.audit.test_integrator import Faults, KilledError

KEY = Verifier.parse(VKEY)


@pytest.fixture
def one(home, tmp_path):
    """One honest witness, and the policy that it is the quorum."""
    witness = TestWitness(tmp_path, now=lambda: home.now)
    with served(witness.app) as url:
        witness.url = url
        witness.policy = policy_of(witness.line(url), quorum=witness.name)
        yield witness
    witness.core.close()


def published(home, policy):
    checkpoint = policy.open((home.directory / "checkpoint").read_bytes())
    return checkpoint, policy.quorum_time(checkpoint)


def grown(home, integrator, count, start):
    home.append(count, start)
    return integrator.integrate_once()


def test_every_published_checkpoint_is_cosigned(home, one):
    integrator = home.integrator(witnesses=witnessing(home, one.policy))
    total = 0
    for step in (3, 1, 252, 1, 300):
        home.now += 1
        assert grown(home, integrator, step, total).size == total + step
        total += step
        checkpoint, at = published(home, one.policy)
        assert (checkpoint.size, at) == (total, home.now)
        assert LogReader(home.directory, VKEY).witnessed().note == checkpoint.note
    assert verify_log(home.directory, VKEY).problems == ()
    assert one.core.logs() == [(ORIGIN, total)]
    receipt = LogReader(home.directory).receipt(5)
    trusted = [CosignatureVerifier.parse(one.signer.verifier_key)]
    proved, checkpoint = check_receipt(receipt, body(5), KEY, trusted)
    assert (proved.index, checkpoint.cosignatures[0].time) == (5, home.now)
    assert receipt.endswith((home.directory / "checkpoint").read_bytes())


def test_a_quiet_log_is_shown_again_before_its_witnessing_grows_old(home, one):
    integrator = home.integrator(witnesses=witnessing(home, one.policy, refresh_s=60))
    home.append(3)
    integrator.integrate_once()
    first = published(home, one.policy)[1]
    home.now += 59
    integrator.integrate_once()
    assert published(home, one.policy)[1] == first
    home.now += 1
    integrator.integrate_once()
    assert published(home, one.policy)[1] == first + 60


def test_a_log_publishes_on_without_its_witness_and_says_so(home, one, tmp_path):
    integrator = home.integrator(witnesses=witnessing(home, one.policy))
    assert grown(home, integrator, 3, 0).size == 3
    one.core._connection.execute("ALTER TABLE witness_seen RENAME TO gone")
    home.now += 10
    assert grown(home, integrator, 2, 3).size == 5
    checkpoint, at = published(home, one.policy)
    assert (checkpoint.size, at) == (5, None)
    # What the quorum saw last is still there, and a receipt rests on it where it can.
    assert LogReader(home.directory, VKEY).witnessed().size == 3
    assert b"\n3\n" in parse_receipt(LogReader(home.directory).receipt(2)).checkpoint
    assert b"\n5\n" in parse_receipt(LogReader(home.directory).receipt(4)).checkpoint
    one.core._connection.execute("ALTER TABLE gone RENAME TO witness_seen")
    home.now += 20
    integrator.integrate_once()
    assert published(home, one.policy) == (published(home, one.policy)[0], home.now)
    assert LogReader(home.directory, VKEY).witnessed().size == 5


def test_a_quorum_of_two_lives_with_one_that_is_down(home, tmp_path):
    witnesses = [TestWitness(tmp_path, number, lambda: home.now) for number in (1, 2, 3)]
    with served(witnesses[0].app) as first, served(witnesses[1].app) as second:
        policy = policy_of(
            witnesses[0].line(first),
            witnesses[1].line(second),
            witnesses[2].line("http://127.0.0.1:1/"),
            group="group g 2 w1 w2 w3\n",
            quorum="g",
        )
        integrator = home.integrator(witnesses=witnessing(home, policy))
        grown(home, integrator, 3, 0)
        checkpoint, at = published(home, policy)
        assert (policy.names(checkpoint), at) == (("w1", "w2"), home.now)
    for witness in witnesses:
        witness.core.close()


def test_nothing_is_signed_before_the_quorum_has_confirmed_the_last_head(home, one):
    integrator = home.integrator(witnesses=witnessing(home, one.policy))
    grown(home, integrator, 3, 0)
    integrator.close()
    one.core._connection.execute("ALTER TABLE witness_seen RENAME TO gone")
    restarted = home.integrator(witnesses=witnessing(home, one.policy))
    home.append(2, 3)
    with pytest.raises(AuditUnavailableError):
        restarted.meet_witnesses()
    with pytest.raises(AuditUnavailableError):
        restarted.integrate_once()
    assert home.journal.run(read_head).size == 3
    one.core._connection.execute("ALTER TABLE gone RENAME TO witness_seen")
    home.now += 20
    assert restarted.integrate_once().size == 5


@pytest.fixture
def files(home, tmp_path):
    """A log whose whole state is files under one root, so that it can be copied."""
    files = LogHome(tmp_path / "files", now=home.now)
    yield files
    files.close()


def test_a_state_restored_from_before_the_last_witnessed_checkpoint_is_refused(files, one):
    """Database and directory are both restored, so that nothing on this machine can tell."""
    home = files
    integrator = home.integrator(witnesses=witnessing(home, one.policy))
    grown(home, integrator, 3, 0)
    integrator.close()
    home.journal.close()
    shutil.copytree(home.root, home.root.parent / "backup")
    home.reopen()
    integrator = home.integrator(witnesses=witnessing(home, one.policy))
    grown(home, integrator, 4, 3)
    integrator.close()
    restored = LogHome(home.root.parent / "backup", now=home.now + LEASE_S)
    restored.append(9, 1000)  # what it would fork with
    assert verify_log(restored.directory, VKEY).problems == ()
    again = restored.integrator(witnesses=witnessing(restored, one.policy))
    with pytest.raises(ForkClaimedError):
        again.meet_witnesses()
    for _ in range(3):
        with pytest.raises(ForkClaimedError):
            again.integrate_once()
    # It was never signed: the head is what the backup had.
    assert restored.journal.run(read_head).size == 3
    assert LogReader(restored.directory, VKEY).checkpoint().size == 3
    assert one.core.logs() == [(ORIGIN, 7)]
    restored.journal.close()


def test_a_crash_between_signing_and_publishing_is_mended_after_asking(home, one, monkeypatch):
    integrator = home.integrator(witnesses=witnessing(home, one.policy))
    grown(home, integrator, 3, 0)
    home.append(2, 3)
    with monkeypatch.context() as patch:
        patch.setattr(integrator, "_publish_witnessed", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            integrator.integrate_once()
    integrator.close()
    assert home.journal.run(read_head).size == 5
    assert LogReader(home.directory, VKEY).checkpoint().size == 3
    home.now += 5
    again = home.integrator(witnesses=witnessing(home, one.policy))
    assert again.integrate_once().size == 5
    checkpoint, at = published(home, one.policy)
    assert (checkpoint.size, at) == (5, home.now)


def test_a_state_that_lost_everything_is_refused_too(home, one):
    grown(home, home.integrator(witnesses=witnessing(home, one.policy)), 3, 0)
    lost = LogHome(home.root.parent / "lost")
    lost.append(9, 1000)
    again = lost.integrator(witnesses=witnessing(lost, one.policy))
    with pytest.raises(ForkClaimedError):
        again.integrate_once()
    assert lost.journal.run(read_head).checkpoint == b""
    lost.journal.close()


def test_two_nodes_with_one_state_copied_fork_once_and_are_stopped(files, one):
    """The second one signs before it asks, as it must; it is stopped before anybody sees it."""
    home = files
    integrator = home.integrator(witnesses=witnessing(home, one.policy))
    grown(home, integrator, 3, 0)
    integrator.close()
    home.journal.close()
    shutil.copytree(home.root, home.root.parent / "twin")
    home.reopen()
    first = home.integrator(witnesses=witnessing(home, one.policy))
    twin_home = LogHome(home.root.parent / "twin", now=home.now)
    twin = twin_home.integrator(witnesses=witnessing(twin_home, one.policy))
    first.meet_witnesses()
    twin.meet_witnesses()
    grown(home, first, 2, 3)
    for count, start in ((2, 500), (2, 502)):
        with pytest.raises(ForkClaimedError):
            grown(twin_home, twin, count, start)
    assert LogReader(twin_home.directory, VKEY).checkpoint().size == 3
    assert twin_home.journal.run(read_head).size == 5
    twin_home.journal.close()


def test_another_node_that_went_further_with_the_same_state_is_no_fork(home, one, monkeypatch):
    """A replica asks with a head that the other one has replaced meanwhile."""
    first = home.integrator(witnesses=witnessing(home, one.policy))
    grown(home, first, 3, 0)
    replica = home.integrator(witnesses=witnessing(home, one.policy))
    real, done = replica._presented, []

    def slow(head):
        shown = real(head)
        if not done:
            done.append(grown(home, first, 4, 3))
        return shown

    monkeypatch.setattr(replica, "_presented", slow)
    replica.meet_witnesses()
    assert done[0].size == 7
    with pytest.raises(LeaseHeldError):
        replica.integrate_once()


def test_an_integrator_that_lost_its_lease_while_it_asked_publishes_nothing(home, one, monkeypatch):
    sleeper = home.integrator(witnesses=witnessing(home, one.policy))
    other = home.integrator(witnesses=witnessing(home, one.policy))
    grown(home, sleeper, 3, 0)
    real = sleeper._witnesses.cosign

    def asleep(checkpoint):
        answer = real(checkpoint)
        home.now += LEASE_S + 1
        home.append(7, 310)
        other.integrate_once()
        return answer

    monkeypatch.setattr(sleeper._witnesses, "cosign", asleep)
    home.append(2, 3)
    with pytest.raises(AuditUnavailableError):
        sleeper.integrate_once()
    assert LogReader(home.directory, VKEY).checkpoint().size == 12
    assert verify_log(home.directory, VKEY).problems == ()


@pytest.mark.slow
def test_a_kill_at_every_call_of_the_file_system_leaves_no_second_history(
    home, tmp_path, monkeypatch
):
    """What is published holds at every moment, and the witness goes on with the restarted log."""
    template = LogHome(home.root / "template")
    template.append(250)
    first = template.integrator()
    before = first.integrate_once()
    first.close()
    template.append(10, 250)
    template.journal.close()
    tried = 0
    for at in itertools.count(1):
        root = home.root / f"case-{at}"
        shutil.copytree(template.root, root)
        case = LogHome(root)
        folder = tmp_path / f"w-{at}"
        folder.mkdir()
        witness = TestWitness(folder, now=lambda case=case: case.now)
        with served(witness.app) as url:
            policy = policy_of(witness.line(url), quorum="w1")
            victim = case.integrator(witnesses=witnessing(case, policy))
            with monkeypatch.context() as patch:
                faults = Faults(patch, at, KilledError, after=False)
                with contextlib.suppress(KilledError):
                    victim.integrate_once()
                    tried -= 1
                tried += 1
            case.journal.close()
            assert verify_log(case.directory, VKEY, known=before).problems == (), at
            case.now += LEASE_S + 1
            case.reopen()
            again = case.integrator(witnesses=witnessing(case, policy))
            assert again.integrate_once().size == 260, at
            assert published(case, policy)[1] == case.now, at
            assert witness.core.logs() == [(ORIGIN, 260)]
            assert verify_log(case.directory, VKEY, known=before).problems == (), at
            again.close()
        witness.core.close()
        case.journal.close()
        shutil.rmtree(root)
        if faults.count < at:
            break
    assert tried >= 40


# --- malicious logs, against an honest witness and an honest reader -------------------------


def fork_of(home, size, start=1000):
    """Another history of the same log, signed with the log's own key."""
    leaves = [leaf_hash(body(start + number)) for number in range(size)]
    return sign_checkpoint(ORIGIN, size, root_of(leaves), [SIGNER])


def test_a_split_view_gets_no_second_cosignature(home, one):
    grown(home, home.integrator(witnesses=witnessing(home, one.policy)), 7, 0)
    client = WitnessClient(one.policy.witnesses.values(), lambda: home.now, 60)
    with pytest.raises(ForkClaimedError):
        client.cosign(fork_of(home, 7), lambda *_: [])
    # Without the cosignature no reader with the policy takes the other head.
    with pytest.raises(NoteError):
        one.policy.accept(fork_of(home, 7).note)
    # And with a cosignature of the true head, pasted on:
    true = (home.directory / "checkpoint").read_bytes()
    pasted = fork_of(home, 7).note + true.splitlines(keepends=True)[-1]
    with pytest.raises(NoteError):
        one.policy.accept(pasted)
    assert one.policy.accept(true)[0].size == 7


def test_a_re_signed_fork_that_goes_on_is_caught_at_its_next_step(home, one):
    grown(home, home.integrator(witnesses=witnessing(home, one.policy)), 7, 0)
    client = WitnessClient(one.policy.witnesses.values(), lambda: home.now, 60)
    leaves = [leaf_hash(body(1000 + number)) for number in range(12)]

    def proof_within_the_fork(old, size):
        from audit.merkle import consistency_proof

        return consistency_proof(old, size, lambda h, o: root_of(leaves[o << h : (o + 1) << h]))

    with pytest.raises(ForkClaimedError):
        client.cosign(fork_of(home, 12), proof_within_the_fork)
    assert one.core.logs() == [(ORIGIN, 7)]


def test_a_rolled_back_or_withheld_log_shows_by_its_age_and_size(home, one):
    """A server that shows an old, rightly cosigned head can't make it look new."""
    integrator = home.integrator(witnesses=witnessing(home, one.policy))
    grown(home, integrator, 5, 0)
    old = (home.directory / "checkpoint").read_bytes()
    home.now += 3600
    grown(home, integrator, 5, 5)
    known, at = one.policy.accept((home.directory / "checkpoint").read_bytes())
    assert at == home.now
    # Whoever was at the log before sees the rollback; whoever was not sees its age.
    (home.directory / "checkpoint").write_bytes(old)
    report = verify_log(home.directory, VKEY, known=known)
    assert [each.message for each in report.problems] == [
        "the log is older than a checkpoint known before"
    ]
    assert one.policy.accept(old)[1] == home.now - 3600
    # Asked again, the witness doesn't vouch for the old head any more.
    client = WitnessClient(one.policy.witnesses.values(), lambda: home.now, 60)
    with pytest.raises(ForkClaimedError):
        client.cosign(open_checkpoint(old, KEY), lambda *_: [])


def test_a_withheld_tail_does_not_verify(home, one):
    integrator = home.integrator(witnesses=witnessing(home, one.policy))
    grown(home, integrator, 300, 0)
    (home.directory / "tile/entries/001.p/44").unlink()
    report = verify_log(home.directory, VKEY)
    assert report.first_bad == 256


# --- witnesses that lie, against an honest log ----------------------------------------------


def with_script(home, answers, timeout_s=60.0):
    """Give a context with a client of one scripted witness w1."""
    app, seen = scripted(answers)
    key = TestWitness(home.root)
    key.core.close()
    return (
        app,
        seen,
        key,
        lambda url: WitnessClient(
            policy_of(key.line(url), quorum="w1").witnesses.values(), lambda: home.now, timeout_s
        ),
    )


def text_of(request):
    return parse_request(request).note.rpartition(b"\n\n")[0].decode() + "\n"


HEAD = sign_checkpoint(ORIGIN, 7, root_of([leaf_hash(body(i)) for i in range(7)]), [SIGNER])


def lines_from(home, answers, rounds=1, **more):
    app, seen, _, client = with_script(home, answers, **more)
    with served(app) as url:
        asking = client(url)
        lines = [asking.cosign(HEAD, lambda *_: [bytes(32)]) for _ in range(rounds)]
    return lines[-1], seen


def signed_by(signer, at):
    return lambda request: (200, signer.cosign(text_of(request), at))


def test_lines_of_strangers_beside_the_witness_s_own_are_ignored(home, tmp_path):
    stranger = TestWitness(tmp_path, 9).signer
    own = TestWitness(home.root).signer

    def both(request):
        lines = stranger.cosign(text_of(request), home.now) + own.cosign(text_of(request), home.now)
        return 200, lines

    lines, _ = lines_from(home, [both])
    assert [line.split()[1] for line in lines] == ["witness.example/w1"]
    assert lines_from(home, [signed_by(stranger, home.now)])[0] == []


@pytest.mark.parametrize("off", [-301, -86_400, 301])
def test_a_replayed_or_predated_cosignature_is_not_taken(home, off):
    own = TestWitness(home.root).signer
    assert lines_from(home, [signed_by(own, home.now + off)])[0] == []
    assert len(lines_from(home, [signed_by(own, home.now + (300 if off > 0 else -300))])[0]) == 1


def test_a_cosignature_of_another_tree_is_not_taken(home):
    own = TestWitness(home.root).signer
    other = own.cosign(checkpoint_text(ORIGIN, 8, bytes(32)), home.now)
    assert lines_from(home, [(200, other)])[0] == []


@pytest.mark.parametrize(
    "answer",
    [
        (200, b""),
        (200, b"nonsense\n"),
        (200, b"\xff\n"),
        (200, b"x" * (1 << 17)),
        (201, b""),
        (302, b""),
        (400, b""),
        (403, b""),
        (404, b""),
        (500, b""),
        (0, b""),  # no answer in time
        (409, b"x\n"),
        (409, b""),
    ],
    ids=lambda answer: f"{answer[0]}-{len(answer[1])}",
)
def test_whatever_else_comes_costs_that_cosignature_only(home, answer):
    silent = answer[0] == 0
    assert lines_from(home, [answer], timeout_s=0.5 if silent else 60.0)[0] == []


def test_409_with_a_smaller_size_is_answered_with_a_proof_from_there(home):
    own = TestWitness(home.root).signer
    lines, seen = lines_from(home, [(409, b"3\n"), signed_by(own, home.now)])
    assert len(lines) == 1
    assert [parse_request(each).old for each in seen] == [7, 3]
    assert parse_request(seen[1]).proof == (bytes(32),)


def test_409_with_zero_is_answered_without_a_proof(home):
    own = TestWitness(home.root).signer
    lines, seen = lines_from(home, [(409, b"0\n"), signed_by(own, home.now)])
    assert len(lines) == 1
    assert parse_request(seen[1]).proof == ()


def test_a_witness_that_says_409_for_ever_is_asked_twice_a_round(home):
    lines, seen = lines_from(home, [(409, b"3\n")])
    assert (lines, len(seen)) == ([], 2)


@pytest.mark.parametrize("answer", [(409, b"8\n"), (409, b"7\n"), (422, b"")])
def test_whoever_has_seen_another_history_stops_the_log(home, answer):
    with pytest.raises(ForkClaimedError):
        lines_from(home, [answer])
    assert issubclass(ForkClaimedError, LogMismatchError)


def test_a_witness_with_old_state_is_brought_up_to_date(home, tmp_path):
    """It was restored from a backup, against advice: it vouches again from where it stands."""
    witness = TestWitness(tmp_path, now=lambda: home.now)
    with served(witness.app) as url:
        policy = policy_of(witness.line(url), quorum="w1")
        integrator = home.integrator(witnesses=witnessing(home, policy))
        grown(home, integrator, 3, 0)
        old = witness.core._connection.execute("SELECT size, root, note FROM witness_seen")
        row = old.fetchone()
        grown(home, integrator, 300, 3)
        witness.core._connection.execute("UPDATE witness_seen SET size=?, root=?, note=?", row)
        grown(home, integrator, 1, 303)
        assert published(home, policy)[1] == home.now
        assert witness.core.logs() == [(ORIGIN, 304)]
    witness.core.close()


def test_a_silent_witness_is_left_alone_for_a_while(home):
    _, seen = lines_from(home, [(500, b"")], rounds=5)
    assert len(seen) == 1
    app, seen, _, client = with_script(home, [(500, b"")])
    with served(app) as url:
        asking = client(url)
        for _ in range(40):
            asking.cosign(HEAD, lambda *_: [])
            home.now += 1
    assert 4 <= len(seen) <= 6


def test_witnesses_without_a_url_are_never_asked(home, tmp_path):
    witness = TestWitness(tmp_path)
    policy = policy_of(witness.line(), quorum="w1")
    assert not policy.askable
    client = WitnessClient(policy.witnesses.values(), lambda: home.now, 1)
    assert client.cosign(HEAD, lambda *_: []) == []
    witness.core.close()


def test_the_head_in_the_database_is_what_was_published(home, one):
    integrator = home.integrator(witnesses=witnessing(home, one.policy))
    grown(home, integrator, 3, 0)
    note = home.journal.run(read_head).checkpoint
    assert note == (home.directory / "checkpoint").read_bytes()
    line = note.decode().splitlines()[-1]
    assert b64decode(line.split()[-1])[:4] == one.signer.key_id
