from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gateway.decision.difference import Cause, Difference, Kind, difference
from gateway.domain.decision import Decision
from gateway.domain.errors import Reason
from gateway.domain.request import Condition
from gateway.domain.vocabulary import FieldAction

ALLOW, DROP, MASK = FieldAction.ALLOW, FieldAction.DROP, FieldAction.GENERALISE
FIELDS = ("a", "b", "c")
REASONS = st.lists(
    st.builds(
        Reason,
        st.sampled_from(["R30", "R32", "R14"]),
        st.sampled_from(["X", "Y"]),
        st.sampled_from([(), ("a",), ("a", "b"), ("c",)]),
    ),
    max_size=4,
    unique=True,
).map(tuple)
CONDITIONS = st.lists(
    st.builds(Condition, st.sampled_from(["state", "day"]), st.just("eq"), st.integers(0, 2)),
    max_size=3,
    unique=True,
).map(tuple)


def decision(actions, reasons=(), rows=(), rules=()) -> Decision:
    return Decision(
        allow=any(action is not DROP for action in actions.values()),
        reasons=tuple(reasons),
        actions=actions,
        row_predicates=tuple(rows),
        obligations=frozenset(),
        rules=tuple(rules),
        valid_from=0,
        valid_until=1,
        input_digest="",
        bundle_digest="",
        digest="",
    )


DECISIONS = st.builds(
    decision,
    st.fixed_dictionaries(dict.fromkeys(FIELDS, st.sampled_from([ALLOW, DROP, MASK]))),
    REASONS,
    CONDITIONS,
    st.lists(st.sampled_from(["R1", "R2"]), unique=True),
)
OPPOSITE = {Kind.ALLOW_TO_DENY: Kind.DENY_TO_ALLOW, Kind.DENY_TO_ALLOW: Kind.ALLOW_TO_DENY}


@given(DECISIONS)
def test_a_decision_does_not_differ_from_itself(one):
    assert difference(one, one) is None
    assert difference(one, replace(one, input_digest="f", rules=("R9",))) is None


@given(DECISIONS, DECISIONS)
def test_it_is_none_exactly_when_nothing_flips(old, new):
    rows = old.allow and set(old.row_predicates) != set(new.row_predicates)
    flips = old.allow is not new.allow or old.actions != new.actions or rows
    assert (difference(old, new) is not None) is flips


@given(DECISIONS, DECISIONS)
def test_the_way_back_mirrors_the_way_there(old, new):
    there, back = difference(old, new), difference(new, old)
    if there is None:
        assert back is None
        return
    assert back == Difference(
        kind=OPPOSITE.get(there.kind, there.kind),
        causes=tuple(sorted(replace(c, speaks=not c.speaks) for c in there.causes)),
        fields=tuple((name, after, before) for name, before, after in there.fields),
        rows_gone=there.rows_new,
        rows_new=there.rows_gone,
    )


@given(DECISIONS, DECISIONS)
def test_a_cause_is_never_what_both_say_alike(old, new):
    found = difference(old, new)
    for cause in found.causes if found else ():
        if cause.code:
            speaker, other = (new, old) if cause.speaks else (old, new)
            said = [r for r in speaker.reasons if (r.rule, r.code) == (cause.rule, cause.code)]
            assert said
            assert not set(said) <= set(other.reasons)
        else:
            assert (cause.rule in new.rules) is cause.speaks
            assert (cause.rule in old.rules) is not cause.speaks


ALL, NONE = dict.fromkeys(FIELDS, ALLOW), dict.fromkeys(FIELDS, DROP)


def test_a_denial_is_caused_by_what_speaks_against_it():
    old = decision(ALL | {"a": DROP}, [Reason("R32", "OUT", ("a",))])
    new = decision(NONE, [Reason("R32", "OUT", ("a",)), Reason("R30", "NO_LICENCE")])
    found = difference(old, new)
    assert found is not None
    assert (found.kind, found.causes) == (
        Kind.ALLOW_TO_DENY,
        (Cause("R30", "NO_LICENCE", speaks=True),),
    )
    assert found.fields == (("b", "allow", "drop"), ("c", "allow", "drop"))


def test_an_allow_is_caused_by_what_falls_away():
    old = decision(NONE, [Reason("R30", "NO_LICENCE"), Reason("R32", "OUT", ("b",))])
    new = decision(ALL | {"b": DROP}, [Reason("R32", "OUT", ("b",))])
    found = difference(old, new)
    assert found is not None
    assert (found.kind, found.causes) == (
        Kind.DENY_TO_ALLOW,
        (Cause("R30", "NO_LICENCE", speaks=False),),
    )


def test_a_dropped_field_names_its_own_reason_only():
    old = decision(ALL, [], rules=["R1"])
    new = decision(
        ALL | {"c": DROP}, [Reason("R62", "DROPPED", ("c",)), Reason("R9", "OTHER", ("b",))]
    )
    found = difference(old, new)
    assert found is not None
    assert found.kind is Kind.FIELDS
    assert found.causes == (Cause("R62", "DROPPED", speaks=True),)


def test_without_reasons_the_rules_that_fired_tell():
    condition = Condition("publicity_state", "eq", "IN")
    old = decision(ALL, rows=[condition], rules=["R10", "R14"])
    found = difference(old, decision(ALL, rules=["R14"]))
    assert found == Difference(Kind.ROWS, (Cause("R10", "", speaks=False),), (), (condition,), ())


def test_another_number_of_the_same_rule_has_no_cause_of_its_own():
    old = decision(ALL, rows=[Condition("day", "ge", "2021")], rules=["R66"])
    new = decision(ALL, rows=[Condition("day", "ge", "2023")], rules=["R66"])
    found = difference(old, new)
    assert found is not None
    assert (found.kind, found.causes) == (Kind.ROWS, ())
