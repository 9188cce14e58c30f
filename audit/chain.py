"""The chain of responsibility of one entry: every act that it rests on, and who answers for it.

Links are followed by index (`audit.references`). Three things are found by their digest or id
instead, because they name themselves: the key of a signer, the snapshot of an intent, and the
name of an organisation. What is cited and not there is a gap, and is told.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from audit.commitment import Opening, check_opening
from audit.entry_form import raw_digest
from audit.errors import AuditError, ProofError
from audit.references import Told, references

Entries = Callable[[int], bytes]
"""Index to the bytes of an entry; raises `AuditError` when it is not there."""

_MARKS: Final = (
    b'"kind":"party_registered"',
    b'"kind":"key_changed"',
    b'"kind":"snapshot_admitted"',
    b'"kind":"border_copied"',
)
_SENTENCES: Final[Mapping[str, str]] = {
    "intent": "was about to receive the data",
    "denial": "asked and was refused",
    "batch": "released a batch",
    "outcome": "ended the delivery",
    "node_started": "ran the node that released",
    "policy_activated": "activated the policy that decided",
    "policy_approved": "approved the policy",
    "contract_published": "published the contract and its fields",
    "certificate_pinned": "vouched for the caller's certificate",
    "licence_activated": "put the licence in force",
    "party_registered": "registered the organisation",
    "consent_registered": "handed the consent in",
    "whitelist_proposed": "proposed the fields that may cross",
    "whitelist_approved": "approved the fields that may cross",
    "border_proposed": "proposed what an export rests on",
    "border_approved": "approved what an export rests on",
    "border_registered": "registered what an export rests on",
    "issuer_proposed": "proposed the issuer abroad",
    "issuer_approved": "approved the issuer abroad",
    "foreign_admitted": "admitted the foreign document",
    "snapshot_admitted": "admitted the records",
    "border_copied": "copied the records for use abroad",
    "key_changed": "trusted the key that signed",
    "repair": "handed the decision in",
}


# Who else answers for an entry, by the member that names the organisation.
_ALSO: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "key_changed": (("holds the key", "party"),),
    "consent_registered": (("issued the consent", "issuer"),),
    "party_registered": (("is the organisation", "party"),),
    "recall": (("was told to stop using records", "party"),),
}


@dataclass(frozen=True, slots=True)
class Answerable:
    """Who answers for a step.

    Args:
        duty: For what, in words.
        organisation: Party id, or `console`: the account on the node's own machine.
        name: Registered name, or empty.
        person: What the log knows of the person: an opened name, a commitment, or nothing.
    """

    duty: str
    organisation: str
    name: str = ""
    person: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One entry of the chain.

    Args:
        index: Log index.
        kind: Kind of entry.
        time: Unix seconds.
        member: The member that led here, and of which entry; empty for the first.
        answerable: Who answers for it.
    """

    index: int
    kind: str
    time: int
    member: str
    answerable: tuple[Answerable, ...]


@dataclass(slots=True)
class Landmarks:
    """What entries name by id or digest: organisations, keys, snapshots. Filled in log order."""

    parties: dict[str, tuple[int, str]] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)
    snapshots: dict[str, int] = field(default_factory=dict)

    def take(self, entries: Iterable[tuple[int, bytes]]) -> None:
        """Note the landmarks among entries."""
        for index, body in entries:
            if not any(mark in body for mark in _MARKS):
                continue
            entry: Told = json.loads(body)
            if entry["kind"] == "party_registered":
                self.parties[entry["party"]] = (index, entry["name"])
            elif entry["kind"] == "key_changed":
                self.keys.setdefault(entry["key"], index)
            elif entry["kind"] in ("snapshot_admitted", "border_copied"):
                self.snapshots.setdefault(entry["snapshot"], index)

    def of(self, entry: Told) -> Iterator[tuple[str, int]]:
        """Yield what an entry names that is not cited by index: (member, index)."""
        if (at := self.keys.get(entry.get("signer", ""))) is not None:
            yield "signer", at
        if entry["kind"] == "intent" and (at := self.snapshots.get(entry["snapshot"])) is not None:
            yield "snapshot", at
        copied = entry["kind"] == "border_copied"
        if copied and (at := self.snapshots.get(entry["source"])) is not None:
            yield "source", at


@dataclass(frozen=True, slots=True)
class Chain:
    """The chain of an entry.

    Args:
        steps: The entry first, then what it rests on, each entry once.
        gaps: What is cited and not there, or not what it should be.
    """

    steps: tuple[Step, ...]
    gaps: tuple[str, ...]


