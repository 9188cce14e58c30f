"""Who is told what: compared with a naive model, across snapshots, crashes and processes."""

import gc
import hashlib
import random
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.errors import AuditUnavailableError
from gateway.release.pseudonym import ConsumerKeys, Pseudonymiser
from gateway.repair.recall import compute, drafts
from gateway.repair.recall.compute import GRACE_S
from gateway.repair.recall.notice import decode_list
from tests.gateway.repair.recall.simulated import DUE_S, MASTER, PRODUCT, Simulated, party

KEYS = [f"r{n:03d}" for n in range(40)]


def key_of(snapshot, row: int) -> str:
    return snapshot.take(np.array([row]), ["record_id"])[0][0].as_py()


def deliver_at_random(sim: Simulated, rng: random.Random) -> dict[str, set]:
    """Deliver rows of random snapshots, and return what a naive model keeps of it by record."""
    model = defaultdict(set)
    snapshots = [
        sim.admit(sorted(rng.sample(KEYS, rng.randint(1, len(KEYS)))), version=f"v{number}")
        for number in range(rng.randint(1, 4))
    ]
    for _ in range(rng.randint(0, 40)):
        snapshot = rng.choice(snapshots)
        who, form = party(rng.randint(1, 5)), rng.choice(["", "K", "KH", "PS", "S"])
        batches = []
        for _ in range(rng.randint(1, 4)):
            rows = rng.sample(range(snapshot.rows), rng.randint(0, snapshot.rows))
            batches.append(rows if "S" in form else sorted(rows))
        intent = sim.deliver(who, snapshot, batches, form)
        for batch, rows in enumerate(batches):
            for position, row in enumerate(rows):
                place = (who, "S" in form, intent, batch, position)
                model[key_of(snapshot, row)].add(place)
    return model


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_exactly_the_receivers_of_each_record_are_told_exactly_its_rows(seed):
    rng = random.Random(seed)  # noqa: S311 - a model, not a secret
    with tempfile.TemporaryDirectory() as root:
        sim = Simulated(Path(root))
        try:
            model = deliver_at_random(sim, rng)
            if rng.random() < 0.5:
                gc.collect()
                sim.library.retire(PRODUCT)
            repaired = rng.sample(KEYS, rng.randint(1, 10))
            repairs = {sim.repair(key): key for key in repaired}
            sim.recaller().compute()
            told = defaultdict(set)
            for repair, who, form, listed in sim.rows(
                "SELECT repair, party_id, form, rows_list FROM recall_notices"
            ):
                for row in decode_list(listed).to_pylist():
                    place = (row["intent"], row["batch"], row["position"])
                    told[repairs[repair]].add((who, form == "PSEUDONYM", *place))
            assert told == {key: model[key] for key in repaired if model[key]}
            assert sim.rows("SELECT count(*) FROM recalls WHERE computed_at IS NULL") == [(0,)]
            assert sim.entries("alarm") == []
        finally:
            sim.close()


def test_a_notice_says_only_what_its_receiver_has(sim):
    snapshot = sim.admit(KEYS)
    everything = list(range(snapshot.rows))
    for number, form in enumerate(("", "K", "KH", "PS"), start=1):
        sim.deliver(party(number), snapshot, [everything], form)
    sim.repair("r005")
    sim.recaller().compute()
    place, keyed, hashed, hidden = sim.notices()
    assert "r005" not in str(place)
    assert keyed["record_key"] == "r005"
    assert "v1-r005" not in str(keyed)
    assert hashed["named"][0]["record_hash"] == "v1-r005"
    keys = ConsumerKeys.derive(MASTER, party(4))
    pseudonym = Pseudonymiser(keys).column(pa.array(["S001"]))[0].as_py()
    assert (hidden["subject"], hidden["form"]) == (pseudonym, "PSEUDONYM")
    for word in ("r005", "S001"):
        assert word not in str(hidden)
    assert all(each["named"][0]["position"] == 5 for each in (place, keyed, hashed, hidden))


def test_rows_in_the_clear_and_under_a_pseudonym_are_never_linked_by_one_notice(sim):
    snapshot = sim.admit(KEYS)
    sim.deliver(party(1), snapshot, [[5]], "K")
    sim.deliver(party(1), snapshot, [[7, 5, 2]], "PS")
    sim.repair("r005")
    sim.recaller().compute()
    clear, hidden = sim.notices()
    assert [len(each["named"]) for each in (clear, hidden)] == [1, 1]
    assert hidden["named"][0]["position"] == 1
    assert clear["named"][0]["request"] != hidden["named"][0]["request"]
    assert sim.rows("SELECT recipients, deliveries FROM recalls") == [(1, 2)]


def test_nothing_is_computed_before_the_gate_is_clear_unless_its_publisher_is_gone(sim):
    snapshot = sim.admit(KEYS)
    sim.deliver(party(1), snapshot, [[5]])
    repair = sim.repair("r005", clear=False)
    recaller = sim.recaller()
    assert recaller.compute() == 0
    sim.now += GRACE_S - 1
    assert recaller.compute() == 0
    sim.now += 1
    assert recaller.compute() == 1
    other = sim.repair("r006", clear=False)
    recaller.gate_is_clear([other, repair], 7)
    assert sim.rows("SELECT gate_clear FROM recalls ORDER BY repair") == [(7,), (7,)]
    assert recaller.compute() == 1


