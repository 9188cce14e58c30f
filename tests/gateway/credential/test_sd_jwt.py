"""Selective disclosure against RFC 9901's own example, and against whatever may be altered."""

import json
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.credential import sd_jwt
from gateway.credential.encoding import decode, encode, encode_json, from_json
from gateway.credential.errors import CredentialError
from gateway.credential.jws import parse
from gateway.credential.key_binding import Binding, check_binding

VECTOR = json.loads((Path(__file__).parent / "vectors/rfc9901.json").read_text("utf-8"))
SHA = "sha-256"
values = st.recursive(
    st.none() | st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.text(max_size=6).filter(lambda n: n not in ("_sd", "...", "_sd_alg")), inner, max_size=3
    ),
    max_leaves=6,
)  # fmt: skip
names = st.text(min_size=1, max_size=12).filter(lambda n: n not in ("_sd", "...", "_sd_alg"))


def test_the_rfcs_presentation_is_read_as_the_rfc_reads_it():
    presented = sd_jwt.split(VECTOR["presentation"])
    token = parse(presented.jwt, "example+sd-jwt")
    token.check(VECTOR["issuer_key"])
    revealed = sd_jwt.reveal(token.payload, presented.disclosures)
    assert revealed == VECTOR["verified"]
    binding = Binding(VECTOR["audience"], VECTOR["nonce"])
    check_binding(presented, revealed["cnf"]["jwk"], binding, VECTOR["at"])
    with pytest.raises(CredentialError, match="holds its key"):
        check_binding(presented, revealed["cnf"]["jwk"], binding, VECTOR["at"] + 3_600)


def test_the_rfcs_disclosures_have_the_rfcs_digests():
    presented = sd_jwt.split(VECTOR["issuance"])
    token = parse(presented.jwt, "example+sd-jwt")
    everything = sd_jwt.reveal(token.payload, presented.disclosures)
    assert everything["email"] == "johndoe@example.com"
    assert everything["nationalities"] == ["US", "DE"]
    assert everything["updated_at"] == 1570000000
    shown = sd_jwt.read_disclosure(presented.disclosures[0])
    assert (shown.name, shown.value) == ("given_name", "John")
    assert shown.digest == "jsu9yVulwQQlhFlM_3JlzMaSFzglhQG0DpfayQwLUK4"


@given(st.dictionaries(names, values, max_size=6), st.integers(0, 4))
def test_what_is_concealed_comes_back_and_only_what_is_shown(claims, decoys):
    digests, disclosures = sd_jwt.conceal(claims, decoys=decoys)
    assert len(set(digests)) == len(claims) + decoys
    payload = {"iss": 1, "_sd": digests, "_sd_alg": SHA} if "iss" not in claims else {
        "_sd": digests, "_sd_alg": SHA}  # fmt: skip
    seen = sd_jwt.reveal(payload, [one.text for one in disclosures])
    assert {k: v for k, v in seen.items() if k in claims} == claims
    for number in range(len(disclosures)):
        some = disclosures[:number]
        shown = sd_jwt.reveal(payload, [one.text for one in some])
        assert {k for k in shown if k in claims} == {one.name for one in some}


@given(st.binary(max_size=80))
def test_base64url_has_one_spelling(raw):
    text = encode(raw)
    assert decode(text) == raw
    for other in (text + "=", text + "A", text.replace("-", "+"), f" {text}"):
        if other != text:
            with pytest.raises(CredentialError):
                decode(other) if len(other) % 4 == 1 or not _clean(other) else _same(other)


def _clean(text):
    return text.isascii() and all(c.isalnum() or c in "-_" for c in text)


def _same(text):
    """A clean text of another length is another value, never the same one spelled differently."""
    if encode(decode(text)) == text:
        raise CredentialError("BAD_CREDENTIAL", "another value")


def test_spare_bits_of_the_last_character_are_refused():
    assert decode("AA") == b"\0"
    with pytest.raises(CredentialError):
        decode("AB")


@pytest.mark.parametrize(
    "text", ['{"a":1,"a":2}', "[NaN]", "[Infinity]", "{", "[" * 100_000, '"\\ud800']
)
def test_json_that_could_be_read_in_two_ways_is_refused(text):
    with pytest.raises(CredentialError):
        from_json(text.encode())


