"""Openings and labels stand or fall with their entry, and stay sealed."""

import contextlib

import pytest

from audit.commitment import Opening, check_opening, commit
from audit.errors import ProofError
from audit.openings import BULK, OpeningStore, who
from gateway.store.migration import load, migrate
from tests.audit.log_home import body

KEY = b"o" * 32
OPENINGS = {"operator": Opening("operator", "张三".encode(), b"1" * 32)}


@pytest.fixture
def store():
    return OpeningStore(KEY)


@pytest.fixture
def reader(home):
    home.journal.run(lambda tx: migrate(tx, load()))  # the labels of portfolios lie there
    with contextlib.closing(home.journal.connect()) as connection:
        yield connection


def record(home, store, openings, labels, subjects=()):
    def job(tx):
        appended = tx.append_body(body(0))
        store.record(tx, appended.index, openings, labels, subjects)
        return appended.index

    return home.journal.run(job)


def test_what_was_recorded_opens_the_commitment(home, store, reader):
    index = record(home, store, OPENINGS, [])
    opened = store.openings(reader, index)
    assert opened == OPENINGS
    check_opening(opened["operator"], commit(OPENINGS["operator"]))
    assert store.openings(reader, index + 1) == {}


def test_nothing_of_it_lies_in_the_database_in_the_clear(home, store):
    record(home, store, OPENINGS, [])
    for path in home.root.glob("state.sqlite3*"):
        assert "张三".encode() not in path.read_bytes()
        assert b"1" * 32 not in path.read_bytes()


def test_another_key_or_another_entry_does_not_unseal(home, store, reader):
    index = record(home, store, OPENINGS, [])
    with pytest.raises(ProofError):
        OpeningStore(b"p" * 32).openings(reader, index)
    home.journal.run(lambda tx: tx.execute("UPDATE audit_opening SET entry = entry + 1"))
    with pytest.raises(ProofError):
        store.openings(reader, index + 1)
    home.journal.run(lambda tx: tx.execute("UPDATE audit_opening SET sealed = ?", (b"\0",)))
    with pytest.raises(ProofError):
        store.openings(reader, index + 1)


def test_subjects_are_found_by_label_each_entry_once(home, store, reader):
    many = [bytes([1]) + number.to_bytes(31, "big") for number in range(10_000)]
    first = record(home, store, {}, [b"a" * 32, b"b" * 32, b"a" * 32])
    second = record(home, store, OPENINGS, [b"b" * 32])
    third = record(home, store, {}, many)
    assert who(reader, b"a" * 32) == [first]
    assert who(reader, b"b" * 32) == [first, second]
    assert who(reader, many[-1]) == [third]
    assert who(reader, b"c" * 32) == []


@pytest.mark.parametrize("count", [2, BULK - 1, BULK, 12_000])
def test_every_subject_of_an_entry_is_found_however_many_there_are(home, store, reader, count):
    labels = [number.to_bytes(32, "little") for number in range(count)]
    subjects = [b"s" * 32 + str(number).encode() for number in range(count)]
    alone = record(home, store, OPENINGS, labels[:1])
    index = record(home, store, OPENINGS, labels, subjects)
    assert who(reader, labels[0]) == [alone, index]
    assert who(reader, labels[-1]) == [index]
    assert who(reader, count.to_bytes(32, "little")) == []
    opened = store.subjects(reader, index)
    assert [opened[label].value for label in labels] == [each[32:] for each in subjects]
    # Of a large entry nothing lies in the order of labels.
    (in_order,) = reader.execute(
        "SELECT count(*) FROM audit_label WHERE entry = ?", (index,)
    ).fetchone()
    assert in_order == (count if count < BULK else 0)


def test_what_was_recorded_before_openings_lay_by_entry_is_found(home, store):
    number = next(each.number for each in load() if each.name == "subjects_by_entry")
    home.journal.run(lambda tx: migrate(tx, load()[: number - 1]))
    labels = [bytes([each]) * 32 for each in (9, 7, 8)]
    index = record(home, store, OPENINGS, labels, [b"s" * 32 + label[:1] for label in labels])
    home.journal.run(lambda tx: migrate(tx, load()))
    with contextlib.closing(home.journal.connect()) as connection:
        assert [who(connection, label) for label in labels] == [[index]] * 3
        opened = store.subjects(connection, index)
        assert {label: each.value for label, each in opened.items()} == {
            label: label[:1] for label in labels
        }


def test_a_failed_job_leaves_no_openings(home, store, reader):
    def job(tx):
        appended = tx.append_body(body(0))
        store.record(tx, appended.index, OPENINGS, [b"a" * 32])
        raise KeyError

    with pytest.raises(KeyError):
        home.journal.run(job)
    assert who(reader, b"a" * 32) == []
    assert store.openings(reader, 0) == {}
