"""What this house asks of its Rego beyond regal, which `make check` runs."""

import json
import re

import pytest

from gateway.decision.bundle import DEFAULT_POLICIES as POLICIES
from gateway.decision.coverage import rule_rows
from gateway.decision.tables import read_table

RULES = [p for p in sorted(POLICIES.glob("xinguan/**/*.rego")) if "_test" not in p.name]
TESTS = sorted(POLICIES.glob("xinguan/**/*_test.rego"))
REASONS = read_table(POLICIES / "data", "reasons")
SPEAKING = ("deny contains", "drop contains", "predicates contains", "obligations contains")
BLOCK = re.compile(r"((?:^#.*\n)+)?^(?=[a-z])(.*)$", re.MULTILINE)
NONDETERMINISTIC = {
    "http.send", "time.now_ns", "opa.runtime", "rand.intn", "uuid.rfc4122", "net.lookup_ip_addr",
    "io.jwt.decode_verify", "io.jwt.encode_sign", "io.jwt.encode_sign_raw",
}  # fmt: skip


def name_of(path):
    return path.relative_to(POLICIES).as_posix()


def package_of(text):
    return re.search(r"^package (\S+)$", text, re.MULTILINE)[1]


@pytest.mark.parametrize("path", RULES, ids=name_of)
def test_the_directory_is_the_package(path):
    package = package_of(path.read_text(encoding="utf-8"))
    assert package.split(".") == list(path.relative_to(POLICIES).parent.parts)


@pytest.mark.parametrize("path", [p for p in RULES if p.stem != "xinguan"], ids=name_of)
def test_a_test_lies_beside(path):
    # The entry point has none of its own: it is what all the others ask.
    assert path.with_name(f"{path.stem}_test.rego").exists()


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_test_packages_end_in_test(path):
    assert package_of(path.read_text(encoding="utf-8")).endswith("_test")


def test_every_package_is_described_once_and_every_file_says_what_it_is():
    described = {}
    for path in RULES:
        text = path.read_text(encoding="utf-8")
        assert text.startswith("# "), path.name
        if text.startswith("# METADATA\n# title: "):
            described.setdefault(package_of(text), []).append(path.name)
    packages = {package_of(path.read_text(encoding="utf-8")) for path in RULES}
    assert described.keys() == packages
    assert {len(files) for files in described.values()} == {1}


def speaking_rules(path):
    for match in BLOCK.finditer(path.read_text(encoding="utf-8")):
        if match[2].startswith(SPEAKING):
            yield match[1] or "", match[2]


@pytest.mark.parametrize("path", RULES, ids=name_of)
def test_every_speaking_rule_cites_its_clause_and_remedy(path):
    for comment, head in speaking_rules(path):
        found = dict(re.findall(r"^#   (\w+): \"?(.*?)\"?$", comment, re.MULTILINE))
        assert found.keys() == {"rule", "code", "title_zh", "clause", "remedy"}, head
        assert "# title: " in comment, head
        entry = REASONS[f"{found['rule']}/{found['code']}"]
        assert entry["title_zh"] == found["title_zh"], head
        assert entry["clause_en"] == found["clause"], head
        assert entry["remedy_en"] == found["remedy"], head
        spoken = re.search(r'"rule": "(\w+)", "code": "(\w+)"', head)
        if spoken:
            assert spoken.groups() == (found["rule"], found["code"])


def test_the_style_test_sees_the_rules():
    assert sum(1 for path in RULES for _ in speaking_rules(path)) > 60


@pytest.mark.parametrize("path", [*RULES, *TESTS], ids=name_of)
def test_files_stay_short_and_plain(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    assert not re.search(r"\b(get_|list_)\w+\(", text)
    assert "sprintf" not in text
    assert "http.send" not in text
    assert "time." not in text


def test_capabilities_forbid_everything_that_is_not_hermetic():
    document = json.loads((POLICIES / "capabilities.json").read_text(encoding="utf-8"))
    names = {builtin["name"] for builtin in document["builtins"]}
    assert not names & NONDETERMINISTIC
    assert "sprintf" not in names
    assert not [b["name"] for b in document["builtins"] if b.get("nondeterministic")]
    assert document["allow_net"] == []
    assert len(names) > 80


def test_every_decision_rule_is_proven_on_both_sides():
    rows = [row for row in rule_rows(POLICIES) if row.kind == "decision"]
    assert [row.rule for row in rows if not row.proven] == []


def test_every_code_of_the_policy_is_tested_on_both_sides():
    tests = "\n".join(path.read_text(encoding="utf-8") for path in TESTS)
    for path in RULES:
        for comment, head in speaking_rules(path):
            code = re.search(r"code: (\w+)", comment)[1]
            if head.startswith(("deny", "drop")):
                assert f'fixture.fires("{code}"' in tests, code
                assert f'fixture.silent("{code}"' in tests, code


def test_the_table_lists_section_nine():
    expected = [f"R0{n}" for n in range(1, 9)] + [f"R{n}" for n in range(10, 16)]
    expected += [f"R{n}" for n in range(20, 30)] + ["R2A"] + [f"R{n}" for n in range(30, 40)]
    expected += [f"R{n}" for n in range(40, 47)] + [f"R{n}" for n in range(50, 69)]
    expected += [f"R{n}" for n in range(70, 76)] + [f"R{n}" for n in range(80, 88)]
    assert [row.rule for row in rule_rows(POLICIES)] == expected


def test_a_deferred_rule_names_the_issue_it_waits_for():
    for row in rule_rows(POLICIES):
        assert row.kind != "deferred" or (row.issue and row.note_en and row.note_zh), row.rule