def closure(
    first: Iterable[int], entries: Entries, landmarks: Landmarks
) -> tuple[dict[int, bytes], dict[int, str], list[str]]:
    """Collect entries and everything that they rest on.

    Args:
        first: Indexes to begin with.
        entries: Reads one entry.
        landmarks: Of the log, as far as it goes.

    Returns:
        Index to bytes in the order of discovery, index to what led there, and the gaps.
    """
    found: dict[int, bytes] = {}
    led: dict[int, str] = {}
    gaps: list[str] = []
    queue = [(index, "", "") for index in first]
    while queue:
        index, member, wanted = queue.pop(0)
        if index in found:
            continue
        try:
            body = entries(index)
            entry: Told = json.loads(body)
        except (AuditError, ValueError):
            gaps.append(f"entry {index} ({member}) is not there")
            continue
        if wanted and entry["kind"] != wanted:
            gaps.append(f"entry {index} ({member}) is a {entry['kind']}, not a {wanted}")
            continue
        found[index], led[index] = body, member
        for link in references(entry):
            if link.index >= index:
                gaps.append(f"entry {index} cites entry {link.index} ({link.member}) of its future")
            else:
                queue.append((link.index, f"{link.member} of {index}", link.kind))
        queue += [(at, f"{name} of {index}", "") for name, at in landmarks.of(entry) if at < index]
    return found, led, gaps


def followers(intent: int, later: Iterable[tuple[int, bytes]]) -> Iterator[int]:
    """Yield the batches and the outcome of an intent, in order; ends with the outcome.

    Args:
        intent: Index of the intent.
        later: The entries after it.
    """
    mark = f'"intent":{intent},'.encode()
    for index, body in later:
        if mark not in body:
            continue
        entry: Told = json.loads(body)
        if entry["kind"] in ("batch", "outcome") and entry["intent"] == intent:
            yield index
            if entry["kind"] == "outcome":
                return


def chain_of(
    first: Iterable[int],
    entries: Entries,
    landmarks: Landmarks,
    openings: Callable[[int], Mapping[str, Opening]] = lambda _: {},
) -> Chain:
    """Return the chain of responsibility of entries.

    Args:
        first: The entry, and its batches and outcome where it is an intent.
        entries: Reads one entry.
        landmarks: Of the log up to the entry.
        openings: Entry to what opens its commitments, for those who may hold it.
    """
    found, led, gaps = closure(first, entries, landmarks)
    steps = []
    for index, body in found.items():
        entry: Told = json.loads(body)
        try:
            person = _person(entry, openings(index))
        except ProofError:
            person = ""
            gaps.append(f"entry {index}: the kept opening does not belong to the commitment")
        steps.append(
            Step(
                index,
                entry["kind"],
                entry["time"],
                led[index],
                tuple(_answerable(entry, landmarks, person)),
            )
        )
    for step in steps:
        if step.kind in ("intent", "denial"):
            told: Told = json.loads(found[step.index])
            gaps += [
                f"entry {step.index} cites no {name}"
                for name in ("run", "policy", "publication", "pinned", "licence")
                if step.kind == "intent" and name not in told
            ]
    return Chain(tuple(steps), tuple(gaps))


def _answerable(entry: Told, landmarks: Landmarks, person: str) -> Iterator[Answerable]:
    kind = entry["kind"]
    duty = _SENTENCES.get(kind, "did this")
    if kind in ("batch", "outcome"):
        yield Answerable(duty, f"node {entry['node']}")
    elif kind == "node_started":
        yield _who(landmarks, duty, entry["operator"])
    elif kind in ("intent", "denial"):
        yield _who(landmarks, duty, entry.get("party", "an unknown caller"), person)
    elif "actor" in entry:
        yield _who(landmarks, duty, entry["actor"])
    for manager in entry.get("managers", ()):
        party = manager if ":" in manager else f"uscc:{manager}"
        yield _who(landmarks, "manages the data", party)
    if kind == "licence_activated":
        yield Answerable("signed the licence", f"authority, key {entry['signer']}")
    for also, member in _ALSO.get(kind, ()):
        yield _who(landmarks, also, entry[member])


def _who(landmarks: Landmarks, duty: str, party: str, person: str = "") -> Answerable:
    _, name = landmarks.parties.get(party, (-1, ""))
    return Answerable(duty, party, name, person)


def _person(entry: Told, openings: Mapping[str, Opening]) -> str:
    """Return what is known of the person behind a call; an opening is checked first."""
    if "operator" not in entry or entry["kind"] not in ("intent", "denial"):
        return ""
    opening = openings.get("operator")
    if opening is None:
        return f"committed to as {entry['operator']}"
    check_opening(opening, raw_digest(entry["operator"]))
    return opening.value.decode(errors="replace")
