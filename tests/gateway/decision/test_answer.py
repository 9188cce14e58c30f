"""Every answer that is not exactly understood is a denial with its own code."""

import copy

import pytest

from gateway.decision.answer import OBLIGATIONS, parse_answer
from gateway.domain.errors import Reason, UnavailableError
from gateway.domain.request import Condition
from gateway.domain.vocabulary import FieldAction

REVISION = "r" * 64
GOOD = {
    "allow": True,
    "bundle": REVISION,
    "fields": {"a": "allow", "b": "drop"},
    "obligations": ["coverage"],
    "reasons": [{"rule": "R34", "code": "RAW_EGRESS", "fields": ["b"]}],
    "row_predicates": [{"field": "subject_type", "op": "in", "value": ["LEGAL_ENTITY"]}],
    "rules": ["R34"],
    "valid_from": 1,
    "valid_until": 2,
}

GROUPS = [["b"], ["a"]]
REASON = {"rule": "R34", "code": "RAW_EGRESS"}
BY_GROUP = {key: value for key, value in GOOD.items() if key != "fields"} | {
    "actions": ["drop", "allow"],
    "reasons": [REASON | {"groups": [0]}],
}


def parse(answer, asked=("b", "a")):
    return parse_answer(
        answer,
        asked=asked,
        groups=GROUPS,
        revision=REVISION,
        input_digest="i",
        bundle_digest="d",
    )


def test_an_answer_by_groups_is_the_same_decision_with_the_same_digest():
    assert parse(BY_GROUP) == parse(GOOD)


def test_a_good_answer_is_a_decision():
    decision = parse(GOOD)
    assert decision.allow
    assert dict(decision.actions) == {"b": FieldAction.DROP, "a": FieldAction.ALLOW}
    assert decision.reasons == (Reason("R34", "RAW_EGRESS", ("b",)),)
    assert decision.row_predicates == (Condition("subject_type", "in", ("LEGAL_ENTITY",)),)
    assert (decision.input_digest, decision.bundle_digest) == ("i", "d")


def without(key):
    return {k: v for k, v in GOOD.items() if k != key}


BAD = {
    **{f"missing {key}": without(key) for key in GOOD},
    "no object": [GOOD],
    "nothing": None,
    "unknown key": {**GOOD, "override": True},
    "unknown action": {**GOOD, "fields": {"a": "allow", "b": "show"}},
    "action of another type": {**GOOD, "fields": {"a": "allow", "b": ["drop"]}},
    "a field not asked for": {**GOOD, "fields": {"a": "allow", "b": "drop", "c": "allow"}},
    "a field left out": {**GOOD, "fields": {"a": "allow"}},
    "fields no object": {**GOOD, "fields": ["a", "b"]},
    "unknown obligation": {**GOOD, "obligations": ["watermark"]},
    "obligations no list": {**GOOD, "obligations": {"coverage": True}},
    "allow is a word": {**GOOD, "allow": "true"},
    "allow with nothing left": {**GOOD, "fields": {"a": "drop", "b": "drop"}},
    "deny with a field left": {**GOOD, "allow": False},
    "a denial without a reason": {
        **GOOD, "allow": False, "fields": {"a": "drop", "b": "drop"}, "reasons": [],
    },
    "a reason without a code": {**GOOD, "reasons": [{"rule": "R34", "fields": []}]},
    "a reason with an empty code": {
        **GOOD, "reasons": [{"rule": "R34", "code": "", "fields": []}],
    },
    "an unknown operator": {
        **GOOD, "row_predicates": [{"field": "x", "op": "like", "value": "%"}],
    },
    "a predicate with a fraction": {
        **GOOD, "row_predicates": [{"field": "x", "op": "lt", "value": 0.5}],
    },
    "rules no list": {**GOOD, "rules": "R34"},
    "an action too few": {**BY_GROUP, "actions": ["drop"]},
    "an action too many": {**BY_GROUP, "actions": ["drop", "allow", "allow"]},
    "actions no list": {**BY_GROUP, "actions": {"0": "drop", "1": "allow"}},
    "an unknown action of a group": {**BY_GROUP, "actions": ["drop", "show"]},
    "a group's action of another type": {**BY_GROUP, "actions": ["drop", ["allow"]]},
    "fields and groups": {**BY_GROUP, "fields": {"a": "allow", "b": "drop"}},
    "a group that isn't there": {**BY_GROUP, "reasons": [REASON | {"groups": [2]}]},
    "a group counted from the end": {**BY_GROUP, "reasons": [REASON | {"groups": [-1]}]},
    "a group named by a truth": {**BY_GROUP, "reasons": [REASON | {"groups": [True]}]},
    "a group named by a text": {**BY_GROUP, "reasons": [REASON | {"groups": ["0"]}]},
    "groups no list": {**BY_GROUP, "reasons": [REASON | {"groups": 0}]},
    "a reason with fields and groups": {
        **BY_GROUP, "reasons": [REASON | {"groups": [0], "fields": ["b"]}],
    },
    "reasons no list": {**BY_GROUP, "reasons": 7},
    "an empty interval": {**GOOD, "valid_until": 1},
    "a time as text": {**GOOD, "valid_until": "2"},
}  # fmt: skip


@pytest.mark.parametrize("answer", BAD.values(), ids=BAD)
def test_anything_else_is_refused(answer):
    before = copy.deepcopy(answer)
    with pytest.raises(UnavailableError) as caught:
        parse(answer)
    assert caught.value.code == "POLICY_UNKNOWN_ANSWER"
    assert answer == before


def test_another_bundle_has_its_own_code():
    with pytest.raises(UnavailableError) as caught:
        parse({**GOOD, "bundle": "x"})
    assert caught.value.code == "POLICY_MISMATCH"


def test_the_order_of_reasons_does_not_depend_on_the_engine():
    reasons = [
        {"rule": "R34", "code": "RAW_EGRESS", "fields": ["b"]},
        {"rule": "R30", "code": "NO_LICENCE", "fields": []},
    ]
    assert parse({**GOOD, "reasons": reasons}) == parse({**GOOD, "reasons": reasons[::-1]})
    assert parse({**GOOD, "reasons": reasons}).reasons[0].rule == "R30"


def test_the_obligations_are_those_that_the_release_knows():
    expected = {
        "label_dispute", "coverage", "shuffle", "minimal_answer", "border_record", "count_export",
        "count_ordinary", "count_sensitive", "interest_subsidy", "onward_use",
    }  # fmt: skip
    assert expected == OBLIGATIONS
