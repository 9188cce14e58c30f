from dataclasses import replace

import pytest

from gateway.decision.bundle import DEFAULT_POLICIES
from gateway.decision.coverage import KINDS, rule_rows
from gateway.decision.pages import rules_page
from tests.policies.engines import ROOT

PAGES = {"en": ROOT / "docs" / "rules.md", "zh": ROOT / "docs" / "rules.zh-CN.md"}


@pytest.fixture(scope="module")
def rows():
    return {row.rule: row for row in rule_rows(DEFAULT_POLICIES, checkout=ROOT)}


@pytest.mark.parametrize("language", PAGES)
def test_the_page_is_fresh(rows, language):
    printed = PAGES[language].read_text(encoding="utf-8")
    assert printed == rules_page(tuple(rows.values()), language), "xinguan policy rules --markdown"


def test_a_decision_rule_names_its_rego_and_its_tests(rows):
    row = rows["R34"]
    assert [rule.code for rule in row.rego] == ["RAW_EGRESS"]
    assert row.rego[0].package == "xinguan.callers"
    assert "test_r34_raw_egress_fires" in row.effect
    assert "test_r34_raw_egress_silent" in row.absence
    assert row.proven
    assert row.measures == ("M21",)


def test_a_rule_without_a_test_of_its_absence_is_not_proven(tmp_path):
    (tmp_path / "data").mkdir()
    package = tmp_path / "xinguan" / "callers"
    package.mkdir(parents=True)
    for name in ("data/rules.json", "xinguan/callers/callers.rego"):
        (tmp_path / name).write_bytes((DEFAULT_POLICIES / name).read_bytes())
    tests = package / "callers_test.rego"
    tests.write_text("test_r30_no_licence_fires if true\n", encoding="utf-8")
    before = {row.rule: row.proven for row in rule_rows(tmp_path)}
    tests.write_text(
        "test_r30_no_licence_fires if true\ntest_r30_no_licence_silent if true\n", encoding="utf-8"
    )
    after = {row.rule: row.proven for row in rule_rows(tmp_path)}
    assert (before["R30"], after["R30"]) == (False, True)
    assert not after["R32"]


def test_every_rule_is_proven_on_both_sides_or_waits_for_its_issue(rows):
    waiting = {row.rule for row in rows.values() if not row.proven}
    assert {rule for rule in waiting if not rows[rule].issue} == set()
    assert not {rule for rule in waiting if rows[rule].kind == "decision"}


def test_a_rule_outside_the_decision_is_proven_by_marked_tests(rows):
    row = rows["R05"]
    assert "test_a_source_that_does_not_answer_for_the_product_is_rejected" in row.effect
    assert "test_every_unit_of_the_contract_may_deliver" in row.absence
    assert row.proven
    assert not replace(row, absence=()).proven


@pytest.mark.parametrize("mark", ['"R05"', '"R05", "both"', 'rule, "effect"', '"R5", "effect"'])
def test_a_mark_that_says_nothing_is_refused(tmp_path, mark):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text(
        f"@pytest.mark.rule({mark})\ndef test_it(): pass\n", encoding="utf-8"
    )
    with pytest.raises(ValueError, match="a mark reads"):
        rule_rows(DEFAULT_POLICIES, checkout=tmp_path)


def test_every_kind_occurs_and_no_other(rows):
    assert {row.kind for row in rows.values()} == set(KINDS)


def test_rules_outside_the_decision_name_their_modules(rows):
    assert "gateway/domain/identifiers.py" in rows["R02"].modules


def test_an_unknown_kind_is_refused(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rules.json").write_text(
        '{"R01": {"kind": "guess", "source": "s", "tag": "S"}}', encoding="utf-8"
    )
    with pytest.raises(ValueError, match="unknown kind"):
        rule_rows(tmp_path)


def test_unconfirmed_sources_are_marked_in_the_page(rows):
    page = rules_page(tuple(rows.values()), "en")
    assert "⚠" in next(line for line in page.splitlines() if line.startswith("| R40 "))
    assert "⚠" not in next(line for line in page.splitlines() if line.startswith("| R32 "))
