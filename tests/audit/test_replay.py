"""Replay of entries with a function that decides: what is compared, and what is told."""

import json
from base64 import urlsafe_b64encode
from dataclasses import replace

import pytest

from audit.replay import Again, ReplayError, differences, read_recorded, replay

BUNDLE, INPUT, DECISION = (bytes([n]) * 32 for n in (1, 2, 3))
AGAIN = Again(DECISION.hex(), True, {"name": "allow", "phone": "mask"}, frozenset())
DENIED = Again(DECISION.hex(), False, {"name": "drop"}, frozenset({("R30", "NO_LICENCE")}))


def text(raw):
    return urlsafe_b64encode(raw).decode().rstrip("=")


def entry(kind="intent", **members):
    values = {
        "v": 1, "kind": kind, "time": 7, "node": "n", "request": "r",
        "bundle": text(BUNDLE), "input": text(INPUT), "decision": text(DECISION), "policy": 3,
    }  # fmt: skip
    intent = {"fields": {"allow": ["name"], "mask": ["phone"]}}
    own = intent if kind == "intent" else {"reasons": []}
    return json.dumps({k: v for k, v in (values | own | members).items() if v is not None}).encode()


async def run(*bodies, again=AGAIN):
    async def decide(recorded):
        if isinstance(again, Exception):
            raise again
        return again

    return await replay(enumerate(bodies), decide)


async def test_an_identical_decision():
    found = await run(entry(), b'{"kind":"node_started"}')
    assert (found.entries, found.decisions, found.identical, found.holds) == (2, 1, 1, True)


def test_what_an_entry_records():
    recorded = read_recorded(5, entry())
    assert (recorded.bundle, recorded.input) == (BUNDLE.hex(), INPUT.hex())
    assert (recorded.decision, recorded.policy, recorded.time) == (DECISION.hex(), 3, 7)
    assert recorded.fields == {"name": "allow", "phone": "mask"}


async def test_an_older_entry_is_compared_by_its_outcome_and_said_to_be():
    found = await run(entry(decision=None, policy=None))
    assert (found.identical, found.in_part, found.holds) == (0, 1, True)


@pytest.mark.parametrize(
    ("body", "again", "words"),
    [
        (entry(), replace(AGAIN, fields={"name": "allow", "phone": "allow"}), "field phone"),
        (entry(), replace(AGAIN, fields={"name": "allow"}), "now absent"),
        (entry(), replace(AGAIN, allow=False), "denied now"),
        (entry(), replace(AGAIN, digest="00" * 32), "by the digest"),
        (entry("denial", reasons=[["R30", "NO_LICENCE"]]), AGAIN, "allowed now"),
        (entry("denial", reasons=[["R31", "X"]]), DENIED, "reason R30/NO_LICENCE: only now"),
    ],
)
async def test_a_divergence_says_what_differs(body, again, words):
    found = await run(body, again=again)
    assert not found.holds
    assert words in found.diverged[0].message
    assert found.diverged[0].code == "DIVERGED"


async def test_a_refusal_by_the_gate_after_an_allow_agrees_with_the_allow():
    body = entry("denial", reasons=[["GATE", "QUOTA"]])
    assert (await run(body)).identical == 1
    assert (
        await run(entry("denial", reasons=[["R30", "NO_LICENCE"]]), again=DENIED)
    ).identical == 1


async def test_a_refusal_before_any_decision_is_counted_apart():
    body = entry("denial", bundle=None, input=None, decision=None, reasons=[["GATE", "BAD_ID"]])
    assert (await run(body)).undecided == 1


@pytest.mark.parametrize("code", ["INPUT_MISSING", "BUNDLE_MISSING"])
async def test_what_is_missing_is_named(code):
    found = await run(entry(), again=ReplayError(code, "it is not kept"))
    assert [(each.index, each.code) for each in found.missing] == [(0, code)]
    assert not found.holds


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"kind":"intent"}', entry(bundle="!!")])
async def test_an_entry_that_can_not_be_read_is_missing_never_passed_over(body):
    found = await run(body)
    assert [each.code for each in found.missing] == ["ENTRY_UNREADABLE"]


def test_differences_of_a_decision_with_itself_are_none():
    assert differences(read_recorded(0, entry()), AGAIN) == []
