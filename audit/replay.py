"""Replay: every recorded decision is made again and compared with what its entry says.

This module knows what entries record of decisions; how a decision is made it does not know, and
receives as a function. What could not be made again is missing, never passed over.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from audit.entry_form import raw_digest
from audit.errors import AuditError

_OF_REQUESTS: Final = frozenset({"intent", "denial"})
_GATE: Final = "GATE"
NOT_CHECKED: Final = (
    "whether the facts in an input were true when it was made: inputs are taken as recorded",
    "whether what left is what was decided: outcomes commit to it, receivers can compare",
    "requests refused before any decision was made: there is nothing to make again",
)


class ReplayError(AuditError):
    """A recorded decision can't be made again.

    Args:
        code: What is missing or wrong: `INPUT_MISSING`, `BUNDLE_MISSING` and the like.
        message: The same in words.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Recorded:
    """What an intent or a denial records of its decision.

    Args:
        index: Log index.
        time: Unix seconds; the instant of the decision.
        bundle: Digest of the policy bundle, hex; empty when none is cited.
        input: Digest of the canonical input, hex; empty when none is cited.
        decision: Digest of the decision, hex; empty in entries older than this member.
        policy: Index of the entry that activated the bundle, or None in older entries.
        fields: Field name to action, of an intent; None for a denial.
        reasons: (rule, code) pairs of a denial.
    """

    index: int
    time: int
    bundle: str
    input: str
    decision: str
    policy: int | None
    fields: Mapping[str, str] | None
    reasons: frozenset[tuple[str, str]]

    @property
    def decided(self) -> bool:
        """Whether the policy decided: it is cited, data was to leave, or a rule refused."""
        ruled = any(rule != _GATE for rule, _ in self.reasons)
        return bool(self.input) or self.fields is not None or ruled


@dataclass(frozen=True, slots=True)
class Again:
    """A decision made again.

    Args:
        digest: Its digest, hex.
        allow: Whether anything may leave.
        fields: Field name to action.
        reasons: (rule, code) pairs.
    """

    digest: str
    allow: bool
    fields: Mapping[str, str]
    reasons: frozenset[tuple[str, str]]


Decide = Callable[[Recorded], Awaitable[Again]]
"""Makes a recorded decision again; raises `ReplayError` naming what is missing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One entry that does not come out as recorded, or can't be tried.

    Args:
        index: Log index.
        code: `DIVERGED`, `ENTRY_UNREADABLE`, or what is missing.
        message: What differs, or the same in words.
    """

    index: int
    code: str
    message: str


@dataclass(slots=True)
class Replayed:
    """What a replay has found so far.

    Args:
        entries: Entries read.
        decisions: Recorded decisions among them.
        identical: Decisions whose digest came out the same, to the byte.
        in_part: Older entries without a digest whose outcome came out the same.
        undecided: Requests refused before any decision.
        diverged: Decisions that came out otherwise.
        missing: Decisions that could not be made again.
    """

    entries: int = 0
    decisions: int = 0
    identical: int = 0
    in_part: int = 0
    undecided: int = 0
    diverged: list[Finding] = field(default_factory=list)
    missing: list[Finding] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether every decision was made again and came out as recorded."""
        return not self.diverged and not self.missing


def read_recorded(index: int, body: bytes) -> Recorded | None:
    """Return what an entry records of a decision, or None when its kind records none.

    Raises:
        ReplayError: `ENTRY_UNREADABLE`.
    """
    try:
        entry: dict[str, Any] = json.loads(body)  # Any: values of a JSON object
        if entry["kind"] not in _OF_REQUESTS:
            return None
        groups = entry["fields"] if entry["kind"] == "intent" else None
        return Recorded(
            index=index,
            time=entry["time"],
            bundle=_hex(entry.get("bundle", "")),
            input=_hex(entry.get("input", "")),
            decision=_hex(entry.get("decision", "")),
            policy=entry.get("policy"),
            fields=groups and {name: action for action, names in groups.items() for name in names},
            reasons=frozenset((rule, code) for rule, code in entry.get("reasons", ())),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ReplayError("ENTRY_UNREADABLE", "the entry is not of a schema known here") from None


def differences(recorded: Recorded, again: Again) -> list[str]:
    """Say in what a decision made again differs from its record; empty when in nothing.

    A denial by the gate after an allow (a quota, a key used before) agrees with an allow.
    """
    found = []
    if recorded.fields is not None:
        if not again.allow:
            found.append("recorded as allowed, denied now")
        for name in sorted(recorded.fields.keys() | again.fields.keys()):
            was, now = recorded.fields.get(name, "absent"), again.fields.get(name, "absent")
            if was != now:
                found.append(f"field {name}: recorded {was}, now {now}")
    elif again.allow:
        if any(rule != _GATE for rule, _ in recorded.reasons):
            found.append("recorded as denied by a rule, allowed now")
    elif again.reasons != recorded.reasons:
        for rule, code in sorted(recorded.reasons ^ again.reasons):
            only = "recorded" if (rule, code) in recorded.reasons else "now"
            found.append(f"reason {rule}/{code}: only {only}")
    if not found and recorded.decision and recorded.decision != again.digest:
        found.append("conditions on rows, duties, rules or the term differ (by the digest)")
    return found


async def replay_one(index: int, body: bytes, decide: Decide, found: Replayed) -> None:
    """Make the decision of one entry again, if it records one, and note what comes of it."""
    found.entries += 1
    try:
        recorded = read_recorded(index, body)
        if recorded is None:
            return
        if not recorded.decided:
            found.undecided += 1
            return
        found.decisions += 1
        again = await decide(recorded)
    except ReplayError as error:
        found.missing.append(Finding(index, error.code, str(error)))
        return
    wrong = differences(recorded, again)
    if wrong:
        found.diverged.append(Finding(index, "DIVERGED", "; ".join(wrong)))
    elif recorded.decision:
        found.identical += 1
    else:
        found.in_part += 1


async def replay(entries: Iterable[tuple[int, bytes]], decide: Decide) -> Replayed:
    """Make the decisions of entries again, one after the other.

    Args:
        entries: Index and bytes of each entry.
        decide: Makes one recorded decision again.
    """
    found = Replayed()
    for index, body in entries:
        await replay_one(index, body, decide, found)
    return found


def _hex(digest: str) -> str:
    return raw_digest(digest).hex() if digest else ""
