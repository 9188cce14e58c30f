"""Cosignatures: vectors of other people, round trips, and everything that must be refused."""

import contextlib
from base64 import b64decode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from audit.checkpoint import checkpoint_text, open_checkpoint, sign_checkpoint, with_cosignatures
from audit.cosignature import (
    CosignatureSigner,
    CosignatureVerifier,
    cosigned_at,
    parse_witness_key,
)
from audit.errors import NoteError
from audit.note import Ed25519Signer, Verifier, open_note

# From transparency-dev/formats, note/note_cosigv1_test.go.
REMORA = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"
TIMED = (
    "ZGhGuQAAAABm/qTPeyKXD+R2rzyQsxPiP8mXum7qq/iF0u4vanlqJyocWODBt97w9uL+8qT7S5gxEHWWOworDcFi"
    "EBYJXORmnFBOBA=="
)
NOT_TIMED = (
    "eQjRQm6eSKzFoiYalgwCPXu2y3ijtg68is9M46JKxuZB+dRfTmeQeDBoXnvxZx2ugnkyV+MUMLXpWs1hPb/W/4xkNQY="
)
# From the specification, tlog-cosignature.
SPEC_NOTE = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhc"
    "yv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3"
    "b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)
SPEC_MESSAGE = (
    b"cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n"
    b"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
)
# Made with transparency-dev/formats at 404c0d5b696c (NewSignerForCosignatureV1) and the key that
# the Go note package publishes for its tests.
GO_SEED_KEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_VKEY = "PeterNeumann+18b9780b+BBpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_LINE = (
    "— PeterNeumann GLl4CwAAAABrCICN47zfeZxDnegOz6QSNyp/tykZaojVkLPlPq7cD9DGQj0TWBf0ZoYJ1TLH14vI"
    "CJHAi42c1/ps4lIjm/gvAXKwDA==\n"
)
LOG = Ed25519Signer("example.com/log", Ed25519PrivateKey.from_private_bytes(b"1" * 32))
LOG_KEY = Verifier.parse(LOG.verifier_key)
WITNESS = CosignatureSigner("w.example", Ed25519PrivateKey.from_private_bytes(b"2" * 32))
SECOND = CosignatureSigner("v.example", Ed25519PrivateKey.from_private_bytes(b"3" * 32))
KEY = CosignatureVerifier.parse(WITNESS.verifier_key)
SECOND_KEY = CosignatureVerifier.parse(SECOND.verifier_key)
CHECKPOINT = sign_checkpoint(LOG.name, 7, bytes(range(32)), [LOG])
TEXT = checkpoint_text(LOG.name, 7, bytes(range(32)))


def cosigned(*witnesses, at=1_700_000_000):
    return with_cosignatures(CHECKPOINT.note, [each.cosign(TEXT, at) for each in witnesses])


def test_a_foreign_key_of_a_witness_parses_to_the_same_text():
    parsed = CosignatureVerifier.parse(REMORA)
    assert (parsed.name, parsed.key_id.hex()) == ("remora.n621.de", "da77ade7")


def test_the_time_of_foreign_cosignatures():
    assert cosigned_at(b64decode(TIMED)[4:]) == 1_727_964_367
    with pytest.raises(NoteError):
        cosigned_at(b64decode(NOT_TIMED)[4:])
    line = SPEC_NOTE.splitlines()[-1].split()[-1]
    assert cosigned_at(b64decode(line)[4:]) == 1_679_315_147


def test_what_is_signed_are_the_bytes_of_the_specification():
    """A key checks the bytes that the specification prints, independently of our formatting."""
    text = SPEC_NOTE.rpartition("\n\n")[0] + "\n"
    line = WITNESS.cosign(text, 1_679_315_147)
    raw = b64decode(line.split()[-1])
    assert raw[:4] == WITNESS.key_id
    assert raw[4:12] == (1_679_315_147).to_bytes(8, "big")
    WITNESS.key.public_key().verify(raw[12:], SPEC_MESSAGE)
    assert len(raw) == 76


def test_a_foreign_cosignature_holds_and_is_made_again_byte_for_byte():
    text = SPEC_NOTE.rpartition("\n\n")[0] + "\n"
    key = CosignatureVerifier.parse(GO_VKEY)
    opened = open_note(f"{text}\n{GO_LINE}".encode(), [key])
    assert opened.verified == (key,)
    at = cosigned_at(opened.signatures[0])
    signer = CosignatureSigner(key.name, Ed25519Signer.parse(GO_SEED_KEY).key)
    assert signer.verifier_key == GO_VKEY
    assert signer.cosign(text, at) == GO_LINE


