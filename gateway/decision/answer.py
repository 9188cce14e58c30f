"""Strict parsing of a policy answer: anything not understood is a denial."""

import sys
from collections.abc import Sequence

from gateway.decision.normal import decision_digest
from gateway.decision.spelling import Groups, spelled_out
from gateway.domain.decision import Decision
from gateway.domain.errors import Reason, UnavailableError
from gateway.domain.request import Condition
from gateway.domain.vocabulary import FieldAction

# Duties that the release path knows how to carry out; an unknown one is a denial.
OBLIGATIONS = frozenset(
    {
        "label_dispute", "coverage", "shuffle", "minimal_answer", "border_record",
        "count_export", "count_ordinary", "count_sensitive", "interest_subsidy", "onward_use",
    }
)  # fmt: skip
_OPERATORS = frozenset({"eq", "ne", "lt", "le", "gt", "ge", "in", "is_null"})
_KEYS = frozenset(
    {
        "allow", "bundle", "fields", "obligations", "reasons", "row_predicates", "rules",
        "valid_from", "valid_until",
    }
)  # fmt: skip
_ACTIONS = {action.value: action for action in FieldAction}


def parse_answer(
    answer: object,
    *,
    asked: Sequence[str],
    groups: Groups,
    revision: str,
    input_digest: str,
    bundle_digest: str,
) -> Decision:
    """Return the decision that an engine's answer states.

    Args:
        answer: Parsed JSON from the engine.
        asked: Names of the fields asked for.
        groups: The same names as the input groups them.
        revision: Revision of the bundle that must have answered.
        input_digest: Digest of the canonical input, hex.
        bundle_digest: Digest of the bundle, hex.

    Raises:
        UnavailableError: `POLICY_MISMATCH` when another bundle answered,
            `POLICY_UNKNOWN_ANSWER` for a missing or unknown key, action, obligation, operator,
            field, or a combination that can't be meant.
    """
    if not isinstance(answer, dict):
        raise _unknown()
    try:
        answer = spelled_out(answer, groups)
    except (LookupError, TypeError, ValueError):
        raise _unknown() from None
    if answer.keys() != _KEYS:
        raise _unknown()
    if answer["bundle"] != revision:
        raise UnavailableError("POLICY_MISMATCH", "the policy engine holds another bundle")
    actions = _actions(answer["fields"], asked)
    reasons = tuple(sorted(map(_reason, _items(answer["reasons"])), key=_order))
    allow, start, end = answer["allow"], answer["valid_from"], answer["valid_until"]
    leaving = any(action is not FieldAction.DROP for action in actions.values())
    whole = isinstance(start, int) and isinstance(end, int) and start < end
    if not isinstance(allow, bool) or not whole or allow is not leaving:
        raise _unknown()
    if not allow and not reasons:
        # A refusal teaches (DESIGN.md, invariant 7); a dumb one is a defect of the policy.
        raise _unknown()
    obligations = frozenset(map(str, _items(answer["obligations"])))
    if not obligations <= OBLIGATIONS:
        raise _unknown()
    predicates = sorted(map(_condition, _items(answer["row_predicates"])), key=_predicate_order)
    return Decision(
        allow=allow,
        reasons=reasons,
        actions=actions,
        row_predicates=tuple(predicates),
        obligations=obligations,
        rules=tuple(sorted(map(_word, _items(answer["rules"])))),
        valid_from=start,
        valid_until=end,
        input_digest=input_digest,
        bundle_digest=bundle_digest,
        digest=decision_digest(answer),
    )


def _unknown() -> UnavailableError:
    return UnavailableError("POLICY_UNKNOWN_ANSWER", "the policy's answer is not understood")


def _items(value: object) -> list[object]:
    if not isinstance(value, list):
        raise _unknown()
    return value


def _word(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise _unknown()
    return sys.intern(value)


def _actions(value: object, asked: Sequence[str]) -> dict[str, FieldAction]:
    if not isinstance(value, dict) or value.keys() != set(asked):
        raise _unknown()
    try:
        return {name: _ACTIONS[value[name]] for name in asked}
    except (KeyError, TypeError):
        raise _unknown() from None


def _reason(value: object) -> Reason:
    if not isinstance(value, dict) or value.keys() != {"rule", "code", "fields"}:
        raise _unknown()
    fields = tuple(sorted(map(_word, _items(value["fields"]))))
    return Reason(_word(value["rule"]), _word(value["code"]), fields)


def _condition(value: object) -> Condition:
    if not isinstance(value, dict) or value.keys() != {"field", "op", "value"}:
        raise _unknown()
    operand: object = value["value"]
    if value["op"] not in _OPERATORS or isinstance(operand, (dict, float)):
        raise _unknown()
    if isinstance(operand, list):
        operand = tuple(map(_word, operand))
    return Condition(_word(value["field"]), _word(value["op"]), operand)


def _order(reason: Reason) -> tuple[bool, str, str, tuple[str, ...]]:
    # Reasons on the request come before reasons on single fields; then by rule.
    return bool(reason.fields), reason.rule, reason.code, reason.fields


def _predicate_order(condition: Condition) -> tuple[str, str]:
    return condition.field, condition.op
