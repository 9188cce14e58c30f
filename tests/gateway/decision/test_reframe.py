from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.decision.input import InputLimits, build_input, canonical
from gateway.decision.reframe import reframe
from tests.policies import facts_world as w
from tests.policies.engines import LAW
from tests.policies.generated import facts as generated

LIMITS = st.builds(
    InputLimits,
    minimal_fields=st.frozensets(st.sampled_from(w.NAMES)),
    count_ceiling=st.integers(1, 40),
    adverse_years=st.integers(1, 10),
    subsidy_loan_fen=st.just(LAW.limits.subsidy_loan_fen),
)


@given(generated(), LIMITS, LIMITS)
def test_it_is_the_input_that_the_other_tables_would_have_made(facts, was, limits):
    kept = canonical(build_input(facts, was))
    law = replace(LAW, limits=limits, switches=dict(facts.switches))
    again = reframe(kept, law, len(facts.request.subjects), facts.switches)
    assert again == canonical(build_input(facts, limits))


def test_a_default_follows_the_new_tables_and_a_choice_stays():
    kept = canonical(build_input(w.facts(switches=w.SWITCHES | {"border_bulk": True}), LAW.limits))
    other = {**w.SWITCHES, "require_registration": False, "border_bulk": False, "added": 3}
    again = reframe(kept, replace(LAW, switches=other), 1, w.SWITCHES)
    facts = w.facts(switches=other | {"border_bulk": True})
    assert again == canonical(build_input(facts, LAW.limits))


@pytest.mark.parametrize("kept", [b"", b"[]", b"{}", b'{"calendar":{"turns":[]}}'])
def test_what_is_no_input_is_refused(kept):
    with pytest.raises((ValueError, LookupError, TypeError)):
        reframe(kept, LAW, 1, {})
