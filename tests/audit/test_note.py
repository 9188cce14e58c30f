"""Signed notes: foreign vectors, round trips, and everything that must be refused."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.errors import NoteError
from audit.note import Ed25519Signer, Verifier, open_note, sign_note, strict_base64, verifier_key

# From the C2SP signed-note specification and the Go note package.
SPEC_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
GO_SKEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngo"
    "tpRZb6KE6RyyBwJnAM=\n"
)
TEXT = "hello\nworld\n"


def signer(name="example.com/log", seed=1):
    return Ed25519Signer(name, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def trusted(each):
    return Verifier.parse(each.verifier_key)


def test_the_go_vector_signs_to_the_same_bytes_and_opens():
    go = Ed25519Signer.parse(GO_SKEY)
    assert go.verifier_key == GO_VKEY
    assert go.signer_key() == GO_SKEY
    text = GO_NOTE.rpartition("\n\n")[0] + "\n"
    assert sign_note(text, [go]).decode() == GO_NOTE
    assert open_note(GO_NOTE.encode(), [Verifier.parse(GO_VKEY)]).text == text


def test_the_specification_key_parses():
    parsed = Verifier.parse(SPEC_VKEY)
    assert verifier_key(parsed.name, parsed.key) == SPEC_VKEY
    assert Verifier.parse(GO_VKEY).name == "PeterNeumann"


def test_every_substring_and_every_changed_byte_of_a_key_is_refused():
    for key, parse in ((GO_VKEY, Verifier.parse), (GO_SKEY, Ed25519Signer.parse)):
        for end in range(len(key)):
            with pytest.raises(NoteError):
                parse(key[:end])
            with pytest.raises(NoteError):
                parse(key[end + 1 :])
            with pytest.raises(NoteError):
                parse(key[:end] + chr(ord(key[end]) + 1) + key[end + 1 :])


def test_unknown_signatures_are_ignored_and_counted():
    one, two = signer(), signer("witness", 2)
    note = sign_note(TEXT, [two, one])
    opened = open_note(note, [trusted(one)])
    assert (opened.text, opened.unknown) == (TEXT, 1)
    assert len(open_note(note, [trusted(one), trusted(two)]).verified) == 2
    with pytest.raises(NoteError):
        open_note(note, [trusted(signer(seed=3))])


def test_a_known_key_with_a_bad_signature_condemns_the_note():
    one, two = signer(), signer("witness", 2)
    good = sign_note(TEXT, [one]).decode()
    bad = sign_note("other\n", [two]).decode().split("\n")[-2]
    with pytest.raises(NoteError):
        open_note(f"{good}{bad}\n".encode(), [trusted(one), trusted(two)])


def test_one_key_may_not_sign_twice():
    note = sign_note(TEXT, [signer(), signer()])
    with pytest.raises(NoteError):
        open_note(note, [trusted(signer())])


def test_the_text_may_hold_empty_lines():
    note = sign_note("a\n\nb\n\n", [signer()])
    assert open_note(note, [trusted(signer())]).text == "a\n\nb\n\n"


def test_every_changed_or_missing_byte_of_a_note_is_refused():
    note = sign_note(TEXT, [signer()])
    for place in range(len(note)):
        for bad in (
            note[:place],
            note[:place] + note[place + 1 :],
            note[:place] + bytes([note[place] ^ 1]) + note[place + 1 :],
        ):
            with pytest.raises(NoteError):
                open_note(bad, [trusted(signer())])


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"text\n",
        b"text\n\n",
        b"text\n\n\xe2\x80\x94 name\n",
        b"text\n\n- name AAAAAAAA\n",
        b"text\n\n\xe2\x80\x94 name AAAA\n",
        b"text\n\n\xe2\x80\x94 na+me AAAAAAAA\n",
        b"text\n\n\xe2\x80\x94 name AAAAAAAB=\n",
        b"text\n\n\xe2\x80\x94 name AAAAAAAAA\n",
        b"te\xffxt\n\n\xe2\x80\x94 name AAAAAAAA\n",
        b"te\rxt\n\n\xe2\x80\x94 name AAAAAAAA\n",
        b"x\n\n" + b"\xe2\x80\x94 name AAAAAAAA\n" * 101,
        b"x" * ((1 << 20) + 1),
    ],
)
def test_malformed_notes_are_refused(note):
    with pytest.raises(NoteError):
        open_note(note, [trusted(signer())])


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u2003b", "a\x01b", "a\n"])
def test_names_that_keys_cannot_have(name):
    with pytest.raises(NoteError):
        signer(name)
    with pytest.raises(NoteError):
        verifier_key(name, signer().key.public_key())


def test_texts_that_cannot_be_signed():
    for text in ("no newline", "control \x07\n", "", "tab\tin\n"):
        with pytest.raises(NoteError):
            sign_note(text, [signer()])
    with pytest.raises(NoteError):
        sign_note(TEXT, [])


def test_base64_has_one_spelling():
    assert strict_base64("AA==") == b"\0"
    for bad in ("AB==", "AA", "AA==\n", " AA==", "A-A=", "ä"):
        with pytest.raises(NoteError):
            strict_base64(bad)


def test_the_private_key_does_not_show():
    assert "key" not in repr(signer()).lower()
