"""The stand-alone verifier beside `audit`: two implementations of the same specifications.

They share no code, so where they agree on what is valid and on what is not, neither follows
the other's mistake.
"""

import ast
import base64
import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from audit import commitment, merkle, range_proof
from audit.canonical import canonical
from audit.checkpoint import sign_checkpoint
from audit.commitment import Opening
from audit.container import pack_files, unpack_files
from audit.entries import digest_text
from audit.errors import ProofError
from audit.note import Ed25519Signer, verifier_key
from audit.references import REFERENCES
from audit.sample_log import SampleLog, SampleWitness
from audit.standalone import verifier
from audit.standalone.verifier import Refused, Report, Trust, Unusable

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors"
needs_shared = [
    pytest.mark.shared,
    pytest.mark.skipif(not VECTORS.is_dir(), reason="../shared/vectors is not here"),
]
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
ORIGIN = "example.com/log"
VKEY = verifier_key(ORIGIN, KEY.public_key())
ONE, TWO, THREE = (
    SampleWitness(f"witness.example/{n}", Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32))
    for n in (1, 2, 3)
)
POLICY = f"""\
# who is trusted
log {VKEY} https://log.example/
witness one {ONE.vkey} https://one.example/
witness two {TWO.vkey}
witness three {THREE.vkey}
group most 2 one two three
quorum most
"""


def log_of(count):
    return SampleLog([b"entry %d" % n for n in range(count)], ORIGIN, KEY)


def raw(text):
    return base64.b64decode(text) if text else b""


# ---- It stands alone -----------------------------------------------------------------------


def test_it_imports_nothing_of_ours_and_nothing_but_cryptography():
    tree = ast.parse(Path(verifier.__file__).read_text(encoding="utf-8"))
    roots = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            roots.add((node.module or "").partition(".")[0])
    # The last one only where --engine wasm is asked for, inside its class.
    assert roots - set(sys.stdlib_module_names) == {"cryptography", "opapywasm"}


