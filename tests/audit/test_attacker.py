"""Can a mirror of the log, who is a subject and a caller too, learn who else is asked about?

The attacker holds everything that is ever given away: every entry and tile, every proof about
itself, of every moment; it knows the victim's code and how everything is computed; it asks
about the victim itself. What it lacks are the index key, the salts and the openings.
"""

import hashlib
import hmac
import itertools
import json
import re
from base64 import b64decode, urlsafe_b64decode

import pytest

from audit.access_proof import SUBJECT, Wanted, prove_accesses
from audit.commitment import (
    Opening,
    commit,
    snapshot_label,
    subject_label,
    subjects_value,
)
from audit.segment import handle_of, path_of, value_of
from tests.audit.index_home import INDEX_KEY, IndexHome
from tests.audit.log_home import SIGNER

VICTIM, OTHER, SELF = "91460000MA00000001", "91460000MA00000002", "91460000MA00000003"
CROWD = [f"91460000MB{number:08d}" for number in range(30)]
BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{43}=?")


class Mirror:
    """Everything that the attacker sees."""

    def __init__(self, world):
        self.world = world
        self.proofs = []

    def ask_about_itself(self):
        """What the gateway tells a subject about its own accesses, kept for comparison."""
        label = self.world.labels.of(SELF)
        with self.world.connect() as connection:
            self.proofs.append(
                prove_accesses(
                    connection,
                    self.world.reader,
                    SIGNER.key,
                    Wanted(SELF, {SUBJECT: label}, [], {}),
                )
            )

    def entries(self):
        reader = self.world.reader
        return list(reader.entries(0, reader.checkpoint().size))

    def seen(self):
        """Every string of 32 bytes in anything that was given away."""
        found = set()
        for text in (*self.entries(), *self.proofs):
            for each in BASE64.findall(text):
                found.add(decode(each))
        return {each for each in found if len(each) == 32}


def decode(text):
    plain = text.rstrip(b"=")
    plain += b"=" * (-len(plain) % 4)
    if b"-" in plain or b"_" in plain:
        return urlsafe_b64decode(plain.replace(b"+", b"-").replace(b"/", b"_"))
    return b64decode(plain)


def guesses(subject, keys):
    """Everything that the code computes from a subject, under every key the attacker has seen."""
    code = subject.encode()
    yield hashlib.sha256(code).digest()
    for key in keys:
        yield hmac.digest(key, code, "sha256")
        yield hashlib.sha256(key + code).digest()
        for domain in ("subjects", "subject"):
            yield commit(Opening(domain, subjects_value([subject]), key))
        label = subject_label(key, subject)
        yield label
        yield snapshot_label(key, subject)
        for salt in (key, bytes(32)):
            handle = handle_of(salt, label)
            yield handle
            yield path_of(handle)
            yield from (value_of(handle, [entry]) for entry in range(8))


@pytest.fixture
def world(tmp_path):
    home = IndexHome(tmp_path / "home")
    yield home
    home.journal.close()


def play(world, target):
    """One history in which somebody else asks about the target, and the attacker watches."""
    mirror = Mirror(world)
    for crowd in itertools.batched(CROWD, 6) if hasattr(itertools, "batched") else [CROWD]:
        world.ask(*crowd)
    world.ask(SELF)
    world.ask(VICTIM)  # by the attacker itself, as a caller
    world.seal()
    mirror.ask_about_itself()
    world.ask(target)  # by somebody else
    world.ask(target, SELF)
    world.seal()
    mirror.ask_about_itself()
    return mirror


def test_nothing_that_is_given_away_matches_a_guess(world):
    mirror = play(world, VICTIM)
    seen = mirror.seen()
    assert len(seen) > 40
    keys = [bytes(32), *seen]
    assert not seen & set(guesses(VICTIM, keys))


def test_the_attack_succeeds_for_whoever_has_the_key_and_a_salt(world):
    """Or it would prove nothing: with the secrets the very same comparison finds the victim."""
    mirror = play(world, VICTIM)
    with world.connect() as connection:
        salts = [row[0] for row in connection.execute("SELECT salt FROM index_segments")]
        tiles = b"".join(row[0] for row in connection.execute("SELECT paths FROM index_tiles"))
        assert mirror.seen()
    label = subject_label(INDEX_KEY, VICTIM)
    assert sum(path_of(handle_of(salt, label)) in tiles for salt in salts) == 2


def test_entries_about_the_same_subject_have_nothing_in_common(world):
    mirror = play(world, VICTIM)
    commitments = [
        json.loads(each)["subjects"] for each in mirror.entries() if b'"kind":"intent"' in each
    ]
    assert len(set(commitments)) == len(commitments)


def test_two_worlds_look_alike(tmp_path):
    """Whether the victim was asked about or somebody else: the same shapes, all else random."""
    views = []
    for name, target in (("one", VICTIM), ("two", OTHER)):
        world = IndexHome(tmp_path / name)
        mirror = play(world, target)
        views.append((mirror.entries(), mirror.proofs))
        world.journal.close()
    (entries_one, proofs_one), (entries_two, proofs_two) = views
    assert [len(each) for each in entries_one] == [len(each) for each in entries_two]
    for one, two in zip(entries_one, entries_two, strict=True):
        assert shape(json.loads(one)) == shape(json.loads(two))
    for one, two in zip(proofs_one, proofs_two, strict=True):
        leaves_one, leaves_two = shape(json.loads(one)), shape(json.loads(two))
        assert leaves_one.keys() == leaves_two.keys()


def test_two_proofs_cannot_be_compared(world):
    """What a proof shows of others never comes again, changed or unchanged, in a later root."""
    mirror = play(world, VICTIM)
    world.seal()
    mirror.ask_about_itself()
    world.ask(*CROWD[:4])
    world.seal(base=1000, fan=2)  # the older ranges are merged into one
    mirror.ask_about_itself()
    by_root = {}
    for proof in mirror.proofs:
        for segment in json.loads(proof)["segments"]:
            lookup = segment["lookups"]["subject"]
            shown = {lookup["handle"]}
            for leaf in lookup["leaves"]:
                if leaf["path"] not in EDGES:
                    shown |= {leaf["path"], leaf["value"], *leaf["proof"]}
            # The same root always tells the same; so there is no "before and after" in it.
            assert by_root.setdefault(segment["index"], shown) == shown
    assert len(by_root) >= 3
    for one, two in itertools.combinations(by_root.values(), 2):
        assert not one & two


EDGES = ("A" * 43 + "=", "/" * 42 + "8=")


def shape(value):
    """Everything but what is drawn or hashed."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items() if name != "leaves"}
    if isinstance(value, list):
        return [shape(each) for each in value]
    if isinstance(value, str) and len(value) >= 43:
        return "..."
    return value
