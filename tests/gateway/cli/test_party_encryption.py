"""`xinguan party encryption-key`: made and signed by its owner, registered by the operator."""

from contextlib import suppress

from tests.simulator import uscc

PARTY = uscc(31)


def test_an_owner_makes_and_signs_and_the_operator_registers(xinguan, tmp_path) -> None:
    xinguan.do("party", "add", PARTY, "--name", "x", "--role", "AGENCY", "--no-certificate")
    xinguan.do("party", "key", "issue", PARTY, "--out", tmp_path)
    command = ("party", "encryption-key")
    public, document = tmp_path / "public.jwk", tmp_path / "key.jwt"
    made = xinguan.do(*command, "make", "--out", tmp_path / "private.jwk", "--public", public)
    assert (tmp_path / "private.jwk").stat().st_mode & 0o777 == 0o600
    assert public.read_text().strip() == made["jwk"]
    assert '"d"' not in made["jwk"]
    key = ("--key", tmp_path / "document.key")
    signed = xinguan.do(*command, "sign", PARTY, public, *key, "--out", document)
    assert document.read_text().strip() == signed["document"]
    done = xinguan.do(*command, "register", document)
    assert (done["party"], done["status"]) == (f"uscc:{PARTY}", "ACTIVE")
    entry = xinguan.entry(done["entry"])
    assert (entry["purpose"], entry["key"]) == ("encryption", done["key"])
    assert xinguan.refuse(*command, "add", PARTY, public) == "CONFLICT"
    assert xinguan.do(*command, "revoke", done["key"])["status"] == "REVOKED"
    assert [row["status"] for row in xinguan.do(*command, "list")] == ["REVOKED"]


def test_no_half_of_a_pair_stays_behind(xinguan, tmp_path) -> None:
    make = ("party", "encryption-key", "make", "--out", tmp_path / "private.jwk", "--public")
    (tmp_path / "there").write_text("precious")
    assert xinguan.refuse(*make, tmp_path / "there") == "FILE_EXISTS"
    with suppress(OSError):  # which the program tells, whatever the command
        xinguan(*make, tmp_path / "nowhere/public.jwk")
    assert not (tmp_path / "private.jwk").exists()
    assert (tmp_path / "there").read_text() == "precious"
    xinguan.do(*make, tmp_path / "public.jwk")


def test_a_private_key_is_never_registered(xinguan, tmp_path) -> None:
    xinguan.do("party", "add", PARTY, "--name", "x", "--role", "AGENCY", "--no-certificate")
    xinguan.do("party", "encryption-key", "make", "--out", tmp_path / "private.jwk")
    add = ("party", "encryption-key", "add", PARTY)
    assert xinguan.refuse(*add, tmp_path / "private.jwk") == "BAD_KEY"
    document = tmp_path / "forged"
    document.write_text("a.b.c")
    assert xinguan.refuse("party", "encryption-key", "register", document) == "BAD_DOCUMENT"