def test_the_file_alone_is_a_program(tmp_path):
    copied = tmp_path / "verifier.py"
    copied.write_bytes(Path(verifier.__file__).read_bytes())
    (tmp_path / "pack").write_bytes(b"no pack")
    words = [sys.executable, "-I", str(copied), str(tmp_path / "pack"), "--key", VKEY]
    ran = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (1, "REFUSED   PACK_FORMAT: this is no pack\n")
    ran = subprocess.run([*words[:-1], "x"], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    missing = [*words[:3], str(tmp_path / "nothing"), *words[4:], "--json"]
    ran = subprocess.run(missing, capture_output=True, text=True, check=False)
    assert (ran.returncode, json.loads(ran.stderr)["code"]) == (2, "UNUSABLE")


# ---- The tree ------------------------------------------------------------------------------


@given(st.integers(1, 300), st.data())
def test_inclusion_proofs_of_ours_lead_to_our_root(size, data):
    log = log_of(size)
    index = data.draw(st.integers(0, size - 1))
    path = log.inclusion_proof(index, size)
    root = merkle.root_of(log.leaves)
    assert verifier.inclusion_root(index, size, log.leaves[index], path) == root
    assert verifier.tree_root(log.leaves) == root


@given(st.integers(1, 60), st.data())
def test_both_agree_on_changed_inclusion_proofs(size, data):
    log = log_of(size)
    index = data.draw(st.integers(0, size - 1))
    path = log.inclusion_proof(index, size)
    other = data.draw(st.sampled_from(["drop", "add", "swap", "flip", "index", "size"]))
    if other == "drop":
        path = path[:-1]
    elif other == "add":
        path = [*path, bytes(32)]
    elif other == "swap":
        path = path[::-1]
    elif other == "flip" and path:
        path = [bytes([path[0][0] ^ 1]) + path[0][1:], *path[1:]]
    elif other == "index":
        index = data.draw(st.integers(0, size + 1))
    elif other == "size":
        size += data.draw(st.integers(-1, 2))
    root = merkle.root_of(log.leaves)
    leaf = log.leaves[min(index, len(log.leaves) - 1)]
    try:
        merkle.verify_inclusion(index, size, leaf, path, root)
        ours = True
    except ProofError:
        ours = False
    try:
        theirs = verifier.inclusion_root(index, size, leaf, path) == root
    except Refused:
        theirs = False
    assert ours == theirs


@given(st.integers(1, 200), st.data())
def test_a_range_proof_holds_for_exactly_its_range(size, data):
    log = log_of(size)
    start = data.draw(st.integers(0, size - 1))
    end = data.draw(st.integers(start + 1, size))
    proof = range_proof.range_proof(start, end, size, log.nodes(size))
    root = merkle.root_of(log.leaves)
    leaves = log.leaves[start:end]
    assert range_proof.range_root(start, leaves, size, proof) == root
    assert verifier.range_root(start, leaves, size, proof) == root
    gone = data.draw(st.integers(0, len(leaves) - 1))
    for wrong_start, wrong, hashes in (
        (start, leaves[:gone] + leaves[gone + 1 :], proof),
        (start + 1, leaves, proof),
        (start, leaves, [*proof, bytes(32)]),
        (start, leaves, proof[:-1] if proof else [bytes(32)]),
        (start, leaves[::-1] if len(leaves) > 1 else [bytes(32)], proof),
    ):
        if not wrong or wrong_start + len(wrong) > size:
            continue
        for fold, failure in ((range_proof.range_root, ProofError), (verifier.range_root, Refused)):
            with contextlib.suppress(failure):
                assert fold(wrong_start, wrong, size, hashes) != root


def test_range_proofs_of_every_range_of_small_trees():
    for size in range(1, 18):
        log = log_of(size)
        root = merkle.root_of(log.leaves)
        for start in range(size):
            for end in range(start + 1, size + 1):
                proof = range_proof.range_proof(start, end, size, log.nodes(size))
                assert verifier.range_root(start, log.leaves[start:end], size, proof) == root
    for start, end, size in ((0, 0, 3), (2, 1, 3), (0, 4, 3), (-1, 2, 3)):
        with pytest.raises(ProofError):
            range_proof.range_proof(start, end, size, log_of(3).nodes(3))


class TestSharedVectors:
    pytestmark = needs_shared

    def test_all_inclusion_vectors(self):
        files = sorted((VECTORS / "merkle" / "inclusion").rglob("*.json"))
        assert len(files) == 98
        for path in files:
            case = json.loads(path.read_text())
            try:
                found = verifier.inclusion_root(
                    case["leafIdx"],
                    case["treeSize"],
                    raw(case["leafHash"]),
                    [raw(each) for each in case["proof"] or ()],
                )
                holds = found == raw(case["root"]) and len(raw(case["leafHash"])) == 32
            except Refused:
                holds = False
            assert holds is not case["wantErr"], path.name

    def test_checkpoints_of_a_foreign_log_with_proofs_from_its_bundles(self):
        folder = VECTORS / "tessera-log"
        vkey = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
        for size in range(1, 16):
            note = (folder / f"checkpoint.{size}").read_bytes()
            found, root = verifier.read_checkpoint(note, Trust.of_key(vkey), Report())
            data, leaves = (folder / "tile" / "entries" / "000.p" / str(size)).read_bytes(), []
            while data:
                length = 2 + int.from_bytes(data[:2], "big")
                leaves.append(verifier.leaf_hash(data[2:length]))
                data = data[length:]
            assert (found, root) == (size, verifier.tree_root(leaves))
            with pytest.raises(Refused):
                verifier.read_checkpoint(note.replace(b"=", b"A", 1), Trust.of_key(vkey), Report())


# ---- Notes, keys, witnesses ----------------------------------------------------------------


def read(note, trust):
    return verifier.read_checkpoint(note, trust, Report())


def test_the_vector_of_the_specification():
    key = verifier.Key("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
    assert (key.name, key.type) == ("example.com/foo", 1)


@given(st.data())
def test_a_mangled_key_is_no_key(data):
    place = data.draw(st.integers(0, len(VKEY) - 1))
    change = data.draw(st.sampled_from(["cut", "drop", "next"]))
    mangled = {
        "cut": VKEY[:place],
        "drop": VKEY[:place] + VKEY[place + 1 :],
        "next": VKEY[:place] + chr(ord(VKEY[place]) + 1) + VKEY[place + 1 :],
    }[change]
    with pytest.raises(Unusable):
        verifier.Key(mangled)


def test_a_quorum_is_met_or_not():
    log, trust = log_of(5), Trust.of_policy(POLICY)
    for witnesses, enough in (
        ((ONE, TWO), True),
        ((ONE, TWO, THREE), True),
        ((ONE,), False),
        ((), False),
    ):
        note = log.checkpoint(witnesses, time=1_800_000_000).note
        if enough:
            assert read(note, trust)[0] == 5
        else:
            with pytest.raises(Refused) as caught:
                read(note, trust)
            assert caught.value.code == "WITNESS"


def test_a_cosignature_of_a_stranger_is_ignored_and_a_wrong_one_condemns():
    log = log_of(5)
    only_one = Trust.of_policy(f"log {VKEY}\nwitness one {ONE.vkey}\nquorum one\n")
    assert read(log.checkpoint((ONE, TWO), time=9).note, only_one)[0] == 5
    note = log.checkpoint((ONE,), time=9).note
    stale = log_of(4).checkpoint((ONE,), time=9).note.splitlines(keepends=True)[-1]
    wrong = b"".join([*note.splitlines(keepends=True)[:-1], stale])
    with pytest.raises(Refused, match="cosignature"):
        read(wrong, only_one)


@pytest.mark.parametrize(
    "policy",
    [
        "",
        f"log {VKEY}\n",
        "quorum none\n",
        f"log {VKEY}\nlog {VKEY}\nquorum none\n",
        f"log {ONE.vkey}\nquorum none\n",
        f"log {VKEY}\nwitness one {VKEY}\nquorum one\n",
        f"log {VKEY}\nquorum unknown\n",
        f"log {VKEY}\nwitness one {ONE.vkey}\nwitness one {TWO.vkey}\nquorum one\n",
        f"log {VKEY}\nwitness one {ONE.vkey}\nwitness two {ONE.vkey}\nquorum one\n",
        f"log {VKEY}\nwitness one {ONE.vkey}\ngroup g 2 one\nquorum g\n",
        f"log {VKEY}\nwitness one {ONE.vkey}\ngroup g any one one\nquorum g\n",
        f"log {VKEY}\ngroup g any later\nwitness later {ONE.vkey}\nquorum g\n",
        f"log {VKEY}\nwitness one {ONE.vkey}\ngroup g 0 one\nquorum g\n",
        f"log {VKEY}\nquorum none\nquorum none\n",
        f"log {VKEY}\nsomething else\nquorum none\n",
    ],
)
def test_a_policy_that_could_be_misread_is_refused(policy):
    with pytest.raises(Unusable):
        Trust.of_policy(policy)


@given(st.binary(max_size=40), st.integers(0, 5_000))
def test_no_changed_checkpoint_is_believed(noise, place):
    note = log_of(5).checkpoint((ONE, TWO), time=9).note
    at = place % len(note)
    changed = note[:at] + noise + note[at + len(noise) :]
    if changed == note:
        return
    try:
        found = read(changed, Trust.of_policy(POLICY))
    except Refused:
        return
    # What was changed was a stranger's line, or nothing that counts.
    assert found == read(note, Trust.of_policy(POLICY))


def test_another_signers_note_is_refused():
    other = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"o" * 32))
    note = sign_checkpoint(ORIGIN, 5, bytes(32), [other]).note
    with pytest.raises(Refused, match="did not sign"):
        read(note, Trust.of_key(VKEY))


