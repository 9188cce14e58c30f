"""The one form of a decision, so that two decisions are the same exactly when their bytes are.

An engine answers with sets as lists, whose order is the engine's own affair. In normal form each
list stands in the order of its items' canonical JSON (RFC 8785), innermost first. The digest of
these bytes stands in the log beside those of bundle and input: whoever decides again must get it.
It says no more than they do, since a decision follows from both; and no decision names a subject.
"""

import hashlib
import json
from typing import Any, Final

_TAG: Final = b"xinguan/decision/v1\0"
_encode = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False
).encode


def decision_digest(answer: Any) -> str:  # Any: the answer of an engine, parsed JSON
    """Return the digest of an engine's answer, hex.

    Args:
        answer: The answer, already checked: objects, lists, strings, integers, booleans, nulls.
    """
    return hashlib.sha256(_TAG + _encode(_ordered(answer)).encode()).hexdigest()


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: item if type(item) is str else _ordered(item) for name, item in value.items()}
    if isinstance(value, list):
        if all(type(item) is str for item in value):
            # Canonical JSON puts a character before its escape in an order of its own.
            return sorted(value, key=_encode) if len(value) > 1 else value
        return sorted(map(_ordered, value), key=_encode)
    return value
