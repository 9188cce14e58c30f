"""`xinguan credential`: offline for partners, and the issuer's side of a deployment."""

import stat
import time

import pytest

from gateway.config import parse_settings
from gateway.credential.encoding import decode, encode_json, object_from_json
from gateway.credential.jws import EDDSA, Signer, to_jwk
from gateway.credential.keyring import new_key
from gateway.credential.status_list import CredentialStatus
from gateway.deployment import Deployment
from gateway.identity.keyfiles import new_tls_key
from tests.gateway.credential.conftest import FIELDS, ISSUER, World
from tests.gateway.credential.test_book import entered


@pytest.fixture
def world():
    return World(Signer.of(new_tls_key()))


@pytest.fixture
def files(world, tmp_path):
    """What a partner has: the credential, who issued it, and its status list."""
    (tmp_path / "c.sdjwt").write_text(world.credential() + "\n")
    (tmp_path / "issuer.json").write_bytes(world.metadata)
    (tmp_path / "list.jwt").write_text(world.list())
    return tmp_path


def verify_words(files, *more):
    return ("credential", "verify", files / "c.sdjwt", "--issuer", files / "issuer.json",
            "--status-list", files / "list.jwt", *more)  # fmt: skip


@pytest.fixture
def issuing(xinguan):
    """A deployment whose settings name an issuer."""
    path = xinguan.home / "gateway/xinguan.toml"
    path.write_text(path.read_text() + f'\n[credentials]\nissuer = "{ISSUER}"\n')
    return xinguan


def enter(xinguan):
    state = Deployment.open(xinguan.home).open_state()
    one = entered(state, expires_at=int(time.time()) + 600)
    state.close()
    return one


def test_a_credential_is_verified_offline(xinguan, files):
    found = xinguan.do(*verify_words(files))
    assert (found["verified"], found["status"], found["shown"]) == (True, "VALID", FIELDS)
    words = ("credential", "verify", files / "c.sdjwt", "--issuer", files / "issuer.json")
    assert xinguan.do(*words, "--no-status")["status"] == "not checked"
    assert xinguan(*words).code == 2  # nobody leaves status out by mistake
    assert xinguan(*verify_words(files), "--audience", "x").code == 2


def test_each_refusal_says_what_would_help(xinguan, files, world):
    world.bits.put([(77, 3)])
    (files / "list.jwt").write_text(world.list())
    ran = xinguan(*verify_words(files))
    assert ran.code == 2
    assert "CREDENTIAL_REFRESH" in ran.err
    assert "a fresh credential" in ran.err
    (files / "list.jwt").write_text(world.list(at=world.now - 600))
    assert xinguan.refuse(*verify_words(files)) == "STALE_STATUS_LIST"
    stranger = World(Signer.of(new_tls_key()))
    (files / "issuer.json").write_bytes(stranger.metadata)
    assert xinguan.refuse(*verify_words(files)) == "UNKNOWN_ISSUER"


def test_show_verifies_nothing_and_says_so(xinguan, files):
    shown = xinguan.do("credential", "show", files / "c.sdjwt")
    assert (shown["verified"], shown["not_shown"], shown["shown"]) == (False, 0, FIELDS)
    assert shown["status_list"] == f"{ISSUER}/statuslists/1 entry 77"


@pytest.mark.parametrize("ends", ["soon", True, [], -1])
def test_a_stranger_s_time_that_is_none_is_a_fault_of_the_credential(xinguan, files, ends):
    head, payload, rest = (files / "c.sdjwt").read_text().split(".")
    claims = object_from_json(decode(payload)) | {"exp": ends}
    (files / "c.sdjwt").write_text(f"{head}.{encode_json(claims)}.{rest}")
    assert xinguan.refuse("credential", "show", files / "c.sdjwt") == "BAD_CREDENTIAL"


def test_the_latest_time_that_a_credential_can_state_is_shown(xinguan, files):
    head, payload, rest = (files / "c.sdjwt").read_text().split(".")
    claims = object_from_json(decode(payload)) | {"exp": 2**53 - 1}
    (files / "c.sdjwt").write_text(f"{head}.{encode_json(claims)}.{rest}")
    assert xinguan.do("credential", "show", files / "c.sdjwt")["expires"].endswith("+08:00")


