"""Why a decision came out as it did, for people: each rule that fired, its clause, the remedy."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.decision.decider import Decider
from gateway.decision.input import Document, canonical
from gateway.decision.law import LawTable, ReasonText
from gateway.decision.tables import read_table
from gateway.domain.decision import Decision
from gateway.domain.errors import InvalidRequestError, Reason

LANGUAGES = ("zh", "en")


@dataclass(frozen=True, slots=True)
class Explained:
    """One reason with its text.

    Args:
        reason: The reason.
        text: What the law tables say about it.
    """

    reason: Reason
    text: ReasonText


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with the words that belong to it.

    Args:
        decision: The decision.
        reasons: Its reasons with their texts, in the decision's order.
        rules: Rule id to its titles (Chinese, English), for each rule that fired.
    """

    decision: Decision
    reasons: tuple[Explained, ...]
    rules: Mapping[str, tuple[str, str]]


def read_request(text: str, at: int | None = None) -> tuple[bytes, int]:
    """Return the canonical input and the time of a request document.

    Args:
        text: A policy input as JSON, as kept beside the log (without `now`) or in the golden
            files (with it).
        at: Unix seconds to decide at; needed when the document has no `now`, and wins over it.

    Raises:
        InvalidRequestError: `BAD_REQUEST` when it is not such a document.
    """
    try:
        document = json.loads(text)
        stated = document.pop("now", None)
        now = stated if at is None else at
        names = [name for group in document["fields"] for name in group["names"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _malformed() from error
    if isinstance(now, bool) or not isinstance(now, int) or not all(map(_is_word, names)):
        raise _malformed()
    return canonical(document), now


async def explain(document: bytes, now: int, decider: Decider, policies: Path) -> Explanation:
    """Decide a request document and say why.

    Raises:
        UnavailableError: As `Decider.decide`.
        ValueError: When the law tables are malformed.
    """
    decision = await decider.replay(document, now)
    law = LawTable.load(policies)
    titles = read_table(policies / "data", "rules")
    return Explanation(
        decision=decision,
        reasons=tuple(Explained(reason, law.text(reason)) for reason in decision.reasons),
        rules={
            rule: (str(titles[rule]["title_zh"]), str(titles[rule]["title_en"]))
            for rule in decision.rules
            if rule in titles
        },
    )


def as_document(explanation: Explanation) -> Document:
    """Return an explanation as a JSON document, in both languages."""
    decision = explanation.decision
    return {
        "allow": decision.allow,
        "fields": {name: action.value for name, action in decision.actions.items()},
        "reasons": [
            {
                "rule": item.reason.rule,
                "code": item.reason.code,
                "fields": list(item.reason.fields),
                "clause": {"zh": item.text.clause_zh, "en": item.text.clause_en},
                "remedy": {"zh": item.text.remedy_zh, "en": item.text.remedy_en},
                "unconfirmed": item.text.unconfirmed,
            }
            for item in explanation.reasons
        ],
        "row_predicates": [
            {"field": c.field, "op": c.op, "value": c.value} for c in decision.row_predicates
        ],
        "obligations": sorted(decision.obligations),
        "rules": {rule: {"zh": zh, "en": en} for rule, (zh, en) in explanation.rules.items()},
        "valid_from": decision.valid_from,
        "valid_until": decision.valid_until,
        "input_digest": decision.input_digest,
        "bundle_digest": decision.bundle_digest,
    }


def as_text(explanation: Explanation, language: str) -> str:
    """Return an explanation for a terminal.

    Args:
        explanation: What to print.
        language: `zh` or `en`.

    Raises:
        InvalidRequestError: `BAD_REQUEST` for another language.
    """
    if language not in LANGUAGES:
        raise InvalidRequestError("BAD_REQUEST", "the language is zh or en")
    zh = language == "zh"
    decision = explanation.decision
    verdict = (
        ("允许" if decision.allow else "拒绝") if zh else ("allow" if decision.allow else "deny")
    )
    lines = [verdict]
    for item in explanation.reasons:
        fields = f" [{', '.join(item.reason.fields)}]" if item.reason.fields else ""
        lines.append(f"{item.reason.rule} {item.reason.code}{fields}")
        clause = item.text.clause_zh if zh else item.text.clause_en
        if item.text.unconfirmed:
            clause += "（依据待核实）" if zh else " (source unconfirmed)"
        remedy = item.text.remedy_zh if zh else item.text.remedy_en
        lines += [f"  {clause}", f"  → {remedy}"]
    lines += [f"{name}: {action.value}" for name, action in decision.actions.items()]
    lines += [f"{c.field} {c.op} {c.value}" for c in decision.row_predicates]
    lines += [f"{rule}: {titles[0 if zh else 1]}" for rule, titles in explanation.rules.items()]
    return "\n".join(lines)


def _is_word(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _malformed() -> InvalidRequestError:
    return InvalidRequestError("BAD_REQUEST", "not a policy input with `now` and `fields`")