def disclosure(*parts):
    return encode_json(list(parts))


@pytest.mark.parametrize(
    ("payload", "disclosures", "code"),
    [
        ({"_sd": ["x"], "a": {"_sd": ["x"]}}, [], "BAD_CREDENTIAL"),  # one digest twice
        ({"_sd": [1]}, [], "BAD_CREDENTIAL"),
        ({"_sd": "x"}, [], "BAD_CREDENTIAL"),
        ({"_sd_alg": "sha-512"}, [], "BAD_CREDENTIAL"),
        ({"a": {"_sd_alg": SHA}}, [], "BAD_CREDENTIAL"),
        ({"a": {"...": "x"}}, [], "BAD_CREDENTIAL"),
        ({"a": [{"...": "x", "b": 1}]}, [], "BAD_CREDENTIAL"),
        ({}, [disclosure("salt", "a", 1)], "DISCLOSURE_ALTERED"),  # nothing calls for it
        ({}, ["!!"], "DISCLOSURE_ALTERED"),
        ({}, [disclosure("salt", "_sd", 1)], "DISCLOSURE_ALTERED"),
        ({}, [disclosure("salt", "...", 1)], "DISCLOSURE_ALTERED"),
        ({}, [disclosure("salt")], "DISCLOSURE_ALTERED"),
        ({}, [disclosure(1, "a", 1)], "DISCLOSURE_ALTERED"),
        ({}, [disclosure("salt", 1, 1)], "DISCLOSURE_ALTERED"),
        ({}, [encode_json({"a": 1})], "DISCLOSURE_ALTERED"),
    ],
)
def test_what_breaks_the_rules_is_refused(payload, disclosures, code):
    with pytest.raises(CredentialError) as caught:
        sd_jwt.reveal(payload, disclosures)
    assert caught.value.code == code


def test_a_disclosure_fits_where_it_was_made_for_and_nowhere_else():
    member, element = disclosure("s", "a", 1), disclosure("s", 1)
    for payload, text in (
        ({"_sd": [sd_jwt.digest_of(element)]}, element),
        ({"b": [{"...": sd_jwt.digest_of(member)}]}, member),
        ({"_sd": [sd_jwt.digest_of(member)], "a": 2}, member),  # the name is taken
    ):
        with pytest.raises(CredentialError) as caught:
            sd_jwt.reveal(payload, [text])
        assert caught.value.code == "BAD_CREDENTIAL"
    with pytest.raises(CredentialError) as caught:
        sd_jwt.reveal({"_sd": [sd_jwt.digest_of(member)]}, [member, member])
    assert caught.value.code == "DISCLOSURE_ALTERED"


def test_disclosures_inside_disclosures_are_read_too():
    inner = disclosure("s", "city", "Haikou")
    outer = disclosure("s", "address", {"_sd": [sd_jwt.digest_of(inner)]})
    payload = {"_sd": [sd_jwt.digest_of(outer)]}
    assert sd_jwt.reveal(payload, [outer, inner]) == {"address": {"city": "Haikou"}}
    assert sd_jwt.reveal(payload, [outer]) == {"address": {}}
    with pytest.raises(CredentialError):
        sd_jwt.reveal(payload, [inner])


@pytest.mark.parametrize("text", ["", "a.b.c", "~", "a~~b~", "é~", "a.b.c~d~~"])
def test_what_is_no_sd_jwt_is_not_taken_apart(text):
    with pytest.raises(CredentialError):
        sd_jwt.split(text)


def test_a_salt_has_128_bits_and_every_claim_its_own():
    _, disclosures = sd_jwt.conceal({"a": 1, "b": 1})
    salts = [from_json(decode(one.text))[0] for one in disclosures]
    assert len(set(salts)) == 2
    assert all(len(decode(salt)) == 16 for salt in salts)
    fixed = sd_jwt.conceal({"a": 1}, salts=lambda n: b"\x07" * n)[1][0]
    assert urlsafe_b64encode(b"\x07" * 16).rstrip(b"=") in decode(fixed.text)
