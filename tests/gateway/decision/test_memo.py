"""A remembered decision must never answer for other facts: each fact is in the key."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum

import pytest

from gateway.decision.input import build_input, canonical
from gateway.decision.memo import Kept, Memo, anchors_of, quick_key
from gateway.domain.facts import Facts
from gateway.domain.licence import StopOrder
from gateway.domain.product import Field
from gateway.domain.recognition import Recognition
from gateway.domain.request import Condition
from tests.policies import facts_world as w
from tests.policies.engines import LAW
from tests.policies.facts_world import END, person_abroad, put, vary

# What the policy doesn't see, and the time, which the interval of the decision covers.
UNSEEN = {
    "now", "request.request_id", "request.idempotency_key", "request.asked_at",
    "request.case_reference", "request.conditions", "request.limit", "request.signature",
    "request.consent_id", "request.product",
    # How subjects come and how batches leave decides nothing; how many subjects, does.
    "request.portfolio", "request.compression", "request.sealed", "request.sealable",
    "recipient_key",
    # Counts of what can be shown matter under a grant's minimum; a test below.
    "known_subjects", "smallest_group",
    # The mode is told by the facts of recognition.
    "request.mode",
    "request.part",
    # Of these only their presence is seen; the test below removes them.
    "request.operator", "responsibility.manager.at", "responsibility.transmitter.at",
    "responsibility.user.at",
}  # fmt: skip


def full_facts() -> Facts:
    facts = person_abroad("uscc", "reg_status", "score")
    return vary(
        facts, stop_orders=(StopOrder("product:company", 5),), platform_operators_only=True,
        consent__withdrawn_at=END, border__whitelist__withdrawn_at=END,
        publicity__as_of=w.NOW, publicity__limit_s=600,
        recognition=Recognition("GRADE_MAP", w.terms(), w.mapping(), w.table()),
    )  # fmt: skip


@pytest.mark.parametrize("count", ["known_subjects", "smallest_group"])
def test_what_can_be_shown_is_told_up_to_the_grants_minimum(count):
    grant = replace(w.licence().grants["company"], minimum_subjects=3)
    licence = replace(w.licence(), grants={"company": grant})
    keys = [
        quick_key(vary(w.facts(licence=licence), **{count: number}), LAW.limits)
        for number in (2, 3, 4)
    ]
    assert keys[0][8:] != keys[1][8:]
    assert keys[1][8:] == keys[2][8:]


def changed(value):  # noqa: PLR0911 - one line per kind of value
    """Another value of the same type."""
    match value:
        case bool():
            return not value
        case Enum():
            return next(member for member in type(value) if member is not value)
        case int():
            return value + 1
        case str():
            return value + "X"
        case frozenset():
            return value ^ {next(iter(value))} if value else frozenset({"X"})
        case tuple():
            return (*value, value[0] if value else Condition("uscc", "eq", "X"))
        case None:
            return 1
    raise AssertionError(type(value))


def leaves(value, path=""):
    """Every leaf of the facts as a path, with a changed value."""
    if is_dataclass(value) and not isinstance(value, Field):
        for item in fields(value):
            yield from leaves(getattr(value, item.name), f"{path}.{item.name}".lstrip("."))
    elif isinstance(value, Mapping):
        for key in list(value)[:2]:
            yield from leaves(value[key], f"{path}.{key}")
    elif isinstance(value, tuple) and value and is_dataclass(value[0]):
        yield path, ()
        yield from leaves(value[0], f"{path}.0")
    elif isinstance(value, Field):
        yield f"{path}.identifying", not value.identifying
    else:
        yield path, changed(value)


LEAVES = sorted(leaves(full_facts()), key=lambda leaf: leaf[0])


def document(facts):
    return canonical(build_input(facts, LAW.limits))


@pytest.mark.parametrize(("path", "value"), LEAVES, ids=[path for path, _ in LEAVES])
def test_changing_any_single_fact_changes_the_key(path, value):
    facts = full_facts()
    other = put(facts, path, value)
    if path in UNSEEN:
        assert document(other) == document(facts)
        assert quick_key(other, LAW.limits) == quick_key(facts, LAW.limits)
    else:
        assert quick_key(other, LAW.limits) != quick_key(facts, LAW.limits)


def test_the_leaves_reach_every_kind_of_fact():
    paths = {path for path, _ in LEAVES}
    assert {
        "caller.party.role", "caller.certificate.not_after", "licence.agreement.not_after",
        "licence.status", "product.digest", "request.fields", "request.subjects", "consent.mode",
        "consent_covers", "stop_orders", "publicity.as_of", "responsibility.user.signer",
        "platform_operators_only", "border.exporter.persons", "border.whitelist.version",
        "border.mechanisms.0.scale_cap", "switches.art6_exempt",
        "recognition.mode", "recognition.terms.modes", "recognition.mapping.rows.A",
    } <= paths  # fmt: skip
    assert len(LEAVES) > 90


@pytest.mark.parametrize(
    ("path", "value"),
    [("request.operator", " "), ("request.case_reference", " "), ("request.subjects", ())]
    + [(f"responsibility.{hop}.at", 0) for hop in ("manager", "transmitter", "user")],
)
def test_the_absence_of_a_word_changes_the_key(path, value):
    facts = full_facts()
    assert quick_key(put(facts, path, value), LAW.limits) != quick_key(facts, LAW.limits)


@pytest.mark.parametrize("path", ["licence", "consent", "border", "responsibility.manager"])
def test_an_absent_document_has_another_key(path):
    facts = full_facts()
    assert quick_key(put(facts, path, None), LAW.limits) != quick_key(facts, LAW.limits)


def test_anchors_keep_every_identity_of_the_key_alive():
    facts = full_facts()
    held = {id(anchor) for anchor in anchors_of(facts)}
    whitelist, mechanisms = anchors_of(facts)[-2]
    held |= {id(whitelist)} | set(map(id, mechanisms))
    held |= set(map(id, anchors_of(facts)[-1]))
    key = quick_key(facts, LAW.limits)

    def numbers(value):
        if isinstance(value, tuple):
            return set().union(*map(numbers, value))
        return {value} if isinstance(value, int) and value > 1 << 40 else set()

    assert numbers(key) - held == set()


def kept(start, end):
    from gateway.domain.decision import Decision

    decision = Decision(True, (), {}, (), frozenset(), (), start, end, "", "", "")
    return Kept(decision, b"", ())


def test_an_entry_serves_inside_its_interval_only():
    memo = Memo(2)
    memo.keep("a", kept(10, 20))
    assert [memo.find("a", now) is not None for now in (9, 10, 19, 20)] == [
        False,
        True,
        True,
        False,
    ]
    assert memo.peek("a") is not None


def test_the_least_recently_used_entry_goes_first():
    memo = Memo(2)
    memo.keep("a", kept(0, 9))
    memo.keep("b", kept(0, 9))
    assert memo.find("a", 1)
    memo.keep("c", kept(0, 9))
    assert memo.find("a", 1)
    assert memo.find("b", 1) is None
    assert len(memo) == 2


def test_replacing_an_entry_keeps_the_bound():
    memo = Memo(1)
    memo.keep("a", kept(0, 9))
    memo.keep("a", kept(9, 19))
    assert memo.find("a", 10)
    assert replace(memo.find("a", 10).decision).valid_from == 9
