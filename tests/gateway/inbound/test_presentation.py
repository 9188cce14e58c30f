"""Documents that foreign software made: believed as they are, refused when anything is changed."""

import hashlib
import hmac
import json
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey

from gateway.credential.key_binding import Binding
from gateway.inbound.errors import ForeignDocumentError
from gateway.inbound.jose import read_keys
from gateway.inbound.presentation import verify
from tests.gateway.inbound.abroad import DAY, FIRM, LEI, NOW, VCT, Issuer, b64, new_key, signed

AUDIENCE, NONCE = "https://gateway.example.cn", "n-0123456789"
ES, ED = Issuer(), Issuer(algorithm="EdDSA", kid="ed-2026")
HOLDER = new_key("holder")


def keys_of(issuer):
    return read_keys([issuer.public()])


def opened(presentation, issuer=ES, now=NOW, **words):
    return verify(presentation, keys_of(issuer), now, **words)


def refused(presentation, issuer=ES, now=NOW, **words):
    with pytest.raises(ForeignDocumentError) as caught:
        opened(presentation, issuer, now, **words)
    return caught.value.code


def resigned(payload, *disclosures, typ="dc+sd-jwt", issuer=ES, **header):
    """Return an SD-JWT over exactly this payload, which a library would not make."""
    return "~".join([signed(payload, issuer.key, typ, **header), *disclosures, ""])


def disclosure(*parts):
    text = b64(json.dumps(list(parts)).encode())
    return text, b64(hashlib.sha256(text.encode()).digest())


@pytest.mark.parametrize("issuer", [ES, ED], ids=["ES256", "EdDSA"])
@pytest.mark.parametrize("decoys", [False, True])
def test_a_credential_of_a_foreign_library_is_believed(issuer, decoys):
    found = opened(issuer.credential(decoys=decoys), issuer)
    assert found.form == "SD_JWT"
    assert found.key_id == issuer.kid
    assert {name: found.claims[name] for name in FIRM} == FIRM
    assert "_sd" not in found.claims
    assert "_sd_alg" not in found.claims
    assert not found.bound


def test_what_is_withheld_is_not_there():
    found = opened(ES.credential(withheld=("rating", "lei")))
    assert "rating" not in found.claims
    assert "lei" not in found.claims
    assert found.claims["uen"] == FIRM["uen"]


@pytest.mark.parametrize("issuer", [ES, ED], ids=["ES256", "EdDSA"])
def test_a_signed_report_is_believed(issuer):
    found = opened(issuer.report(), issuer)
    assert (found.form, found.claims["lei"]) == ("JWS", LEI)


def test_the_digest_is_the_document_and_not_its_presentation():
    claims = ES.claims()
    whole = ES.credential(claims)
    token, *parts = whole.split("~")
    fewer = "~".join([token, *parts[1:]])
    assert opened(whole).digest == opened(fewer).digest
    assert opened(whole).digest != opened(ES.credential(claims)).digest


