"""A promise binds the log to one entry at one index."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.errors import ProofError
from audit.promise import promise_text, sign_promise, verify_promise

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
LEAF = bytes(range(32))


def test_the_text_is_domain_separated_and_readable():
    assert promise_text("example.com/log", 7, LEAF) == (
        b"xinguan/promise/v1\nexample.com/log\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    )


def test_a_promise_holds_for_what_it_says_only():
    public = KEY.public_key()
    signature = sign_promise(KEY, "example.com/log", 7, LEAF)
    verify_promise(public, "example.com/log", 7, LEAF, signature)
    for origin, index, leaf in (
        ("example.com/other", 7, LEAF),
        ("example.com/log", 8, LEAF),
        ("example.com/log", 7, LEAF[::-1]),
    ):
        with pytest.raises(ProofError):
            verify_promise(public, origin, index, leaf, signature)
    stranger = Ed25519PrivateKey.from_private_bytes(b"s" * 32).public_key()
    with pytest.raises(ProofError):
        verify_promise(stranger, "example.com/log", 7, LEAF, signature)
