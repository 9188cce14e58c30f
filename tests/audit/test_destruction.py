"""What is destroyed is gone, and not one old proof breaks."""

import json
import sqlite3
from base64 import urlsafe_b64decode

import pytest

from audit import openings
from audit.access_proof import SUBJECT, Wanted, check_accesses, prove_accesses
from audit.commitment import check_opening, subject_leaves
from audit.destruction import Order, destroy
from audit.errors import ProofError
from audit.index_store import every_segment
from audit.openings import who
from audit.verify import check_proof, prove, verify_log
from tests.audit.index_home import NODE, IndexHome
from tests.audit.log_home import SIGNER, VKEY

FORGOTTEN, KEPT, THIRD = "91460000MA00000001", "91460000MA00000002", "91460000MA00000003"


@pytest.fixture(params=[openings.BULK, 3], ids=["few", "portfolio"])
def world(tmp_path, place, monkeypatch, request):
    monkeypatch.setattr(openings, "BULK", request.param)
    home = IndexHome(tmp_path / "home", place=place)
    yield home
    home.close()


@pytest.fixture
def asked(world):
    """Alone, refused, among several; and the same of one who is kept."""
    return [
        world.ask(FORGOTTEN),
        world.ask(FORGOTTEN, refused=True),
        world.ask(KEPT, FORGOTTEN, THIRD),
        world.ask(KEPT),
        world.ask(KEPT, THIRD),
    ]


def order(world, subject=FORGOTTEN):
    return Order(world.labels.of(subject), world.now + 1, "console", "request under PIPL 47")


def forget(world, entries, subject=FORGOTTEN, **words):
    def job(tx):
        return destroy(tx, world.store, order(world, subject), entries, now=world.now, node=NODE)

    with world.indexer(**words) as indexer:
        index = indexer.under_lease(lambda: world.journal.run(job))
        indexer.seal()
    world.publish()
    return index


def document(world, subject, entries=()):
    wanted = Wanted(subject, {SUBJECT: world.labels.of(subject)}, entries, {})
    with world.connect() as connection:
        return prove_accesses(connection, world.reader, SIGNER.key, wanted)


@pytest.mark.parametrize("words", [{}, {"base": 3, "fan": 2}])
def test_old_proofs_hold_and_new_ones_know_nothing(world, asked, words):
    world.seal(**words)
    receipts = [(prove(world.directory, index), world.reader.entry(index)) for index in asked]
    old = {each: document(world, each, asked[:1]) for each in (FORGOTTEN, KEPT)}
    destruction = forget(world, asked[:3], **words)
    assert verify_log(world.directory, VKEY).problems == ()
    for receipt, entry in receipts:
        check_proof(receipt, entry, VKEY)
    assert check_accesses(old[FORGOTTEN], VKEY).lists[SUBJECT] == tuple(asked[:3])
    assert check_accesses(old[KEPT], VKEY).lists[SUBJECT] == tuple(asked[2:5])
    assert check_accesses(document(world, FORGOTTEN), VKEY).lists[SUBJECT] == ()
    assert check_accesses(document(world, KEPT), VKEY).lists[SUBJECT] == tuple(asked[2:5])
    report = world.verify()
    assert report.problems == []
    assert report.destroyed == 3
    assert report.unknowable
    with world.connect() as connection:
        sealed_again = [
            row for row in every_segment(connection)
            if row.destruction == destruction and row.salt is not None
        ]  # fmt: skip
        assert sealed_again


def test_the_others_of_an_entry_stay_open(world, asked):
    forget(world, asked[:3])
    with world.connect() as connection:
        of_entry = world.store.openings(connection, asked[2])
        leaves = subject_leaves(of_entry["subjects"].value)
        opened = world.store.subjects(connection, asked[2])
        assert {each.value.decode() for each in opened.values()} == {KEPT, THIRD}
        assert len(leaves) == 3
        check_opening(of_entry["subjects"], commitment_in(world.reader.entry(asked[2]), "subjects"))
        # Of an entry about it alone, the case goes with the subject.
        assert world.store.openings(connection, asked[0]) == {}
        assert who(connection, world.labels.of(FORGOTTEN)) == []


def test_nothing_of_it_is_left_in_the_files(tmp_path):
    """Every byte that sealed it, taken before, is searched for in the files afterwards."""
    world = IndexHome(tmp_path / "files")
    asked = [world.ask(FORGOTTEN), world.ask(FORGOTTEN), world.ask(KEPT, FORGOTTEN, THIRD)]
    label = world.labels.of(FORGOTTEN)
    world.seal()
    with world.connect() as connection:
        sealed = [
            row[0]
            for row in connection.execute(
                "SELECT sealed FROM subject_openings WHERE label = ?", (label,)
            )
        ]
        sealed += [
            row[0]
            for row in connection.execute(
                "SELECT sealed FROM audit_opening WHERE entry IN (?, ?)", tuple(asked[:2])
            )
        ]
        salts = [row.salt for row in every_segment(connection)]
    assert (len(sealed), len(salts)) == (3, 1)
    forget(world, asked[:3])
    with sqlite3.connect(world.root / "state.sqlite3") as plain:
        assert plain.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    plain.close()
    files = b"".join(path.read_bytes() for path in world.root.glob("state.sqlite3*"))
    for secret in (*sealed, *salts):
        assert secret not in files
    # The destructions table knows the label, so that `who` can say so; no index row does.
    assert world.execute("DELETE FROM destructions") == 1
    world.close()


def test_an_order_for_nothing_is_refused(world, asked):
    with pytest.raises(ProofError):
        forget(world, [])
    assert world.execute("DELETE FROM destructions") == 0


def test_a_wrong_key_destroys_nothing(world, asked):
    before = world.journal.run(lambda tx: tx.execute("SELECT * FROM audit_opening").fetchall())
    world.execute("UPDATE audit_opening SET sealed = ? WHERE entry = ?", bytes(99), asked[1])
    with pytest.raises(ProofError):
        forget(world, asked[:3])
    after = world.journal.run(lambda tx: tx.execute("SELECT * FROM audit_opening").fetchall())
    assert len(after) == len(before)
    assert world.execute("DELETE FROM destructions") == 0


def test_a_crash_between_destruction_and_sealing_is_made_up_for(world, asked):
    world.seal()

    def job(tx):
        return destroy(tx, world.store, order(world), asked[:3], now=world.now, node=NODE)

    world.journal.run(job)  # and the process dies here
    world.publish()
    assert check_accesses(document(world, KEPT), VKEY).complete_below == 0
    world.seal()
    assert check_accesses(document(world, KEPT), VKEY).lists[SUBJECT] == tuple(asked[2:5])
    assert world.verify().problems == []


def test_an_operator_cannot_destroy_more_than_the_log_says(world, asked):
    forget(world, asked[:3])
    world.execute("DELETE FROM audit_opening WHERE entry = ?", asked[3])
    assert asked[3] in {each.index for each in world.verify().problems}


def test_the_log_does_not_tell_which_entries_were_forgotten(world, asked):
    index = forget(world, asked[:3])
    entry = world.reader.entry(index)
    for number in asked[:3]:
        assert f"{number} ".encode() not in entry
    with world.connect() as connection:
        opening = world.store.openings(connection, index)["entries"]
    assert opening.value.decode().split() == [str(each) for each in asked[:3]]
    check_opening(opening, commitment_in(entry, "entries"))


def commitment_in(entry, member):
    return urlsafe_b64decode(json.loads(entry)[member] + "=")
