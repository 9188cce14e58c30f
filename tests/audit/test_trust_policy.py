"""Trust policies: strict reading, and what a quorum is."""

import contextlib
import itertools

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from audit.checkpoint import checkpoint_text, sign_checkpoint, with_cosignatures
from audit.cosignature import CosignatureSigner
from audit.errors import NoteError, PolicyError
from audit.note import Ed25519Signer
from audit.trust_policy import MAX_OF_A_KIND, parse_policy

LOG = Ed25519Signer("example.com/log", Ed25519PrivateKey.from_private_bytes(b"1" * 32))
SIGNERS = {
    name: CosignatureSigner(f"w.example/{name}", Ed25519PrivateKey.from_private_bytes(seed * 32))
    for name, seed in zip(
        ("X1", "X2", "X3", "Y1", "Y2", "Y3"), (b"a", b"b", b"c", b"d", b"e", b"f"), strict=True
    )
}
W = {name: f"witness {name} {each.verifier_key}\n" for name, each in SIGNERS.items()}
LINE = f"log {LOG.verifier_key} https://log.example/\n"
# The example of the specification, with keys.
EXAMPLE = f"""\
{LINE}
# two organisations
{W["X1"]}{W["X2"]}\t {W["X3"]}
group X-witnesses 2 X1 X2 X3

{W["Y1"]}{W["Y2"]}{W["Y3"]}group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def note(times, signers=SIGNERS, size=7):
    root = bytes(range(32))
    text = checkpoint_text(LOG.name, size, root)
    signed = sign_checkpoint(LOG.name, size, root, [LOG]).note
    return with_cosignatures(signed, [signers[name].cosign(text, at) for name, at in times.items()])


def test_the_example_of_the_specification():
    policy = parse_policy(EXAMPLE.encode())
    assert [each.url for each in policy.logs] == ["https://log.example/"]
    assert list(policy.witnesses) == ["X1", "X2", "X3", "Y1", "Y2", "Y3"]
    for count in range(7):
        for names in itertools.combinations(SIGNERS, count):
            enough = sum(name[0] == "X" for name in names) > 1 and any(n[0] == "Y" for n in names)
            signed = note(dict.fromkeys(names, 1000))
            if enough:
                checkpoint, at = policy.accept(signed)
                assert (checkpoint.size, at) == (7, 1000)
                assert set(policy.names(checkpoint)) == set(names)
            else:
                with pytest.raises(NoteError):
                    policy.accept(signed)


def test_the_quorum_s_time_is_that_of_the_member_which_completed_it():
    policy = parse_policy(EXAMPLE.encode())
    # X2 is the second newest of X, Y3 the newest of Y; both were there by the older of the two.
    times = {"X1": 900, "X2": 800, "X3": 100, "Y1": 50, "Y3": 700}
    assert policy.accept(note(times))[1] == 700
    assert policy.accept(note(times | {"Y1": 850}))[1] == 800


@given(st.dictionaries(st.sampled_from(sorted(SIGNERS)), st.integers(1, 20)))
def test_the_quorum_s_time_is_the_newest_at_which_a_quorum_had_signed(times):
    policy = parse_policy(EXAMPLE.encode())
    at = policy.quorum_time(policy.open(note(times)))

    def complete(since):
        names = [name for name, time in times.items() if time >= since]
        return sum(n[0] == "X" for n in names) > 1 and any(n[0] == "Y" for n in names)

    expected = max((since for since in range(1, 21) if complete(since)), default=None)
    assert at == expected


def test_without_a_quorum_nobody_need_vouch_and_nobody_is_said_to():
    policy = parse_policy(f"{LINE}quorum none\n".encode())
    assert not policy.demands_witnesses
    assert policy.askable
    assert policy.accept(note({}))[1] is None


def test_a_single_witness_may_be_the_quorum():
    policy = parse_policy(f"{LINE}{W['X1']}quorum X1\n".encode())
    assert policy.accept(note({"X1": 5}))[1] == 5
    with pytest.raises(NoteError):
        policy.accept(note({"X2": 5}))
    assert not policy.askable
    assert parse_policy(f"{W['X1'][:-1]} http://w\nquorum X1\n".encode()).askable


def test_only_listed_logs_are_accepted():
    other = Ed25519Signer(LOG.name, Ed25519PrivateKey.from_private_bytes(b"9" * 32))
    policy = parse_policy(f"log {other.verifier_key}\n{W['X1']}quorum X1\n".encode())
    with pytest.raises(NoteError):
        policy.accept(note({"X1": 5}))
    both = parse_policy(f"log {other.verifier_key}\n{LINE}{W['X1']}quorum X1\n".encode())
    assert both.accept(note({"X1": 5}))[1] == 5
    nobody = parse_policy(f"{W['X1']}quorum X1\n".encode())
    with pytest.raises(NoteError):
        nobody.accept(note({"X1": 5}))


def test_names_are_octets():
    kelvin = b"witness \xe2\x84\xaa " + SIGNERS["X1"].verifier_key.encode() + b"\n"
    assert parse_policy(kelvin + b"quorum \xe2\x84\xaa\n").demands_witnesses
    with pytest.raises(PolicyError):
        parse_policy(kelvin + b"quorum K\n")
    raw = b"witness \xff " + SIGNERS["X1"].verifier_key.encode() + b"\nquorum \xff\n# \xfe\n"
    assert parse_policy(raw).demands_witnesses


def test_as_many_as_the_specification_asks_for():
    lines, names = "", []
    for number in range(32):
        key = Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))
        lines += f"log {Ed25519Signer(f'log/{number}', key).verifier_key}\n"
        lines += f"witness w{number} {CosignatureSigner(f'w/{number}', key).verifier_key}\n"
        lines += f"group g{number} 1 w{number}{f' g{number - 1}' if number else ''}\n"
        names.append(f"w{number}")
    policy = parse_policy(f"{lines}quorum g31\n".encode())
    assert (len(policy.logs), len(policy.witnesses), len(policy.groups)) == (32, 32, 32)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "quorum none",  # no newline
        "quorum none\r\n",
        "quorum none\x00\n",
        "quorum none\x7f\n",
        "quorum\n",
        "quorum none none\n",
        "quorum none\nquorum none\n",
        "quorum X1\n" + W["X1"],  # defined after its use
        W["X1"],  # no quorum
        "Quorum none\n",
        "log\nquorum none\n",
        "log nonsense\nquorum none\n",
        LINE + LINE + "quorum none\n",
        f"log {SIGNERS['X1'].verifier_key}\nquorum none\n",  # a witness's key
        f"witness X1 {LOG.verifier_key}\nquorum none\n",  # a log's key
        W["X1"] + W["X1"] + "quorum X1\n",
        W["X1"] + W["X1"].replace("X1", "Z", 1) + "quorum X1\n",  # the same key
        W["X1"].replace("X1", "none", 1) + "quorum none\n",
        W["X1"][:-1] + " url more\nquorum X1\n",
        "group g any\nquorum g\n",
        "group g all none\nquorum g\n",
        "group g any X1\n" + W["X1"] + "quorum g\n",
        W["X1"] + "group g 0 X1\nquorum g\n",
        W["X1"] + "group g 2 X1\nquorum g\n",
        W["X1"] + "group g 01 X1\nquorum g\n",
        W["X1"] + "group g -1 X1\nquorum g\n",
        W["X1"] + "group g some X1\nquorum g\n",
        W["X1"] + "group X1 any X1\nquorum X1\n",
        W["X1"] + "group g any X1 X1\nquorum g\n",
        W["X1"] + W["X2"] + "group g any X1\ngroup h all X1 X2\nquorum h\n",
        W["X1"] + "group g any g\nquorum g\n",
    ],
)  # fmt: skip
def test_malformed_policies_are_refused(text):
    with pytest.raises(PolicyError):
        parse_policy(text.encode())


def test_limits_hold():
    keys = [
        Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))
        for number in range(MAX_OF_A_KIND + 1)
    ]
    lines = "".join(f"log {Ed25519Signer('l', key).verifier_key}\n" for key in keys)
    with pytest.raises(PolicyError):
        parse_policy(f"{lines}quorum none\n".encode())
    with pytest.raises(PolicyError):
        parse_policy(b"#" * (1 << 20) + b"\nquorum none\n")


def test_a_message_names_the_line_and_not_its_words():
    with pytest.raises(PolicyError, match="line 2") as caught:
        parse_policy(f"# first\nwitness secret-name {LOG.verifier_key}\nquorum none\n".encode())
    assert "secret-name" not in str(caught.value)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail_otherwise(data):
    with contextlib.suppress(PolicyError):
        parse_policy(data)
