"""The book of credentials, on both kinds of state."""

import itertools

import pytest

from gateway.credential import book
from gateway.credential.book import Kept, Place, content_digest
from gateway.credential.publication import ListPublication
from gateway.credential.status_list import CredentialStatus, ReadList
from gateway.credential_settings import CredentialSettings
from tests.gateway.credential.conftest import ENTRIES, ISSUER

_numbers = itertools.count(1)
VALID, INVALID, REFRESH = CredentialStatus.VALID, CredentialStatus.INVALID, CredentialStatus.REFRESH


@pytest.fixture
def state(place):
    opened = place.state()
    yield opened
    opened.close()


def kept(where: Place, **words) -> Kept:
    values = {
        "credential_id": f"{next(_numbers):032x}", "where": where, "party_id": "reg:SG:1",
        "product": "grades", "subject": "s1", "snapshot": "a" * 64, "columns": ("uscc", "grade"),
        "content": "c", "issued_at": 1, "expires_at": 1_000, "log_index": 3, "status": VALID,
        "status_at": 1,
    }  # fmt: skip
    return Kept(**(values | words))


def entered(state, **words) -> Kept:
    def job(tx):
        book.ensure_list(tx, ENTRIES)
        where = book.free_places(tx, 16)[0]
        assert book.still_free(tx, [where]) == [True]
        one = kept(where, **words)
        row = book.row_of(one, one.log_index)
        tx.execute(f"{row.into} ({','.join('?' * len(row.values))})", row.values)
        book.count_taken(tx, [where], ENTRIES)
        return one

    return state.run(job)


def find(state, one) -> Kept:
    return state.run(lambda tx: book.find(tx, one.credential_id))


def test_what_was_entered_is_found_as_it_was(state):
    one = entered(state)
    assert find(state, one) == one
    assert state.run(lambda tx: book.find(tx, "x")) is None


def test_places_are_drawn_at_random_and_never_twice(state, monkeypatch):
    assert state.run(lambda tx: book.free_places(tx, 4)) == []  # there is no list yet
    drawn = iter([7, 7, 7, 8, 8, 9])
    monkeypatch.setattr("secrets.randbelow", lambda size: next(drawn, 7))
    assert entered(state).where.place == 7
    drawn = iter([7, 8, 8, 9])
    free = state.run(lambda tx: book.free_places(tx, 4))
    assert [each.place for each in free] == [8, 9]
    monkeypatch.undo()
    seen = {place.place for place in state.run(lambda tx: book.free_places(tx, 64))}
    assert len(seen) > 8


def test_a_place_that_was_taken_meanwhile_is_found_out(state):
    one = entered(state)
    other = Place(1, (one.where.place + 1) % ENTRIES)
    asked = [one.where, other, other, Place(2, other.place)]
    assert state.run(lambda tx: book.still_free(tx, asked)) == [False, True, False, False]


