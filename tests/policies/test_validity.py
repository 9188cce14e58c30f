"""A decision is the same for every instant of the interval it states."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.decision.bundle import load
from gateway.decision.wasm import WasmEngine
from tests.policies import generated
from tests.policies.engines import decider_of


@pytest.fixture(scope="module")
def decide():
    bundle = load()
    engine = WasmEngine(bundle, deadline_ms=5000)  # about answers, not about time
    with asyncio.Runner() as runner:

        def ask(facts):
            # A fresh decider each time: a remembered decision would prove nothing.
            return runner.run(decider_of(engine, bundle).decide(facts))

        yield ask
        runner.run(engine.close())


@settings(max_examples=600, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(facts=generated.facts(), data=st.data())
def test_the_same_at_every_instant_of_the_interval(decide, facts, data):
    decision = decide(facts)
    start, end = decision.valid_from, decision.valid_until
    assert start <= facts.now < end
    inside = data.draw(st.integers(start, end - 1))
    for instant in (start, inside, end - 1):
        assert decide(replace(facts, now=instant)) == decision
