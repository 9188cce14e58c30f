"""What the state keeps of foreign documents, on both kinds of database."""

import dataclasses

import pytest

from gateway.inbound import records
from gateway.inbound.errors import ForeignDocumentError
from gateway.inbound.records import State, Stored
from gateway.inbound.status import StatusList
from gateway.inbound.vault import Vault
from tests.stores import Place

VAULT = Vault(b"k" * 32)
URI = "https://bureau.example.sg/status/1"


def stored(key="FCR-1", **changes):
    made = Stored(
        key=key, issuer="https://bureau.example.sg", vct="v", subject="lei:X", issued_at=100,
        digest="ab" * 32, document="a.b.c~", content={"name": "示例", "lei": None, "v": 3},
        status_uri=URI, status_entry=7, status_as_of=90, fresh_until=500, state=State.ACTIVE,
        admitted_at=110, index=5,
    )  # fmt: skip
    return dataclasses.replace(made, **changes)


@pytest.fixture
def run(place: Place):
    state = place.state()
    yield state.run
    state.close()


def living(run, issuer=""):
    return list(run(lambda tx: records.living(tx, VAULT, issuer)))


def test_what_is_kept_comes_back_as_it_was(run):
    one, other = stored(), stored("FCR-2", issuer="https://other.example.my", subject="lei:Y")
    for each in (one, other):
        run(lambda tx, each=each: records.insert(tx, VAULT, each))
    assert living(run) == [one, other]
    assert living(run, other.issuer) == [other]
    found = run(lambda tx: records.of_subject(tx, VAULT, one.issuer, "v", "lei:X"))
    assert found == [one]
    assert run(lambda tx: records.of_subject(tx, VAULT, one.issuer, "v", "lei:Y")) == []


def test_the_newest_document_stands_first_and_the_others_are_superseded(run):
    older, newer = stored("FCR-2"), stored("FCR-1", issued_at=200)
    for each in (older, newer):
        run(lambda tx, each=each: records.insert(tx, VAULT, each))
    found = run(lambda tx: records.of_subject(tx, VAULT, older.issuer, "v", "lei:X"))
    assert found == [newer, older]
    assert records.superseded(found) == {"FCR-2"}
    assert records.superseded([newer, stored("FCR-9", subject="lei:Z")]) == frozenset()


def test_what_is_withdrawn_stays_so(run):
    run(lambda tx: records.insert(tx, VAULT, stored()))
    run(lambda tx: records.mark(tx, "FCR-1", State.HELD))
    assert [one.state for one in living(run)] == [State.HELD]
    run(lambda tx: records.confirm(tx, "FCR-1", as_of=95, fresh_until=600, index=9))
    assert living(run) == [stored(status_as_of=95, fresh_until=600, index=9)]
    run(lambda tx: records.mark(tx, "FCR-1", State.WITHDRAWN))
    run(lambda tx: records.mark(tx, "FCR-1", State.ACTIVE))
    run(lambda tx: records.confirm(tx, "FCR-1", as_of=99, fresh_until=700, index=10))
    assert living(run) == []


def listed(issued_at):
    return StatusList(URI, issued_at, issued_at + 100, 2, b"\0", bytes([issued_at]) * 32)


def test_an_older_list_is_refused_and_never_kept(run):
    for issued_at in (50, 60, 55):
        run(lambda tx, at=issued_at: records.note_list(tx, listed(at), "https://b.example"))
    for issued_at in (60, 61):
        run(lambda tx, at=issued_at: records.check_newest_list(tx, listed(at)))
    with pytest.raises(ForeignDocumentError) as caught:
        run(lambda tx: records.check_newest_list(tx, listed(59)))
    assert caught.value.code == "FOREIGN_STATUS_STALE"


def test_nothing_of_a_document_lies_in_the_clear(run):
    run(lambda tx: records.insert(tx, VAULT, stored()))
    rows = run(lambda tx: tx.execute("SELECT * FROM foreign_records").fetchall())
    told = b"".join(bytes(v) if isinstance(v, bytes) else str(v).encode() for v in rows[0])
    for secret in ("示例", "lei:X", "a.b.c"):
        assert secret.encode() not in told
