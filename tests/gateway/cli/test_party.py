import stat
from contextlib import suppress

from cryptography import x509

from audit.errors import AuditUnavailableError
from gateway.domain.errors import ConflictError
from gateway.identity.certificates import make_request, read_certificate
from gateway.identity.keyfiles import (
    new_document_key,
    new_tls_key,
    public_pem,
    read_tls_key,
)
from gateway.registry import certificates
from gateway.store.state import State
from tests.simulator import uscc


def add(xinguan, number=1, role="AGENCY", *more):
    return xinguan.do(
        "party", "add", uscc(number), "--name", f"机构{number}", "--role", role, *more
    )


def test_an_organisation_gets_its_key_and_certificate(xinguan) -> None:
    made = add(xinguan)
    folder = xinguan.home / "parties" / f"uscc-{uscc(1).lower()}"
    assert made["folder"] == str(folder)
    key = folder / "client.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    pem = (folder / "client.pem").read_bytes()
    peer = read_certificate(pem)
    assert (peer.party_id, peer.fingerprint) == (f"uscc:{uscc(1)}", made["fingerprint"])
    certificate = x509.load_pem_x509_certificate(pem)
    assert certificate.public_key() == read_tls_key(key).public_key()
    authority = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    certificate.verify_directly_issued_by(authority)


def test_an_organisations_own_request_is_signed(xinguan, tmp_path) -> None:
    key = new_tls_key()
    request = tmp_path / "bank.csr"
    request.write_bytes(make_request(key, "whatever"))
    add(xinguan, 1, "BANK", "--csr", request, "--out", tmp_path / "out")
    signed = read_certificate((tmp_path / "out/client.pem").read_bytes())
    assert signed.party_id == f"uscc:{uscc(1)}"
    assert not (tmp_path / "out/client.key").exists()


def test_a_bad_request_registers_nobody(xinguan, tmp_path) -> None:
    request = tmp_path / "bank.csr"
    request.write_bytes(b"rubbish")
    assert (
        xinguan.refuse("party", "add", uscc(1), "--name", "x", "--role", "BANK", "--csr", request)
        == "BAD_CSR"
    )
    assert xinguan.do("party", "list") == []


def test_a_malformed_code_is_refused_and_not_repeated(xinguan) -> None:
    bad = uscc(1)[:-1] + ("0" if uscc(1)[-1] != "0" else "1")
    ran = xinguan("party", "add", bad, "--name", "x", "--role", "AGENCY")
    assert ran.code == 2
    assert "BAD_ID" in ran.err
    assert bad not in ran.err


def test_foreign_organisations_come_by_lei_or_registry_number(xinguan) -> None:
    made = xinguan.do(
        "party", "add", "reg:sg:201912345k", "--name", "Partner", "--role", "CROSS_BORDER_PARTNER"
    )
    assert (made["party"], made["jurisdiction"]) == ("reg:SG:201912345K", "SG")
    lei = "lei:5493001KJTIIGC8Y1R12"
    refused = xinguan.refuse("party", "add", lei, "--name", "x", "--role", "CROSS_BORDER_PARTNER")
    assert refused == "BAD_REQUEST"


def test_a_party_is_registered_once(xinguan) -> None:
    add(xinguan)
    again = ("party", "add", uscc(1), "--name", "x", "--role", "AGENCY")
    assert xinguan.refuse(*again) == "CONFLICT"


def test_suspension_shows_at_once(xinguan) -> None:
    add(xinguan)
    assert xinguan.do("party", "suspend", uscc(1))["status"] == "SUSPENDED"
    assert xinguan.do("party", "list")[0]["status"] == "SUSPENDED"
    assert xinguan.do("party", "resume", uscc(1))["status"] == "ACTIVE"
    assert xinguan.do("party", "show", uscc(1))["name"] == "机构1"
    assert xinguan.refuse("party", "show", uscc(2)) == "NOT_FOUND"


def test_a_certificate_is_replaced_without_touching_anything_else(xinguan, tmp_path) -> None:
    old = add(xinguan)["fingerprint"]
    new = xinguan.do(
        "party", "certificate", "issue", uscc(1), "--out", tmp_path / "new", "--replacing", old
    )
    listed = xinguan.do("party", "certificate", "list", "--party", uscc(1))
    assert {row["fingerprint"]: row["status"] for row in listed} == {
        old: "REVOKED",
        new["fingerprint"]: "ACTIVE",
    }
    assert xinguan.refuse("party", "certificate", "revoke", old) == "CONFLICT"
    assert xinguan.refuse("party", "certificate", "revoke", "ab" * 32) == "NOT_FOUND"


def test_existing_keys_are_never_overwritten(xinguan) -> None:
    add(xinguan)
    key = xinguan.home / "parties" / f"uscc-{uscc(1).lower()}" / "client.key"
    before = key.read_bytes()
    assert xinguan.refuse("party", "certificate", "issue", uscc(1)) == "FILE_EXISTS"
    assert key.read_bytes() == before
    assert len(xinguan.do("party", "certificate", "list")) == 1


def test_a_refused_pin_leaves_no_file_behind(xinguan, tmp_path) -> None:
    old = add(xinguan)["fingerprint"]
    issue = ("party", "certificate", "issue", uscc(1), "--out", tmp_path / "new", "--replacing")
    assert xinguan.refuse(*issue, "deadbeef") == "NOT_FOUND"
    assert list((tmp_path / "new").iterdir()) == []
    xinguan.do(*issue, old)
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        "client.key",
        "client.pem",
        "ca.pem",
    }
    request = tmp_path / "x.csr"
    request.write_bytes(make_request(new_tls_key(), "x"))
    sign = ("party", "certificate", "sign", uscc(1), request, "--out", tmp_path / "signed")
    assert xinguan.refuse(*sign, "--replacing", old) == "CONFLICT"
    assert list((tmp_path / "signed").iterdir()) == []


