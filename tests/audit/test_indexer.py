"""The sealed index: complete, derived anew by an auditor, and no operator can leave one out."""

import json
import os
from itertools import pairwise

import pytest

from audit import indexer, openings
from audit.access_check import accesses_of
from audit.access_proof import SUBJECT, Wanted, check_accesses, prove_accesses
from audit.commitment import Opening, snapshot_label
from audit.entries import index_root
from audit.errors import AuditError, LeaseHeldError, LeaseLostError, NoteError, ProofError
from audit.index_store import every_segment, live_segments, look_up
from audit.openings import who
from audit.segment import build, check_lookup
from tests.audit.index_home import INDEX_KEY, IndexHome
from tests.audit.log_home import ORIGIN, SIGNER, VKEY

SMALL = {"base": 5, "fan": 3}
COMPANIES = [f"91460000MA{number:08d}" for number in range(40)]


@pytest.fixture
def world(tmp_path, place):
    home = IndexHome(tmp_path / "home", place=place)
    yield home
    home.close()


def busy(world, rounds=12):
    """Some traffic: single subjects, several at once, refusals, whole products."""
    asked = {}
    for number in range(rounds):
        one, two = COMPANIES[number % 7], COMPANIES[20 + number]
        for subjects in ((one,), (one, two, COMPANIES[39])):
            index = world.ask(*subjects, refused=number % 5 == 4)
            for subject in subjects:
                asked.setdefault(subject, []).append(index)
        world.ask()
        world.now += 30
    return asked


def prove(world, subject, entries=(), told=None, snapshots=()):
    labels = {SUBJECT: world.labels.of(subject)}
    labels |= {each: snapshot_label(INDEX_KEY, each) for each in snapshots}
    with world.connect() as connection:
        wanted = Wanted(subject, labels, entries, told or {})
        with connection.moment():
            return prove_accesses(connection, world.reader, SIGNER.key, wanted)


def entries_of(world, subject):
    with world.connect() as connection:
        found = who(connection, world.labels.of(subject))
        marks = ",".join("?" * len(found))
        rows = connection.execute(
            f"SELECT entry FROM intent_entries WHERE intent IN ({marks})", found
        )
        return [*found, *(row[0] for row in rows)]


@pytest.mark.parametrize("bulk", [openings.BULK, 3])
@pytest.mark.parametrize("words", [SMALL, {"base": 1000}, {"base": 1, "fan": 2}])
def test_every_list_is_proved_complete(world, words, bulk, monkeypatch):
    monkeypatch.setattr(openings, "BULK", bulk)
    asked = busy(world)
    world.seal(**words)
    for subject, indexes in asked.items():
        proved = check_accesses(prove(world, subject, entries_of(world, subject)), VKEY)
        assert proved.lists[SUBJECT] == tuple(indexes)
        assert [each.index for each in accesses_of(proved)] == indexes
    absent = check_accesses(prove(world, "91460000MA99999999"), VKEY)
    assert absent.lists[SUBJECT] == ()
    assert absent.complete_below == proved.complete_below > max(map(max, asked.values()))
    report = world.verify()
    assert (report.problems, report.tail) == ([], 0)
    assert report.accesses == 36
    with world.connect() as connection:
        segments = every_segment(connection)
        assert report.roots == len(segments)


def test_neighbours_are_merged_and_their_tiles_dropped(world):
    busy(world)
    world.seal(**SMALL)
    with world.connect() as connection:
        live = live_segments(connection)
        assert live[0].first == 0
        assert all(a.past == b.first for a, b in pairwise(live))
        assert {row.level for row in live} > {0, 1}
        names = {row[0] for row in connection.execute("SELECT DISTINCT segment FROM index_tiles")}
        assert names == {row.segment for row in live}


def test_a_tree_of_several_tiles_proves_every_label(world):
    subjects = [f"91460000MB{number:08d}" for number in range(1500)]
    for start in range(0, 1500, 100):
        world.ask(*subjects[start : start + 100])
    world.seal()
    with world.connect() as connection:
        (row,) = live_segments(connection)
        assert row.leaves == 2048
        assert connection.execute("SELECT max(level) FROM index_tiles").fetchone() == (1,)
        for subject in (*subjects[::97], "91460000MC00000000", "x"):
            lookup = look_up(connection, row, world.labels.of(subject))
            check_lookup(lookup, row.leaves, row.root)
            assert bool(lookup.entries) == (subject in subjects)


def test_nothing_new_seals_nothing(world):
    busy(world, 3)
    assert world.seal()
    # The roots themselves are entries, but they concern nobody.
    assert world.seal() == []
    assert world.verify().problems == []


