"""Descriptions that people write (YAML, JSON or TOML), turned into the claims of a document.

In a description a date such as 2026-01-01 stands for its first second in Asia/Shanghai, and a
time without a zone is Asia/Shanghai's; in the signed document every time is unix seconds. Eight
digits are a date without its hyphens, never seconds: those would be of the year 1970.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeVar

import yaml

from gateway.cli.console import read_text
from gateway.registry.documents import BadDocumentError, Claims, parse_claims

C = TypeVar("C", bound=Claims)
SHANGHAI = timezone(timedelta(hours=8))
_TIMES = frozenset({"not_before", "not_after", "given_at", "expires_at"})
_UNIX_SECONDS = re.compile(r"0|[0-9]{9,11}")
# What the three parsers raise for a text that isn't theirs; YAML's tags with a wrong value too.
_MALFORMED = (AttributeError, LookupError, RecursionError, TypeError, ValueError, yaml.YAMLError)


def read_claims(path: Path, model: type[C], defaults: Mapping[str, Any]) -> C:
    """Return the claims that a description states.

    Args:
        path: A file whose name ends in .yaml, .yml, .json or .toml.
        model: The claims expected.
        defaults: Values for what the description leaves out.

    Raises:
        BadDocumentError: `BAD_DOCUMENT`, naming the claim at fault.
    """
    stated = _parse(path)
    if not isinstance(stated, dict):
        raise BadDocumentError("the description is not a table of claims")
    claims = {name: value for name, value in defaults.items() if name not in stated}
    try:
        body = json.dumps({**claims, **_seconds(stated)}, ensure_ascii=False).encode()
    except (RecursionError, TypeError, ValueError):
        raise BadDocumentError("the description states what no document can hold") from None
    return parse_claims(body, model)


def stated_text(path: Path, name: str) -> str:
    """Return one text of a description, or an empty text where it is missing."""
    stated = _parse(path)
    found = stated.get(name) if isinstance(stated, dict) else None
    return found if isinstance(found, str) else ""


def parse_instant(text: str) -> int:
    """Return unix seconds for unix seconds (0, or 9 to 11 digits), a date or a time in ISO 8601.

    Raises:
        BadDocumentError: It is none of them.
    """
    if _UNIX_SECONDS.fullmatch(text):
        return int(text)
    try:
        return _instant(datetime.fromisoformat(text))
    except (OverflowError, ValueError):
        raise BadDocumentError("a time is unix seconds, YYYY-MM-DD or ISO 8601") from None


def _parse(path: Path) -> object:
    text = read_text(path)
    try:
        if path.suffix == ".toml":
            return tomllib.loads(text)
        if path.suffix == ".json":
            return json.loads(text)
        return yaml.safe_load(text)
    except _MALFORMED:
        raise BadDocumentError("the description can't be parsed as its file name says") from None


def _seconds(value: object, name: str = "") -> Any:
    if isinstance(value, dict):
        return {str(key): _seconds(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [_seconds(inner) for inner in value]
    if isinstance(value, date):
        return _instant(value)
    if name in _TIMES and isinstance(value, str | int) and not isinstance(value, bool):
        return parse_instant(str(value))
    return value


def _instant(moment: date) -> int:
    """Return unix seconds; a `datetime` is a `date` too, so it is asked for first."""
    if isinstance(moment, datetime):
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=SHANGHAI)
    else:
        zoned = datetime(moment.year, moment.month, moment.day, tzinfo=SHANGHAI)
    return int(zoned.timestamp())
