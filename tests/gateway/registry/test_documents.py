import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.registry.documents import (
    CONSENT_TYPE,
    LICENCE_TYPE,
    BadDocumentError,
    BadSignatureError,
    Claims,
    key_id,
    parse_claims,
    sign,
    verify,
)


class Pair(Claims):
    name: str
    count: int


KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))  # its id is in test names
KEYS = {key_id(KEY.public_key()): KEY.public_key()}
TOKEN = sign(Pair(name="a", count=1), KEY, LICENCE_TYPE)


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(header: bytes, payload: bytes) -> str:
    body = f"{encode(header)}.{encode(payload)}"
    return f"{body}.{encode(KEY.sign(body.encode()))}"


def header(**words: object) -> bytes:
    return json.dumps(
        {"alg": "Ed25519", "kid": next(iter(KEYS)), "typ": LICENCE_TYPE} | words
    ).encode()


def test_a_signed_document_is_verified() -> None:
    verified = verify(TOKEN + "\n", KEYS.get, LICENCE_TYPE, Pair)
    assert verified.claims == Pair(name="a", count=1)
    assert verified.signer in KEYS
    assert verified.token == TOKEN


@given(st.integers(0, len(TOKEN) - 1), st.sampled_from("ABab01-_.{"))
def test_no_changed_character_passes(position: int, character: str) -> None:
    changed = TOKEN[:position] + character + TOKEN[position + 1 :]
    if changed == TOKEN:
        return
    try:
        verified = verify(changed, KEYS.get, LICENCE_TYPE, Pair)
    except (BadDocumentError, BadSignatureError):
        return
    # Base64url without padding has unused bits in its last character; the document is the same.
    assert position == len(TOKEN) - 1
    assert verified.claims == Pair(name="a", count=1)


def test_a_key_that_is_not_registered_is_a_bad_signature() -> None:
    with pytest.raises(BadSignatureError) as caught:
        verify(TOKEN, {}.get, LICENCE_TYPE, Pair)
    assert caught.value.code == "BAD_SIGNATURE"


def test_another_type_does_not_pass_for_this_one() -> None:
    with pytest.raises(BadDocumentError, match="another type"):
        verify(TOKEN, KEYS.get, CONSENT_TYPE, Pair)


@pytest.mark.parametrize(
    ("raw_header", "payload"),
    [
        (header(alg="none"), b'{"name":"a","count":1}'),
        (header(alg="EdDSA"), b'{"name":"a","count":1}'),
        (header(alg="HS256"), b'{"name":"a","count":1}'),
        (header(jwk={}), b'{"name":"a","count":1}'),
        (header(crit=["b64"], b64=False), b'{"name":"a","count":1}'),
        (header(typ=1), b'{"name":"a","count":1}'),
        (b'{"alg":"Ed25519","alg":"none","kid":"k","typ":"t"}', b"{}"),
        (b"[]", b"{}"),
        (header(), b'{"name":"a","count":1,"count":2}'),
        (header(), b'{"name":"a","count":1,"more":true}'),
        (header(), b'{"name":"a"}'),
        (header(), b'{"name":"a","count":"1"}'),
        (header(), b'{"name":"a","count":NaN}'),
        (header(), b'{"name":"a","count":1.0}'),
        (header(), b'["name"]'),
        (header(), b"\xff\xfe"),
        (header(), b"[" * 100_000),
    ],
)
def test_what_is_not_exactly_the_expected_shape_is_refused(
    raw_header: bytes, payload: bytes
) -> None:
    with pytest.raises(BadDocumentError) as caught:
        verify(signed(raw_header, payload), KEYS.get, LICENCE_TYPE, Pair, max_bytes=1 << 20)
    assert caught.value.code == "BAD_DOCUMENT"


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c.d", "é.b.c", "..", "{}.{}.{}"])
def test_what_is_no_compact_jws_is_refused(text: str) -> None:
    with pytest.raises(BadDocumentError):
        verify(text, KEYS.get, LICENCE_TYPE, Pair)


def test_a_document_over_the_limit_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(BadDocumentError, match="too large"):
        verify(TOKEN, KEYS.get, LICENCE_TYPE, Pair, max_bytes=len(TOKEN) - 1)


def test_errors_name_claims_and_never_values() -> None:
    secret = "91460099000009000X"
    for payload in (
        {"name": "a", "count": secret},
        {"name": "a", "count": 1, secret: 1},
        {"name": "a", "count": 1, secret.lower(): secret},
    ):
        with pytest.raises(BadDocumentError) as caught:
            parse_claims(json.dumps(payload).encode(), Pair)
        assert secret.lower() not in str(caught.value).lower()