def test_a_list_that_is_half_taken_is_drawn_from_no_more(state):
    entered(state)
    state.run(lambda tx: tx.execute("UPDATE status_lists SET taken = ?", (ENTRIES // 2 - 1,)))
    last = entered(state)
    assert last.where.number == 1
    # The next one is there at once, so whatever was drawn from this one is drawn anew.
    unused = Place(1, (last.where.place + 1) % ENTRIES)
    assert state.run(lambda tx: book.still_free(tx, [unused])) == [False]
    assert entered(state).where.number == 2
    assert entered(state).where.number == 2
    rows = state.run(lambda tx: tx.execute("SELECT taken FROM status_lists ORDER BY 1").fetchall())
    assert rows == [(2,), (ENTRIES // 2,)]


def test_a_repair_refreshes_the_subjects_credentials_of_these_products(state):
    one, other = entered(state), entered(state, subject="s2")
    unrelated = entered(state, product="companies")
    assert (
        state.run(lambda tx: book.supersede(tx, {("s1", "penalties"), ("s1", "grades")}, 50)) == 1
    )
    assert (find(state, one).status, find(state, one).status_at) == (REFRESH, 50)
    assert find(state, other).status is find(state, unrelated).status is VALID
    assert state.run(lambda tx: book.supersede(tx, {("s1", "grades")}, 60)) == 0
    assert find(state, one).status_at == 50


def test_invalid_is_for_good_and_nothing_becomes_valid_again(state):
    one = entered(state)

    def change(status):
        return state.run(lambda tx: book.change_status(tx, [one.credential_id], status, 9))

    assert change(REFRESH) == 1
    assert change(INVALID) == 1
    assert change(REFRESH) == 0
    assert change(INVALID) == 0
    assert find(state, one).status is INVALID


def test_whatever_changes_is_published_and_only_that(state, world, tmp_path):
    many = [entered(state) for _ in range(40)]
    settings = CredentialSettings(issuer=ISSUER, ttl_s=100)
    reader = state.connect()
    publication = ListPublication(tmp_path, world.signer, settings)
    assert publication.publish(reader, world.now) == 1
    assert publication.publish(reader, world.now + 49) == 0
    assert publication.publish(reader, world.now + 50) == 1  # signed anew within its ttl
    gone = [one.credential_id for one in many[:7]]
    state.run(lambda tx: book.change_status(tx, gone, REFRESH, 5))
    assert publication.publish(reader, world.now + 51) == 1
    token = (tmp_path / "statuslists/1").read_text()
    found = ReadList.of(token, world.trust.keys(ISSUER))
    assert [found.status(one.where.place) for one in many] == [3] * 7 + [0] * 33
    assert found.made_at == world.now + 51
    # A process that starts anew publishes the same.
    fresh = tmp_path / "fresh"
    ListPublication(fresh, world.signer, settings).publish(reader, world.now + 51)
    other = ReadList.of((fresh / "statuslists/1").read_text(), world.trust.keys(ISSUER))
    assert other.packed == found.packed
    reader.close()


def test_what_ended_long_ago_is_forgotten_but_its_place_stays_taken(state, world, tmp_path):
    old = entered(state)
    state.run(lambda tx: book.forget(tx, 1_001))
    assert (find(state, old).subject, find(state, old).party_id) == ("", "")
    assert find(state, old).where == old.where
    # A list goes when it is no longer drawn from and every credential of it has ended.
    state.run(lambda tx: tx.execute("UPDATE status_lists SET taken = ?", (ENTRIES // 2,)))
    young = entered(state, expires_at=5_000)
    settings = CredentialSettings(issuer=ISSUER)
    reader = state.connect()
    publication = ListPublication(tmp_path, world.signer, settings)
    assert publication.publish(reader, world.now) == 2
    state.run(lambda tx: book.forget(tx, 1_001))
    publication.publish(reader, world.now)
    assert sorted(path.name for path in (tmp_path / "statuslists").iterdir()) == ["2"]
    assert find(state, young).subject == "s1"
    assert find(state, old) is None
    reader.close()


def test_credentials_of_other_snapshots_are_found_and_carried_over(state):
    older, same, newer = (entered(state, snapshot=letter * 64) for letter in "abc")
    entered(state, snapshot="c" * 64, status=REFRESH)
    found = state.run(lambda tx: book.of_other_snapshots(tx, "grades", "b" * 64, 10))
    ids = {one.credential_id for one in found}
    assert ids == {older.credential_id, newer.credential_id}
    state.run(lambda tx: book.carry_over(tx, sorted(ids), "b" * 64))
    assert state.run(lambda tx: book.of_other_snapshots(tx, "grades", "b" * 64, 10)) == []
    assert find(state, same).snapshot == find(state, older).snapshot == "b" * 64


def test_a_digest_of_content_is_of_one_credential():
    assert content_digest("a", [1]) == content_digest("a", [1])
    assert len({content_digest("a", [1]), content_digest("b", [1]), content_digest("a", [2])}) == 3
