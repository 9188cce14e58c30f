"""The one form of a decision, so that two decisions are the same exactly when their bytes are.

An engine answers with sets as lists, whose order is the engine's own affair. In normal form each
list stands in the order of its items' canonical JSON (RFC 8785), innermost first. The digest of
these bytes stands in the log beside those of bundle and input: whoever decides again must get it.
It says no more than they do, since a decision follows from both; and no decision names a subject.
"""

import hashlib
import json
from json.encoder import encode_basestring
from typing import Any, Final

_TAG: Final = b"xinguan/decision/v1\0"
_encode = json.JSONEncoder(allow_nan=False).encode


def decision_digest(answer: Any) -> str:  # Any: the answer of an engine, parsed JSON
    """Return the digest of an engine's answer, hex.

    Args:
        answer: The answer, already checked: objects, lists, strings, integers, booleans, nulls.
    """
    return hashlib.sha256(_TAG + _text(answer).encode()).hexdigest()


# Items are ordered by the very text that is written of them, so one pass makes both.
def _text(value: Any) -> str:
    if type(value) is str:
        return encode_basestring(value)
    if type(value) is dict:
        members = [
            f"{encode_basestring(name)}:{_text(item)}" for name, item in sorted(value.items())
        ]
        return "{" + ",".join(members) + "}"
    if type(value) is list:
        return "[" + ",".join(sorted(map(_text, value))) + "]"
    return _encode(value)
