"""An answer in which each field has its name again.

The policy speaks of fields in groups of one kind, by their place in the input, since naming forty
of them took a quarter of a decision's time. What a decision is stays what it was: an action and the
reasons for each field by its name. So an answer is spelled out before anything reads it, the digest
of the log included; answers of older bundles name their fields themselves and are left alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Groups = Sequence[Sequence[str]]  # names of the fields of each group, in the input's order


def groups_of(document: Mapping[str, Any]) -> Groups:
    """Return the names of the fields of each group of an input.

    Raises:
        LookupError, TypeError: It is no input.
    """
    return [group["names"] for group in document["fields"]]


def names_of(groups: Groups) -> tuple[str, ...]:
    """Return the names of all fields, sorted."""
    return tuple(sorted(name for names in groups for name in names))


def spelled_out(answer: dict[str, Any], groups: Groups) -> dict[str, Any]:
    """Return an answer with `fields` for `actions`, and names for places in its reasons.

    Args:
        answer: What an engine answered, parsed.
        groups: The groups of the input that it answered.

    Raises:
        LookupError, TypeError, ValueError: It doesn't speak of exactly these groups.
    """
    if "actions" not in answer:
        return answer
    if "fields" in answer:
        raise ValueError("an answer names its fields, or speaks of their groups")
    spelled = {key: value for key, value in answer.items() if key != "actions"}
    fields: dict[str, Any] = {}
    for action, names in zip(answer["actions"], groups, strict=True):
        fields |= dict.fromkeys(names, action)
    spelled["fields"] = fields
    spelled["reasons"] = [_reason(reason, groups) for reason in answer["reasons"]]
    return spelled


def _reason(reason: dict[str, Any], groups: Groups) -> dict[str, Any]:
    if "groups" not in reason:
        return reason
    places = reason["groups"]
    if "fields" in reason or not all(type(place) is int and place >= 0 for place in places):
        raise ValueError("a reason is about places of groups")
    spelled = {key: value for key, value in reason.items() if key != "groups"}
    spelled["fields"] = sorted({name for place in places for name in groups[place]})
    return spelled