@settings(
    max_examples=250,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
@pytest.mark.parametrize("form", ["credential", "report"])
def test_every_altered_byte_is_refused(form, data):
    document = _DOCUMENTS[form]
    place = data.draw(st.integers(0, len(document) - 1))
    other = data.draw(
        st.sampled_from('ABCXYZabcxyz0189-_.~=+/ {"').filter(lambda c: c != document[place])
    )
    changed = document[:place] + other + document[place + 1 :]
    with pytest.raises(ForeignDocumentError):
        opened(changed)


@settings(max_examples=150)
@given(st.data())
def test_every_cut_and_every_doubled_part_is_refused(data):
    document = _DOCUMENTS["credential"]
    parts = document.split("~")
    place = data.draw(st.integers(0, len(parts) - 2))
    twice = "~".join([*parts[: place + 1], parts[place], *parts[place + 1 :]])
    assert refused(twice)
    cut = data.draw(st.integers(1, len(document) - 1))
    # Cut after a `~`, it is the same document with fewer disclosures: no other cut is one.
    if document[cut - 1] != "~":
        assert refused(document[:cut])


_DOCUMENTS = {"credential": ES.credential(), "report": ES.report()}


def test_every_last_character_has_one_form():
    # The last character of 64 bytes in base64url holds four bits that decoders tend to drop.
    document = _DOCUMENTS["report"]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for other in alphabet.replace(document[-1], ""):
        assert refused(document[:-1] + other)


def test_another_issuers_key_is_refused():
    other = Issuer()
    assert refused(other.credential()) == "FOREIGN_SIGNATURE"
    assert refused(ES.credential(), Issuer(kid="other")) == "FOREIGN_SIGNATURE"


def test_the_algorithm_belongs_to_the_key():
    token, *rest = ES.credential().split("~")
    _, payload, signature = token.split(".")
    for algorithm in ("none", "None", "HS256", "ES384", "EdDSA", "RS256", ""):
        header = {"alg": algorithm, "kid": ES.kid, "typ": "dc+sd-jwt"}
        for mark in (signature, ""):
            forged = f"{b64(json.dumps(header).encode())}.{payload}.{mark}"
            code = refused("~".join([forged, *rest]))
            assert code in {"FOREIGN_SIGNATURE", "FOREIGN_MALFORMED"}, algorithm


def test_the_public_key_is_no_shared_secret():
    # Algorithm confusion: an HMAC under the bytes of the public key that everybody has.
    header = b64(json.dumps({"alg": "HS256", "kid": ES.kid, "typ": "dc+sd-jwt"}).encode())
    message = f"{header}.{b64(json.dumps(ES.claims()).encode())}"
    tag = hmac.new(ES.key.export_to_pem(), message.encode(), hashlib.sha256).digest()
    token = f"{message}.{b64(tag)}"
    assert refused(f"{token}~") == "FOREIGN_SIGNATURE"


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"]},
        {"b64": False},
        {"zip": "DEF"},
        {"jku": "https://bureau.example.sg/keys"},
        {"x5u": "https://bureau.example.sg/cert"},
        {"jwk": {"kty": "EC"}},
    ],
)
def test_a_header_leads_to_no_key(header):
    stated = {"alg": "ES256", "kid": ES.kid, "typ": "dc+sd-jwt"} | header
    token, *rest = ES.credential().split("~")
    _, payload, signature = token.split(".")
    forged = f"{b64(json.dumps(stated).encode())}.{payload}.{signature}"
    assert refused("~".join([forged, *rest])) == "FOREIGN_MALFORMED"


@pytest.mark.parametrize(
    "typ", ["JWT", "vc+sd-jwt", "credit-report+jwt", "statuslist+jwt", "kb+jwt"]
)
def test_a_type_is_for_one_kind_of_document(typ):
    assert refused(ES.credential(typ=typ)) == "FOREIGN_MALFORMED"
    if typ != "credit-report+jwt":
        assert refused(ES.report(typ=typ)) == "FOREIGN_MALFORMED"


def test_a_type_may_be_written_as_a_media_type():
    assert opened(ES.credential(typ="application/dc+sd-jwt")).form == "SD_JWT"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"exp": NOW}, "FOREIGN_TIME"),
        ({"exp": NOW + 1}, ""),
        ({"exp": None}, "FOREIGN_TIME"),
        ({"iat": None}, "FOREIGN_TIME"),
        ({"iat": NOW + 61}, "FOREIGN_TIME"),
        ({"iat": NOW + 60}, ""),
        ({"nbf": NOW + 61}, "FOREIGN_TIME"),
        ({"nbf": NOW + 60}, ""),
        ({"iat": True}, "FOREIGN_MALFORMED"),
        ({"exp": str(NOW + DAY)}, "FOREIGN_MALFORMED"),
        ({"exp": -1}, "FOREIGN_MALFORMED"),
        ({"exp": NOW + 0.5}, "FOREIGN_MALFORMED"),
        ({"exp": 10**30}, "FOREIGN_MALFORMED"),
    ],
)
def test_times(changes, code):
    document = ES.credential(ES.claims(**changes))
    if code:
        assert refused(document) == code
    else:
        assert opened(document)