# ---- The container and its JSON ------------------------------------------------------------

NAMES = st.sampled_from(
    [
        "checkpoint", "entries.txt", "proofs.json", "manifest.json", "keys.json",
        f"inputs/{'a' * 64}.json", f"policies/{'b' * 64}.tar.gz", f"documents/{'c' * 64}.jws",
    ]
)  # fmt: skip


@given(st.dictionaries(NAMES, st.binary(max_size=64), min_size=1))
def test_both_write_and_read_the_same_container(files):
    data = pack_files(files)
    assert verifier.write_container(files) == data
    assert verifier.read_container(data) == unpack_files(data) == files


@given(st.dictionaries(NAMES, st.binary(max_size=64), min_size=1), st.data())
def test_no_container_has_a_second_spelling(files, data):
    whole = pack_files(files)
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = data.draw(
        st.sampled_from(
            [
                whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :],
                whole[:place],
                whole[:place] + b"\0" + whole[place:],
            ]
        )
    )
    for reads, failure in ((unpack_files, ProofError), (verifier.read_container, Refused)):
        with pytest.raises(failure):
            reads(changed)


NAMED = st.text("ab_", max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMED, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abc_", min_size=1, max_size=4), JSON, max_size=4))
def test_both_write_the_same_canonical_json(value):
    try:
        ours = canonical(value)
    except ValueError:
        with pytest.raises((Refused, UnicodeEncodeError)):
            verifier.strict_json(verifier.canonical(value), "X", "it")
        return
    assert verifier.canonical(value) == ours
    assert verifier.strict_json(ours, "X", "it") == value


@pytest.mark.parametrize(
    "text",
    [b'{"a":1,"a":1}', b'{"a": 1}', b'{"a":1.0}', b'{"a":NaN}', b'{"b":1,"a":1}', b"{", b"\xff",
     b'{"a":9007199254740993}', b'"\\ud800"', b'{"\xc3\xa4":1}', b"[" * 100_000],
)  # fmt: skip
def test_json_with_another_spelling_is_refused(text):
    with pytest.raises(Refused) as caught:
        verifier.strict_json(text, "X", "it")
    assert caught.value.code == "X"


# ---- Openings ------------------------------------------------------------------------------


@given(st.binary(max_size=30), st.binary(min_size=32, max_size=32))
def test_commitments_are_computed_alike(value, salt):
    made = digest_text(commitment.commit(Opening("operator", value, salt)))
    entries = {4: (b"", {"kind": "intent", "operator": made})}
    opening = {
        "entry": 4, "member": "operator", "domain": "operator",
        "value": base64.b64encode(value).decode(), "salt": base64.b64encode(salt).decode(),
    }  # fmt: skip
    told = canonical({"v": 1, "openings": [opening], "fields": []})
    assert len(verifier.check_openings(told, entries, Report())) == 1
    lie = canonical({"v": 1, "openings": [opening | {"value": "bGll"}], "fields": []})
    if value != b"lie":
        with pytest.raises(Refused, match="not what is disclosed"):
            verifier.check_openings(lie, entries, Report())


VALUES = st.dictionaries(
    st.text("abcd", min_size=1, max_size=3), st.binary(max_size=9), min_size=1, max_size=6
)


@given(VALUES, st.binary(min_size=32, max_size=32), st.data())
def test_fields_are_opened_alike(values, seed, data):
    name = data.draw(st.sampled_from(sorted(values)))
    proof = commitment.prove_field(values, seed, name)
    root = digest_text(commitment.fields_root(values, seed))
    entries = {
        4: (b"", {"kind": "intent", "fields": {"allow": sorted(values)}}),
        5: (b"", {"kind": "outcome", "intent": 4, "field_root": root}),
    }
    opened = {
        "entry": 5, "name": name, "position": proof.position,
        "value": base64.b64encode(proof.opening.value).decode(),
        "salt": base64.b64encode(proof.opening.salt).decode(),
        "others": [base64.b64encode(each).decode() for each in proof.others],
    }  # fmt: skip
    assert verifier.check_field(opened, entries)[:2] == (5, name)
    with pytest.raises(Refused):
        verifier.check_field(opened | {"name": f"{name}x"}, entries)


# ---- Both know the same entries ------------------------------------------------------------


def test_every_reference_of_requests_is_known_to_both():
    assert REFERENCES.keys() == verifier.LINKS.keys()
    for kind, links in verifier.LINKS.items():
        ours = {name: wanted for name, (wanted, _) in links.items()}
        assert REFERENCES[kind] == ours


def test_every_kind_is_known_with_the_members_of_its_builder():
    from tests.audit.test_entries import KINDS, build

    assert set(KINDS) == set(verifier.SCHEMA)

    for kind in verifier.SCHEMA:
        report = Report()
        verifier.check_schema(0, build(kind), report) if kind not in HEX else None
        assert report.not_checked == [], kind


# Builders of these take texts for hexadecimal digests in the test of the page.
HEX = {
    "certificate_pinned", "certificate_revoked", "licence_activated", "consent_registered",
    "consent_withdrawn", "export_declared", "issuer_proposed", "issuer_approved",
}  # fmt: skip


SIGNED = {"version": 1, "not_before": 5, "fields": ["b", "a"], "scale_cap": 7}
TERMS = {"v": 1, "statement": "MECHANISM", "version": 1, "not_before": 5, "fields": ["a", "b"]}


@pytest.mark.parametrize(
    ("signed", "terms", "holds"),
    [
        (SIGNED, TERMS | {"scale_cap": 7}, True),
        ({"version": 1, "not_before": 5}, TERMS | {"fields": [], "scale_cap": 0}, True),
        (SIGNED, TERMS | {"scale_cap": 8}, False),  # another cap
        (SIGNED, TERMS | {"scale_cap": 7, "fields": ["a", "b", "c"]}, False),  # one field more
        (SIGNED, TERMS | {"scale_cap": 7, "not_after": 9}, False),  # a term nobody signed
        (SIGNED, TERMS, False),  # the cap left out
        (SIGNED, TERMS | {"scale_cap": 7, "statement": "IMPORTANT"}, False),
        (SIGNED | {"version": 2}, TERMS | {"scale_cap": 7, "version": 2}, False),  # not the entry's
    ],
)
def test_terms_of_a_statement_are_what_was_signed(signed, terms, holds):
    text = json.dumps(terms, sort_keys=True, separators=(",", ":"))
    entry = {"register": "MECHANISM", "version": 1, "terms": text}
    if holds:
        verifier.check_statement(3, entry, signed)
    else:
        with pytest.raises(verifier.Refused):
            verifier.check_statement(3, entry, signed)


def test_a_range_that_claims_more_than_any_memory_holds_is_refused_at_once():
    manifest = {"selection": {"by": "range", "start": 0, "end": 2**53 - 1}, "chosen": [0]}
    with pytest.raises(verifier.Refused) as refusal:
        verifier.check_selection(manifest, {0: (b"{}", {})}, verifier.Report())
    assert refusal.value.code == "RANGE"
