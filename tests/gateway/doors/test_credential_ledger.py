"""A credential that was made a moment ago is written down only if it still may be."""

import pytest

from audit.sequence import read_bodies
from gateway.credential import book
from gateway.credential.book import Kept, Place
from gateway.credential.places import Places
from gateway.credential.status_list import CredentialStatus
from gateway.domain.errors import DeniedError, UnavailableError
from gateway.doors.credential_ledger import Issue, IssueLedger
from gateway.release.form import FormMovedError
from gateway.replicas.changes import Noted, newest, note_changes

ENTRIES = 256
NODE = "n-1"


@pytest.fixture
def state(place):
    opened = place.state()
    opened.run(lambda tx: book.ensure_list(tx, ENTRIES))
    yield opened
    opened.close()


@pytest.fixture
def places(state):
    reader = state.connect()
    yield Places(reader)
    reader.close()


@pytest.fixture
def ledger():
    return IssueLedger(ENTRIES, NODE)


def issue(where, subject="s1", seen=0, replaces=""):
    return Issue(where, subject, seen, replaces, "reg:SG:1", "grades", 50)


def enter(state, where, credential_id="0" * 32):
    kept = Kept(credential_id, where, "reg:SG:1", "grades", "s1", "a" * 64, ("uscc",), "c", 1,
                1_000, 3, CredentialStatus.VALID, 1)  # fmt: skip
    row = book.row_of(kept, 3)
    marks = ",".join("?" * len(row.values))
    state.run(lambda tx: tx.execute(f"{row.into} ({marks})", row.values))
    return kept


def kinds(verdicts):
    return [type(each) for each in verdicts]


def change(state, *subjects):
    noted = [Noted("penalties", f"r{number}", who, True) for number, who in enumerate(subjects)]
    state.run(lambda tx: note_changes(tx, noted))
    return state.run(newest)


def test_a_record_that_changed_since_refuses_its_subject_and_no_other(state, places, ledger):
    before = change(state, "s1", "s3")
    after = change(state, "s1")
    items = [
        issue(places.take(), "s1", before),
        issue(places.take(), "s1", after),
        issue(places.take(), "s2", before),
        issue(places.take(), "s3", before),
    ]
    verdicts = state.run(lambda tx: ledger.check(tx, items))
    assert kinds(verdicts) == [DeniedError, type(None), type(None), type(None)]
    assert verdicts[0].code == "STOPPED_STREAM"


def test_a_place_that_is_somebodys_has_to_be_drawn_anew(state, places, ledger):
    one, other = places.take(), places.take()
    enter(state, one)
    items = [issue(one), issue(other), issue(other), issue(Place(9, 1))]
    verdicts = state.run(lambda tx: ledger.check(tx, items))
    assert kinds(verdicts) == [FormMovedError, type(None), FormMovedError, FormMovedError]


def test_places_are_given_once_and_drawn_anew_when_they_run_out(state, places):
    some = [places.take() for _ in range(200)]
    assert {each.number for each in some} == {1}
    assert len(set(some)) > 100  # drawn in several rounds, which know nothing of one another
    first = [places.take() for _ in range(3)]
    assert len(set(first)) == 3
    places.drop()
    state.run(lambda tx: tx.execute("DELETE FROM status_lists"))
    with pytest.raises(UnavailableError, match="can't be read"):
        places.take()


def test_what_is_let_in_is_counted_and_ends_what_it_replaces(state, places, ledger):
    old = enter(state, places.take(), "1" * 32)
    items = [(issue(places.take(), replaces=old.credential_id), 7), (issue(places.take()), 9)]
    state.run(lambda tx: ledger.post(tx, items))
    found = state.run(lambda tx: book.find(tx, old.credential_id))
    assert (found.status, found.status_at) == (CredentialStatus.REFRESH, 50)
    taken = state.run(lambda tx: tx.execute("SELECT taken FROM status_lists").fetchall())
    assert taken == [(2,)]
    reader = state.connect()
    (entry,) = [body for _, _, body in read_bodies(reader, 0, 99) if b"credential_status" in body]
    reader.close()
    assert b'"reason":"RENEWED"' in entry
    assert NODE.encode() in entry
    # What is refreshed already is told of no second time.
    state.run(lambda tx: ledger.post(tx, items[:1]))
    reader = state.connect()
    bodies = [body for _, _, body in read_bodies(reader, 0, 99)]
    reader.close()
    assert sum(b"credential_status" in body for body in bodies) == 1
