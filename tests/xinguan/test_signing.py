import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from xinguan.signing import SignatureMismatchError, sign_request, verify_request
from xinguan.v1 import exchange_pb2

PARTY = "uscc:91460099000000001X"


def new_key():
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private, public


PRIVATE, PUBLIC = new_key()


def query(**words):
    built = exchange_pb2.QueryRequest(product="p", fields=["a", "b"], subjects=["s"], limit=3)
    built.context.purpose = "CREDIT_REPORT"
    built.context.time.seconds = 5
    for name, value in words.items():
        setattr(built, name, value)
    return built


def test_a_signature_verifies_and_does_not_cover_itself():
    signed = query()
    signed.context.signature = sign_request(signed, PARTY, PRIVATE)
    verify_request(signed, PARTY, PUBLIC, signed.context.signature)
    assert ".." in signed.context.signature


@pytest.mark.parametrize(
    "change",
    [
        lambda q: setattr(q, "product", "other"),
        lambda q: q.fields.append("c"),
        lambda q: q.subjects.append("t"),
        lambda q: setattr(q, "limit", 4),
        lambda q: setattr(q, "subject_kind", 6),
        lambda q: setattr(q, "consent_id", "c"),
        lambda q: setattr(q, "measure", "m"),
        lambda q: setattr(q.loan, "amount_fen", 1),
        lambda q: setattr(q.loan, "unsecured", True),
        lambda q: q.conditions.add(field="a", op="eq", values=["1"]),
        lambda q: setattr(q.context, "purpose", "OTHER"),
        lambda q: setattr(q.context, "scenario", "OTHER"),
        lambda q: setattr(q.context, "destination", "SG"),
        lambda q: setattr(q.context, "operator", "x"),
        lambda q: setattr(q.context, "case_reference", "x"),
        lambda q: setattr(q.context, "idempotency_key", "x"),
        lambda q: setattr(q.context.time, "nanos", 1),
    ],
)
def test_everything_that_a_request_says_is_signed(change):
    signature = sign_request(query(), PARTY, PRIVATE)
    altered = query()
    change(altered)
    with pytest.raises(SignatureMismatchError):
        verify_request(altered, PARTY, PUBLIC, signature)


def test_a_signature_is_bound_to_party_and_key():
    signature = sign_request(query(), PARTY, PRIVATE)
    with pytest.raises(SignatureMismatchError):
        verify_request(query(), "uscc:other", PUBLIC, signature)
    with pytest.raises(SignatureMismatchError):
        verify_request(query(), PARTY, new_key()[1], signature)


@pytest.mark.parametrize("bad", ["", "..", "a.b", "a..b", "e30..", "é", "x" * 10_000])
def test_garbage_is_not_a_signature(bad):
    with pytest.raises(SignatureMismatchError):
        verify_request(query(), PARTY, PUBLIC, bad)
