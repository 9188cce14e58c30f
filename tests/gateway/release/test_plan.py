from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import DeniedError, InternalError, InvalidRequestError
from gateway.domain.request import Condition
from gateway.domain.vocabulary import FieldAction
from gateway.release.plan import make_plan, released_actions
from tests.simulator import make_decision, make_product, make_request

PRODUCT = make_product()
ACTIONS = st.sampled_from([action.value for action in FieldAction])


def plan_for(actions, **words):
    request = make_request(PRODUCT, fields=tuple(actions), **words.pop("request", {}))
    return make_plan(request, make_decision(actions, **words), PRODUCT)


def test_dropped_and_unnamed_fields_are_not_released():
    plan = plan_for({"uscc": "allow", "name": "drop", "contact_phone": "mask"})
    assert released_actions(plan) == {"uscc": FieldAction.ALLOW, "contact_phone": FieldAction.MASK}
    assert plan.columns == ("uscc", "contact_phone")


def test_a_field_asked_for_but_not_decided_is_not_released():
    request = make_request(PRODUCT, fields=("uscc", "name"))
    plan = make_plan(request, make_decision({"uscc": "allow"}), PRODUCT)
    assert released_actions(plan) == {"uscc": FieldAction.ALLOW}


def test_a_decision_about_fields_not_asked_for_is_refused():
    request = make_request(PRODUCT, fields=("uscc",))
    with pytest.raises(InternalError):
        make_plan(request, make_decision({"uscc": "allow", "name": "allow"}), PRODUCT)


def test_a_denial_has_no_plan():
    request = make_request(PRODUCT, fields=("uscc",))
    with pytest.raises(InternalError):
        make_plan(request, replace(make_decision({"uscc": "allow"}), allow=False), PRODUCT)


def test_policy_conditions_are_read_but_do_not_leave():
    only_companies = Condition("subject_type", "in", ("LEGAL_ENTITY",))
    plan = plan_for({"uscc": "allow"}, row_predicates=(only_companies,))
    assert plan.policy_rows == (only_companies,)
    assert "subject_type" not in released_actions(plan)


def test_disputes_are_labelled_whether_asked_for_or_not():
    plan = plan_for({"uscc": "allow"}, obligations=frozenset({"label_dispute"}))
    assert released_actions(plan)["dispute_flag"] is FieldAction.ALLOW


@pytest.mark.parametrize("action", ["mask", "pseudonym", "generalise", "drop"])
def test_a_filter_on_a_field_not_seen_unmasked_is_an_oracle_and_refused(action):
    condition = Condition("name", "eq", "x")
    with pytest.raises(DeniedError) as refusal:
        plan_for({"uscc": "allow", "name": action}, request={"conditions": (condition,)})
    assert refusal.value.code == "FILTER_ON_HIDDEN_FIELD"
    assert refusal.value.reasons[0].fields == ("name",)


def test_a_filter_on_a_field_not_asked_for_is_refused():
    condition = Condition("name", "eq", "x")
    with pytest.raises(DeniedError):
        plan_for({"uscc": "allow"}, request={"conditions": (condition,)})


def test_a_field_that_is_only_filtered_on_is_decided_read_and_does_not_leave():
    condition = Condition("name", "eq", "x")
    request = make_request(PRODUCT, fields=("uscc",), conditions=(condition,))
    assert request.decided == ("uscc", "name")
    decision = make_decision({"uscc": "allow", "name": "allow"})
    plan = make_plan(request, decision, PRODUCT)
    assert plan.columns == ("uscc", "name")
    assert set(released_actions(plan)) == {"uscc"}


def test_a_filter_on_no_field_is_malformed():
    with pytest.raises(InvalidRequestError):
        plan_for({"uscc": "allow"}, request={"conditions": (Condition("nonsense", "eq", 1),)})


@given(st.dictionaries(st.sampled_from(list(PRODUCT.fields)), ACTIONS, min_size=1))
def test_exactly_the_fields_that_are_not_dropped_leave(actions):
    plan = plan_for(actions)
    expected = {name: FieldAction(a) for name, a in actions.items() if a != "drop"}
    assert released_actions(plan) == expected