def test_whole_snapshots_are_found_by_their_label(world):
    snapshots = [os.urandom(32) for _ in range(3)]
    exports = {each.hex(): [world.ask(snapshot=each) for _ in range(4)] for each in snapshots}
    world.seal()
    proved = check_accesses(prove(world, "nobody-at-all", snapshots=exports), VKEY)
    assert {of: list(found) for of, found in proved.lists.items() if found} == exports


# --- the operator ---


def problem(world, *words):
    report = world.verify()
    assert report.problems, "the auditor saw nothing"
    text = " / ".join(each.message for each in report.problems)
    assert any(word in text for word in words), text
    return report


def test_a_label_that_is_left_out_is_found(world):
    asked = busy(world)
    victim = asked[COMPANIES[0]][1]
    world.execute(
        "DELETE FROM audit_label WHERE label = ? AND entry = ?",
        world.labels.of(COMPANIES[0]), victim,
    )  # fmt: skip
    root = world.seal()[0]
    # The proof holds, as far as anybody without the index key can see: the root itself lies.
    proved = check_accesses(prove(world, COMPANIES[0]), VKEY)
    assert victim not in proved.lists[SUBJECT]
    report = problem(world, "is not that of the subjects")
    assert [each.index for each in report.problems] == [root]


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        ("UPDATE audit_label SET entry = entry + 1 WHERE entry = 4", ()),
        ("INSERT INTO audit_label (label, entry) VALUES (?, 4)", (bytes(32),)),
        ("UPDATE audit_label SET label = ? WHERE entry = 6", (bytes(32),)),
    ],
)
def test_a_label_that_is_moved_added_or_replaced_is_found(world, statement, values):
    busy(world)
    assert world.execute(statement, *values)
    world.seal(**SMALL)
    problem(world, "is not that of the subjects")


def test_taking_the_opening_away_as_well_is_found(world):
    victim = busy(world)[COMPANIES[0]][1]
    world.execute("DELETE FROM audit_label WHERE entry = ?", victim)
    world.execute("DELETE FROM audit_opening WHERE entry = ?", victim)
    world.seal()
    report = problem(world, "no destruction names it")
    assert victim in {each.index for each in report.problems}


def test_another_opening_is_found(world):
    victim = busy(world)[COMPANIES[0]][0]

    def swap(tx):
        tx.execute("DELETE FROM audit_opening WHERE entry = ?", (victim,))
        tx.execute("DELETE FROM audit_label WHERE entry = ?", (victim,))
        opening = Opening("subjects", COMPANIES[5].encode(), os.urandom(32))
        world.store.record(tx, victim, {"subjects": opening}, [world.labels.of(COMPANIES[5])])

    world.journal.run(swap)
    world.seal()
    assert victim in {each.index for each in problem(world, "does not open").problems}


def test_segments_over_large_entries_stay_small(world, monkeypatch):
    monkeypatch.setattr(openings, "BULK", 3)
    monkeypatch.setattr(indexer, "LARGE_ENTRIES", 2)
    monkeypatch.setattr(indexer, "MOST_LEAVES", 64)
    asked = busy(world)
    world.seal(base=1000, fan=2)
    with world.connect() as connection:
        large = [row[0] for row in connection.execute("SELECT entry FROM bulk_entries")]
        live = live_segments(connection)
    assert len(large) == 12
    assert max(sum(row.first <= each < row.past for each in large) for row in live) == 2
    for subject, indexes in asked.items():
        assert check_accesses(prove(world, subject), VKEY).lists[SUBJECT] == tuple(indexes)
    assert world.verify().problems == []


@pytest.mark.parametrize("bulk", [openings.BULK, 3])
def test_one_of_several_subjects_left_out_is_found(world, bulk, monkeypatch):
    monkeypatch.setattr(openings, "BULK", bulk)
    index = busy(world)[COMPANIES[20]][0]
    label = world.labels.of(COMPANIES[20])
    for table in ("audit_label", "subject_openings"):
        world.execute(f"DELETE FROM {table} WHERE label = ? AND entry = ?", label, index)
    world.seal()
    assert index in {each.index for each in problem(world, "no destruction names it").problems}


def test_a_salt_that_is_gone_without_a_destruction_is_found(world):
    busy(world)
    world.seal(**SMALL)
    world.execute("UPDATE index_segments SET salt = NULL WHERE live = 0")
    problem(world, "without a destruction")


def test_a_root_over_a_range_that_does_not_fit_is_found(world):
    busy(world, 4)
    world.seal()

    def forge(tx):
        tx.append(index_root(time=world.now, node="n", first=2, past=4, leaves=64, root=bytes(32)))

    world.journal.run(forge)
    world.publish()
    problem(world, "does not fit")


