"""Status lists against the draft's vectors, and as bits."""

import json
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.credential.encoding import encode, encode_json
from gateway.credential.errors import CredentialError
from gateway.credential.metadata import list_url
from gateway.credential.status_list import ReadList, StatusBits, unpack
from tests.gateway.credential.conftest import ISSUER

VECTORS = json.loads((Path(__file__).parent / "vectors/status_lists.json").read_text("utf-8"))


@pytest.mark.parametrize("vector", VECTORS["lists"])
def test_the_drafts_lists_are_read_as_the_draft_reads_them(vector):
    packed = unpack(vector["lst"], vector["bits"])
    found = ReadList("u", 0, None, None, vector["bits"], packed)
    assert len(packed) * 8 // vector["bits"] == VECTORS["entries"]
    for place, value in vector["statuses"].items():
        assert found.status(int(place)) == value
    ones = sum(byte.bit_count() for byte in packed)
    assert ones == sum(value.bit_count() for value in vector["statuses"].values())


@pytest.mark.parametrize("vector", [one for one in VECTORS["lists"] if one["bits"] == 2])
def test_we_write_the_drafts_lists(vector):
    bits = StatusBits(VECTORS["entries"])
    bits.put((int(place), value) for place, value in vector["statuses"].items())
    assert unpack(bits.compressed(), 2) == unpack(vector["lst"], 2)


@given(st.dictionaries(st.integers(0, 399), st.sampled_from([0, 1, 3]), max_size=40))
def test_every_entry_reads_as_it_was_put(statuses):
    bits = StatusBits(400)
    bits.put((place, 3) for place in statuses)
    bits.put(statuses.items())
    found = ReadList("u", 0, None, None, 2, unpack(bits.compressed(), 2))
    assert [found.status(n) for n in range(400)] == [statuses.get(n, 0) for n in range(400)]
    for outside in (-1, 400):
        with pytest.raises(CredentialError):
            found.status(outside)


@pytest.mark.parametrize(
    ("lst", "bits"),
    [
        ("", 2), ("AAAA", 2), (encode(zlib.compress(b"\0" * 8) + b"x"), 2), (1, 2),
        (encode(zlib.compress(b"\0" * 8)[:-3]), 2), (encode(zlib.compress(b"\0")), 3),
        (encode(zlib.compress(b"\0" * (1 << 25))), 2),  # a bomb
        (encode(zlib.compress(b"\0")), True),
    ],
)  # fmt: skip
def test_what_is_no_list_is_refused(lst, bits):
    with pytest.raises(CredentialError) as caught:
        unpack(lst, bits)
    assert caught.value.code == "BAD_STATUS_LIST"


def test_a_token_names_its_list_its_times_and_nothing_else(world):
    found = ReadList.of(world.list(), world.trust.keys(ISSUER))
    assert (found.uri, found.ttl_s) == (list_url(ISSUER, 1), 300)
    found.check_fresh(world.now + 300)
    for late, words in ((301, {}), (3_600, {"longest_age_s": 9_999}), (11, {"longest_age_s": 10})):
        with pytest.raises(CredentialError) as caught:
            found.check_fresh(world.now + late, **words)
        assert caught.value.code == "STALE_STATUS_LIST"
    found.check_fresh(world.now + 900, longest_age_s=1_000)


def test_a_list_of_somebody_elses_key_or_kind_is_refused(world):
    token = world.list()
    head, body, signature = token.split(".")
    keys = world.trust.keys(ISSUER)
    other = encode_json({"typ": "statuslist+jwt", "alg": world.signer.algorithm, "kid": "x"})
    flipped = ("A" if signature[5] != "A" else "B").join((signature[:5], signature[6:]))
    for text in (
        f"{other}.{body}.{signature}", f"{head}.{body}.{flipped}", "a.b", "",
        world.signer.sign("JWT", {"sub": "x"}),
        world.signer.sign("statuslist+jwt", {"sub": "x", "iat": 1}),
        world.signer.sign("statuslist+jwt", {
            "sub": 1, "iat": 1, "status_list": {"bits": 2, "lst": world.bits.compressed()}}),
        world.signer.sign("statuslist+jwt", {"sub": "x", "iat": 1, "ttl": "1",
                          "status_list": {"bits": 2, "lst": world.bits.compressed()}}),
    ):  # fmt: skip
        with pytest.raises(CredentialError) as caught:
            ReadList.of(text, keys)
        assert caught.value.code == "BAD_STATUS_LIST"
