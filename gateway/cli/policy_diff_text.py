"""The findings of `xinguan policy diff`, for people and for machines."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.decision.difference import Cause, Kind
from gateway.decision.history import runs_of
from gateway.decision.law import LawTable, ReasonText
from gateway.decision.redecide import Fault, Findings, Flips, Side
from gateway.domain.errors import Reason
from gateway.domain.request import Condition

LANGUAGE_PLACES: Mapping[str, int] = {"zh": 0, "en": 1}
_WORDS: Mapping[str, tuple[str, str]] = {
    Kind.ALLOW_TO_DENY: ("允许 → 拒绝", "allow → deny"),
    Kind.DENY_TO_ALLOW: ("拒绝 → 允许", "deny → allow"),
    Kind.FIELDS: ("字段处理改变", "field actions change"),
    Kind.ROWS: ("记录条件改变", "row predicates change"),
    "again": ("重新裁决", "decided again"),
    "distinct": ("不同输入", "distinct inputs"),
    "undecided": ("裁决前即拒绝（与政策无关）", "refused before any decision (not the policy's)"),
    "checked": ("与日志核对一致", "agree with the log's record"),
    "none": ("没有裁决改变", "no decision flips"),
    "speaks": ("新增", "comes in"),
    "silent": ("消失", "falls away"),
    "number": ("规则相同，其数值或清单改变", "the same rules, with another number or list"),
    "unconfirmed": ("（依据待核实）", " (source unconfirmed)"),
    "faults": ("无法重新裁决或结果不符", "NOT DECIDED AGAIN, OR DIVERGED"),
    "requests": ("次", "requests"),
}


def as_document(
    old: Side, new: Side, entries: tuple[int, int], findings: Findings
) -> dict[str, Any]:
    """Return the findings as a JSON document, clauses in both languages."""
    diverged = sum(fault.code == "DIVERGED" for fault in findings.faults)
    return {
        "log": {"first": entries[0], "last": entries[1] - 1},
        "old": {"digest": old.bundle.digest, "revision": old.bundle.revision},
        "new": {"digest": new.bundle.digest, "revision": new.bundle.revision},
        "decided_again": findings.again,
        "distinct_inputs": findings.distinct,
        "refused_before_decision": findings.undecided,
        "checked_against_record": findings.checked,
        "diverged": diverged,
        "complete": not findings.faults,
        "faults": [
            {"index": fault.index, "code": fault.code, "message": fault.message}
            for fault in findings.faults
        ],
        "flipped": sum(flips.count for _, _, flips in findings.groups()),
        "groups": [
            _group(kind, causes, flips, old.law, new.law)
            for kind, causes, flips in findings.groups()
        ],
    }


def as_lines(
    old: Side, new: Side, entries: tuple[int, int], findings: Findings, language: str
) -> Iterator[str]:
    """Yield the findings for a terminal.

    Args:
        old: The bundle that flips are counted from.
        new: The bundle that flips are counted to.
        entries: First log index, and one past the last.
        findings: What deciding again has shown.
        language: `zh` or `en`.
    """
    place = LANGUAGE_PLACES[language]
    diverged = sum(fault.code == "DIVERGED" for fault in findings.faults)
    yield f"log {entries[0]}-{entries[1] - 1}"
    yield f"old {old.bundle.digest}"
    yield f"new {new.bundle.digest}"
    counts = {
        "again": findings.again,
        "distinct": findings.distinct,
        "checked": findings.checked - diverged,
        "undecided": findings.undecided,
    }
    yield from (f"{_WORDS[name][place]}: {count}" for name, count in counts.items())
    yield from _faults(findings.faults, place)
    if not findings.flips:
        yield _WORDS["none"][place]
    for kind, causes, flips in findings.groups():
        yield ""
        yield f"{_WORDS[kind][place]}: {flips.count} {_WORDS['requests'][place]}"
        yield from _causes(causes, old.law, new.law, place)
        for (product, party, purpose), indices in sorted(flips.askers.items()):
            yield f"  {product} {party} {purpose}: {len(indices)} [{_ranges(indices)}]"
        for (name, before, after), count in sorted(flips.fields.items()):
            yield f"    {name}: {before} → {after} ({count})"
        yield from (f"    - {_condition(condition)}" for condition in flips.rows_gone)
        yield from (f"    + {_condition(condition)}" for condition in flips.rows_new)


def _faults(faults: Sequence[Fault], place: int) -> Iterator[str]:
    if not faults:
        return
    yield ""
    yield f"!!! {_WORDS['faults'][place]}: {len(faults)}"
    for code in sorted({fault.code for fault in faults}):
        some = [fault for fault in faults if fault.code == code]
        yield f"  {code}: {some[0].message}: [{_ranges([fault.index for fault in some])}]"


def _causes(causes: Sequence[Cause], old: LawTable, new: LawTable, place: int) -> Iterator[str]:
    if not causes:
        yield f"  {_WORDS['number'][place]}"
    for cause in causes:
        word = _WORDS["speaks" if cause.speaks else "silent"][place]
        yield f"  {cause.rule} {cause.code}".rstrip() + f" ({word})"
        text = _text(cause, old, new)
        if text is not None:
            mark = _WORDS["unconfirmed"][place] if text.unconfirmed else ""
            yield f"    {(text.clause_zh, text.clause_en)[place]}{mark}"
            if cause.speaks:
                yield f"    → {(text.remedy_zh, text.remedy_en)[place]}"


def _group(
    kind: Kind, causes: Sequence[Cause], flips: Flips, old: LawTable, new: LawTable
) -> dict[str, Any]:
    return {
        "kind": kind.value,
        "rules": [_cause(cause, _text(cause, old, new)) for cause in causes],
        "requests": flips.count,
        "flips": [
            {"product": product, "party": party, "purpose": purpose, "indices": indices}
            for (product, party, purpose), indices in sorted(flips.askers.items())
        ],
        "fields": [
            {"field": name, "old": before, "new": after, "requests": count}
            for (name, before, after), count in sorted(flips.fields.items())
        ],
        "rows": {
            "gone": [_as_object(condition) for condition in flips.rows_gone],
            "new": [_as_object(condition) for condition in flips.rows_new],
        },
    }


def _cause(cause: Cause, text: ReasonText | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "rule": cause.rule,
        "code": cause.code,
        "speaks_under_new": cause.speaks,
    }
    if text is not None:
        told["clause"] = {"zh": text.clause_zh, "en": text.clause_en}
        told["remedy"] = {"zh": text.remedy_zh, "en": text.remedy_en}
        told["unconfirmed"] = text.unconfirmed
    return told


def _text(cause: Cause, old: LawTable, new: LawTable) -> ReasonText | None:
    """Return the clause from the tables of the bundle under which the rule speaks."""
    law = new if cause.speaks else old
    return law.text(Reason(cause.rule, cause.code)) if cause.code else None


def _as_object(condition: Condition) -> dict[str, Any]:
    return {"field": condition.field, "op": condition.op, "value": condition.value}


def _condition(condition: Condition) -> str:
    return f"{condition.field} {condition.op} {condition.value}"


def _ranges(indices: Sequence[int]) -> str:
    """Return every index, runs of them as first-last."""
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs_of(indices))
