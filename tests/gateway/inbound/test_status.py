"""Status lists: what an entry says, how long it says so, and what is no list at all."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inbound.errors import ForeignDocumentError
from gateway.inbound.given_lists import GivenLists
from gateway.inbound.jose import read_keys
from gateway.inbound.status import MAX_LIST_BYTES, Standing, open_list, reference_of, stated_uri
from tests.gateway.inbound.abroad import DAY, NOW, STATUS_URI, Issuer, b64, signed

BUREAU = Issuer()


def opened(token, now=NOW, issuer=BUREAU, max_age_s=DAY):
    return open_list(token, read_keys([issuer.public()]), now, max_age_s=max_age_s)


def refused(token, **words):
    with pytest.raises(ForeignDocumentError) as caught:
        opened(token, **words)
    return caught.value.code


@given(
    bits=st.sampled_from([1, 2, 4, 8]),
    changes=st.dictionaries(st.integers(0, 4_000), st.integers(0, 255), max_size=20),
)
def test_entries_are_read_as_they_were_written(bits, changes):
    issuer = Issuer(bits=bits)
    written = {index: value % (1 << bits) for index, value in changes.items()}
    for index, value in written.items():
        issuer.set(index, value)
    found = opened(issuer.status_list(), issuer=issuer)
    for index in {*written, 0, 4_001, 32_768 * 8 // bits - 1}:
        assert found.at(index) is Standing.of(written.get(index, 0))
    for index in (-1, 32_768 * 8 // bits):
        with pytest.raises(ForeignDocumentError):
            found.at(index)


def test_the_draft_s_own_example():
    # Token Status List, section 4.1: bits 1, bytes 0xB9 0xA3, "eNrbuRgAAhcBXQ".
    token = signed(
        {
            "sub": STATUS_URI,
            "iat": NOW,
            "ttl": 60,
            "status_list": {"bits": 1, "lst": "eNrbuRgAAhcBXQ"},
        },
        BUREAU.key,
        "statuslist+jwt",
    )
    found = opened(token)
    assert [int(found.at(index)) for index in range(16)] == [
        1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "age", "fresh_for"),
    [
        ({"ttl": 600}, DAY, 600),
        ({"ttl": 10 * DAY}, DAY, DAY),
        ({"ttl": None, "exp": NOW + 100}, DAY, 100),
        ({"ttl": 50, "exp": NOW + 100}, DAY, 50),
        ({"ttl": None}, 60, 60),
    ],
)
def test_a_list_is_fresh_until_the_first_of_its_ends(more, age, fresh_for):
    token = BUREAU.status_list(issued=NOW, **more)
    assert opened(token, max_age_s=age).fresh_until == NOW + fresh_for
    assert opened(token, now=NOW + fresh_for - 1, max_age_s=age)
    assert refused(token, now=NOW + fresh_for, max_age_s=age) == "FOREIGN_STATUS_STALE"


def test_a_list_of_tomorrow_is_refused():
    assert refused(BUREAU.status_list(issued=NOW + 61)) == "FOREIGN_STATUS_STALE"
    assert opened(BUREAU.status_list(issued=NOW + 60))


def test_a_list_that_somebody_else_signed_is_refused():
    assert refused(BUREAU.status_list(key=Issuer().key)) == "FOREIGN_SIGNATURE"


def test_another_type_is_no_list():
    token = signed({"sub": STATUS_URI, "iat": NOW}, BUREAU.key, "JWT")
    assert refused(token) == "FOREIGN_MALFORMED"


@pytest.mark.parametrize(
    "more",
    [
        {"sub": None},
        {"iat": None},
        {"status_list": None},
        {"status_list": []},
        {"status_list": {"bits": 3, "lst": ""}},
        {"status_list": {"bits": True, "lst": ""}},
        {"status_list": {"bits": 1}},
        {"status_list": {"bits": 1, "lst": "!!"}},
        {"status_list": {"bits": 1, "lst": b64(b"not zlib")}},
        {"status_list": {"bits": 1, "lst": b64(zlib.compress(bytes(9))[:-3])}},
        {"status_list": {"bits": 1, "lst": b64(zlib.compress(bytes(9)) + b"more")}},
    ],
)
def test_malformed_lists_are_refused(more):
    assert refused(BUREAU.status_list(**more)) == "FOREIGN_MALFORMED"


def test_a_small_packet_can_not_become_a_huge_list():
    bomb = b64(zlib.compress(bytes(MAX_LIST_BYTES + 1), 9))
    assert len(bomb) < 30_000
    token = BUREAU.status_list(status_list={"bits": 1, "lst": bomb})
    assert refused(token) == "FOREIGN_MALFORMED"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (None, "FOREIGN_STATUS_MISSING"),
        ({}, "FOREIGN_STATUS_MISSING"),
        ({"status_list": 1}, "FOREIGN_MALFORMED"),
        ({"status_list": {"idx": -1, "uri": STATUS_URI}}, "FOREIGN_MALFORMED"),
        ({"status_list": {"idx": True, "uri": STATUS_URI}}, "FOREIGN_MALFORMED"),
        (
            {"status_list": {"idx": 1, "uri": "http://bureau.example.sg/status/1"}},
            "FOREIGN_MALFORMED",
        ),
        ({"status_list": {"idx": 1, "uri": "https://" + "x" * 600}}, "FOREIGN_MALFORMED"),
    ],
)
def test_where_a_status_stands_must_be_said(status, code):
    with pytest.raises(ForeignDocumentError) as caught:
        reference_of({"status": status} if status is not None else {})
    assert caught.value.code == code


def test_lists_are_found_by_their_own_address():
    token = BUREAU.status_list()
    assert stated_uri(token) == STATUS_URI
    asked = []
    given = GivenLists([token, "no token"], lambda uri: asked.append(uri) or "fetched")
    assert given.token(STATUS_URI) == token
    assert given.token("https://elsewhere.example/1") == "fetched"
    assert given.token("https://elsewhere.example/1") == "fetched"
    assert asked == ["https://elsewhere.example/1"]
    assert GivenLists().token(STATUS_URI) is None
