"""The offline verifier: what holds, and each way in which it doesn't, by its own code."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.credential import sd_jwt
from gateway.credential.encoding import encode_json
from gateway.credential.errors import CredentialError
from gateway.credential.jws import Signer, public_members, to_jwk
from gateway.credential.key_binding import Binding, bind
from gateway.credential.mint import RESERVED, claim_name
from gateway.credential.opening import CREDENTIAL_TYPE
from gateway.credential.status_list import CredentialStatus
from gateway.credential.verify import Trust, verify
from gateway.domain.errors import InternalError
from gateway.identity.keyfiles import new_document_key, new_tls_key
from gateway.registry.catalogue import Catalogue
from tests.gateway.credential.conftest import FIELDS, ISSUER, World

BINDING = Binding("https://bank.example.sg", "nonce-1")
FIXED = World(Signer.of(new_document_key()))
FIXED_TEXT, FIXED_LIST = FIXED.credential(), FIXED.list()


def refused(world, text, code, **words):
    with pytest.raises(CredentialError) as caught:
        verify(text, world.trust, world.checks(**words))
    assert caught.value.code == code, caught.value.message


def test_a_round_trip(world):
    found = verify(world.credential(decoys=3), world.trust, world.checks())
    assert {name: found.claims[name] for name in found.shown} == FIELDS
    assert (found.status, found.holder_proved) == (CredentialStatus.VALID, False)
    assert "_sd" not in found.claims
    assert found.claims["iss"] == ISSUER
    assert verify(world.credential(), world.trust, world.checks(status_list=None)).status is None


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.integers(0, len(FIXED_TEXT) - 1), st.characters(max_codepoint=0x7E, min_codepoint=0x21))
def test_every_altered_byte_is_refused(place, character):
    altered = FIXED_TEXT[:place] + character + FIXED_TEXT[place + 1 :]
    if altered == FIXED_TEXT:
        return
    with pytest.raises(CredentialError):
        verify(altered, FIXED.trust, FIXED.checks(status_list=FIXED_LIST))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.integers(0, len(FIXED_LIST) - 1), st.characters(max_codepoint=0x7E, min_codepoint=0x21))
def test_every_altered_byte_of_a_list_is_refused(place, character):
    altered = FIXED_LIST[:place] + character + FIXED_LIST[place + 1 :]
    if altered == FIXED_LIST:
        return
    with pytest.raises(CredentialError):
        verify(FIXED_TEXT, FIXED.trust, FIXED.checks(status_list=altered))


def test_each_way_to_fail_has_its_own_code(world):
    text = world.credential()
    jwt, *rest = text.split("~")
    stranger = World(Signer.of(new_tls_key()), now=world.now)
    refused(stranger, text, "UNKNOWN_ISSUER", status_list=None)  # the key is not its issuer's
    with pytest.raises(CredentialError) as caught:
        verify(text, Trust({}), world.checks())
    assert caught.value.code == "UNKNOWN_ISSUER"
    head, body, _ = jwt.split(".")
    forged = ".".join((head, body, stranger.credential().split("~")[0].split(".")[2]))
    refused(world, "~".join((forged, *rest)), "CREDENTIAL_FORGED")
    other = sd_jwt.conceal({"name": "another"})[1][0].text
    refused(world, f"{jwt}~{other}~", "DISCLOSURE_ALTERED")
    refused(world, text, "CREDENTIAL_EXPIRED", at=world.now + 10_000)
    refused(world, text, "CREDENTIAL_NOT_YET", at=world.now - 1_000)
    refused(world, text, "STALE_STATUS_LIST", status_list=world.list(at=world.now - 301))
    refused(world, text, "BAD_STATUS_LIST", status_list=text)
    refused(world, world.credential(list_uri=f"{ISSUER}/statuslists/2"), "BAD_STATUS_LIST")
    refused(world, world.credential(place=131_072), "BAD_STATUS_LIST")
    refused(world, "nonsense", "BAD_CREDENTIAL")
    refused(world, "a.b.c~", "BAD_CREDENTIAL")


@pytest.mark.parametrize(
    ("status", "code"),
    [(3, "CREDENTIAL_REFRESH"), (1, "CREDENTIAL_INVALID"), (2, "CREDENTIAL_INVALID")],
)
def test_a_status_other_than_valid_is_a_refusal(world, status, code):
    world.bits.put([(77, status), (76, 1), (78, 1)])
    refused(world, world.credential(), code)
    world.bits.put([(77, 0)])
    assert verify(world.credential(), world.trust, world.checks()).status == 0


def test_a_bound_credential_is_nothing_without_its_proof(world):
    holder = Signer.of(new_tls_key())
    text = world.credential(holder=to_jwk(holder.key.public_key()))
    shown = bind(sd_jwt.select(text, ["name"]), holder, BINDING, world.now)
    found = verify(shown, world.trust, world.checks(binding=BINDING))
    assert (found.shown, found.holder_proved) == (("name",), True)
    refused(world, text, "HOLDER_NOT_PROVEN", binding=BINDING)
    refused(world, shown, "HOLDER_NOT_PROVEN")  # a proof that nobody checks
    refused(world, world.credential(), "HOLDER_NOT_PROVEN", binding=BINDING)  # bound to nobody
    refused(world, shown, "HOLDER_NOT_PROVEN", binding=Binding(BINDING.audience, "nonce-2"))
    refused(world, shown, "HOLDER_NOT_PROVEN", binding=BINDING, at=world.now + 400)
    thief = bind(sd_jwt.select(text, ["name"]), Signer.of(new_tls_key()), BINDING, world.now)
    refused(world, thief, "HOLDER_NOT_PROVEN", binding=BINDING)
    # The proof is for what was shown, not for more.
    jwt, name, proof = shown.split("~")
    more = next(d for d in text.split("~")[1:] if d and d != name)
    refused(world, f"{jwt}~{name}~{more}~{proof}", "HOLDER_NOT_PROVEN", binding=BINDING)


def signed(world, payload, **header):
    return f"{world.signer.sign(CREDENTIAL_TYPE, payload, **header)}~"


def test_a_payload_that_lacks_what_it_needs_is_refused(world):
    whole = {
        "iss": ISSUER, "vct": "v", "nbf": world.now, "exp": world.now + 60,
        "status": {"status_list": {"idx": 0, "uri": f"{ISSUER}/statuslists/1"}},
    }  # fmt: skip
    verify(signed(world, whole), world.trust, world.checks())
    for broken in (
        {"vct": 1}, {"exp": "soon"}, {"nbf": None}, {"status": {}}, {"status": 1},
        {"status": {"status_list": {"idx": -1, "uri": "u"}}},
        {"status": {"status_list": {"idx": True, "uri": "u"}}}, {"cnf": 1}, {"cnf": {"jwk": 1}},
    ):  # fmt: skip
        refused(world, signed(world, whole | broken), "BAD_CREDENTIAL")
    refused(world, signed(world, whole, crit=["x"]), "BAD_CREDENTIAL")
    # What may not be hidden may not come as a disclosure either.
    digests, (hidden,) = sd_jwt.conceal({"status": whole["status"]})
    part = {k: v for k, v in whole.items() if k != "status"} | {"_sd": digests}
    refused(world, f"{signed(world, part)}{hidden.text}~", "BAD_CREDENTIAL")


def test_the_algorithm_is_the_keys(world):
    text = world.credential()
    head, rest = text.split(".", 1)
    for algorithm in ("none", "HS256", "EdDSA" if world.signer.algorithm == "ES256" else "ES256"):
        other = encode_json({"alg": algorithm, "typ": CREDENTIAL_TYPE, "kid": world.signer.kid})
        refused(world, f"{other}.{rest}", "CREDENTIAL_FORGED")
    other = encode_json({"alg": world.signer.algorithm, "typ": "JWT", "kid": world.signer.kid})
    refused(world, f"{other}.{rest}", "BAD_CREDENTIAL")
    assert head != other


@pytest.mark.parametrize(
    "jwk",
    [
        {}, {"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"}, {"kty": "RSA"},
        {"kty": "EC", "crv": "P-256", "x": "AA" * 16, "y": "AA" * 16},
        {"kty": "OKP", "crv": "Ed25519", "x": "AA"}, {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
    ],
)  # fmt: skip
def test_keys_of_other_kinds_are_refused(jwk):
    with pytest.raises(CredentialError):
        public_members(jwk)


def test_what_a_stranger_sends_with_a_key_does_not_come_along():
    jwk = to_jwk(new_tls_key().public_key())
    assert public_members(jwk | {"d": "secret", "kid": "x", "x5u": "http://evil"}) == jwk


def test_metadata_that_is_none_is_refused():
    for text in (b"", b"[]", b"{}", b'{"issuer":"x"}', b'{"issuer":"x","jwks":{"keys":[1]}}'):
        with pytest.raises(CredentialError):
            Trust.of(text)


def test_no_field_of_a_product_is_named_like_a_claim(world):
    for product in Catalogue.load().products.values():
        names = [claim_name(field) for field in product.fields]
        assert RESERVED.isdisjoint(names), product.name
        assert len(set(names)) == len(names)
    assert claim_name("status") == "status_of_record"
    with pytest.raises(InternalError):
        world.credential({"exp": 1})
