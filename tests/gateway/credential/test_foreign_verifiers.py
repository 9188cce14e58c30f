"""Verifiers that we did not write check our credentials: `sd-jwt` (Python), `@sd-jwt/sd-jwt-vc`."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from jwcrypto.jwk import JWK
from sd_jwt.common import SDObj
from sd_jwt.holder import SDJWTHolder
from sd_jwt.issuer import SDJWTIssuer
from sd_jwt.verifier import SDJWTVerifier

from gateway.credential import sd_jwt
from gateway.credential.jws import Signer, parse, to_jwk
from gateway.credential.key_binding import Binding, bind
from gateway.identity.keyfiles import new_tls_key
from tests.conftest import ROOT
from tests.gateway.credential.conftest import FIELDS

MODULES = ROOT / ".tools" / "js"
NODE = shutil.which("node")
BINDING = Binding("https://bank.example.sg", "n-0S6_WzA2Mj")
javascript = pytest.mark.skipif(
    not (NODE and (MODULES / "node_modules").is_dir()) and not os.environ.get("CI"),
    reason="no JavaScript verifier; `make js-verifier` installs it with Node.js",
)


def by_python(world, text, **binding):
    def key_of(issuer, header):
        (key,) = json.loads(world.metadata)["jwks"]["keys"]
        assert header["kid"] == key["kid"]
        return JWK.from_json(json.dumps(key))

    return SDJWTVerifier(text, key_of, **binding).get_verified_payload()


def by_javascript(world, text, **words):
    job = {
        "credential": text,
        "metadata": json.loads(world.metadata),
        "statusList": world.list(),
        "type": json.loads(world.type_metadata),
        "now": world.now,
    } | words
    script = Path(__file__).parent / "js/verify.mjs"
    done = subprocess.run(
        [str(NODE), str(script), str(MODULES)],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout)


def bound(world):
    holder = Signer.of(new_tls_key())
    text = world.credential(holder=to_jwk(holder.key.public_key()))
    return bind(sd_jwt.select(text, ["name", "uscc"]), holder, BINDING, world.now)


def test_python_reads_every_field_and_only_what_is_shown(world):
    found = by_python(world, world.credential(decoys=2))
    assert {name: found[name] for name in FIELDS} == FIELDS
    found = by_python(world, sd_jwt.select(world.credential(), ["name"]))
    assert (found["name"], "uscc" in found) == (FIELDS["name"], False)


def test_python_checks_our_holders_proof(world):
    found = by_python(
        world, bound(world), expected_aud=BINDING.audience, expected_nonce=BINDING.nonce
    )
    assert found["uscc"] == FIELDS["uscc"]
    with pytest.raises(ValueError, match="nonce"):
        by_python(world, bound(world), expected_aud=BINDING.audience, expected_nonce="other")


def test_python_refuses_what_we_refuse(world):
    text = world.credential()
    head, rest = text.split(".", 1)
    flipped = f"{head}.{'A' if rest[20] != 'A' else 'B'}".join(("", rest[:20] + rest[21:]))
    with pytest.raises(Exception, match=r".*"):
        by_python(world, flipped)


def test_we_read_what_python_issued_and_presented():
    key = JWK.generate(kty="EC", crv="P-256")
    holder_key = JWK.generate(kty="EC", crv="P-256")
    issued = SDJWTIssuer(
        {"iss": "x", SDObj("name"): "示例", SDObj("tags"): ["a", SDObj("b")]}, key, holder_key
    ).sd_jwt_issuance
    holder = SDJWTHolder(issued)
    holder.create_presentation({"name": True}, "nonce", "aud", holder_key)
    presented = sd_jwt.split(holder.sd_jwt_presentation)
    token = parse(presented.jwt, "example+sd-jwt")
    token.check(json.loads(key.export_public()))
    revealed = sd_jwt.reveal(token.payload, presented.disclosures)
    assert (revealed["name"], "tags" in revealed) == ("示例", False)


@javascript
def test_javascript_verifies_credential_status_and_type(world):
    found = by_javascript(world, world.credential(decoys=1))
    assert "refused" not in found, found
    assert {name: found["payload"][name] for name in FIELDS} == FIELDS


@javascript
def test_javascript_checks_our_holders_proof(world):
    words = {"audience": BINDING.audience, "nonce": BINDING.nonce}
    found = by_javascript(world, bound(world), **words)
    assert found.get("bound") is True, found
    assert found["payload"]["name"] == FIELDS["name"]
    assert "refused" in by_javascript(world, bound(world), **(words | {"nonce": "other"}))


@javascript
@pytest.mark.parametrize("status", [1, 3])
def test_javascript_refuses_what_is_superseded_or_invalid(world, status):
    world.bits.put([(77, status)])
    assert "status" in by_javascript(world, world.credential())["refused"].lower()


@javascript
def test_javascript_refuses_what_we_refuse(world):
    text = world.credential()
    head, body, rest = text.split(".", 2)
    flipped = body[:30] + ("A" if body[30] != "A" else "B") + body[31:]
    late = {"now": world.now + 10_000}
    for altered, words in (
        (f"{head}.{flipped}.{rest}", {}),
        (text, late),
        (text, {"statusList": world.list(at=world.now - 4_000)}),
    ):
        assert "refused" in by_javascript(world, altered, **words), words


@javascript
def test_no_library_believes_an_altered_disclosure(world):
    """RFC 9901 wants it refused, as we do; both libraries leave it out of what they return."""
    other = sd_jwt.conceal({"name": "another"})[1][0].text
    altered = f"{world.credential().split('~')[0]}~{other}~"
    assert "name" not in by_javascript(world, altered).get("payload", {})
    assert "name" not in by_python(world, altered)