def test_a_key_stays_when_nobody_knows_whether_its_certificate_is_pinned(
    xinguan, tmp_path, monkeypatch
) -> None:
    add(xinguan)
    run, calls = State.run, []

    def lost(state, job):
        calls.append(run(state, job))
        if len(calls) == 2:  # the pinning: it is durable, and nobody is told
            raise AuditUnavailableError("the commit failed")
        return calls[-1]

    monkeypatch.setattr(State, "run", lost)
    issue = ("party", "certificate", "issue", uscc(1), "--out", tmp_path / "new", "--json")
    ran = xinguan(*issue)
    assert (ran.code, ran.reason) == (1, "AUDIT_UNAVAILABLE")
    pinned = {row["fingerprint"] for row in xinguan.do("party", "certificate", "list")}
    assert read_certificate((tmp_path / "new/client.pem").read_bytes()).fingerprint in pinned
    assert (tmp_path / "new/client.key").exists()


def test_a_certificate_that_stands_there_gets_no_other_key(xinguan, tmp_path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/client.pem").write_text("precious")
    words = ("party", "add", uscc(1), "--name", "x", "--role", "AGENCY", "--out", tmp_path / "out")
    assert xinguan.refuse(*words) == "FILE_EXISTS"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["client.pem"]
    assert xinguan.do("party", "list") == []


def test_a_folder_that_cannot_be_made_registers_nobody(xinguan, tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    words = ("party", "add", uscc(1), "--name", "x", "--role", "AGENCY", "--out")
    for place in (tmp_path / "file", tmp_path / "file/below"):
        with suppress(OSError):  # which the program tells, whatever the command
            xinguan(*words, place)
        assert xinguan.do("party", "list") == []
    xinguan.do(*words, tmp_path / "folder")


def test_registration_and_certificate_are_one_act(xinguan, tmp_path, monkeypatch) -> None:
    """A refusal of the second takes the first back, and its files."""
    words = ("party", "add", uscc(1), "--name", "x", "--role", "AGENCY", "--out", tmp_path / "out")
    with monkeypatch.context() as patched:

        def refuse(*_: object) -> None:
            raise ConflictError("CONFLICT", "this key was revoked; a new key is needed")

        patched.setattr(certificates, "pin", refuse)
        assert xinguan.refuse(*words) == "CONFLICT"
    assert xinguan.do("party", "list") == []
    assert list((tmp_path / "out").iterdir()) == []
    made = xinguan.do(*words)
    assert xinguan.entry(made["entry"] - 1)["kind"] == "party_registered"
    assert xinguan.entry(made["entry"])["kind"] == "certificate_pinned"


def test_files_for_no_certificate_are_refused(xinguan, tmp_path) -> None:
    words = ("party", "add", uscc(1), "--name", "x", "--role", "AGENCY", "--no-certificate")
    for more in ("--csr", "--out", "--ca"):
        assert xinguan.refuse(*words, more, tmp_path) == "BAD_REQUEST"
    assert xinguan.do("party", "list") == []


def test_signing_pinning_and_replacing_by_file(xinguan, tmp_path) -> None:
    add(xinguan, 1, "BANK", "--no-certificate")
    request = tmp_path / "bank.csr"
    request.write_bytes(make_request(new_tls_key(), "bank"))
    first = xinguan.do("party", "certificate", "sign", uscc(1), request, "--out", tmp_path / "a")
    again = xinguan.do("party", "certificate", "pin", tmp_path / "a/client.pem")
    assert again["fingerprint"] == first["fingerprint"]
    add(xinguan, 2, "BANK")
    theirs = xinguan.home / "parties" / f"uscc-{uscc(2).lower()}" / "client.pem"
    assert (
        xinguan.refuse("party", "certificate", "replace", first["fingerprint"], theirs)
        == "CONFLICT"
    )
    assert xinguan.refuse("party", "certificate", "pin", request) == "BAD_CERTIFICATE"


def test_without_an_authority_the_remedy_is_told(xinguan, tmp_path) -> None:
    (xinguan.home / "dev-authority/ca.pem").rename(tmp_path / "ca.pem")
    ran = xinguan("party", "add", uscc(1), "--name", "x", "--role", "BANK")
    assert ran.code == 2
    assert "NO_AUTHORITY" in ran.err
    assert "--ca DIR" in ran.err
    assert add(xinguan, 1, "BANK", "--no-certificate")["party"] == f"uscc:{uscc(1)}"


def test_document_keys_are_issued_registered_and_revoked(xinguan, tmp_path) -> None:
    add(xinguan, 1, "CONSENT_ISSUER")
    issued = xinguan.do("party", "key", "issue", uscc(1))
    public = tmp_path / "other.pem"
    public.write_bytes(public_pem(new_document_key().public_key()))
    xinguan.do("party", "key", "register", uscc(1), public)
    assert xinguan.refuse("party", "key", "register", uscc(1), public) == "CONFLICT"
    xinguan.do("party", "key", "revoke", issued["key"])
    states = {row["key"]: row["status"] for row in xinguan.do("party", "key", "list")}
    assert sorted(states.values()) == ["ACTIVE", "REVOKED"]
    assert states[issued["key"]] == "REVOKED"


def test_a_key_id_may_begin_with_a_hyphen(xinguan) -> None:
    """One id in 64 does: it is base64url."""
    assert xinguan.refuse("party", "key", "revoke", "-" + "A" * 42) == "NOT_FOUND"
