"""Numbers that no version, year, sequence or log index has are refused as the options they are."""

import pyarrow.parquet as pq
import pytest

from gateway.repair.publicity import SCHEMA

FAR = "9" * 20  # more than a column of the state, or any number of a document, can hold
VERSION, NAME = ("--version", FAR), ("--name", "NAME")


@pytest.mark.parametrize(
    "words",
    [
        ("whitelist", "withdraw", "--partner", "reg:SG:1", "--product", "p", *VERSION),
        ("whitelist", "approve", "--partner", "reg:SG:1", "--product", "p", "--key", "KEY",
         *VERSION),
        ("border", "mechanism", "approve", "NAME", "--key", "KEY", *VERSION),
        ("recognition", "terms", "approve", *NAME, "--key", "KEY", *VERSION),
        ("recognition", "mapping", "show", *NAME, *VERSION),
        ("recognition", "fields", "withdraw", *NAME, *VERSION),
        ("inbound", "issuer", "approve", "https://a.example", "--key", "KEY", *VERSION),
        ("recall", "suspend", "sign", FAR, "--key", "KEY", "--person", "p"),
        ("recall", "suspend", "dismiss", FAR, "--key", "KEY", "--person", "p"),
        ("export", "status", "--year", FAR),
        ("export", "report", "--year", FAR),
        ("feed", "assure", "assurance.jws", "--product", "p", "--sequence", FAR),
    ],
)  # fmt: skip
def test_a_number_beyond_all_is_told_as_the_option_at_fault(xinguan, words) -> None:
    key = xinguan.home / "dev-authority/authority.key"
    ran = xinguan(*(key if word == "KEY" else word for word in words))
    assert (ran.code, ran.out) == (2, "")
    assert "should be less than or equal to" in ran.err


def test_an_assurance_and_a_statement_at_fault_name_the_claim(xinguan, tmp_path) -> None:
    out = tmp_path / "assurance.jws"
    assure = ("feed", "assure", out, "--sequence", 1, "--product")
    assert xinguan.refuse(*assure, "Bad Product") == "BAD_DOCUMENT"
    assert xinguan.refuse(*assure, "admin_penalty", "--as-of", FAR) == "BAD_DOCUMENT"
    assert not out.exists()
    shown = tmp_path / "shown.parquet"
    pq.write_table(SCHEMA.empty_table(), shown)
    statement = ("feed", "statement", "admin_penalty", shown, "--unit", "short")
    assert xinguan.refuse(*statement) == "BAD_DOCUMENT"
    assert not shown.with_suffix(".jws").exists()
