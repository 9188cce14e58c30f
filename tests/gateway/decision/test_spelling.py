import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.decision.spelling import groups_of, names_of, spelled_out

ACTIONS = ("allow", "mask", "pseudonym", "generalise", "drop")


@st.composite
def grouped(draw):
    names = draw(st.lists(st.text("abcdef", min_size=1, max_size=4), unique=True, max_size=12))
    return [names[start : start + 3] for start in range(0, len(names), 3)]


@given(grouped(), st.data())
def test_every_field_has_the_action_of_its_group_and_each_reason_its_names(groups, data):
    actions = [data.draw(st.sampled_from(ACTIONS)) for _ in groups]
    about = [place for place, action in enumerate(actions) if action == "drop"]
    answer = {"actions": actions, "reasons": [{"code": "X", "groups": about + about}], "x": 1}
    spelled = spelled_out(answer, groups)
    assert spelled == {
        "fields": {
            name: action for action, names in zip(actions, groups, strict=True) for name in names
        },
        "reasons": [{"code": "X", "fields": sorted(n for p in about for n in groups[p])}],
        "x": 1,
    }
    assert names_of(groups) == tuple(sorted(spelled["fields"]))


def test_what_names_its_fields_is_left_alone():
    answer = {"fields": {"a": "allow"}, "reasons": [{"fields": ["a"]}]}
    assert spelled_out(answer, [["a"]]) is answer


def test_a_reason_about_the_request_stays_about_the_request():
    spelled = spelled_out({"actions": [], "reasons": [{"code": "X", "fields": []}]}, [])
    assert spelled["reasons"] == [{"code": "X", "fields": []}]


@pytest.mark.parametrize("document", [{}, {"fields": [{}]}, {"fields": 7}, {"fields": None}])
def test_what_is_no_input_is_refused(document):
    with pytest.raises((LookupError, TypeError)):
        groups_of(document)
