from dataclasses import replace

import pytest

from audit import entries
from audit.canonical import encode_entry
from gateway.domain.vocabulary import FieldAction
from gateway.release.intent_entries import IntentEntries
from gateway.release.trail import Trail
from gateway.release.use import blinded, use_of
from tests.simulator import NOW, make_caller, make_decision, make_facts, make_product

PRODUCT = make_product()
FACTS = make_facts(product=PRODUCT)
DECISION = make_decision({"uscc": "allow", "name": "mask"})
SNAPSHOT = "aa" * 32


def plain(trail, facts, decision, snapshot, blinds):
    entry = entries.intent(
        time=trail.now,
        node="node-1",
        use=use_of(trail, facts, decision, blinds),
        snapshot=snapshot,
        fields={name: action.value for name, action in decision.actions.items()},
    )
    return encode_entry(entry)


def variants():
    caller, licence = FACTS.caller, FACTS.licence
    yield FACTS, DECISION, SNAPSHOT
    yield replace(FACTS, caller=make_caller(number=2)), DECISION, SNAPSHOT
    pinned = replace(caller.certificate, fingerprint="cc" * 32)
    yield replace(FACTS, caller=replace(caller, certificate=pinned)), DECISION, SNAPSHOT
    yield replace(FACTS, licence=replace(licence, index=99)), DECISION, SNAPSHOT
    yield replace(FACTS, product=replace(PRODUCT, digest="dd" * 32)), DECISION, SNAPSHOT
    for name, value in (
        ("purpose", "CREDIT_CHECK"),
        ("scenario", "OTHER"),
        ("destination", "SG"),
        ("signature", "e30..AAAA"),
        ("subjects", ("a", "b")),
        ("operator", "somebody else"),
    ):
        yield replace(FACTS, request=replace(FACTS.request, **{name: value})), DECISION, SNAPSHOT
    other = replace(DECISION, input_digest="01" * 32, actions={"uscc": FieldAction.DROP})
    yield FACTS, other, SNAPSHOT
    yield FACTS, replace(DECISION, bundle_digest="02" * 32), SNAPSHOT
    yield FACTS, DECISION, "bb" * 32


def test_an_intent_from_a_template_is_the_built_one_whatever_came_before():
    shared = IntentEntries("node-1")
    for number, (facts, decision, snapshot) in enumerate([*variants(), *variants()]):
        trail = Trail(f"01J{number:023d}", (NOW + number) * 1000, b"")
        _, blinds = blinded(facts.request)
        found = shared.encode(trail, facts, decision, snapshot, blinds)
        assert found == plain(trail, facts, decision, snapshot, blinds)


@pytest.mark.parametrize("member", ["operator", "case", "subjects", "idempotency"])
def test_two_requests_that_say_the_same_have_nothing_in_common(member):
    assert blinded(FACTS.request)[1][member] != blinded(FACTS.request)[1][member]
