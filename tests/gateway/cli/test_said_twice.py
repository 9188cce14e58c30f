"""A signed document says itself what it is about: options beside it that name something else."""

import pytest

from gateway.identity.keyfiles import read_document_key
from gateway.registry import whitelists
from gateway.registry.documents import APPROVAL_TYPE, sign
from tests.gateway.cli.test_recognition import TERMS, write  # noqa: F401 - a fixture
from tests.gateway.cli.test_whitelist import PARTNER, WHICH, keys  # noqa: F401 - a fixture


@pytest.mark.parametrize(
    "words",
    [
        ("whitelist", "approve", "--partner", PARTNER),
        ("whitelist", "approve", "--product", "legal_entity_base"),
        ("whitelist", "approve", "--version", 1),
        ("border", "mechanism", "approve", "SCC-1"),
        ("border", "mechanism", "approve", "--version", 1),
        ("border", "mechanism", "add", "--key", "signed.jws"),
        ("recognition", "terms", "approve", "--name", PARTNER),
        ("recognition", "mapping", "approve", "--version", 1),
        ("recognition", "fields", "enact", "--authority-key", "signed.jws"),
        ("inbound", "issuer", "approve", "https://bureau.example"),
        ("inbound", "issuer", "approve", "--version", 1),
        ("licence", "issue", "--authority-key", "signed.jws"),
        ("export", "declare", "--exporter", PARTNER),
        ("export", "declare", "--as-of", "2026-01-01"),
    ],
)
def test_what_a_document_says_is_not_said_beside_it(xinguan, tmp_path, words) -> None:
    (tmp_path / "signed.jws").write_text("a.b.c")
    given = [tmp_path / word if word == "signed.jws" else word for word in words]
    ran = xinguan(*given, "--document", tmp_path / "signed.jws")
    assert (ran.code, ran.out) == (2, "")
    assert "Usage:" in ran.err  # of the options, before the document was looked at
    assert "signed --document" in ran.err


def test_who_names_one_whitelist_does_not_approve_another(
    xinguan,
    keys,  # noqa: F811 - the fixture
    tmp_path,
) -> None:
    proposed = xinguan.do("whitelist", "propose", *WHICH, "--field", "uscc", "--from", "0")
    content = whitelists.content(
        partner=PARTNER,
        product="legal_entity_base",
        version=1,
        fields=["uscc"],
        mechanism="",
        not_before=0,
    )
    document = tmp_path / "approval.jws"
    document.write_text(sign(content, read_document_key(keys["AUTHORITY"]), APPROVAL_TYPE))
    approve = ("whitelist", "approve", "--document", document)
    assert xinguan(*approve, "--product", "judgement_debtor").code == 2
    assert xinguan.do("whitelist", "list")[0]["approvals"] == proposed["approvals"] == {}
    assert list(xinguan.do(*approve)["approvals"]) == ["AUTHORITY"]


def test_a_stated_version_is_the_next_one_or_refused(
    xinguan,
    keys,  # noqa: F811 - the fixture
    write,  # noqa: F811 - the fixture
) -> None:
    for act in ("enact", "propose"):
        ran = xinguan("recognition", "terms", act, write(f"version: 5\n{TERMS}"), "--json")
        assert (ran.code, ran.reason) == (2, "BAD_DOCUMENT")
        assert "the next one is 1" in ran.err
    assert xinguan.do("recognition", "terms", "list") == []
    first = xinguan.do("recognition", "terms", "enact", write(f"version: 1\n{TERMS}"))
    again = xinguan("recognition", "terms", "enact", write(f"version: 1\n{TERMS}"), "--json")
    assert (first["version"], again.reason) == (1, "BAD_DOCUMENT")
    assert xinguan.do("recognition", "terms", "enact", write(TERMS))["version"] == 2
