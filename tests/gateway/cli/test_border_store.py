"""`xinguan border`: copies made, shown and destroyed from the command line."""

import io

import pytest

from tests.gateway.cli.test_whitelist import WHICH, keys  # noqa: F401 - a fixture


@pytest.fixture
def whitelisted(xinguan, keys, tmp_path):  # noqa: F811 - the fixture
    fields = ("--field", "uscc", "--field", "name", "--field", "legal_rep_name")
    xinguan.do("whitelist", "propose", *WHICH, *fields)
    for role in ("SECURITY_ADMIN", "AUTHORITY"):
        xinguan.do("whitelist", "approve", *WHICH, "--key", keys[role])
    xinguan.do("synth", "--out", tmp_path / "made", "--companies", 20)
    xinguan.do("load", "legal_entity_base", tmp_path / "made" / "legal_entity_base.parquet")


def test_copies_are_made_shown_confirmed_and_destroyed(xinguan, whitelisted) -> None:
    (made,) = xinguan.do("border", "copy")
    assert (made["product"], made["what"]) == ("legal_entity_base", "copied")
    assert made["fields"] == ["dispute_flag", "name", "uscc"]  # the other is kept inside
    entry = xinguan.entry(made["entry"])
    assert (entry["kind"], entry["fields"], entry["actor"]) == (
        "border_copied",
        made["fields"],
        "console",
    )
    (again,) = xinguan.do("border", "copy", "--product", "legal_entity_base")
    assert (again["what"], again["copy"]) == ("confirmed", made["copy"])
    (shown,) = xinguan.do("border", "status")
    assert (shown["serves"], shown["copy"], shown["fields"]) == (True, made["copy"], made["fields"])
    assert shown["key"] == entry["key"]
    gone = xinguan.do("border", "store", "destroy", "--reason", "end of the trial", "--yes")
    assert gone == {"copies": 1, "key": entry["key"]}
    assert xinguan.do("border", "status") == []
    (anew,) = xinguan.do("border", "copy")
    assert anew["what"] == "copied"
    assert xinguan.entry(anew["entry"])["key"] != entry["key"]


def test_nothing_is_copied_without_a_whitelist_or_for_an_unknown_product(xinguan) -> None:
    assert xinguan.do("border", "copy") == []
    assert xinguan.refuse("border", "copy", "--product", "none") == "UNKNOWN_PRODUCT"
    ran = xinguan("border", "store", "destroy", "--reason", "uscc 91460099000000019N", "--yes")
    assert ran.code == 2


def test_the_question_is_no_part_of_the_answer(xinguan, monkeypatch) -> None:
    destroy = ("border", "store", "destroy", "--reason", "end of the trial", "--json")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    kept = xinguan(*destroy)
    assert (kept.code, kept.out.strip()) == (2, "")
    assert "nothing was destroyed" in kept.err
    xinguan.do("border", "copy")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    gone = xinguan(*destroy)
    assert "every copy?" in gone.err
    assert gone.code == 0, gone.err
    assert gone.json["copies"] == 0
