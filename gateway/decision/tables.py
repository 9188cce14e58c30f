"""The tables of the law in `policies/data/`, reduced to what the Rego reads.

The files carry sources, tags and words for people; the policy sees numbers and sets only, as
objects with `true` values, because a key look-up costs the same however long the list is.
"""

import json
from collections import defaultdict
from pathlib import Path

# The tables that a decision depends on, and so the revision of the bundle.
DECIDING_TABLES = ("lists", "measures", "purposes", "switches", "thresholds")


def read_table(directory: Path, name: str) -> dict[str, dict[str, object]]:
    """Return one table of `policies/data/`: name to entry.

    Raises:
        ValueError: When it is not an object of objects, each with `source` and `tag`.
    """
    table = json.loads((directory / f"{name}.json").read_text(encoding="utf-8"))
    if not isinstance(table, dict):
        raise TypeError(f"{name}: not an object")
    for key, entry in table.items():
        if not isinstance(entry, dict) or not entry.get("source") or not entry.get("tag"):
            raise ValueError(f"{name}.{key}: every entry names its source and its tag")
    return table


def flatten(directory: Path) -> dict[str, object]:
    """Return the `law` document of the policy: numbers, lists, purposes, measures.

    Raises:
        ValueError: When a table is malformed.
    """
    lists = {name: _strings(entry) for name, entry in read_table(directory, "lists").items()}
    pairs: defaultdict[str, dict[str, bool]] = defaultdict(dict)
    for pair in lists.pop("role_licences"):
        role, _, kind = pair.partition("/")
        pairs[role][kind] = True
    groups: defaultdict[str, dict[str, bool]] = defaultdict(dict)
    for purpose, entry in read_table(directory, "purposes").items():
        for group in _strings(entry, "groups"):
            groups[group][purpose] = True
    return {
        "numbers": {k: v["value"] for k, v in read_table(directory, "thresholds").items()},
        "lists": {name: dict.fromkeys(values, True) for name, values in lists.items()},
        "role_licences": pairs,
        "purposes": groups,
        "measures": dict.fromkeys(read_table(directory, "measures"), True),
    }


def _strings(entry: dict[str, object], key: str = "values") -> list[str]:
    values = entry.get(key)
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise ValueError(f"{key}: a list of strings is expected")
    return values
