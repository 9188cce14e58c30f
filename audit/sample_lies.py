"""Samples whose forger is the operator: the log itself tells a lie, signed and cosigned."""

import json
from base64 import b64encode
from collections.abc import Iterator

from audit.sample_form import (
    LATER,
    Edit,
    Json,
    Original,
    Sample,
)


def lies_samples(original: Original) -> Iterator[Sample]:
    """Let the operator rewrite the log from its beginning, signed and cosigned as it stands."""
    log, content = original.log, original.content
    kinds = {json.loads(log.bodies[index])["kind"]: index for index in sorted(content.entries)}
    intent, outcome, licence = kinds["intent"], kinds["outcome"], kinds["licence_activated"]
    run, policy, pin = kinds["node_started"], kinds["policy_activated"], kinds["certificate_pinned"]
    zero = b64encode(bytes(32), b"-_").decode().rstrip("=")

    def lie(what: str, code: str, index: int, change: Edit, *, replay: bool = False) -> Sample:
        changed = log.changed(index, change)
        data = changed.pack(content, original.witnesses, original.time + LATER)
        return Sample(f"operator: {what}", code, data, replay)

    def drop_field(entry: Json) -> None:
        action = max(entry["fields"], key=lambda name: len(entry["fields"][name]))
        entry["fields"][action].pop()

    def exchange_actions(entry: Json) -> None:
        groups = entry["fields"]
        groups["allow"], groups["mask"] = groups.get("mask", []), groups["allow"]

    yield lie("more rows than were evidenced", "OUTCOME", outcome, lambda e: e.pop("delivered"))
    yield lie("fewer than no rows", "OUTCOME", outcome, lambda e: e.update(rows=-1))
    yield lie("an outcome before its intent", "OUTCOME", outcome, lambda e: e.update(time=1))
    yield lie("an outcome of another entry", "REFERENCE", outcome, lambda e: e.update(intent=run))
    yield lie(
        "a reference into the future", "REFERENCE", intent, lambda e: e.update(licence=outcome)
    )
    yield lie("a reference to another kind", "REFERENCE", intent, lambda e: e.update(licence=run))
    yield lie("a reference to nothing", "REFERENCE", intent, lambda e: e.update(policy=intent - 1))
    yield lie("another's licence", "REFERENCE", licence, lambda e: e.update(party="uscc:X"))
    yield lie("a licence that was over", "REFERENCE", licence, lambda e: e.update(not_after=1))
    yield lie("another's certificate", "REFERENCE", pin, lambda e: e.update(party="uscc:X"))
    yield lie("another node", "REFERENCE", run, lambda e: e.update(node="elsewhere"))
    yield lie(
        "another policy than was in force", "REFERENCE", policy, lambda e: e.update(bundle=zero)
    )
    yield lie("another document", "DOCUMENT", licence, lambda e: e.update(document="0" * 64))
    yield lie("a serial that was not signed", "DOCUMENT", licence, lambda e: e.update(serial=99))
    yield lie("another input", "INPUT", intent, lambda e: e.update(input=zero))
    yield lie("another policy in the intent", "REFERENCE", intent, lambda e: e.update(bundle=zero))
    yield lie("another purpose than was decided", "INPUT", intent, lambda e: e.update(purpose="X"))
    yield lie("a field that was not decided on", "INPUT", intent, drop_field)
    yield lie("another operator", "OPENING", intent, lambda e: e.update(operator=zero))
    yield lie("another answer", "FIELD", outcome, lambda e: e.update(field_root=zero))
    yield lie("an entry without a member", "ENTRY_SCHEMA", outcome, lambda e: e.pop("status"))
    yield lie("another decision", "REPLAY", intent, lambda e: e.update(decision=zero), replay=True)
    yield lie("another action on a field", "REPLAY", intent, exchange_actions, replay=True)
    later = lambda e: e.update(time=e["time"] + 40 * 86_400)  # noqa: E731 - one more of the above
    yield lie("another hour", "OUTCOME", intent, later)