@pytest.mark.parametrize("junk", [b"\xff\x00", b"[]", b'{"issuer":"x"}'])
def test_metadata_that_is_none_is_not_the_credential_s_fault(xinguan, files, junk):
    (files / "junk.bin").write_bytes(junk)
    words = verify_words(files, "--issuer", files / "junk.bin")
    ran = xinguan(*words, "--json")
    assert (ran.code, ran.reason) == (2, "BAD_REQUEST")
    assert "junk.bin is not the metadata of an issuer" in ran.err


def test_a_holder_shows_some_fields_with_its_proof(xinguan, files, world):
    holder = new_key(files / "holder", EDDSA)
    bound = world.credential(holder=to_jwk(holder.key.public_key()))
    (files / "c.sdjwt").write_text(bound)
    shown = files / "shown.sdjwt"
    proof = ("--audience", "https://bank.example", "--nonce", "n1")
    told = xinguan.do("credential", "present", files / "c.sdjwt", "--field", "name", "--out", shown,
                      "--holder-key", files / "holder/0001.pem", *proof)  # fmt: skip
    assert told["holder_proof"] is True
    assert stat.S_IMODE(shown.stat().st_mode) == 0o600
    (files / "c.sdjwt").write_text(shown.read_text())
    found = xinguan.do(*verify_words(files, *proof))
    assert (found["holder_proved"], found["shown"]) == (True, {"name": FIELDS["name"]})
    assert xinguan.refuse(*verify_words(files)) == "HOLDER_NOT_PROVEN"
    words = ("credential", "present", shown, "--field", "uscc", "--out", files / "more")
    assert xinguan.refuse(*words) == "BAD_CREDENTIAL"


def test_keys_are_made_listed_and_logged(xinguan):
    (first,) = xinguan.do("credential", "key", "list")  # `init` made it
    assert (first["algorithm"], first["signs"]) == ("ES256", True)
    made = xinguan.do("credential", "key", "new", "--algorithm", "EdDSA")
    assert [one["signs"] for one in xinguan.do("credential", "key", "list")] == [False, True]
    entry = xinguan.entry(made["entry"])
    assert (entry["kind"], entry["purpose"], entry["key"]) == (
        "key_changed", "credential", made["key"])  # fmt: skip
    assert xinguan("credential", "key", "new", "--algorithm", "RS256").code == 2


def test_invalid_is_for_error_or_fraud_and_for_good(issuing):
    one = enter(issuing)
    told = issuing.do("credential", "status", one.credential_id)
    assert (told["status"], told["status_list"]) == ("VALID", f"{ISSUER}/statuslists/1")
    words = ("credential", "invalidate", one.credential_id)
    assert issuing(*words, "--cause", "repair").code == 2  # there is no such cause
    done = issuing.do(*words, "--cause", "fraud")
    assert done["status"] == CredentialStatus.INVALID.name
    entry = issuing.entry(done["entry"])
    assert (entry["kind"], entry["status"], entry["reason"], entry["count"]) == (
        "credential_status", "INVALID", "FRAUD", 1)  # fmt: skip
    assert one.credential_id not in str(entry)
    assert issuing.refuse(*words, "--cause", "fraud") == "CONFLICT"
    assert issuing.refuse("credential", "status", "unknown") == "NOT_FOUND"


def test_everything_is_written_for_a_static_server(issuing, tmp_path):
    enter(issuing)
    out = tmp_path / "public"
    told = issuing.do("credential", "publish", "--out", out)
    assert (told["status_lists"], told["max_age_s"]) == (1, 300)
    assert (out / ".well-known/jwt-vc-issuer").is_file()
    assert (out / "statuslists/1").is_file()
    assert (out / "vct/public_credit_grade/1.0.0").is_file()
    assert {stat.S_IMODE(p.stat().st_mode) for p in out.rglob("*") if p.is_file()} == {0o644}


def test_without_an_issuer_there_is_nothing_to_publish(xinguan, tmp_path):
    ran = xinguan("credential", "publish", "--out", tmp_path / "public", "--json")
    assert (ran.code, ran.reason) == (2, "CREDENTIALS_OFF")
    assert parse_settings("").credentials.issuer == ""


def test_a_gateway_that_does_not_answer_is_said_to_be_away(xinguan, tmp_path):
    party = tmp_path / "party"
    party.mkdir()
    words = ["credential", "issue", "p", "--subject", "s", "--field", "f", "--gateway",
             "127.0.0.1:9", "--party", party, "--server-ca", party / "ca.pem", "--purpose", "P",
             "--scenario", "S", "--operator", "o", "--case", "c"]  # fmt: skip
    assert xinguan(*words).code == 2  # no certificate there
