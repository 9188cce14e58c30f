"""Verification names what was changed; receipts prove exactly one entry."""

import shutil

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.checkpoint import sign_checkpoint
from audit.errors import LogCorruptError, NoteError, ProofError
from audit.merkle import leaf_hash, root_of, verify_consistency, verify_inclusion
from audit.note import Ed25519Signer
from audit.proof import Receipt, format_receipt, parse_receipt
from audit.reader import LogReader
from audit.tiles import decode_bundle
from audit.verify import check_proof, prove, verify_log
from tests.audit.log_home import ORIGIN, SIGNER, VKEY, LogHome, body

SIZE = 600
OTHER = Ed25519Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"o" * 32))


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    home = LogHome(tmp_path_factory.mktemp("log") / "home")
    home.append(300)
    integrator = home.integrator()
    older = integrator.integrate_once()
    home.append(SIZE - 300, 300)
    integrator.integrate_once()
    home.journal.close()
    return home.directory, older


@pytest.fixture
def log(published, tmp_path):
    return shutil.copytree(published[0], tmp_path / "log")


def flip(path, place, bit=0):
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << bit
    path.write_bytes(data)


def place_of(index):
    """Where an entry's length stands in its bundle."""
    return sum(2 + len(body(each)) for each in range(index // 256 * 256, index))


def bundle_of(log, index):
    names = {0: "000", 1: "001", 2: "002.p/88"}
    return log / "tile/entries" / names[index // 256]


def test_a_whole_log_holds_and_progress_is_told(log, published):
    told = []
    report = verify_log(log, VKEY, known=published[1], progress=lambda *each: told.append(each))
    report.check()
    assert (report.entries, report.problems, report.first_bad) == (SIZE, (), None)
    assert told == [(256, SIZE), (512, SIZE), (SIZE, SIZE)]


@pytest.mark.parametrize("index", [0, 17, 255, 256, 300, 511, 512, SIZE - 1])
@pytest.mark.parametrize("part", ["length-high", "length-low", "first", "last"])
def test_one_changed_byte_of_a_bundle_names_its_entry(log, index, part):
    start = place_of(index)
    end = start + 1 + len(body(index))
    flip(bundle_of(log, index), dict(zip(
        ["length-high", "length-low", "first", "last"], [start, start + 1, start + 2, end],
        strict=True,
    ))[part])  # fmt: skip
    report = verify_log(log, VKEY)
    assert report.first_bad == index
    with pytest.raises(LogCorruptError, match=f"^entry {index}:"):
        report.check()


def test_two_changed_entries_are_both_named_when_in_different_bundles(log):
    flip(bundle_of(log, 17), place_of(17) + 5)
    flip(bundle_of(log, 515), place_of(515) + 5)
    assert [each.index for each in verify_log(log, VKEY).problems] == [17, 515]


@pytest.mark.parametrize("index", [0, 17, 300, SIZE - 1])
def test_a_changed_hash_tile_is_told_from_a_changed_entry(log, index):
    name = {0: "000", 1: "001", 2: "002.p/88"}[index // 256]
    flip(log / "tile/0" / name, index % 256 * 32 + 3)
    report = verify_log(log, VKEY)
    assert report.first_bad == index
    assert "hash tile" in report.problems[0].message


def test_a_changed_tile_above_is_found(log):
    flip(log / "tile/1/000.p/2", 33)
    report = verify_log(log, VKEY)
    assert [each.index for each in report.problems] == [256]


def test_entry_and_tile_changed_together_still_break_the_signed_root(log):
    bundle = bundle_of(log, 17)
    flip(bundle, place_of(17) + 5)
    entry = decode_bundle(bundle.read_bytes(), 256)[17]
    tile = bytearray((log / "tile/0/000").read_bytes())
    tile[17 * 32 : 18 * 32] = leaf_hash(entry)
    (log / "tile/0/000").write_bytes(tile)
    report = verify_log(log, VKEY)
    assert any("root" in each.message for each in report.problems)


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("tile/entries/000", 0),
        ("tile/entries/002.p/88", 512),
        ("tile/0/001", 256),
        ("tile/1/000.p/2", 0),
    ],
)
def test_a_missing_or_cut_file_is_named_by_its_first_entry(log, name, index):
    whole = (log / name).read_bytes()
    (log / name).unlink()
    assert verify_log(log, VKEY).first_bad == index
    (log / name).write_bytes(whole[:-1])
    last = {"tile/entries/000": 255, "tile/entries/002.p/88": SIZE - 1}
    assert verify_log(log, VKEY).first_bad == last.get(name, index)
    (log / name).write_bytes(whole + b"\0")
    assert verify_log(log, VKEY).first_bad == last.get(name, index)


@pytest.mark.parametrize("harm", ["gone", "cut", "size", "signature", "key", "other-root"])
def test_a_checkpoint_that_does_not_hold_is_found(log, harm):
    path = log / "checkpoint"
    note = path.read_bytes()
    if harm == "gone":
        path.unlink()
    elif harm == "cut":
        path.write_bytes(note[:-2])
    elif harm == "size":
        path.write_bytes(note.replace(b"\n600\n", b"\n599\n"))
    elif harm == "signature":
        flip(path, len(note) - 10)
    elif harm == "key":
        path.write_bytes(sign_checkpoint(ORIGIN, SIZE, b"r" * 32, [OTHER]).note)
    else:
        path.write_bytes(sign_checkpoint(ORIGIN, SIZE, b"r" * 32, [SIGNER]).note)
    with pytest.raises(LogCorruptError):
        verify_log(log, VKEY).check()


def test_a_log_rolled_back_or_forked_is_found_by_who_knew_a_checkpoint(log, published):
    newest = LogReader(log, VKEY).checkpoint()
    (log / "checkpoint").write_bytes(published[1].note)
    assert verify_log(log, VKEY).problems == ()
    assert verify_log(log, VKEY, known=newest).problems != ()
    (log / "checkpoint").write_bytes(newest.note)
    fork = sign_checkpoint(ORIGIN, 300, b"r" * 32, [SIGNER])
    assert verify_log(log, VKEY, known=fork).problems != ()


def test_every_entry_has_a_receipt_and_no_receipt_fits_another_entry(log):
    for index in range(0, SIZE, 37):
        receipt = prove(log, index)
        parsed, checkpoint = check_proof(receipt, body(index), VKEY)
        assert (parsed.index, checkpoint.size) == (index, SIZE)
        assert format_receipt(parsed) == receipt
        with pytest.raises(ProofError):
            check_proof(receipt, body(index + 1), VKEY)
    for index in (-1, SIZE):
        with pytest.raises(ProofError):
            prove(log, index)


def test_a_witness_is_seen_in_a_receipt(log):
    witness = Ed25519Signer("witness", Ed25519PrivateKey.from_private_bytes(b"w" * 32))
    parsed = parse_receipt(prove(log, 3))
    root = LogReader(log, VKEY).checkpoint().root
    cosigned = sign_checkpoint(ORIGIN, SIZE, root, [SIGNER, witness]).note
    receipt = format_receipt(Receipt(3, parsed.path, cosigned, extra=b"more"))
    assert check_proof(receipt, body(3), VKEY, [witness.verifier_key])[1].witnessed
    assert check_proof(receipt, body(3), VKEY)[0].extra == b"more"


def test_every_changed_byte_of_a_receipt_is_refused(log):
    receipt = prove(log, 5)
    for place in range(len(receipt)):
        bad = receipt[:place] + bytes([receipt[place] ^ 1]) + receipt[place + 1 :]
        with pytest.raises((ProofError, NoteError)):
            check_proof(bad, body(5), VKEY)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"c2sp.org/tlog-proof@v1",
        b"c2sp.org/tlog-proof@v2\nindex 0",
        b"c2sp.org/tlog-proof@v1\nindex 01",
        b"c2sp.org/tlog-proof@v1\nindex -1",
        b"c2sp.org/tlog-proof@v1\nextra AA=\nindex 0",
        b"c2sp.org/tlog-proof@v1\nextra AA==",
        b"c2sp.org/tlog-proof@v1\nindex 0\n\xff",
        b"c2sp.org/tlog-proof@v1\nindex 0\nnot base64",
        b"c2sp.org/tlog-proof@v1\nindex 0" + b"\nAAAA" * 64,
    ],
)
def test_malformed_receipts_are_refused(head):
    with pytest.raises(ProofError):
        parse_receipt(head + b"\n\ncheckpoint")
    with pytest.raises(ProofError):
        parse_receipt(head)


def test_the_reader_gives_entries_and_proofs(log):
    reader = LogReader(log, VKEY)
    leaves = [leaf_hash(body(each)) for each in range(SIZE)]
    assert reader.entry(300) == body(300)
    assert list(reader.entries(250, 520)) == [body(each) for each in range(250, 520)]
    proof = reader.consistency_proof(300, SIZE)
    verify_consistency(300, SIZE, proof, root_of(leaves[:300]), root_of(leaves))
    # The tree of 300 is read from full tiles: its partial ones are gone.
    assert not (log / "tile/0/001.p").exists()
    path = reader.inclusion_proof(299, 300)
    verify_inclusion(299, 300, leaves[299], path, root_of(leaves[:300]))
    for start, end in ((0, 0), (-1, 3), (5, SIZE + 1)):
        with pytest.raises(ProofError):
            list(reader.entries(start, end))


def test_a_reader_without_a_key_still_wants_a_well_formed_checkpoint(log):
    assert LogReader(log).checkpoint().size == SIZE
    for bad in (b"", b"\xff\n\n", b"o\n1\n", b"o\n1\nAAAA\n\n"):
        (log / "checkpoint").write_bytes(bad)
        with pytest.raises(NoteError):
            LogReader(log).checkpoint()