@pytest.mark.parametrize("name", ["iss", "vct", "exp", "status"])
def test_what_rules_a_document_stands_in_the_open(name):
    hidden = (name, "lei")
    assert refused(ES.credential(hidden=hidden)) == "FOREIGN_DISCLOSURE"


def test_a_disclosure_of_another_document_is_refused():
    token, *rest = ES.credential().split("~")
    foreign = ES.credential(ES.claims(rating="A1")).split("~")[1]
    assert refused("~".join([token, foreign, *rest])) == "FOREIGN_DISCLOSURE"


def test_a_digest_stands_once():
    text, digest = disclosure("salt", "rating", "A1")
    plain = ES.claims(rating=None)
    assert opened(resigned(plain | {"_sd": [digest]}, text)).claims["rating"] == "A1"
    assert refused(resigned(plain | {"_sd": [digest, digest]}, text)) == "FOREIGN_DISCLOSURE"
    nested = plain | {"_sd": [digest], "more": {"_sd": [digest]}}
    assert refused(resigned(nested, text)) == "FOREIGN_DISCLOSURE"


@pytest.mark.parametrize("name", ["_sd", "...", "_sd_alg", 7, None])
def test_names_that_the_format_keeps_are_refused(name):
    text, digest = disclosure("salt", name, "x")
    assert refused(resigned(ES.claims() | {"_sd": [digest]}, text)) == "FOREIGN_DISCLOSURE"


def test_a_disclosed_claim_covers_no_other():
    text, digest = disclosure("salt", "country", "CN")
    assert refused(resigned(ES.claims() | {"_sd": [digest]}, text)) == "FOREIGN_DISCLOSURE"
    one, first = disclosure("salt-1", "extra", "x")
    two, second = disclosure("salt-2", "extra", "y")
    both = ES.claims() | {"_sd": [first, second]}
    assert refused(resigned(both, one, two)) == "FOREIGN_DISCLOSURE"


def test_elements_and_claims_are_not_mixed_up():
    element, digest = disclosure("salt", "x")
    claim, other = disclosure("salt", "name", "x")
    assert refused(resigned(ES.claims() | {"_sd": [digest]}, element)) == "FOREIGN_DISCLOSURE"
    listed = ES.claims() | {"tags": [{"...": other}]}
    assert refused(resigned(listed, claim)) == "FOREIGN_DISCLOSURE"
    right = ES.claims() | {"tags": [{"...": digest}, "y", {"...": "withheld"}]}
    assert opened(resigned(right, element)).claims["tags"] == ["x", "y"]
    bad = ES.claims() | {"tags": [{"...": digest, "more": 1}]}
    assert refused(resigned(bad, element)) == "FOREIGN_DISCLOSURE"


def test_disclosures_within_disclosures():
    inner, digest = disclosure("salt-1", "grade", "B1")
    outer, above = disclosure("salt-2", "evaluation", {"_sd": [digest]})
    document = ES.claims() | {"_sd": [above]}
    assert opened(resigned(document, outer, inner)).claims["evaluation"] == {"grade": "B1"}
    assert refused(resigned(document, inner)) == "FOREIGN_DISCLOSURE"  # nothing leads to it


def test_another_digest_algorithm_is_refused():
    assert refused(resigned(ES.claims() | {"_sd_alg": "md5"})) == "FOREIGN_DISCLOSURE"
    assert opened(resigned(ES.claims() | {"_sd_alg": "sha-256"}))