def test_what_is_in_the_tail_is_told_from_what_is_covered(world):
    busy(world, 2)
    world.seal()
    world.ask(COMPANIES[0])
    world.publish()
    report = world.verify()
    assert (report.tail, report.problems) == (1, [])
    assert report.covered < report.size


# --- one at a time ---


def test_two_indexers_take_turns(world):
    busy(world)
    with world.indexer() as one, world.indexer() as two:
        assert one.under_lease(lambda: 7) == 7
        with pytest.raises(LeaseHeldError):
            two.seal()
        world.now += 61
        assert two.seal()


def test_one_that_wakes_late_commits_nothing(world, monkeypatch):
    busy(world)
    with world.indexer() as sleeper, world.indexer() as other:
        before = build

        def paused(pairs, salt):
            monkeypatch.setattr("audit.indexer.build", before)
            world.now += 61
            other.seal()
            return before(pairs, salt)

        monkeypatch.setattr("audit.indexer.build", paused)
        with pytest.raises(LeaseLostError):
            sleeper.seal()
    world.seal()
    assert world.verify().problems == []
    with world.connect() as connection:
        assert len(live_segments(connection)) == 1


def test_a_crash_before_the_row_leaves_nothing_behind(world, monkeypatch):
    busy(world)

    def crash(*_, **__):
        raise AuditError("crash")

    monkeypatch.setattr("audit.indexer.index_root", crash)
    with world.indexer() as indexer, pytest.raises(AuditError):
        indexer.seal()
    monkeypatch.undo()
    with world.connect() as connection:
        stale = {row[0] for row in connection.execute("SELECT DISTINCT segment FROM index_tiles")}
        assert stale
    world.seal()
    with world.connect() as connection:
        names = {row[0] for row in connection.execute("SELECT DISTINCT segment FROM index_tiles")}
    assert not stale & names
    assert world.verify().problems == []


# --- the document ---


def test_no_changed_document_passes(world):
    asked = busy(world)
    world.seal(**SMALL)
    good = json.loads(prove(world, COMPANIES[0], entries_of(world, COMPANIES[0])))
    check_accesses(json.dumps(good).encode(), VKEY)
    assert asked

    def refused(change, *, signed):
        document = json.loads(json.dumps(good))
        change(document)
        if signed:
            document.pop("signature")
            document["signature"] = sign(document)
        with pytest.raises((ProofError, NoteError)):
            accesses_of(check_accesses(json.dumps(document).encode(), VKEY))

    def sign(document):
        from base64 import b64encode

        from audit.canonical import canonical

        return b64encode(SIGNER.key.sign(b"xinguan/accesses/v1\0" + canonical(document))).decode()

    refused(lambda d: d.update(subject="somebody else"), signed=False)
    refused(lambda d: d.update(v="xinguan/accesses/v2"), signed=True)
    refused(lambda d: d["segments"].pop(0), signed=True)
    refused(lambda d: d["segments"].pop(1), signed=True)
    refused(lambda d: d["segments"].reverse(), signed=True)
    refused(lambda d: d["segments"][0]["lookups"].clear(), signed=True)
    refused(lambda d: d["segments"][0]["lookups"]["subject"]["entries"].pop(), signed=True)
    refused(lambda d: d["segments"][0]["lookups"]["subject"].update(handle=""), signed=True)
    refused(lambda d: d["segments"][0].update(index=0), signed=True)
    refused(lambda d: d["entries"].pop(0), signed=True)
    refused(lambda d: d["entries"][0].update(index=1), signed=True)
    refused(lambda d: d.update(checkpoint=d["checkpoint"].replace(ORIGIN, "other")), signed=True)
    refused(lambda d: d.pop("told"), signed=True)
    for junk in (b"", b"[]", b"{}", b"null", b'{"signature":1}', b"\xff", b"[" * 100_000):
        with pytest.raises((ProofError, NoteError)):
            check_accesses(junk, VKEY)


def test_a_window_is_bounded_by_what_is_shown(world):
    indexes = [
        world.ask(COMPANIES[0]) for _ in range(6) if not setattr(world, "now", world.now + 9)
    ]
    world.seal()
    document = prove(world, COMPANIES[0], indexes[1:5])
    proved = check_accesses(document, VKEY)
    start, end = (proved.entries[indexes[at]]["time"] for at in (2, 4))
    assert [each.index for each in accesses_of(proved, start=start, end=end)] == indexes[2:4]
    with pytest.raises(ProofError):
        accesses_of(proved)
    shorter = check_accesses(prove(world, COMPANIES[0], indexes[2:4]), VKEY)
    with pytest.raises(ProofError):
        accesses_of(shorter, start=start, end=end)
    assert accesses_of(shorter, first=indexes[2], next_first=indexes[4])
