"""The meaning of each decision rule, pinned on both its sides."""

import json

import pytest

from gateway.decision.bundle import DEFAULT_POLICIES, load
from gateway.decision.coverage import rule_rows
from gateway.decision.wasm import WasmEngine
from tests.policies import golden_pages
from tests.policies.engines import LAW, decider_of
from tests.policies.golden_cases import SUBJECTS, cases


@pytest.fixture(scope="module")
def decider():
    bundle = load()
    return decider_of(WasmEngine(bundle, deadline_ms=60_000), bundle)


@pytest.mark.parametrize("subject", SUBJECTS)
async def test_decisions_are_those_a_person_last_looked_at(subject, decider):
    now = json.loads(json.dumps(await golden_pages.record(decider, subject)))
    recorded = json.loads((golden_pages.GOLDEN / f"{subject}.json").read_text(encoding="utf-8"))
    assert now == recorded


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.rule}-{case.code}")
async def test_each_case_shows_its_rule_on_one_side_only(case, decider):
    effect, absence = await decider.decide(case.effect), await decider.decide(case.absence)
    assert shown(case, effect)
    assert not shown(case, absence)
    assert absence.allow


def shown(case, decision):
    if case.shows == "reason":
        return any((r.code == case.code) for r in decision.reasons)
    marks = {p.field for p in decision.row_predicates} | decision.obligations
    return case.shows in marks | {action.value for action in decision.actions.values()}


def test_every_decision_rule_has_a_golden_case():
    golden = {case.rule for case in cases()}
    decided = {row.rule for row in rule_rows(DEFAULT_POLICIES) if row.kind == "decision"}
    assert decided - golden == set()


@pytest.mark.parametrize("language", golden_pages.PAGES)
def test_the_printed_table_is_fresh(language):
    printed = golden_pages.PAGES[language].read_text(encoding="utf-8")
    assert printed == golden_pages.page(language, LAW)