def test_a_crash_between_commits_loses_and_doubles_nothing(sim, monkeypatch):
    snapshot = sim.admit(KEYS)
    for number in range(1, 8):
        sim.deliver(party(number), snapshot, [[5, 6]])
    sim.repair("r005")
    sim.repair("r006")
    monkeypatch.setattr(compute, "_IN_ONE_COMMIT", 3)
    recaller, commits = sim.recaller(), []
    run = sim.state.run

    def dying(job):
        commits.append(job)
        if len(commits) == 3:
            raise AuditUnavailableError("killed")
        return run(job)

    monkeypatch.setattr(sim.state, "run", dying)
    with pytest.raises(AuditUnavailableError):
        recaller.compute()
    assert 0 < len(sim.notices()) < 14
    monkeypatch.setattr(sim.state, "run", run)
    assert sim.recaller().compute() == 2
    assert len(sim.notices()) == len(sim.entries("recall")) == 14
    assert sim.rows("SELECT recipients, deliveries FROM recalls") == [(7, 7), (7, 7)]
    assert sim.recaller().compute() == 0


def test_two_processes_write_each_notice_once(sim):
    snapshot = sim.admit(KEYS)
    sim.deliver(party(1), snapshot, [[5]])
    sim.repair("r005")
    first, second = sim.recaller(), sim.recaller()
    reader = sim.state.connect()
    pending = compute._pending(reader, sim.now)
    first._together(reader, pending)
    second._together(reader, pending)
    reader.close()
    assert len(sim.notices()) == 1


def test_too_many_hits_are_computed_in_halves(sim, monkeypatch):
    snapshot = sim.admit(KEYS)
    sim.deliver(party(1), snapshot, [list(range(40))])
    for key in KEYS[:9]:
        sim.repair(key)
    monkeypatch.setattr(drafts, "MAX_HITS", 2)
    assert sim.recaller().compute() == 9
    assert len(sim.notices()) == 9


@pytest.mark.parametrize("damage", ["gone", "map", "snapshot"])
def test_deliveries_that_cannot_be_resolved_raise_an_alarm(sim, damage):
    first = sim.admit(KEYS)
    second = sim.admit(KEYS[:5], version="v2")
    sim.deliver(party(1), first, [[5], [6]])
    sim.deliver(party(2), second, [[4]])
    home, gone = first.directory.parent, first.directory
    del first
    gc.collect()
    if damage == "gone":
        shutil.rmtree(gone)
    elif damage == "map":
        sim.library.retire(PRODUCT)
        path = next(home.glob("records-*"))
        content = bytearray(path.read_bytes())
        content[content.index(b"r005")] ^= 1
        path.write_bytes(content)
    else:
        (gone / "manifest.json").write_bytes(b"{}")
    repair = sim.repair("r004")
    sim.recaller().compute()
    (alarm,) = sim.entries("alarm")
    assert (alarm["rule"], alarm["code"]) == ("R28", "RECALL_INCOMPLETE")
    assert (alarm["records"], alarm["cause"]) == (2, repair)
    # Those who can be named are told all the same, and nobody is accused by a guess.
    assert [each["party"] for each in sim.notices()] == [party(2)]


def test_a_suspension_is_resumed_with_those_who_were_told_and_no_others(sim):
    snapshot = sim.admit(KEYS)
    sim.deliver(party(1), snapshot, [[5]])
    sim.repair("r005", "SUSPEND_USE")
    sim.repair("r005", "RESUME_USE")
    sim.deliver(party(2), snapshot, [[5]])
    sim.recaller().compute()
    suspend, resume = sim.notices()
    assert (suspend["party"], suspend["status"]) == (party(1), "SUPERSEDED")
    assert (resume["party"], resume["status"]) == (party(1), "INFORMED")
    assert resume["named"] == suspend["named"]
    assert len({(entry["first"], entry["last"]) for entry in sim.entries("recall")}) == 1
    sim.repair("r005")
    sim.recaller().compute()
    assert sorted(e["party"] for e in sim.notices()[2:]) == sorted([party(1), party(2)])


def test_what_ends_a_suspension_waits_for_it(sim):
    snapshot = sim.admit(KEYS)
    sim.deliver(party(1), snapshot, [[5]])
    sim.repair("r005", "SUSPEND_USE", clear=False)
    sim.repair("r005", "RESUME_USE")
    assert sim.recaller().compute() == 0
    sim.now += GRACE_S
    assert sim.recaller().compute() == 2
    assert [each["kind"] for each in sim.notices()] == ["SUSPEND_USE", "RESUME_USE"]


def test_the_list_has_every_row_and_the_notice_its_digest(sim, monkeypatch):
    monkeypatch.setattr(drafts, "MAX_NAMED", 3)
    snapshot = sim.admit(KEYS)
    for _ in range(5):
        sim.deliver(party(1), snapshot, [[5]])
    sim.repair("r005")
    sim.recaller().compute()
    (notice,) = sim.notices()
    ((listed,),) = sim.rows("SELECT rows_list FROM recall_notices")
    assert (len(notice["named"]), notice["rows"]) == (3, 5)
    assert notice["list_sha256"] == hashlib.sha256(listed).hexdigest()
    assert decode_list(listed).num_rows == 5
    assert notice["due_at"] == notice["issued_at"] + DUE_S