def test_keys_keep_their_type_apart_from_a_logs():
    assert CosignatureSigner.parse(WITNESS.signer_key()).verifier_key == WITNESS.verifier_key
    log_key = Ed25519Signer("w.example", WITNESS.key)
    assert log_key.key_id != WITNESS.key_id
    for key, parse in (
        (log_key.verifier_key, CosignatureVerifier.parse),
        (log_key.signer_key(), CosignatureSigner.parse),
        (WITNESS.verifier_key, Verifier.parse),
        (WITNESS.signer_key(), Ed25519Signer.parse),
    ):
        with pytest.raises(NoteError):
            parse(key)
    assert isinstance(parse_witness_key(log_key.verifier_key), Verifier)
    assert parse_witness_key(WITNESS.verifier_key) == KEY


def test_every_substring_and_every_changed_byte_of_a_key_is_refused():
    for key, parse in (
        (REMORA, CosignatureVerifier.parse),
        (WITNESS.signer_key(), CosignatureSigner.parse),
    ):
        for end in range(len(key)):
            for bad in (
                key[:end],
                key[end + 1 :],
                key[:end] + chr(ord(key[end]) + 1) + key[end + 1 :],
            ):
                with pytest.raises(NoteError):
                    parse(bad)


def test_a_cosigned_checkpoint_opens_with_who_and_when():
    opened = open_checkpoint(cosigned(WITNESS, SECOND), LOG_KEY, [KEY, SECOND_KEY])
    assert [(each.witness, each.time) for each in opened.cosignatures] == [
        ("w.example", 1_700_000_000),
        ("v.example", 1_700_000_000),
    ]
    assert opened.witnessed
    # Who does not know the second one ignores it.
    assert len(open_checkpoint(cosigned(WITNESS, SECOND), LOG_KEY, [KEY]).cosignatures) == 1
    assert open_checkpoint(cosigned(WITNESS), LOG_KEY).cosignatures == ()


def test_a_newer_cosignature_takes_the_place_of_the_older():
    note = with_cosignatures(cosigned(WITNESS, SECOND), [WITNESS.cosign(TEXT, 1_800_000_000)])
    opened = open_checkpoint(note, LOG_KEY, [KEY, SECOND_KEY])
    assert {each.witness: each.time for each in opened.cosignatures} == {
        "w.example": 1_800_000_000,
        "v.example": 1_700_000_000,
    }
    assert with_cosignatures(note, []) == note


def test_a_cosignature_of_another_checkpoint_condemns_the_note():
    other = checkpoint_text(LOG.name, 8, bytes(range(32)))
    for text in (other, TEXT + "extension\n"):
        note = CHECKPOINT.note + WITNESS.cosign(text, 1_700_000_000).encode()
        with pytest.raises(NoteError):
            open_checkpoint(note, LOG_KEY, [KEY])
        assert open_checkpoint(note, LOG_KEY, [SECOND_KEY]).cosignatures == ()


def test_a_cosignature_covers_extension_lines():
    text = TEXT + "extended\n"
    line = WITNESS.cosign(text, 5)
    assert open_note(f"{text}\n{line}".encode(), [KEY]).verified == (KEY,)


def test_a_changed_time_does_not_hold():
    raw = b64decode(WITNESS.cosign(TEXT, 1_700_000_000).split()[-1])[4:]
    KEY.verify(TEXT.encode(), raw)
    for at in (1_700_000_001, 0, (1 << 63) - 1, 1 << 63, (1 << 64) - 1):
        with pytest.raises(NoteError):
            KEY.verify(TEXT.encode(), at.to_bytes(8, "big") + raw[8:])


@given(st.integers(1, (1 << 63) - 1), st.integers(0, 1 << 40), st.binary(min_size=32, max_size=32))
def test_what_is_cosigned_opens(at, size, root):
    if size == 0:
        return
    signed = sign_checkpoint(LOG.name, size, root, [LOG])
    text = checkpoint_text(LOG.name, size, root)
    note = with_cosignatures(signed.note, [WITNESS.cosign(text, at)])
    opened = open_checkpoint(note, LOG_KEY, [KEY])
    assert (opened.size, opened.root, opened.cosignatures[0].time) == (size, root, at)


@given(st.data())
def test_no_changed_bit_of_a_cosignature_holds(data):
    note = cosigned(WITNESS)
    start = note.rindex(b"\xe2\x80\x94") + len("— w.example ".encode())
    place = data.draw(st.integers(start, len(note) - 2))
    changed = (
        note[:place]
        + bytes([note[place] ^ (1 << data.draw(st.integers(0, 6)))])
        + note[place + 1 :]
    )
    with contextlib.suppress(NoteError):
        # A changed key id makes it a line of an unknown key, which is ignored.
        assert open_checkpoint(changed, LOG_KEY, [KEY]).cosignatures == ()


@pytest.mark.parametrize("at", [0, -1, 1 << 63])
def test_times_that_cannot_be_signed(at):
    with pytest.raises(NoteError):
        WITNESS.cosign(TEXT, at)


def test_the_private_key_does_not_show():
    assert "key" not in repr(WITNESS).lower()
    with pytest.raises(NoteError):
        CosignatureSigner("a b", WITNESS.key)
