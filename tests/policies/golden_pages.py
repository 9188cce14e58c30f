"""Record the golden decisions and print them for a lawyer.

`python -m tests.policies.golden_pages` rewrites `golden/*.json` and `docs/golden-decisions*.md`.
Only a person does that, after reading the difference: the tests compare, they never write.
"""

import asyncio
import json
from pathlib import Path

from gateway.decision.bundle import load
from gateway.decision.decider import Decider
from gateway.decision.explain import as_document
from gateway.decision.explain import explain as explain_facts
from gateway.decision.input import Document, build_input, canonical
from gateway.decision.law import LawTable
from gateway.decision.wasm import WasmEngine
from gateway.domain.errors import Reason
from gateway.domain.facts import Facts
from tests.policies.engines import LAW, ROOT, decider_of
from tests.policies.golden_cases import SUBJECTS, Case

GOLDEN = Path(__file__).parent / "golden"
PAGES = {
    "en": ROOT / "docs" / "golden-decisions.md",
    "zh": ROOT / "docs" / "golden-decisions.zh-CN.md",
}
_KEPT = ("allow", "fields", "reasons", "row_predicates", "obligations", "rules")
_HEADS = {
    "en": """# Golden decisions

For each decision rule its narrowest effect and its narrowest absence: the facts that differ, what
the gate decides on either side, and the clause. Tick a row when you agree with it. The table is
generated from `tests/policies/golden`; a change of meaning shows as a change here. Times are
relative to the moment of the decision ("now", "now + 1 s").
""",
    "zh": """# 黄金判例

每条决定规则的最窄生效与最窄不生效情形：相异的事实、两侧的决定和依据条款。同意者请打勾。本表由
`tests/policies/golden` 生成；规则含义的变化会在此显现。时间以决定时刻为准（“now”“now + 1 s”）。
""",
}
_COLUMNS = {
    "en": "| ☐ | Rule | Code | Facts: with effect → without | With effect | Without | Clause |",
    "zh": "| ☐ | 规则 | 代码 | 事实：生效 → 不生效 | 生效时 | 不生效时 | 依据 |",
}


def case_id(case: Case, number: int) -> str:
    """Stable name of a case within its subject."""
    return f"{case.rule}-{case.code}-{number}"


async def record(decider: Decider, subject: str) -> list[Document]:
    """Decide the cases of one subject and return them as documents."""
    found = []
    for number, case in enumerate(SUBJECTS[subject](), 1):
        found.append(
            {
                "id": case_id(case, number),
                "rule": case.rule,
                "code": case.code,
                "shows": case.shows,
                "effect": await _side(decider, case.effect),
                "absence": await _side(decider, case.absence),
            }
        )
    return found


async def _side(decider: Decider, facts: Facts) -> Document:
    document = build_input(facts, LAW.limits)
    explained = as_document(
        await explain_facts(canonical(document), facts.now, decider, ROOT / "policies")
    )
    decision = {key: explained[key] for key in _KEPT}
    decision["reasons"] = [
        {key: reason[key] for key in ("rule", "code", "fields")} for reason in explained["reasons"]
    ]
    decision["rules"] = sorted(explained["rules"])
    return {"input": {"now": facts.now, **document}, "decision": decision}


def flat(value: object, path: str = "") -> dict[str, str]:
    """Return leaf paths of a document with their values as text."""
    if isinstance(value, dict) and value:
        return {
            k: v for key, inner in value.items() for k, v in flat(inner, f"{path}.{key}").items()
        }
    if isinstance(value, list) and value and isinstance(value[0], dict):
        parts = (flat(inner, f"{path}[{n}]") for n, inner in enumerate(value))
        return {k: v for part in parts for k, v in part.items()}
    return {path.lstrip("."): json.dumps(value, ensure_ascii=False)}


def difference(effect: Document, absence: Document) -> str:
    """Return the facts that differ, times relative to now."""
    now = effect["now"]
    left, right = flat(effect), flat(absence)
    lines = [
        f"`{path}`: {_told(left.get(path), now)} → {_told(right.get(path), now)}"
        for path in sorted(left.keys() | right.keys())
        if left.get(path) != right.get(path)
    ]
    if len(lines) > 8:
        lines = [*lines[:8], "…"]
    return "<br>".join(lines)


def _told(text: str | None, now: int) -> str:
    if text is None:
        return "–"
    try:
        number = int(text)
    except ValueError:
        return text
    if abs(number - now) > 400 * 86_400:
        return text
    return (
        "now" if number == now else f"now {'+' if number > now else '−'} {_span(abs(number - now))}"
    )


def _span(seconds: int) -> str:
    return f"{seconds // 86_400} d" if seconds % 86_400 == 0 else f"{seconds} s"


def page(language: str, law: LawTable) -> str:
    """Return the golden decisions as Markdown."""
    lines = [_HEADS[language]]
    for subject in SUBJECTS:
        lines += [f"## {subject}", "", _COLUMNS[language], "|---|---|---|---|---|---|---|"]
        for case in json.loads((GOLDEN / f"{subject}.json").read_text(encoding="utf-8")):
            text = law.text(Reason(_cited(case), case["code"]))
            clause = text.clause_zh if language == "zh" else text.clause_en
            lines.append(
                f"| ☐ | {case['rule']} | {case['code']} "
                f"| {difference(case['effect']['input'], case['absence']['input'])} "
                f"| {_verdict(case, 'effect', language)} | {_verdict(case, 'absence', language)} "
                f"| {clause}{' ⚠' if text.unconfirmed else ''} |"
            )
        lines.append("")
    return "\n".join(lines)


def _cited(case):
    """Return the rule that the reason of a case cites: a threshold's case shows another's code."""
    reasons = [*case["effect"]["decision"]["reasons"], *case["absence"]["decision"]["reasons"]]
    rules = [reason["rule"] for reason in reasons if reason["code"] == case["code"]]
    return rules[0] if rules and case["rule"] not in rules else case["rule"]


def _verdict(case: Document, side: str, language: str) -> str:
    decision = case[side]["decision"]
    told = [
        ("允许" if decision["allow"] else "拒绝")
        if language == "zh"
        else ("allow" if decision["allow"] else "deny")
    ]
    told += [
        reason["code"] + (f" ({', '.join(reason['fields'])})" if reason["fields"] else "")
        for reason in decision["reasons"]
    ]
    told += [f"{k}={v}" for k, v in decision["fields"].items() if v not in ("allow", "drop")]
    told += [
        f"{c['field']} {c['op']}"
        for c in decision["row_predicates"]
        if c["field"] != "subject_type"
    ]
    quiet = {"coverage", "label_dispute"} - {case["shows"]}
    told += [o for o in decision["obligations"] if o not in quiet]
    return "<br>".join(told)


async def write() -> None:
    """Rewrite the golden files and the pages."""
    bundle = load()
    decider = decider_of(WasmEngine(bundle, deadline_ms=60_000), bundle)
    for subject in SUBJECTS:
        # One line per case: short files, and a difference that shows which case changed.
        lines = [
            json.dumps(case, ensure_ascii=False, sort_keys=True)
            for case in await record(decider, subject)
        ]
        text = "[\n" + ",\n".join(lines) + "\n]\n"
        (GOLDEN / f"{subject}.json").write_text(text, encoding="utf-8")
    await decider.close()
    for language, path in PAGES.items():
        path.write_text(page(language, LAW), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(write())
