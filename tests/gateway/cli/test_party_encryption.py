"""`xinguan party encryption-key`: made and signed by its owner, registered by the operator."""

from tests.simulator import uscc

PARTY = uscc(31)


def test_an_owner_makes_and_signs_and_the_operator_registers(xinguan, tmp_path) -> None:
    xinguan.do("party", "add", PARTY, "--name", "x", "--role", "AGENCY", "--no-certificate")
    xinguan.do("party", "key", "issue", PARTY, "--out", tmp_path)
    made = xinguan.do("party", "encryption-key", "make", "--out", tmp_path / "private.jwk")
    assert (tmp_path / "private.jwk").stat().st_mode & 0o777 == 0o600
    public = tmp_path / "public.jwk"
    public.write_text(made["jwk"])
    command = ("party", "encryption-key")
    signed = xinguan.do(*command, "sign", PARTY, public, "--key", tmp_path / "document.key")
    document = tmp_path / "key.jwt"
    document.write_text(signed["document"])
    done = xinguan.do(*command, "register", document)
    assert (done["party"], done["status"]) == (f"uscc:{PARTY}", "ACTIVE")
    entry = xinguan.entry(done["entry"])
    assert (entry["purpose"], entry["key"]) == ("encryption", done["key"])
    assert xinguan.refuse(*command, "add", PARTY, public) == "CONFLICT"
    assert xinguan.do(*command, "revoke", done["key"])["status"] == "REVOKED"
    assert [row["status"] for row in xinguan.do(*command, "list")] == ["REVOKED"]


def test_a_private_key_is_never_registered(xinguan, tmp_path) -> None:
    xinguan.do("party", "add", PARTY, "--name", "x", "--role", "AGENCY", "--no-certificate")
    xinguan.do("party", "encryption-key", "make", "--out", tmp_path / "private.jwk")
    add = ("party", "encryption-key", "add", PARTY)
    assert xinguan.refuse(*add, tmp_path / "private.jwk") == "BAD_KEY"
    document = tmp_path / "forged"
    document.write_text("a.b.c")
    assert xinguan.refuse("party", "encryption-key", "register", document) == "BAD_DOCUMENT"
