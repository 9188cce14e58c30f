"""Checkpoints: what is signed, and what is not a checkpoint."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.checkpoint import checkpoint_text, open_checkpoint, parse_text, sign_checkpoint
from audit.errors import NoteError
from audit.merkle import EMPTY_ROOT
from audit.note import Ed25519Signer, Verifier, sign_note

LOG = Ed25519Signer("example.com/log", Ed25519PrivateKey.from_private_bytes(b"1" * 32))
WITNESS = Ed25519Signer("witness", Ed25519PrivateKey.from_private_bytes(b"2" * 32))
KEY = Verifier.parse(LOG.verifier_key)
ROOT = bytes(range(32))
ROOT64 = checkpoint_text("o", 1, ROOT).split("\n")[2]


def test_what_is_signed_opens():
    signed = sign_checkpoint(LOG.name, 7, ROOT, [LOG])
    opened = open_checkpoint(signed.note, KEY)
    assert opened == signed
    assert (opened.origin, opened.size, opened.root, opened.witnessed) == (LOG.name, 7, ROOT, False)


def test_a_trusted_witness_shows_and_does_not_replace_the_log():
    witness = Verifier.parse(WITNESS.verifier_key)
    both = sign_checkpoint(LOG.name, 7, ROOT, [LOG, WITNESS])
    assert open_checkpoint(both.note, KEY, [witness]).witnessed
    assert not open_checkpoint(both.note, KEY).witnessed
    alone = sign_checkpoint(LOG.name, 7, ROOT, [WITNESS])
    with pytest.raises(NoteError):
        open_checkpoint(alone.note, KEY, [witness])


def test_another_logs_checkpoint_is_refused_even_when_signed():
    note = sign_note(checkpoint_text("example.com/other", 7, ROOT), [LOG])
    with pytest.raises(NoteError):
        open_checkpoint(note, KEY)


def test_extension_lines_are_allowed_and_ignored():
    assert parse_text(f"o\n1\n{ROOT64}\nmore\n") == ("o", 1, ROOT)


@pytest.mark.parametrize(
    "text",
    [
        "o\n1\n",
        f"o\n01\n{ROOT64}\n",
        f"o\n-1\n{ROOT64}\n",
        f"o\n1 \n{ROOT64}\n",
        f"o\n１\n{ROOT64}\n",
        f"o\n{1 << 63}\n{ROOT64}\n",
        f"\n1\n{ROOT64}\n",
        f"o\n1\n{ROOT64}\n\n",
        f"o\n1\n{ROOT64}x\n",
        "o\n1\nAAAA\n",
        f"o\n0\n{ROOT64}\n",
    ],
)
def test_malformed_texts_are_refused(text):
    with pytest.raises(NoteError):
        parse_text(text)


def test_what_cannot_be_signed():
    for origin, root in (("", ROOT), ("a\nb", ROOT), ("a", b"short")):
        with pytest.raises(NoteError):
            checkpoint_text(origin, 1, root)
    assert sign_checkpoint("o", 0, EMPTY_ROOT, [LOG]).size == 0
