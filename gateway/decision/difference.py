"""What differs between two decisions on one request, and which rules make the difference."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.decision import Decision
from gateway.domain.errors import Reason
from gateway.domain.request import Condition


class Kind(StrEnum):
    """How a decision flips."""

    ALLOW_TO_DENY = "allow_to_deny"
    DENY_TO_ALLOW = "deny_to_allow"
    FIELDS = "fields"
    ROWS = "rows"


@dataclass(frozen=True, slots=True, order=True)
class Cause:
    """A rule that speaks under one bundle and is silent, or says something else, under the other.

    Args:
        rule: Rule id.
        code: Its reason code; empty for a rule that acts on fields or rows without a reason.
        speaks: True when it speaks under the new bundle, False when it did under the old one.
    """

    rule: str
    code: str
    speaks: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """A decision that flips.

    Args:
        kind: How; fields come before rows when both change.
        causes: The rules that make the difference, sorted. Empty when the same rules fired for
            the same reasons: then a number or a list that they read has changed.
        fields: (name, old action, new action) of each field whose action changes.
        rows_gone: Conditions on rows that no longer hold, of a request allowed by both.
        rows_new: Conditions on rows that hold from now on, likewise.
    """

    kind: Kind
    causes: tuple[Cause, ...]
    fields: tuple[tuple[str, str, str], ...]
    rows_gone: tuple[Condition, ...]
    rows_new: tuple[Condition, ...]


def difference(old: Decision, new: Decision) -> Difference | None:
    """Return what flips between two decisions on the same request, or None.

    Both must be about the same fields. Other reasons for the same outcome are no difference.
    """
    fields = tuple(
        (name, action.value, new.actions[name].value)
        for name, action in sorted(old.actions.items())
        if new.actions[name] is not action
    )
    gone: tuple[Condition, ...] = ()
    come: tuple[Condition, ...] = ()
    if old.allow and new.allow:  # a denial has no rows, so its conditions mean nothing
        gone = tuple(c for c in old.row_predicates if c not in new.row_predicates)
        come = tuple(c for c in new.row_predicates if c not in old.row_predicates)
    if old.allow is not new.allow:
        kind = Kind.ALLOW_TO_DENY if old.allow else Kind.DENY_TO_ALLOW
    elif fields:
        kind = Kind.FIELDS
    elif gone or come:
        kind = Kind.ROWS
    else:
        return None
    touched = frozenset(name for name, _, _ in fields)
    return Difference(kind, _causes(kind, old, new, touched), fields, gone, come)


def _causes(kind: Kind, old: Decision, new: Decision, touched: frozenset[str]) -> tuple[Cause, ...]:
    """Return the reasons that came or went; without any, the rules that came or went."""
    come = _only_in(new.reasons, old.reasons, touched)
    gone = _only_in(old.reasons, new.reasons, touched)
    # A denial is made by what speaks against it, an allow by what no longer does.
    if kind is Kind.ALLOW_TO_DENY:
        gone = set()
    elif kind is Kind.DENY_TO_ALLOW:
        come = set()
    causes = {Cause(*key, speaks=True) for key in come}
    causes |= {Cause(*key, speaks=False) for key in gone}
    if not causes:
        # Only then: on an allow, rules also fire for what didn't change.
        causes = {Cause(rule, "", speaks=True) for rule in set(new.rules) - set(old.rules)}
        causes |= {Cause(rule, "", speaks=False) for rule in set(old.rules) - set(new.rules)}
    return tuple(sorted(causes))


def _only_in(
    some: Sequence[Reason], others: Sequence[Reason], touched: frozenset[str]
) -> set[tuple[str, str]]:
    """Return (rule, code) of what is said here and not there, of the request or a touched field."""
    beyond = _said(some, touched) - _said(others, touched)
    return {(rule, code) for rule, code, _ in beyond}


def _said(reasons: Sequence[Reason], touched: frozenset[str]) -> set[tuple[str, str, str]]:
    """Return (rule, code, field) triples; the field of a reason on the request is empty."""
    return {
        (reason.rule, reason.code, name)
        for reason in reasons
        for name in reason.fields or ("",)
        if not name or name in touched
    }
