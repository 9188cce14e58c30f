"""The normal form: the order of an engine's sets does not matter, everything else does."""

import json
import random

from hypothesis import given
from hypothesis import strategies as st

from audit.standalone import verifier
from gateway.decision.normal import decision_digest

LEAVES = st.text(max_size=4) | st.integers(-9, 9) | st.booleans() | st.none()
ANSWERS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


def shuffled(value, rng):
    if isinstance(value, dict):
        return {name: shuffled(item, rng) for name, item in value.items()}
    if isinstance(value, list):
        items = [shuffled(item, rng) for item in value]
        rng.shuffle(items)
        return items
    return value


@given(ANSWERS, st.randoms())
def test_order_never_matters(answer, rng: random.Random):
    assert decision_digest(answer) == decision_digest(shuffled(answer, rng))


@given(ANSWERS)
def test_the_stand_alone_verifier_computes_the_same(answer):
    assert verifier.decision_digest(answer).hex() == decision_digest(answer)


@given(ANSWERS, ANSWERS)
def test_different_answers_have_different_digests(one, other):
    def key(value):
        return json.dumps(verifier.ordered(value), sort_keys=True)

    assert (decision_digest(one) == decision_digest(other)) == (key(one) == key(other))
