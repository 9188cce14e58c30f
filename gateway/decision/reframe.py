"""A kept input as another bundle's law tables would have shaped it.

Four things in an input come from the tables and not from the request: the day that R66 counts
from, which fields are minimal (R75), where the count of subjects is told no further, and the
defaults of switches. A bundle that changes one of them is asked with the input that it would
have been given, or the change would seem to have no effect. The amount of a loan (R45) is the
exception: an input tells only on which side of its own bundle's limit it was.
"""

import json
from collections.abc import Mapping
from typing import Any

from gateway.decision.input import GROUP_KEYS, Document, calendar_of, canonical
from gateway.decision.law import LawTable

_START_OF_DAY = 1  # of `calendar.turns`
_MINIMAL = GROUP_KEYS.index("minimal")


def reframe(kept: bytes, law: LawTable, subjects: int, defaults: Mapping[str, bool | int]) -> bytes:
    """Return a kept input as these law tables shape it.

    Args:
        kept: A canonical input without `now`.
        law: The tables of the bundle that will be asked.
        subjects: How many subjects the request had; the log entry tells.
        defaults: Switches as they stood by default when the input was made. A switch that had
            this value takes the default of `law`; any other was chosen and stays.

    Raises:
        ValueError, LookupError, TypeError: It is not such an input.
    """
    document: dict[str, Any] = json.loads(kept)  # Any: values of a JSON object
    limits = law.limits
    day = document["calendar"]["turns"][_START_OF_DAY]
    licence = document["licence"] or {"minimum_subjects": 1}
    ceiling = max(limits.count_ceiling, licence["minimum_subjects"])
    chosen = {k: v for k, v in document["switches"].items() if defaults.get(k) != v}
    request = document["request"] | {"subjects": min(subjects, ceiling)}
    return canonical(
        document
        | {
            "calendar": calendar_of(day, limits.adverse_years),
            "request": request,
            "fields": _groups(document["fields"], limits.minimal_fields),
            "switches": {name: chosen.get(name, value) for name, value in law.switches.items()},
        }
    )


def _groups(kept: list[dict[str, Any]], minimal: frozenset[str]) -> list[Document]:
    groups: dict[tuple[object, ...], list[str]] = {}
    for group in kept:
        flags = tuple(group.get(key, False) for key in GROUP_KEYS)
        for name in group["names"]:
            key = (*flags[:_MINIMAL], name in minimal, *flags[_MINIMAL + 1 :])
            groups.setdefault(key, []).append(name)
    return [
        {flag: value for flag, value in zip(GROUP_KEYS, key, strict=True) if value is not False}
        | {"names": sorted(names)}
        for key, names in sorted(groups.items())
    ]