def test_hostile_sizes_are_refused():
    many = [disclosure(f"s{n}", f"c{n}", "x") for n in range(300)]
    document = ES.claims() | {"_sd": [digest for _, digest in many]}
    assert refused(resigned(document, *(text for text, _ in many))) == "FOREIGN_DISCLOSURE"
    long, digest = disclosure("salt", "c", "x" * 20_000)
    assert refused(resigned(ES.claims() | {"_sd": [digest]}, long)) == "FOREIGN_DISCLOSURE"
    assert refused("x" * 300_000) == "FOREIGN_MALFORMED"
    assert (
        refused(ES.report(ES.claims(vct=VCT, more={"a": [[[[[[[[[1]]]]]]]]]})))
        == "FOREIGN_MALFORMED"
    )
    deep = b64(b"[" * 100_000)
    head = b64(json.dumps({"alg": "ES256", "kid": ES.kid, "typ": "credit-report+jwt"}).encode())
    assert refused(f"{head}.{deep}.AA") in {"FOREIGN_MALFORMED", "FOREIGN_SIGNATURE"}


def test_a_repeated_claim_is_refused():
    raw = json.dumps(ES.claims())[:-1] + ', "rating": "A1"}'
    header = {"alg": "ES256", "kid": ES.kid, "typ": "credit-report+jwt"}
    key = ECKey.import_key(json.loads(ES.key.export_private()))
    assert refused(jws.serialize_compact(header, raw.encode(), key)) == "FOREIGN_MALFORMED"


def test_a_bound_presentation_is_believed_once_and_here():
    bound = ES.credential(holder=HOLDER, binding=(AUDIENCE, NONCE))
    now = int(time.time())
    document = ES.credential(ES.claims(issued=now - 600), holder=HOLDER, binding=(AUDIENCE, NONCE))
    assert opened(document, now=now, binding=Binding(AUDIENCE, NONCE)).bound
    assert refused(document, now=now, binding=Binding(AUDIENCE, "other")) == "FOREIGN_HOLDER"
    assert refused(document, now=now, binding=Binding("elsewhere", NONCE)) == "FOREIGN_HOLDER"
    assert refused(document, now=now + 301, binding=Binding(AUDIENCE, NONCE)) == "FOREIGN_HOLDER"
    assert refused(document, now=now) == "FOREIGN_HOLDER"  # nobody asked for a binding
    assert refused(bound, binding=Binding(AUDIENCE, NONCE)) == "FOREIGN_HOLDER"  # not of now


def test_a_binding_is_of_the_holder_and_of_this_presentation():
    now = int(time.time())
    claims = ES.claims(issued=now - 600)
    wanted = Binding(AUDIENCE, NONCE)
    document = ES.credential(claims, holder=HOLDER, binding=(AUDIENCE, NONCE))
    token, *disclosures, binding = document.split("~")
    fewer = "~".join([token, *disclosures[1:], binding])
    assert refused(fewer, now=now, binding=wanted) == "FOREIGN_HOLDER"
    unbound = "~".join([token, *disclosures, ""])
    assert refused(unbound, now=now, binding=wanted) == "FOREIGN_HOLDER"
    thief = new_key("thief")
    digest = b64(hashlib.sha256(unbound.encode()).digest())
    stolen = signed(
        {"iat": now, "aud": AUDIENCE, "nonce": NONCE, "sd_hash": digest}, thief, "kb+jwt"
    )
    assert refused(unbound + stolen, now=now, binding=wanted) == "FOREIGN_SIGNATURE"
    assert refused(ES.credential(claims), now=now, binding=wanted) == "FOREIGN_HOLDER"
    report = ES.report(ES.claims(issued=now - 600))
    assert refused(report, now=now, binding=wanted) == "FOREIGN_HOLDER"


@pytest.mark.parametrize(
    "change",
    [
        {"kid": ""},
        {"d": "AAAA"},
        {"crv": "P-384"},
        {"kty": "RSA"},
        {"use": "enc"},
        {"alg": "HS256"},
        {"alg": "EdDSA"},
        {"x": "AAAA"},
        {"y": b64(b"\x01" * 32)},
    ],
)
def test_bad_keys_are_refused(change):
    with pytest.raises(ForeignDocumentError):
        read_keys([ES.public() | change])


def test_one_key_id_is_of_one_key():
    with pytest.raises(ForeignDocumentError):
        read_keys([ES.public(), Issuer().public()])
